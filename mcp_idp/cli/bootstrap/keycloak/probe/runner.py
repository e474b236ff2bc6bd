"""Runs the probe cases against a Keycloak on behalf of its administrator.

`check` derives weaknesses from the configuration; the probe attempts to exploit them as an unauthenticated client. It
needs the admin client for two reasons: the right to delete clients proves that the caller owns the realm, and every
client that a case registers is deleted through the admin API at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from mcp_idp.cli.bootstrap.errors import ProviderUnreachable
from mcp_idp.cli.bootstrap.keycloak.probe.anonymous_client import AnonymousClient
from mcp_idp.cli.bootstrap.keycloak.probe.cases import PROBE_CASES
from mcp_idp.cli.bootstrap.keycloak.probe.cleanup import cleanup_guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

PATIENCE = 60  # seconds per response: the first login page after a start of Keycloak is slow


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """The outcome of one probe case.

    Attributes:
        id: S1 to S9.
        open: whether the weakness could be exploited.
        observed: what the probe obtained, or how Keycloak rejected it.
    """

    id: str
    open: bool
    observed: str


def probe(
    session: AdminClient,
    settings: KeycloakSettings,
    http: httpx.Client,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[ProbeOutcome]:
    """Runs all nine cases in order and deletes the clients that they registered.

    Args:
        session: admin client of the realm.
        settings: settings of the run.
        http: HTTP client for the unauthenticated requests.
        is_stopped: called before each case; once it returns True, no further case is run.

    Returns:
        One outcome per case that was run.

    Raises:
        ProviderUnreachable: Keycloak stopped responding.
        PermissionDenied: the admin client may not create and delete clients, so the caller does not own this realm; no
            case was run.
        BootstrapError: a client could not be deleted, or another probe interfered; the text says what to do.
    """
    anonymous_client = AnonymousClient(settings.internal_url, http)
    with cleanup_guard(session, anonymous_client):
        try:
            return [
                ProbeOutcome(name, bool(result.opened), result.opened or result.closed)
                for name, run_case in PROBE_CASES.items()
                if not is_stopped()
                for result in [run_case(anonymous_client, settings)]
            ]
        except httpx.TransportError as error:
            again = (
                ": run it again; it first removes what Keycloak registered too late"
                if anonymous_client.response_pending
                else ""
            )
            raise ProviderUnreachable(f"Keycloak stopped responding during the probe{again}") from error
