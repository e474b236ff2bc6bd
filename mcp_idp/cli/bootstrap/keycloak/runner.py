"""Runs `apply` and `plan`, from the settings of a run to its result."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
from mcp_idp.cli.bootstrap.keycloak.change_log import ChangeLog
from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.credential_loading import public_key_set, service_client_credentials
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.planner import apply, full_plan, ownership_of, read_state, require_writable
from mcp_idp.cli.bootstrap.keycloak.realm_ownership import realm_differences
from mcp_idp.cli.bootstrap.keycloak.realm_verification import (
    verify_cimd_announced,
    verify_example_tokens,
    verify_native_endpoints_disabled,
    verify_provider_metadata,
    verify_registration,
)
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import ANNOUNCED
from mcp_idp.cli.bootstrap.keycloak.state.managed import Records
from mcp_idp.cli.bootstrap.output import change_lines, count_line, difference_lines, line_printer, unbatched
from mcp_idp.cli.bootstrap.secret_file import get_or_create_secret, read_secret
from mcp_idp.cli.bootstrap.verification import (
    create_client,
    run_verifications,
    verify_server_metadata,
)
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.managed import ManagedState


_USUAL_URL = "http://localhost:3000/mcp"  # the default of `mcp-idp login`


def print_now(line: str) -> None:
    """Prints a line to standard output without buffering, so that a container's log shows it at once."""
    line_printer(sys.stdout)(line)


def run_apply(
    settings: KeycloakSettings,
    *,
    wait: int,
    try_registration: bool = False,
    verbose: bool = False,
    log: Callable[[str], None] = print_now,
) -> int:
    """Brings the provider to the desired state and verifies the result.

    Args:
        settings: settings of the run.
        wait: how long to wait for a provider that is still starting, in seconds.
        try_registration: whether to verify with a test registration even if nothing changed. The test client is
            removed at once.
        verbose: whether to print each change of a new realm, too. Otherwise they are counted.
        log: receives each output line.

    Returns:
        The number of changes written.

    Raises:
        BootstrapError: the apply failed or the result failed verification; the text says what to change.
    """
    # Validate the files first, so that their errors are reported without a running provider.
    DesiredState.load(settings, ClientAuthentication())
    session = AdminClient(settings, log)
    session.log_in(wait)
    with create_client() as http:
        _require_cimd_announced(settings, http)
        desired = _desired(settings, create_missing=True)

        written = ChangeLog(log, verbose=verbose)
        try:
            changes = apply(session, desired, written.record, log)
        except BaseException:
            written.print_unprinted()
            raise
        written.print_total(changes)
        records = Records.of(session.find() or {})
        verifications = [
            partial(verify_provider_metadata, settings, http, _scopes_of_others(records, settings)),
            partial(verify_example_tokens, settings, session),
            partial(verify_native_endpoints_disabled, settings, http),
            partial(verify_cimd_announced, settings, http, ANNOUNCED),
            partial(verify_server_metadata, settings, http),
        ]
        if records.realm.owner == settings.public_url and (changes or try_registration):
            verifications.append(partial(verify_registration, settings, http))
        run_verifications(verifications, log)
    for line in _summary(settings):
        log(line)
    return changes


def load_states(
    settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]
) -> tuple[AdminClient, DesiredState, CurrentState]:
    """Reads the desired state and the current state. Writes nothing, neither at the provider nor locally.

    Args:
        settings: settings of the run.
        wait: how long to wait for a provider that is still starting, in seconds.
        log: receives each progress line.

    Returns:
        The admin client of the realm, the desired state and the current state.

    Raises:
        BootstrapError: a state cannot be read; the text says what to change.
    """
    desired = _desired(settings, create_missing=False)
    session = AdminClient(settings, log)
    session.log_in(wait)
    return session, desired, read_state(session, desired)


def _desired(settings: KeycloakSettings, *, create_missing: bool) -> DesiredState:
    service_clients = service_client_credentials(
        settings.access, settings.service_client_secrets, create_missing=create_missing
    )
    return DesiredState.load(settings, _server_credentials(settings, create_missing=create_missing), service_clients)


