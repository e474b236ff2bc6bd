"""The warnings of an audit: upcoming problems, what could not be checked, and unmanaged objects that may be unintended.

One of them concerns User-Managed Access 2.0. A client that registers with the grant of permission tickets becomes a
Keycloak resource server. With its own token it can store any number of resources and policies in Keycloak's database,
and learn whether a user name exists. No client policy of 26.7.5 can reject this for anonymous clients alone
(docs/decisions/keycloak-service-clients.md); only a server option can disable it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from mcp_idp.access.registration_profiles import PROFILES
from mcp_idp.cli.bootstrap.errors import ProviderUnreachable, VerificationError
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import rejects_grant
from mcp_idp.cli.bootstrap.keycloak.realm_verification import (
    DISABLE_PAIRWISE_OPTION,
    allows_pairwise_subjects,
    verify_cimd_announced,
)
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import ANNOUNCED
from mcp_idp.cli.bootstrap.keycloak.resources.clients import managed_client_ids
from mcp_idp.cli.bootstrap.keycloak.resources.groups import unmanaged_roles
from mcp_idp.cli.bootstrap.keycloak.resources.roles import unmanaged_composites
from mcp_idp.cli.bootstrap.keycloak.resources.service_clients import CLIENT_CREDENTIALS, find_unmanaged_service_clients
from mcp_idp.cli.bootstrap.keycloak.state.groups import unmanaged_groups_granting
from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership
from mcp_idp.cli.bootstrap.output import join_first
from mcp_idp.cli.bootstrap.verification import Advisory
from mcp_idp.cli.common.launcher import as_launched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.settings import KeycloakSettings
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

_OFF = 501  # Keycloak's status if the feature is off
WITHOUT = "KC_FEATURES_DISABLED=authorization,admin-fine-grained-authz"


def allows_anonymous_uma(settings: KeycloakSettings, actual: CurrentState, http: httpx.Client) -> bool:
    """Checks whether a registered client can use User-Managed Access to store permissions in Keycloak.

    That is so if clients can register themselves, may use `client_credentials`, and the server has the feature enabled.

    Args:
        settings: settings of the run.
        actual: the current state of the realm.
        http: HTTP client.

    Raises:
        ProviderUnreachable: Keycloak does not respond.
    """
    if not PROFILES[settings.access.registration.profile].initial_access_token or rejects_grant(
        actual, CLIENT_CREDENTIALS
    ):
        return False
    try:
        # The provider metadata names the grant even if the feature is off, so ask the endpoint.
        status = http.get(f"{settings.internal_url}/authz/protection/resource_set").status_code
    except httpx.TransportError as error:
        raise ProviderUnreachable(f"{settings.internal_url} does not respond") from error
    return status != _OFF


_NEARLY_FULL = 0.8  # share of the maximum number of clients


def warnings_of(
    settings: KeycloakSettings,
    session: AdminClient,
    actual: CurrentState,
    clients: list[Object],
    http: httpx.Client,
) -> Iterator[str]:
    """Yields one line for each warning.

    Args:
        settings: settings of the run.
        session: admin client of the realm, for what is not in `actual`.
        actual: the current state of the realm.
        clients: representations of all clients of the realm.
        http: HTTP client for Keycloak's public endpoints.

    Raises:
        ProviderUnreachable: Keycloak does not respond.
    """
    ownership = Ownership.of(actual, settings.public_url, settings.moved_from)
    if actual.users is None and settings.access.demo_users:
        yield "this account may not read users, so demo users were not compared: give it the role view-users"
    if actual.service_client_roles is None:
        yield "this account may not read the roles of machine clients: give it the role view-users"
    yield from _unmanaged_service_clients(settings, clients, ownership, actual)
    yield from unasked_audiences(settings, clients)
    yield from unmanaged_composites(settings.access, actual)
    yield from _unmanaged_groups(settings, session, ownership, actual)
    if allows_pairwise_subjects(session):
        yield (
            "a registered client may have pairwise subjects, so one user can have several identities here: "
            "start Keycloak with "
            f"{DISABLE_PAIRWISE_OPTION}"
        )
    if allows_anonymous_uma(settings, actual, http):
        yield (
            "with machine_clients a client that registered itself may store permissions in Keycloak's database and "
            f"learn which user names exist: start Keycloak with {WITHOUT}"
        )
    maximum = settings.access.registration.max_clients
    if len(clients) >= maximum * _NEARLY_FULL:
        yield (
            f"the realm has {len(clients)} clients, and registration stops at {maximum}: "
            f"`{as_launched('mcp-idp bootstrap prune')}` lists the unused ones"
        )
    try:
        verify_cimd_announced(settings, http, ANNOUNCED)
    except (Advisory, VerificationError) as finding:
        yield str(finding)


def _unmanaged_service_clients(
    settings: KeycloakSettings, clients: list[Object], ownership: Ownership, actual: CurrentState
) -> Iterator[str]:
    """Warns of service accounts that the access file does not name, unless a policy rejects the grant for all."""
    if rejects_grant(actual, CLIENT_CREDENTIALS):
        return
    if names := find_unmanaged_service_clients(clients, settings.access, ownership.recorded_clients):
        yield (
            f"{len(names)} clients outside machine_clients may get tokens without a user ({join_first(names)}): "
            "disable "
            "their service accounts, or name them in the access file; without our roles their tokens are not valid here"
        )


def unasked_audiences(settings: KeycloakSettings, clients: list[Object]) -> Iterator[str]:
    """Warns of unmanaged clients whose every login carries our audience without a consent page.

    The base scope is a default scope of new clients, also of those that an administrator makes. Registered clients
    require consent (registration policy "Consent Required").
    """
    managed = managed_client_ids(settings.access, settings.public_url)
    names = sorted(
        str(client["clientId"])
        for client in clients
        if settings.access.base_scope in (client.get("defaultClientScopes") or [])
        and not client.get("consentRequired")
        and client["clientId"] not in managed
    )
    if names:
        yield (
            f"logins at {len(names)} clients get the scope {settings.access.base_scope} and our audience unasked and "
            f"without consent ({join_first(names)}): make the scope optional there, or require consent"
        )


def _unmanaged_groups(
    settings: KeycloakSettings, session: AdminClient, ownership: Ownership, actual: CurrentState
) -> Iterator[str]:
    """Warns of groups that grant roles in ways that the access file does not name, if it has groups."""
    access = settings.access
    if not actual.groups.known:
        yield (
            "this account may not read groups, so neither managed nor default groups were compared: give it the "
            "role view-users"
        )
    elif access.groups:
        yield from unmanaged_roles(access, ownership, actual)
        managed_ids = [found["id"] for found in actual.groups.by_name.values()]
        if paths := unmanaged_groups_granting(session, access.roles, managed_ids):
            yield f"groups that are not in the access file grant its roles: {join_first(paths)}"
