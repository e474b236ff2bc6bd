"""Looking one object up by its name, in a realm that may have many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

Object = dict[str, Any]
"""One representation of the admin REST API, as Keycloak's JSON has it."""

_AUDIENCES = ("custom", "client")
REGISTRATION_POLICY = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"


def read_policies(session: AdminClient) -> dict[str, Object]:
    """The registration policies by "provider/subtype"."""
    components = session.get("components", type=REGISTRATION_POLICY)
    return {f"{found['providerId']}/{found['subType']}": found for found in components}


def find_client(session: AdminClient, client_id: str) -> Object | None:
    """The client with exactly this id, or None."""
    return next((found for found in session.get("clients", clientId=client_id)), None)


def service_account(session: AdminClient, client_id: str) -> Object | None:
    """The account in whose name the client with this id gets tokens for itself, or None if it may not."""
    client = find_client(session, client_id)
    if client is None or not client.get("serviceAccountsEnabled"):
        return None
    account: Object | None = session.find("clients", client["id"], "service-account-user")
    return account


def find_user(session: AdminClient, username: str) -> Object | None:
    """The user with exactly this name, or None."""
    return next((found for found in session.get("users", username=username, exact="true")), None)


def index_by(objects: Iterable[Object], member: str) -> dict[str, Object]:
    """`objects` by the value of their `member`."""
    return {found[member]: found for found in objects}


def carries_audience(owner: Object, audience: str) -> bool:
    """Whether a token with this client scope, or of this client, is for `audience`, whoever made it.

    The resource is a client too, so Keycloak's console offers it by its id.
    """
    configs = [mapper.get("config") or {} for mapper in owner.get("protocolMappers") or []]
    return any(audience in {config.get(f"included.{kind}.audience") for kind in _AUDIENCES} for config in configs)
