"""Changes that an administrator may make in a realm, each with the name that `check` must report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.keycloak.realm import PUBLIC_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

    Tamper = Callable[[AdminClient], None]


def _realm(**members: object) -> Tamper:
    return lambda admin: admin.write("PUT", (), members)


def _scope(name: str) -> Callable[[AdminClient], dict[str, Any]]:
    return lambda admin: next(scope for scope in admin.get("client-scopes") if scope["name"] == name)


def _policy(name: str, subtype: str, config: dict[str, list[str]] | None) -> Tamper:
    def tamper(admin: AdminClient) -> None:
        found = next(c for c in admin.get("components") if (c["providerId"], c.get("subType")) == (name, subtype))
        if config is None:
            admin.write("DELETE", ("components", found["id"]))
        else:
            admin.write("PUT", ("components", found["id"]), {**found, "config": {**found["config"], **config}})

    return tamper


def client_members(client_id: str, **members: object) -> Tamper:
    def tamper(admin: AdminClient) -> None:
        found = admin.get("clients", clientId=client_id)[0]
        admin.write("PUT", ("clients", found["id"]), {**found, **members})

    return tamper


def service_client_role(client_id: str, role: str) -> Tamper:
    def tamper(admin: AdminClient) -> None:
        client = admin.get("clients", clientId=client_id)[0]
        account = admin.get("clients", client["id"], "service-account-user")
        admin.write("POST", ("users", account["id"], "role-mappings", "realm"), [admin.get("roles", role)])

    return tamper


def _delete_client(admin: AdminClient) -> None:
    admin.write("DELETE", ("clients", admin.get("clients", clientId="mcp-native")[0]["id"]))


def _take_scope_from_client(admin: AdminClient) -> None:
    client = admin.get("clients", clientId="mcp-native")[0]
    admin.write("DELETE", ("clients", client["id"], "optional-client-scopes", _scope("mcp:admin")(admin)["id"]))


def _user(name: str, **members: object) -> Tamper:
    def tamper(admin: AdminClient) -> None:
        found = admin.get("users", username=name, exact="true")[0]
        admin.write("PUT", ("users", found["id"]), {**found, **members})

    return tamper


def _delete_user(admin: AdminClient) -> None:
    admin.write("DELETE", ("users", admin.get("users", username="nobody", exact="true")[0]["id"]))


def _give_role(admin: AdminClient) -> None:
    user = admin.get("users", username="writer", exact="true")[0]
    admin.write("POST", ("users", user["id"], "role-mappings", "realm"), [admin.get("roles", "mcp-admin")])


def _add_default_role(admin: AdminClient) -> None:
    name = admin.get()["defaultRole"]["name"]
    admin.write("POST", ("roles", name, "composites"), [admin.get("roles", "mcp-reader")])


def _group_role(admin: AdminClient) -> None:
    group = admin.get("group-by-path", "engineering")
    admin.write("POST", ("groups", group["id"], "role-mappings", "realm"), [admin.get("roles", "mcp-admin")])


def _delete_group(admin: AdminClient) -> None:
    admin.write("DELETE", ("groups", admin.get("group-by-path", "operations")["id"]))


def _take_out_of_group(admin: AdminClient) -> None:
    user = admin.get("users", username="admin", exact="true")[0]
    group = admin.get("group-by-path", "engineering")
    admin.write("DELETE", ("users", user["id"], "groups", group["id"]))


def _add_default_group(admin: AdminClient) -> None:
    admin.write("POST", ("groups",), {"name": "everybody"})
    group = admin.get("group-by-path", "everybody")
    admin.write("POST", ("groups", group["id"], "role-mappings", "realm"), [admin.get("roles", "mcp-reader")])
    admin.write("PUT", ("default-groups", group["id"]), {})


def _unbind(admin: AdminClient) -> None:
    scope = _scope("mcp:admin")(admin)
    path = ("client-scopes", scope["id"], "scope-mappings", "realm")
    admin.write("DELETE", path, admin.get(*path))


def _scope_attribute(name: str, attribute: str, value: str) -> Tamper:
    def tamper(admin: AdminClient) -> None:
        found = _scope(name)(admin)
        changed = {**found, "attributes": {**found["attributes"], attribute: value}}
        admin.write("PUT", ("client-scopes", found["id"]), changed)

    return tamper


def _audience(admin: AdminClient) -> None:
    scope = _scope("mcp:notes.read")(admin)
    mapper = next(m for m in scope["protocolMappers"] if m["protocolMapper"] == "oidc-audience-mapper")
    changed = {**mapper, "config": {**mapper["config"], "included.custom.audience": "https://other.example"}}
    admin.write("PUT", ("client-scopes", scope["id"], "protocol-mappers", "models", mapper["id"]), changed)


FORGED = {
    "name": "forged",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-hardcoded-claim-mapper",
    "config": {"claim.name": "sub", "claim.value": "someone", "access.token.claim": "true"},
}


def _unmanaged_mapper(admin: AdminClient) -> None:
    path = ("client-scopes", _scope("mcp:tools")(admin)["id"], "protocol-mappers", "models")
    admin.write("POST", path, FORGED)


def _client_mapper(admin: AdminClient) -> None:
    client = admin.get("clients", clientId="mcp-native")[0]
    admin.write("POST", ("clients", client["id"], "protocol-mappers", "models"), FORGED)


def _another_login(admin: AdminClient) -> None:
    client = admin.get("clients", clientId="mcp-native")[0]
    flow = next(flow for flow in admin.get("authentication", "flows") if flow["alias"] == "direct grant")
    overrides = {"browser": flow["id"]}
    admin.write("PUT", ("clients", client["id"]), {**client, "authenticationFlowBindingOverrides": overrides})


def _role_in_role(admin: AdminClient) -> None:
    admin.write("POST", ("roles", "mcp-reader", "composites"), [admin.get("roles", "mcp-admin")])


def _bind_scope_to_default_role(admin: AdminClient) -> None:
    (client,) = admin.get("clients", clientId="account")
    role = admin.get("clients", client["id"], "roles", "view-profile")
    path = ("client-scopes", _scope("mcp:tools")(admin)["id"], "scope-mappings", "clients", client["id"])
    admin.write("POST", path, [role])


def _delete_scope(admin: AdminClient) -> None:
    admin.write("DELETE", ("client-scopes", _scope("mcp:notes.write")(admin)["id"]))


def _new_clients_get(admin: AdminClient) -> None:
    admin.write("PUT", ("default-default-client-scopes", _scope("profile")(admin)["id"]), {})


def _new_clients_lack(admin: AdminClient) -> None:
    admin.write("DELETE", ("default-optional-client-scopes", _scope("mcp:notes.read")(admin)["id"]))


def _client_policy_off(admin: AdminClient) -> None:
    policies = admin.get("client-policies", "policies")["policies"]
    changed = [{**policy, "enabled": policy["name"] != "mcp-code-only"} for policy in policies]
    admin.write("PUT", ("client-policies", "policies"), {"policies": changed})


def _profile_without_pkce(admin: AdminClient) -> None:
    profiles = admin.get("client-policies", "profiles")["profiles"]
    for profile in profiles:
        profile["executors"] = [e for e in profile["executors"] if e["executor"] != "pkce-enforcer"]
    admin.write("PUT", ("client-policies", "profiles"), {"profiles": profiles})


ANY_REDIRECT = {"trusted-hosts": ["evil.example"], "host-sending-registration-request-must-match": ["false"]}
# In addition to the demo's access file, the realm of such a test has a demo user in a group.
TAMPERED_GROUPS: dict[str, list[str]] = {"engineering": ["mcp-writer"], "operations": ["mcp-reader"]}
IN_A_GROUP = {"admin": {"password": "admin", "roles": ["mcp-admin"], "groups": ["engineering"]}}
# No two of them change the same member, so any of them can be combined.
TAMPERINGS: dict[str, Tamper] = {
    "realm.accessTokenLifespan": _realm(accessTokenLifespan=86400),
    "realm.revokeRefreshToken": _realm(revokeRefreshToken=False),
    "realm.bruteForceProtected": _realm(bruteForceProtected=False),
    "realm.registrationAllowed": _realm(registrationAllowed=True),
    "realm.defaultSignatureAlgorithm": _realm(defaultSignatureAlgorithm="HS256"),
    "realm.displayName": _realm(displayName="Somebody else's"),
    "realm.enabled": _realm(enabled=False),
    "realm.record of clients": _realm(attributes={}),
    "realm.default roles": _add_default_role,
    "realm.default scopes of new clients": _new_clients_get,
    "realm.optional scopes of new clients": _new_clients_lack,
    "client profiles.mcp-clients.executors": _profile_without_pkce,
    "client policies.mcp-code-only.enabled": _client_policy_off,
    "scope mcp:admin.roles": _unbind,
    "scope mcp:tools.attributes.consent.screen.text": _scope_attribute("mcp:tools", "consent.screen.text", "Free"),
    "scope email.attributes.include.in.openid.provider.metadata": _scope_attribute(
        "email", "include.in.openid.provider.metadata", "true"
    ),
    "scope mcp:notes.write": _delete_scope,
    "mapper 'resource audience' of scope mcp:notes.read.config.included.custom.audience": _audience,
    "mapper 'forged' of scope mcp:tools": _unmanaged_mapper,
    "registration policy max-clients/anonymous.max-clients": _policy(
        "max-clients", "anonymous", {"max-clients": ["999999"]}
    ),
    "registration policy allowed-protocol-mappers/anonymous.allowed-protocol-mapper-types": _policy(
        "allowed-protocol-mappers", "anonymous", {"allowed-protocol-mapper-types": ["oidc-usermodel-property-mapper"]}
    ),
    "registration policy consent-required/anonymous": _policy("consent-required", "anonymous", None),
    "registration policy trusted-hosts/authenticated": _policy("trusted-hosts", "authenticated", None),
    "registration.trusted-hosts": _policy("trusted-hosts", "anonymous", ANY_REDIRECT),
    "client mcp-native.redirectUris": client_members("mcp-native", redirectUris=["*"]),
    "client mcp-native.attributes.access.token.lifespan": client_members(
        "mcp-native", attributes={"access.token.lifespan": "315360000"}
    ),
    "client mcp-native.authenticationFlowBindingOverrides.browser": _another_login,
    "mapper 'forged' of client mcp-native": _client_mapper,
    "role mcp-reader.composites": _role_in_role,
    "scope mcp:tools.roles of account": _bind_scope_to_default_role,
    "client mcp-native.optionalClientScopes": _take_scope_from_client,
    f"client {PUBLIC_URL}.secret": client_members(PUBLIC_URL, secret="known"),
    f"client {PUBLIC_URL}.serviceAccountsEnabled": client_members(PUBLIC_URL, serviceAccountsEnabled=True),
    "user reader.enabled": _user("reader", enabled=False),
    "user writer.roles": _give_role,
    "user nobody": _delete_user,
    "group engineering.roles": _group_role,
    "group operations": _delete_group,
    "user admin.groups": _take_out_of_group,
    "realm.default groups": _add_default_group,
}
