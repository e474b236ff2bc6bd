"""Apply and plan, put together from their parts."""

from __future__ import annotations

import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.client_credentials import ClientCredentials
from mcp_idp.cli.bootstrap.keycloak.credentials import public_key_set, service_client_credentials
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.planner import apply, full_plan, read_state, require_writable
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import ANNOUNCED
from mcp_idp.cli.bootstrap.keycloak.verification import example_tokens, own_registration_is_off, trial_registration
from mcp_idp.cli.bootstrap.output import change_lines, count_noun, line_printer
from mcp_idp.cli.bootstrap.secret_file import get_or_create_secret, read_secret
from mcp_idp.cli.bootstrap.verification import (
    create_client,
    provider_metadata,
    run_verifications,
    server_metadata,
    verify_cimd_announced,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState


_USUAL_URL = "http://localhost:3000/mcp"  # what ./scripts/login takes by itself


def print_now(line: str) -> None:
    """Print without buffering: in a container's log a line counts when it is there."""
    line_printer(sys.stdout)(line)


def run_apply(
    settings: KeycloakSettings,
    *,
    wait: int,
    try_registration: bool = False,
    log: Callable[[str], None] = print_now,
) -> int:
    """Make the provider as the files say and prove it; the number of changes.

    Args:
        settings: where and what.
        wait: seconds to wait for a provider that is still starting.
        try_registration: register a client for a moment even if nothing changed.
        log: takes each line for people.

    Raises:
        Failure: it could not be done, or the result is not as promised; the text says what to change.
    """
    # The files first: what is wrong in them should not take a running provider to find out.
    DesiredState.load(settings, ClientCredentials())
    session = AdminClient(settings, log)
    session.log_in(wait)
    with create_client() as http:
        _require_cimd_announced(settings, http)
        desired = _desired(settings, keep=True)

        def on_change(change: Change) -> None:
            for line in change_lines(change):
                log(line)

        changes = apply(session, desired, on_change, log)
        log(count_noun(changes, "change") if changes else "no changes")
        verifications = [
            partial(provider_metadata, settings, http),
            partial(example_tokens, settings, session),
            partial(own_registration_is_off, settings, http),
            partial(verify_cimd_announced, settings, http, ANNOUNCED),
            partial(server_metadata, settings, http),
        ]
        if changes or try_registration:
            verifications.append(partial(trial_registration, settings, http))
        run_verifications(verifications, log)
    for line in _summary(settings):
        log(line)
    return changes


def load_states(
    settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]
) -> tuple[AdminClient, DesiredState, CurrentState]:
    """What the realm shall be and what it is; nothing is written, neither at the provider nor here.

    Raises:
        Failure: it cannot be read.
    """
    desired = _desired(settings, keep=False)
    session = AdminClient(settings, log)
    session.log_in(wait)
    return session, desired, read_state(session, desired)


def _desired(settings: KeycloakSettings, *, keep: bool) -> DesiredState:
    service_clients = service_client_credentials(settings.access, settings.service_client_secrets, create_missing=keep)
    return DesiredState.load(settings, _server_credentials(settings, keep=keep), service_clients)


def compute_plan(settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]) -> list[Change]:
    """What an apply would change now, in its order.

    Raises:
        Failure: it cannot be said; the text says what to change.
    """
    _, desired, actual = load_states(settings, wait=wait, log=log)
    require_writable(desired, actual)
    return full_plan(desired, actual)


def _require_cimd_announced(settings: KeycloakSettings, http: httpx.Client) -> None:
    """Before anything is written: Keycloak would refuse the policy halfway through.

    Raises:
        ConfigError: the registration profile needs a feature of the server that is off.
    """
    if not PROFILES[settings.access.registration.profile].metadata_documents:
        return
    # Of the master realm, which is there before ours is: the feature is the whole server's.
    response = http.get(f"{settings.admin_base}realms/master/.well-known/openid-configuration")
    if ANNOUNCED not in response.text:
        raise ConfigError(
            "registration.profile: cimd needs a Keycloak feature that is disabled; enable it at the start: "
            "KC_FEATURES=cimd (docker compose: KC_FEATURES=cimd docker compose up --wait)"
        )


def _summary(settings: KeycloakSettings) -> Iterator[str]:
    """The last lines: who can log in, where, and what to type next."""
    access = settings.access
    yield ""
    if access.demo_users:
        width = max(map(len, access.demo_users))
        yield "Demo users (name / password):"
        for name, user in access.demo_users.items():
            granted = access.scopes_granted_by(frozenset(access.roles_of_demo_user(user)))
            scopes = " ".join(scope for scope in access.scopes if scope in granted)
            yield f"  {name:{width}} / {user.password:{width}}  {scopes or 'no role, so no scope'}"
    if settings.client_secret_file is None and not settings.client_signs:
        yield "The server's secret for introspection is in Keycloak: OAUTH_CLIENT_SECRET_FILE was not set"
    yield f"Account page:  {settings.server_url}/account"
    yield f"MCP server:    {settings.public_url}"
    usual = settings.public_url == _USUAL_URL
    yield f"Next:          ./scripts/login{'' if usual else f' --url {settings.public_url}'}"


def _server_credentials(settings: KeycloakSettings, *, keep: bool) -> ClientCredentials:
    """What the provider has to know.

    Args:
        settings: which file, or which key.
        keep: make the secret if there is none. Otherwise one that nobody has stands for it: it differs from whatever
            the provider has, as the one would that an apply makes.

    Raises:
        ConfigError: the file with the secret cannot be read or, to `keep` it, written.
    """
    if settings.client_key is not None:
        return ClientCredentials(keys=public_key_set(settings.client_key), algorithm=settings.client_key.algorithm)
    if settings.client_signs:
        return ClientCredentials(key_unknown_here=True)
    file = settings.client_secret_file
    if file is None:
        return ClientCredentials()
    return ClientCredentials(
        secret=get_or_create_secret(file) if keep else read_secret(file) or secrets.token_urlsafe()
    )
