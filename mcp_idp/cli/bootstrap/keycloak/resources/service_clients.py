"""Machine clients: programs that get tokens for themselves (RFC 6749 section 4.4), each with the roles it was given.

Roles on the scopes are what keeps everybody else out: a client that registered itself may use the grant once it is let
in for these, and gets a token with neither a scope nor the audience of the resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.changes import Ref
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.cli.bootstrap.keycloak.resources.clients import NO_FLOWS, changes_of_client
from mcp_idp.cli.bootstrap.keycloak.resources.roles import account_givings, account_takings
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mcp_idp.access.models import MachineClient
    from mcp_idp.access.policy import Access
    from mcp_idp.cli.bootstrap.changes import Change, Json
    from mcp_idp.cli.bootstrap.keycloak.client_credentials import Credentials
    from mcp_idp.cli.bootstrap.keycloak.lookups import Object
    from mcp_idp.cli.bootstrap.keycloak.state.current import Actual

MACHINE_GRANT = "client_credentials"


def machine_changes(access: Access, machines: Mapping[str, Credentials], actual: Actual) -> Iterator[Change]:
    """What the machine clients lack: the client, and the roles of its service account."""
    for client_id, machine in access.machine_clients.items():
        yield from changes_of_client(_machine_client(access, client_id, machine, machines.get(client_id)), actual)
        yield from _mapped(account_givings, access, client_id, actual)


def machine_takings(access: Access, actual: Actual) -> Iterator[Change]:
    """Roles that the machine clients' service accounts shall not have."""
    for client_id in access.machine_clients:
        yield from _mapped(account_takings, access, client_id, actual)


def refuse_foreign_clients(access: Access, actual: Actual) -> None:
    """A client that somebody else made under this id would be made anew with other flows, and its secret replaced.

    Raises:
        SettingsFailure: the realm has one that is not ours.
    """
    for client_id in access.machine_clients:
        found = actual.clients.get(client_id)
        # The record alone: at an open endpoint of Keycloak's own kind a stranger sets a mark too.
        if found is not None and client_id not in actual.ledger.clients:
            raise SettingsFailure(
                f"machine_clients.{client_id}: the realm has a client of this id that the bootstrap did not make: take "
                "another id, or remove that client"
            )


def service_accounts(clients: Iterable[Object], access: Access) -> list[str]:
    """Ids of those of `clients` that may use the grant and are none of the access file's."""
    found = {str(client["clientId"]) for client in clients if client.get("serviceAccountsEnabled")}
    return sorted(found.difference(access.machine_clients))


def _mapped(
    changes: Callable[[str, Ref, frozenset[str], frozenset[str]], Iterator[Change]],
    access: Access,
    client_id: str,
    actual: Actual,
) -> Iterator[Change]:
    if actual.machine_roles is not None:  # what may not be read cannot be compared
        wanted = frozenset(access.machine_clients[client_id].roles)
        given = actual.machine_roles.get(client_id, frozenset()) & set(access.roles)
        yield from changes(f"client {client_id}", Ref("service-account", client_id), wanted, given)


def _machine_client(access: Access, client_id: str, machine: MachineClient, credentials: Credentials | None) -> Json:
    known: Json = credentials.members if credentials is not None else {}
    attributes = known.pop("attributes", {})
    return {
        "clientId": client_id,
        "name": machine.name,
        "description": "A program of its own: nobody logs in with it",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        **known,
        **NO_FLOWS,
        "serviceAccountsEnabled": True,
        "consentRequired": False,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": {**(attributes if isinstance(attributes, dict) else {}), **MARK},
        # Keycloak 26.7.5 gives every client with a service account this scope: the client's address, and no right.
        "defaultClientScopes": ["basic", "service_account"],
        # What it may ask for; what it gets, its roles decide. No offline_access: it logs in anew at any time.
        "optionalClientScopes": list(access.scopes),
    }
