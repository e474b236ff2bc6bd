"""The desired state of a realm, from the demo's access file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.templates import load_client_policies_file, load_realm_file

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessPolicy

CONFIG = Path(__file__).parents[2] / "idp-config"

RESOURCE = "http://localhost:3000/mcp"


def desired(access: AccessPolicy) -> DesiredState:
    folder = CONFIG / "keycloak"
    return DesiredState(
        realm="mcp",
        resource=RESOURCE,
        access=access,
        realm_file=load_realm_file(folder),
        client_policies_file=load_client_policies_file(folder),
        credentials=ClientAuthentication(secret="s" * 43),
    )


def environment(**variables: str) -> dict[str, str]:
    return {"ACCESS_FILE": str(CONFIG / "access.yaml"), "KEYCLOAK_ADMIN_CLIENT_SECRET": "k" * 43, **variables}
