"""The desired state of a realm, from the demo's access file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.state.managed import STATE_ATTRIBUTE, ManagedState, RealmRecord, Records
from mcp_idp.cli.bootstrap.keycloak.templates import load_client_policies_file, load_realm_file

if TYPE_CHECKING:
    from collections.abc import Collection

    from mcp_idp.access.policy import AccessPolicy

CONFIG = Path(__file__).parents[2] / "idp-config"

RESOURCE = "http://localhost:3000/mcp"


def recorded(resource: str = RESOURCE, **names: Collection[str]) -> dict[str, str]:
    """Returns the realm's attributes with a record of what the resource owns, by kind."""
    record = ManagedState(**{kind: frozenset(found) for kind, found in names.items()})  # type: ignore[arg-type]
    return {STATE_ATTRIBUTE: Records(realm=RealmRecord(owner=resource), resources={resource: record}).text}


def desired(access: AccessPolicy, resource: str = RESOURCE, **members: Any) -> DesiredState:
    folder = CONFIG / "keycloak"
    return DesiredState(
        realm="mcp",
        resource=resource,
        access=access,
        realm_file=load_realm_file(folder),
        client_policies_file=load_client_policies_file(folder),
        credentials=ClientAuthentication(secret="s" * 43),
        **members,
    )


def environment(**variables: str) -> dict[str, str]:
    return {"ACCESS_FILE": str(CONFIG / "access.yaml"), "KEYCLOAK_ADMIN_CLIENT_SECRET": "k" * 43, **variables}