def _scopes_of_others(records: Records, settings: KeycloakSettings) -> frozenset[str]:
    others = (record for url, record in records.resources.items() if url != settings.public_url)
    return frozenset().union(*(record.scopes for record in others))


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What an apply would write now, and what it would leave to others.

    Attributes:
        changes: the changes, in the order in which an apply would write them.
        differences: how the realm's settings, which another resource owns, differ from the files.
        resources: what each resource of the realm owns, by URL.
        owner: the resource that owns the realm's settings; empty if none does.
    """

    changes: list[Change]
    differences: list[Change]
    resources: Mapping[str, ManagedState]
    owner: str


def plan_report(settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]) -> PlanReport:
    """Computes what an apply would write now, and whose everything is.

    Args and errors are those of `compute_plan`.
    """
    _, desired, actual = load_states(settings, wait=wait, log=log)
    require_writable(desired, actual)
    ownership = ownership_of(desired, actual)
    return PlanReport(
        full_plan(desired, actual),
        list(realm_differences(desired, ownership, actual)),
        ownership.records.resources,
        ownership.records.realm.owner,
    )


def compute_plan(settings: KeycloakSettings, *, wait: int, log: Callable[[str], None]) -> list[Change]:
    """Computes the changes that an apply would write now.

    Args:
        settings: settings of the run.
        wait: how long to wait for a provider that is still starting, in seconds.
        log: receives each progress line.

    Returns:
        The changes, in the order in which an apply would write them.

    Raises:
        BootstrapError: the plan cannot be computed; the text says what to change.
    """
    return plan_report(settings, wait=wait, log=log).changes


def resource_lines(report: PlanReport) -> Iterator[str]:
    """Yields whose each object of the realm is, if it has more than one resource."""
    if len(report.resources) > 1:
        yield f"this realm has {len(report.resources)} resources:"
        for url, record in sorted(report.resources.items()):
            yield f"  {url}" + (" (owns the realm's settings)" if url == report.owner else "")
            for kind, names in record.names.items():
                if names:
                    yield f"    {kind.replace('_', ' ')}: {', '.join(sorted(names))}"
    yield from difference_lines(report.differences)


def plan_lines(settings: KeycloakSettings, changes: list[Change]) -> Iterator[str]:
    """Yields a plan as lines: each change with its fields, then the number of changes.

    Args:
        settings: settings of the run.
        changes: the plan, see `compute_plan`.
    """
    for change in unbatched(changes):
        yield from change_lines(change, members=True)
    if changes and changes[0].object_label == f"realm {settings.realm}":
        yield "note: Keycloak adds its own scopes and policies to a new realm; apply corrects those too"
    yield count_line(changes)


def _require_cimd_announced(settings: KeycloakSettings, http: httpx.Client) -> None:
    """Fails before anything is written if the registration profile needs a feature of Keycloak that is off.

    Without this check Keycloak would reject the client policy halfway through the apply.

    Raises:
        ConfigError: the profile is `cimd` and Keycloak does not announce client metadata documents.
    """
    if not PROFILES[settings.access.registration.profile].metadata_documents:
        return
    # Ask the master realm: the managed realm may not exist yet, and the feature is server-wide.
    response = http.get(f"{settings.admin_base}realms/master/.well-known/openid-configuration")
    if ANNOUNCED not in response.text:
        raise ConfigError(
            "registration.profile: cimd needs a Keycloak feature that is disabled; enable it at the start: "
            "KC_FEATURES=cimd (docker compose: KC_FEATURES=cimd docker compose up --wait)"
        )


def _summary(settings: KeycloakSettings) -> Iterator[str]:
    """Yields the closing lines: the demo users, the relevant URLs and the next command."""
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
    yield f"Next:          {as_launched('mcp-idp login')}{'' if usual else f' {settings.public_url}'}"


def _server_credentials(settings: KeycloakSettings, *, create_missing: bool) -> ClientAuthentication:
    """Builds the credentials of the MCP server's own client.

    Args:
        settings: settings of the run; they name the secret file or hold the key.
        create_missing: create the secret file if it is missing. Otherwise a missing secret is replaced by a random
            value that is not stored: it differs from the provider's, as a created secret would.

    Raises:
        ConfigError: the secret file cannot be read or, with `create_missing`, written.
    """
    if settings.client_key is not None:
        return ClientAuthentication(keys=public_key_set(settings.client_key), algorithm=settings.client_key.algorithm)
    if settings.client_signs:
        return ClientAuthentication(key_unknown_here=True)
    file = settings.client_secret_file
    if file is None:
        return ClientAuthentication()
    return ClientAuthentication(
        secret=get_or_create_secret(file) if create_missing else read_secret(file) or secrets.token_urlsafe()
    )
