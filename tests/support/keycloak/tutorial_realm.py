"""A realm set up through the admin API as in public tutorials and Keycloak's own guide for MCP.

https://www.keycloak.org/securing-apps/mcp-authz-server: a client scope with an audience mapper for each MCP scope,
optional for every client; the registration policies Trusted Hosts and Allowed Client Scopes relaxed. The realm also has
unrelated objects: another application, its scope, a user.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.keycloak.realm import PUBLIC_URL, Realm

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from tests.support.keycloak.realm import Keycloak

THEIR_CLIENT = "their-application"
THEIR_GROUP = "their-team"


def tutorial_realm(server: Keycloak, folder: Path, name: str) -> Realm:
    """Creates the realm, with our access file in its folder but not applied."""
    realm = Realm(server, folder, name)
    realm.write_access()
    admin = Realm(server, folder, name).admin()
    admin.create_realm({"realm": name, "enabled": True})
    mapper = {
        "name": "mcp-audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.custom.audience": PUBLIC_URL, "access.token.claim": "true", "id.token.claim": "false"},
    }
    for scope in ("mcp:tools", "mcp:notes.read"):
        attributes = {"include.in.token.scope": "true", "display.on.consent.screen": "true"}
        body = {"name": scope, "protocol": "openid-connect", "attributes": attributes, "protocolMappers": [mapper]}
        admin.write("POST", ("client-scopes",), body)
    for found in admin.get("client-scopes"):
        if found["name"].startswith("mcp:"):
            admin.write("PUT", ("default-optional-client-scopes", found["id"]), {})
    _open_registration(admin)
    admin.write("POST", ("client-scopes",), {"name": "their-scope", "protocol": "openid-connect"})
    theirs: dict[str, Any] = {
        "clientId": THEIR_CLIENT,
        "secret": "theirs",
        "redirectUris": ["https://theirs.example/*"],
        "directAccessGrantsEnabled": True,
        "defaultClientScopes": ["basic", "profile", "email", "their-scope"],
        "optionalClientScopes": ["mcp:tools", "phone"],
    }
    admin.write("POST", ("clients",), theirs)
    user = {
        "username": "victim",
        "enabled": True,
        "email": "victim@theirs.example",
        "emailVerified": True,
        "firstName": "Vic",
        "lastName": "Tim",
        "credentials": [{"type": "password", "value": "victim", "temporary": False}],
    }
    admin.write("POST", ("groups",), {"name": THEIR_GROUP, "attributes": {"cost": ["7"]}})
    group = admin.get("group-by-path", THEIR_GROUP)
    admin.write("POST", ("groups", group["id"], "role-mappings", "realm"), [admin.get("roles", "offline_access")])
    admin.write("POST", ("users",), {**user, "groups": [f"/{THEIR_GROUP}"]})
    return realm


def _open_registration(admin: AdminClient) -> None:
    opened = {
        "trusted-hosts": {
            "trusted-hosts": ["localhost", "127.0.0.1"],
            "host-sending-registration-request-must-match": ["false"],
            "client-uris-must-match": ["true"],
        },
        "allowed-client-templates": {
            "allow-default-scopes": ["true"],
            "allowed-client-scopes": ["openid", "mcp:tools", "mcp:notes.read"],
        },
    }
    for found in admin.get("components"):
        if found.get("subType") == "anonymous" and found["providerId"] in opened:
            changed = {**found, "config": {**found["config"], **opened[found["providerId"]]}}
            admin.write("PUT", ("components", found["id"]), changed)


def what_is_theirs(admin: AdminClient) -> str:
    """Returns everything that `apply` must leave unchanged, as one text."""
    users = admin.get("users", username="victim", exact="true")
    clients = [admin.get("clients", clientId=name) for name in (THEIR_CLIENT, "account", "admin-cli")]
    for client in (client for found in clients for client in found):
        for lists in ("defaultClientScopes", "optionalClientScopes"):
            client[lists] = sorted(client[lists])
    group = admin.get("group-by-path", THEIR_GROUP)
    members = [member["username"] for member in admin.get("groups", group["id"], "members")]
    return json.dumps([users, clients, group, members], sort_keys=True)
