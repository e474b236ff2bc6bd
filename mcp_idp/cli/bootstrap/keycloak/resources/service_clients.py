"""Service clients: programs that get tokens for themselves (RFC 6749 section 4.4), each with roles of its own.

While service clients exist, the grant `client_credentials` is open to every client. The role bindings of the scopes
keep other clients out: a client that registered itself gets a token with neither a scope nor the audience of the
resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import IdRef
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.resources.clients import ALL_FLOWS_DISABLED, client_diff
from mcp_idp.cli.bootstrap.keycloak.resources.roles import role_grants, role_revocations
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mcp_idp.access.models import ServiceClient
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.bootstrap.changes import Change, Json
    from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
    from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership

CLIENT_CREDENTIALS = "client_credentials"


def service_client_changes(
    access: AccessPolicy, owner: str, service_clients: Mapping[str, ClientAuthentication], actual: CurrentState
) -> Iterator[Change]:
    """Yields the changes to the service clients: the clients themselves, and missing roles of their service accounts.

    Args:
        access: the access file.
        owner: the resource that owns them.
        service_clients: credentials by client id.
        actual: the current state.
    """
    for client_id, service_client in access.machine_clients.items():
        definition = _service_client_client(access, client_id, service_client, service_clients.get(client_id))
        attributes = definition["attributes"]
        definition["attributes"] = {**(attributes if isinstance(attributes, dict) else {}), MARKER: owner}
        yield from client_diff(definition, actual)
        yield from _mapped(role_grants, access, client_id, actual)


def service_client_role_revocations(access: AccessPolicy, actual: CurrentState) -> Iterator[Change]:
    """Yields the changes that revoke surplus roles of the service clients' service accounts."""
    for client_id in access.machine_clients:
        yield from _mapped(role_revocations, access, client_id, actual)


def require_no_unmanaged_clients(access: AccessPolicy, ownership: Ownership, actual: CurrentState) -> None:
    """Rejects an access file with a service client whose id belongs to an unmanaged client.

    An apply would change that client's flows and replace its secret.

    Raises:
        ConfigError: the realm has such a client.
    """
    for client_id in access.machine_clients:
        found = actual.clients.get(client_id)
        # Only the record counts: an anonymous client can set the marker through an open native endpoint.
        if found is not None and client_id not in ownership.own.clients:
            raise ConfigError(
                f"machine_clients.{client_id}: the realm has a client with this id that the bootstrap did not "
                "create: use "
                "another id, or remove that client"
            )


def find_unmanaged_service_clients(
    clients: Iterable[Object], access: AccessPolicy, of_others: Iterable[str] = ()
) -> list[str]:
    """Returns the ids of clients that may use `client_credentials` but are no service clients of an access file.

    Args:
        clients: client representations.
        access: the access file.
        of_others: ids of clients that other resources own.

    Returns:
        Sorted client ids.
    """
    found = {str(client["clientId"]) for client in clients if client.get("serviceAccountsEnabled")}
    return sorted(found.difference(access.machine_clients, of_others))


def _mapped(
    changes: Callable[[str, IdRef, frozenset[str], frozenset[str]], Iterator[Change]],
    access: AccessPolicy,
    client_id: str,
    actual: CurrentState,
) -> Iterator[Change]:
    if actual.service_client_roles is not None:  # roles that cannot be read cannot be compared
        desired = frozenset(access.machine_clients[client_id].roles)
        granted = actual.service_client_roles.get(client_id, frozenset()) & set(access.roles)
        yield from changes(f"client {client_id}", IdRef("service-account", client_id), desired, granted)


def _service_client_client(
    access: AccessPolicy, client_id: str, service_client: ServiceClient, credentials: ClientAuthentication | None
) -> Json:
    known: Json = credentials.representation if credentials is not None else {}
    attributes = known.pop("attributes", {})
    return {
        "clientId": client_id,
        "name": service_client.name,
        "description": "A service client: no user logs in with it",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **known,
        **ALL_FLOWS_DISABLED,
        "serviceAccountsEnabled": True,
        "consentRequired": False,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": attributes,
        # Keycloak 26.7.5 adds `service_account` to every client with a service account. It adds the client's network
        # address to tokens and grants nothing.
        "defaultClientScopes": ["basic", "service_account"],
        # It may request these scopes; its roles decide which it gets. No offline_access: it can always get a new token.
        "optionalClientScopes": list(access.scopes),
    }
