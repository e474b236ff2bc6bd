"""Finds single objects of a realm by name, so that large realms need not be read as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

Object = dict[str, Any]
"""An object's representation in the admin REST API, as decoded JSON."""

_AUDIENCES = ("custom", "client")
REGISTRATION_POLICY = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"


_PAGE = 200


def read_policies(session: AdminClient) -> dict[str, Object]:
    """Reads the client registration policies.

    Returns:
        Component representations by "provider/subtype", such as "trusted-hosts/anonymous".
    """
    components = session.get("components", type=REGISTRATION_POLICY)
    return {f"{found['providerId']}/{found['subType']}": found for found in components}


def find_client(session: AdminClient, client_id: str) -> Object | None:
    """Returns the client with exactly this `clientId`, or None."""
    return next((found for found in session.get("clients", clientId=client_id)), None)


def service_account(session: AdminClient, client_id: str) -> Object | None:
    """Finds the service account user of a client.

    Args:
        session: admin client of the realm.
        client_id: the client's `clientId`.

    Returns:
        The user representation, or None if there is no such client or its service account is disabled.
    """
    client = find_client(session, client_id)
    if client is None or not client.get("serviceAccountsEnabled"):
        return None
    account: Object | None = session.find("clients", client["id"], "service-account-user")
    return account


def find_user(session: AdminClient, username: str) -> Object | None:
    """Returns the user with exactly this name, or None."""
    return next((found for found in session.get("users", username=username, exact="true")), None)


def index_by(objects: Iterable[Object], member: str) -> dict[str, Object]:
    """Returns `objects` keyed by the value of their member `member`."""
    return {found[member]: found for found in objects}


def carries_audience(owner: Object, audience: str) -> bool:
    """Checks whether a protocol mapper of a client or client scope adds an audience to tokens.

    Both kinds of audience mapper count: a custom audience, and a client's id as included audience. The resource is a
    client too, so an administrator can select its id in Keycloak's console.

    Args:
        owner: the representation of a client or client scope, managed or not.
        audience: the audience to look for.
    """
    configs = [mapper.get("config") or {} for mapper in owner.get("protocolMappers") or []]
    return any(audience in {config.get(f"included.{kind}.audience") for kind in _AUDIENCES} for config in configs)


def all_clients(session: AdminClient) -> Iterator[Object]:
    """Yields the representations of all clients of the realm, reading them page by page.

    Callers that delete clients must read all of them first, because deletions shift the pages.
    """
    first = 0
    while page := session.get("clients", first=str(first), max=str(_PAGE)):
        first += len(page)
        yield from page


@dataclass(frozen=True, slots=True)
class DefaultHolder:
    """A client that has base scopes as default scopes.

    Attributes:
        id: its internal id.
        client_id: its client id.
        scopes: names of these base scopes, sorted.
    """

    id: str
    client_id: str
    scopes: tuple[str, ...]


def default_holders(clients: Iterable[Object], bases: Collection[str]) -> tuple[DefaultHolder, ...]:
    """Returns the clients that have any of `bases` as a default scope; the others are not kept in memory."""
    return tuple(
        DefaultHolder(str(client["id"]), str(client["clientId"]), tuple(sorted(held)))
        for client in clients
        if (held := set(client.get("defaultClientScopes") or []) & set(bases))
    )
