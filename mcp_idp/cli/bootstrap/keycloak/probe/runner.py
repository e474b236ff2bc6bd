"""The nine holes, tried from outside as a stranger would, on a Keycloak whose administrator asks for it.

`check` judges a realm by what it reads; this tries. It needs the admin client for two things: only who may remove
clients is the owner, and what a trial registers is removed through the admin API at the end, whatever happened.
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
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings

PATIENCE = 60  # seconds for an answer: the first login page of a Keycloak that has just started takes long


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What came of trying one hole.

    Attributes:
        id: S1 to S9.
        open: whether a stranger gets in.
        observed: the answer that says so.
    """

    id: str
    open: bool
    observed: str


def probe(session: AdminClient, settings: KeycloakSettings, http: httpx.Client) -> list[ProbeOutcome]:
    """Try all nine, in their order; what was registered is gone when this ends.

    Raises:
        ProviderUnreachable: Keycloak stopped answering.
        Forbidden: the admin client may not make and remove clients, so this is not its Keycloak: nothing was tried.
        Failure: something could not be removed, or another probe got in the way; the text says what to do.
    """
    anonymous_client = AnonymousClient(settings.internal_url, http)
    with cleanup_guard(session, anonymous_client):
        try:
            return [
                ProbeOutcome(name, bool(result.opened), result.opened or result.closed)
                for name, run_case in PROBE_CASES.items()
                for result in [run_case(anonymous_client, settings)]
            ]
        except httpx.TransportError as error:
            again = (
                ": run it again; it first removes what Keycloak registered too late"
                if anonymous_client.response_pending
                else ""
            )
            raise ProviderUnreachable(f"Keycloak stopped answering during the probe{again}") from error
