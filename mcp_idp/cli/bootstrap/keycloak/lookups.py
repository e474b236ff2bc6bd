"""Finds single objects of a realm by name, so that large realms need not be read as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

Object = dict[str, Any]
"""An object's representation in the admin REST API, as decoded JSON."""

_AUDIENCES = ("custom", "client")
REGISTRATION_POLICY = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"


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
