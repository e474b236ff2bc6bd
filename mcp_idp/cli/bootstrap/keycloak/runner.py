"""Apply and plan, put together from their parts."""

from __future__ import annotations

import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING

from mcp_idp.access.registration_profiles import ADMISSIONS
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.admin_client import Session
from mcp_idp.cli.bootstrap.keycloak.client_credentials import Credentials
from mcp_idp.cli.bootstrap.keycloak.credentials import machine_credentials, public_key_set
from mcp_idp.cli.bootstrap.keycloak.desired import Desired
from mcp_idp.cli.bootstrap.keycloak.planner import apply, read, refuse_what_cannot_be_written, whole_plan
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import ANNOUNCED
from mcp_idp.cli.bootstrap.keycloak.verification import example_tokens, own_registration_is_off, trial_registration
from mcp_idp.cli.bootstrap.output import change_lines, saying
from mcp_idp.cli.bootstrap.secret_file import keep_secret, read_secret
from mcp_idp.cli.bootstrap.verification import (
    documents_are_announced,
    open_http,
    prove,
    provider_metadata,
    server_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.settings import BootstrapSettings
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual


_USUAL_URL = "http://localhost:3000/mcp"  # what ./scripts/login takes by itself


def say_at_once(line: str) -> None:
    """Print without buffering: in a container's log a line counts when it is there."""
    saying(sys.stdout)(line)


def run_apply(
    settings: BootstrapSettings,
    *,
    wait: int,
    try_registration: bool = False,
    say: Callable[[str], None] = say_at_once,
) -> int:
    """Make the provider as the files say and prove it; the number of changes.

    Args:
        settings: where and what.
        wait: seconds to wait for a provider that is still starting.
        try_registration: register a client for a moment even if nothing changed.
        say: takes each line for people.

    Raises:
        Failure: it could not be done, or the result is not as promised; the text says what to change.
    """
    # The files first: what is wrong in them should not take a running provider to find out.
    Desired.load(settings, Credentials())
    session = Session(settings, say)
    session.log_in(wait)
    with open_http() as http:
        _refuse_documents_unless_announced(settings, http)
        desired = _desired(settings, keep=True)

        def tell(change: Change) -> None:
            for line in change_lines(change):
                say(line)

        changes = apply(session, desired, tell, say)
        say(f"{changes} changes" if changes else "no changes")
        proofs = [
            partial(provider_metadata, settings, http),
            partial(example_tokens, settings, session),
            partial(own_registration_is_off, settings, http),
            partial(documents_are_announced, settings, http, ANNOUNCED),
            partial(server_metadata, settings, http),
        ]
        if changes or try_registration:
            proofs.append(partial(trial_registration, settings, http))
        prove(proofs, say)
    for line in _summary(settings):
        say(line)
    return changes


def look(settings: BootstrapSettings, *, wait: int, say: Callable[[str], None]) -> tuple[Session, Desired, Actual]:
    """What the realm shall be and what it is; nothing is written, neither at the provider nor here.

    Raises:
        Failure: it cannot be read.
    """
    desired = _desired(settings, keep=False)
    session = Session(settings, say)
    session.log_in(wait)
    return session, desired, read(session, desired)


def _desired(settings: BootstrapSettings, *, keep: bool) -> Desired:
    machines = machine_credentials(settings.access, settings.machine_secrets, keep=keep)
    return Desired.load(settings, _server_credentials(settings, keep=keep), machines)


def plan_now(settings: BootstrapSettings, *, wait: int, say: Callable[[str], None]) -> list[Change]:
    """What an apply would change now, in its order.

    Raises:
        Failure: it cannot be said; the text says what to change.
    """
    _, desired, actual = look(settings, wait=wait, say=say)
    refuse_what_cannot_be_written(desired, actual)
    return whole_plan(desired, actual)


def _refuse_documents_unless_announced(settings: BootstrapSettings, http: httpx.Client) -> None:
    """Before anything is written: Keycloak would refuse the policy halfway through.

    Raises:
        SettingsFailure: the registration profile needs a feature of the server that is off.
    """
    if not ADMISSIONS[settings.access.registration.profile].documents:
        return
    # Of the master realm, which is there before ours is: the feature is the whole server's.
    answer = http.get(f"{settings.admin_base}realms/master/.well-known/openid-configuration")
    if ANNOUNCED not in answer.text:
        raise SettingsFailure(
            "registration.profile: cimd needs a feature of Keycloak that is off, and only its start can switch it on: "
            "KC_FEATURES=cimd (docker compose: KC_FEATURES=cimd docker compose up --wait)"
        )


def _summary(settings: BootstrapSettings) -> Iterator[str]:
    """The last lines: who can log in, where, and what to type next."""
    access = settings.access
    yield ""
    if access.demo_users:
        width = max(map(len, access.demo_users))
        yield "Demo users (name / password):"
        for name, person in access.demo_users.items():
            brought = access.scopes_of(frozenset(access.roles_of_person(person)))
            scopes = " ".join(scope for scope in access.scopes if scope in brought)
            yield f"  {name:{width}} / {person.password:{width}}  {scopes or 'no role, so no scope'}"
    if settings.client_secret_file is None and not settings.client_signs:
        yield "The server's secret for introspection is in Keycloak: OAUTH_CLIENT_SECRET_FILE was not set"
    yield f"Account page:  {settings.server_url}/account"
    yield f"MCP server:    {settings.public_url}"
    usual = settings.public_url == _USUAL_URL
    yield f"Next:          ./scripts/login{'' if usual else f' --url {settings.public_url}'}"


def _server_credentials(settings: BootstrapSettings, *, keep: bool) -> Credentials:
    """What the provider has to know.

    Args:
        settings: which file, or which key.
        keep: make the secret if there is none. Otherwise one that nobody has stands for it: it differs from whatever
            the provider has, as the one would that an apply makes.

    Raises:
        SettingsFailure: the file with the secret cannot be read or, to `keep` it, written.
    """
    if settings.client_key is not None:
        return Credentials(keys=public_key_set(settings.client_key), algorithm=settings.client_key.algorithm)
    if settings.client_signs:
        return Credentials(by_key=True)
    file = settings.client_secret_file
    if file is None:
        return Credentials()
    return Credentials(secret=keep_secret(file) if keep else read_secret(file) or secrets.token_urlsafe())
