"""The doctor on misconfigured Keycloak realms; following its advice fixes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.keycloak.examined_realm import findings
from tests.support.keycloak.realm import REDIRECT

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.findings import Finding
    from tests.support.keycloak.realm import Json, Realm

pytestmark = [pytest.mark.containers, pytest.mark.anyio]

SCOPE = "mcp:tools mcp:notes.read"


def names(found: list[Finding]) -> list[str]:
    return [finding.kind.name for finding in found]


def token_of(realm: Realm, user: str = "reader", client_id: str | None = None) -> str:
    client = client_id or realm.register(redirect_uris=[REDIRECT])["client_id"]
    token: str = realm.log_in(user, client, scope=SCOPE)["access_token"]
    return token


def policy(realm: Realm, provider: str, kind: str = "anonymous") -> Json:
    found = realm.admin().get(
        "components", type="org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"
    )
    component: Json = next(c for c in found if (c["providerId"], c["subType"]) == (provider, kind))
    return component


def set_policy(realm: Realm, provider: str, **config: list[str]) -> None:
    component = policy(realm, provider)
    component["config"] |= {name.replace("_", "-"): value for name, value in config.items()}
    realm.admin().write("PUT", ("components", component["id"]), component)


async def test_a_bootstrapped_realm_is_healthy(realm: Realm) -> None:
    token = token_of(realm)
    before = len(realm.admin().get("clients"))
    assert names(await findings(realm, token=token, register=True)) == []
    assert len(realm.admin().get("clients")) == before


async def test_trusted_hosts_that_know_no_laptop(realm: Realm) -> None:
    """opensearch-project/opensearch-mcp-server-py#227, OpenLiberty/open-liberty#35062: Keycloak's own default."""
    set_policy(realm, "trusted-hosts", host_sending_registration_request_must_match=["true"])
    (found,) = await findings(realm, register=True)
    assert found.kind.name == "registration_rejected"
    assert "'Host Sending Client Registration Request Must Match' off" in found.fix
    set_policy(realm, "trusted-hosts", host_sending_registration_request_must_match=["false"])
    assert names(await findings(realm, register=True)) == []


async def test_scopes_that_may_not_be_registered(realm: Realm) -> None:
    """keycloak/keycloak#43654."""
    set_policy(realm, "allowed-client-templates", allowed_client_scopes=["openid"], allow_default_scopes=["false"])
    (found,) = await findings(realm, register=True)
    assert found.kind.name == "client_rejected"
    assert "Allowed Client Scopes" in found.fix
    assert "Copilot" not in found.observed  # it registers without a scope
    realm.apply()
    assert names(await findings(realm, register=True)) == []


async def test_no_page_may_register(realm: Realm) -> None:
    """keycloak/keycloak#39629: Keycloak's own default."""
    set_policy(realm, "registration-web-origins", web_origins=[])
    (found,) = await findings(realm, register=True)
    assert (found.kind.name, found.observed.partition(":")[0]) == ("client_rejected", "MCP Inspector")
    assert "Allowed Registration Web Origins" in found.fix
    realm.apply()
    assert names(await findings(realm, register=True)) == []


async def test_a_realm_that_is_full(realm: Realm) -> None:
    """agentic-community/mcp-gateway-registry#1119."""
    set_policy(realm, "max-clients", max_clients=["1"])
    (found,) = await findings(realm, register=True)
    assert found.kind.name == "registration_rejected"
    assert "Max Clients Limit" in found.fix
    realm.apply()
    assert names(await findings(realm, register=True)) == []


async def test_scopes_without_an_audience_mapper(realm: Realm) -> None:
    """keycloak/keycloak#41526, keycloak/keycloak#14355."""
    admin = realm.admin()
    for scope in admin.get("client-scopes"):
        for mapper in scope.get("protocolMappers", ()):
            if mapper["protocolMapper"] == "oidc-audience-mapper" and scope["name"].startswith("mcp:"):
                admin.write("DELETE", ("client-scopes", scope["id"], "protocol-mappers", "models", mapper["id"]))
    (found,) = await findings(realm, token=token_of(realm))
    assert found.kind.name == "token_audience"
    assert "mcp-idp bootstrap check shows whether it is missing, apply adds it" in found.fix
    realm.apply()
    assert names(await findings(realm, token=token_of(realm))) == []


async def test_a_client_without_the_scope_basic(realm: Realm) -> None:
    """evoila/meho#791, agentic-community/mcp-gateway-registry#1132: clients created through the admin API."""
    made: dict[str, Any] = {
        "clientId": "made-by-hand",
        "publicClient": True,
        "redirectUris": [REDIRECT],
        "fullScopeAllowed": False,
        "defaultClientScopes": [],
        "optionalClientScopes": SCOPE.split(),
    }
    admin = realm.admin()
    admin.write("POST", ("clients",), made)
    (found,) = await findings(realm, token=token_of(realm, client_id="made-by-hand"))
    assert found.kind.name == "token_subject"
    assert "'basic'" in found.fix
    (client,) = admin.get("clients", clientId="made-by-hand")
    basic = next(scope["id"] for scope in admin.get("client-scopes") if scope["name"] == "basic")
    admin.write("PUT", ("clients", client["id"], "default-client-scopes", basic))
    assert names(await findings(realm, token=token_of(realm, client_id="made-by-hand"))) == []


async def test_an_account_without_a_role(realm: Realm) -> None:
    found = await findings(realm, token=token_of(realm, "nobody"))
    assert found[0].kind.name == "token_scope"
    assert "roles" in found[0].fix
    admin = realm.admin()
    (user,) = admin.get("users", username="nobody", exact="true")
    admin.write("POST", ("users", user["id"], "role-mappings", "realm"), [admin.get("roles", "mcp-reader")])
    assert names(await findings(realm, token=token_of(realm, "nobody"))) == []


async def test_a_scope_that_keycloak_does_not_have(realm: Realm) -> None:
    """agentic-community/mcp-gateway-registry#1143: the server advertises a scope that the realm does not have."""
    admin = realm.admin()
    (scope,) = (scope for scope in admin.get("client-scopes") if scope["name"] == "mcp:notes.write")
    admin.write("DELETE", ("client-scopes", scope["id"]))
    (found,) = await findings(realm, register=True)
    assert found.kind.name == "unknown_scopes"
    assert "mcp:notes.write" in found.observed
    realm.apply()
    assert names(await findings(realm, register=True)) == []


async def test_a_scope_that_lost_its_role_is_not_blamed_on_the_user_alone(realm: Realm) -> None:
    admin = realm.admin()
    for scope in admin.get("client-scopes"):
        if scope["name"] in SCOPE.split():  # mcp:notes.read implies mcp:tools
            bound = ("client-scopes", scope["id"], "scope-mappings", "realm")
            admin.write("DELETE", bound, [role for role in admin.get(*bound) if role["name"] == "mcp-reader"])
    found = await findings(realm, token=token_of(realm))
    assert found[0].kind.name == "token_scope"
    assert found[0].fix.index("bootstrap check") < found[0].fix.index("assign one of the scope's roles")
    assert "the scope itself has lost them" in found[0].fix
    realm.apply()
    assert names(await findings(realm, token=token_of(realm))) == []
