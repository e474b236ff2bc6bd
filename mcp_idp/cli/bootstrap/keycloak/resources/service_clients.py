"""Machine clients: programs that get tokens for themselves (RFC 6749 section 4.4), each with the roles it was given.

Roles on the scopes are what keeps everybody else out: a client that registered itself may use the grant once it is let
in for these, and gets a token with neither a scope nor the audience of the resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import IdRef
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.clients import ALL_FLOWS_DISABLED, client_diff
from mcp_idp.cli.bootstrap.keycloak.resources.roles import role_grants, role_revocations
from mcp_idp.cli.bootstrap.keycloak.state.managed import MANAGED_MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mcp_idp.access.models import ServiceClient
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import Change, Json
    from mcp_idp.cli.bootstrap.keycloak.client_credentials import ClientCredentials
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState

CLIENT_CREDENTIALS = "client_credentials"


def service_client_changes(
    access: AccessPolicy, service_clients: Mapping[str, ClientCredentials], actual: CurrentState
) -> Iterator[Change]:
    """What the machine clients lack: the client, and the roles of its service account."""
    for client_id, service_client in access.machine_clients.items():
        yield from client_diff(
            _service_client_client(access, client_id, service_client, service_clients.get(client_id)), actual
        )
        yield from _mapped(role_grants, access, client_id, actual)


def service_client_role_revocations(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Roles that the machine clients' service accounts shall not have."""
    for client_id in access.machine_clients:
        yield from _mapped(role_revocations, access, client_id, actual)


def require_no_unmanaged_clients(access: AccessPolicy, actual: CurrentState) -> None:
    """A client that somebody else made under this id would be made anew with other flows, and its secret replaced.

    Raises:
        ConfigError: the realm has one that is not ours.
    """
    for client_id in access.machine_clients:
        found = actual.clients.get(client_id)
        # The record alone: at an open endpoint of Keycloak's own kind a stranger sets a mark too.
        if found is not None and client_id not in actual.managed_state.clients:
            raise ConfigError(
                f"machine_clients.{client_id}: the realm has a client with this id that the bootstrap did not "
                "create: use "
                "another id, or remove that client"
            )


def service_accounts(clients: Iterable[Object], access: AccessPolicy) -> list[str]:
    """Ids of those of `clients` that may use the grant and are none of the access file's."""
    found = {str(client["clientId"]) for client in clients if client.get("serviceAccountsEnabled")}
    return sorted(found.difference(access.machine_clients))


def _mapped(
    changes: Callable[[str, IdRef, frozenset[str], frozenset[str]], Iterator[Change]],
    access: AccessPolicy,
    client_id: str,
    actual: CurrentState,
) -> Iterator[Change]:
    if actual.service_client_roles is not None:  # what may not be read cannot be compared
        desired = frozenset(access.machine_clients[client_id].roles)
        granted = actual.service_client_roles.get(client_id, frozenset()) & set(access.roles)
        yield from changes(f"client {client_id}", IdRef("service-account", client_id), desired, granted)


def _service_client_client(
    access: AccessPolicy, client_id: str, service_client: ServiceClient, credentials: ClientCredentials | None
) -> Json:
    known: Json = credentials.representation if credentials is not None else {}
    attributes = known.pop("attributes", {})
    return {
        "clientId": client_id,
        "name": service_client.name,
        "description": "A program of its own: nobody logs in with it",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **known,
        **ALL_FLOWS_DISABLED,
        "serviceAccountsEnabled": True,
        "consentRequired": False,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {**(attributes if isinstance(attributes, dict) else {}), **MANAGED_MARKER},
        # Keycloak 26.7.5 gives every client with a service account this scope: the client's address, and no right.
        "defaultClientScopes": ["basic", "service_account"],
        # What it may ask for; what it gets, its roles decide. No offline_access: it logs in anew at any time.
        "optionalClientScopes": list(access.scopes),
    }
