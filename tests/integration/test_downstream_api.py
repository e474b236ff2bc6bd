"""A downstream API of a tool, with a real Keycloak: the caller it sees, rejected tokens, permission to exchange."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from mcp_idp.auth.context import current_principal
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.mcp_protocol.registry import tool
from mcp_idp.oauth.token_exchange import ACCESS_TOKEN, GRANT_TYPE
from mcp_server import tools
from tests.support.compose_stack import free_port
from tests.support.in_process import serving, settings_for
from tests.support.keycloak.bootstrap_commands import check
from tests.support.keycloak.realm import REDIRECT, REPOSITORY, Realm, bootstrapped, claims
from tests.support.mcp_calls import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Json, Keycloak

pytestmark = [pytest.mark.anyio, pytest.mark.containers]

API = "orders-api"
USERS = {
    "reader": {"password": "reader", "roles": ["mcp-reader", "orders-reader"]},
    "writer": {"password": "writer", "roles": ["mcp-writer"]},
}
WITH_GRANT = {
    "redirect_uris": [REDIRECT],
    "scope": "mcp:tools",
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token", GRANT_TYPE],
}


def upstreams(url: str | None = None) -> Json:
    scopes = {"orders.read": {"description": "Read your orders", "roles": ["orders-reader"]}}
    return {API: {"name": "Orders", "scopes": scopes, **({"url": url} if url else {})}}


@dataclass(frozen=True)
class Orders:
    """The realm with the API, and the API's URL."""

    realm: Realm
    url: str

    def see(self, token: str | None) -> httpx.Response:
        """Calls the API with `token` and returns the response."""
        return httpx.get(self.url, headers={"authorization": f"Bearer {token}"} if token else {}, timeout=30)

    def log_in(self, user: str) -> str:
        return log_in(self.realm, user)


def log_in(realm: Realm, user: str, **client: Any) -> str:
    """Logs in with a self-registered client; returns the access token."""
    registered = realm.register(**{"redirect_uris": [REDIRECT], "scope": "mcp:tools", **client})
    secret = {"client_secret": registered["client_secret"]} if "client_secret" in registered else {}
    token: str = realm.log_in(user, registered["client_id"], scope="mcp:tools", **secret)["access_token"]
    return token


def exchange(realm: Realm, token: str, client_id: str, secret: str, **more: str) -> Json:
    """Requests a token exchange from Keycloak and returns the response."""
    kinds = {"subject_token_type": ACCESS_TOKEN, "requested_token_type": ACCESS_TOKEN}
    form = {"grant_type": GRANT_TYPE, "subject_token": token, **kinds, **more}
    return realm.token(**form, client_id=client_id, client_secret=secret)


def exchange_as_the_server(realm: Realm, token: str) -> Json:
    return exchange(realm, token, realm.public_url, realm.client_secret, audience=API, scope="orders.read")


@pytest.fixture(scope="module")
def orders(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    url = f"http://localhost:{free_port()}/orders"
    folder = tmp_path_factory.mktemp("upstream")
    realm = bootstrapped(keycloak, folder, upstreams=upstreams(url), demo_users=USERS, claims=["email", "department"])
    with running_api(realm, url):
        yield Orders(realm, url)


@contextmanager
def running_api(realm: Realm, url: str) -> Iterator[None]:
    words = ["-m", "uvicorn", "docs.examples.upstream:app", "--port", str(urlsplit(url).port)]
    environment = {"PATH": os.environ["PATH"], "OAUTH_SERVER_URL": realm.issuer}
    process = subprocess.Popen([sys.executable, *words], cwd=REPOSITORY, env=environment)
    transport = httpx.HTTPTransport(retries=7)  # waits 0.5 s, 1 s, 2 s … until the server listens
    try:
        with httpx.Client(transport=transport, timeout=60, trust_env=False) as client:
            assert client.get(url).status_code == 401
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.requirement("downstream_api.user")
@pytest.mark.parametrize("mode", ["jwt", "introspection"])
async def test_a_tool_calls_a_downstream_api_which_sees_the_user(orders: Orders, mode: str) -> None:
    token = orders.log_in("reader")
    async with serving(settings_for(orders.realm, AUTH_TOKEN_MODE=mode)) as server:
        response = await server.call("upstream_whoami", token, {"audience": API})
    assert events(response)[-1]["result"]["structuredContent"] == {
        "subject": claims(token)["sub"],
        "client": orders.realm.public_url,
        "audience": API,
        "scopes": ["orders.read"],
    }


async def test_a_user_without_the_role_gets_a_tool_error_that_names_it(orders: Orders) -> None:
    token = orders.log_in("writer")
    async with serving(settings_for(orders.realm)) as server:
        response = await server.call("upstream_whoami", token, {"audience": API})
        elsewhere = await server.call("upstream_whoami", token, {"audience": "account"})
    result = events(response)[-1]["result"]
    assert result["isError"] is True
    assert f"issued no token for {API}: your account may have no role there" in result["content"][0]["text"]
    assert f"unknown API; available: {API}" in str(events(elsewhere)[-1]["result"])


@pytest.mark.requirement("downstream_api.audience")
async def test_a_token_is_valid_at_one_of_the_two_apis_only(orders: Orders) -> None:
    own_token = orders.log_in("reader")
    exchanged = exchange_as_the_server(orders.realm, own_token)
    theirs = exchanged["access_token"]
    exchanged_claims = claims(theirs)
    assert (exchanged_claims["aud"], exchanged_claims["azp"], exchanged_claims["scope"]) == (
        API,
        orders.realm.public_url,
        "orders.read",
    )
    assert exchanged_claims["sub"] == claims(own_token)["sub"]
    assert "refresh_token" not in exchanged
    assert [orders.see(token).status_code for token in (theirs, own_token, None, "junk")] == [200, 401, 401, 401]
    assert orders.realm.introspect(theirs) == {"active": False}
    async with serving(settings_for(orders.realm)) as server:
        assert [await server.status(token) for token in (own_token, theirs)] == [200, 401]


def test_no_other_client_exchanges_a_token(orders: Orders) -> None:
    realm, victim = orders.realm, orders.log_in("reader")
    client = realm.register(**WITH_GRANT)
    assert GRANT_TYPE in client["grant_types"]  # so only the policy can reject it
    who = (client["client_id"], client["client_secret"])
    login = realm.log_in("reader", client["client_id"], scope="mcp:tools", client_secret=client["client_secret"])
    for token in (victim, login["access_token"]):
        for more in ({}, {"scope": "mcp:tools"}, {"audience": API}, {"audience": realm.public_url}):
            rejected = exchange(realm, token, *who, **more)
            assert (rejected["status"], rejected.get("error_description")) == (400, "Value for claim 'iss' not allowed")
    assert exchange(realm, victim, "mcp-native", "", audience=API)["status"] in {400, 401}
    # The rule concerns subject tokens only; everything else still works.
    again = realm.token(grant_type="refresh_token", refresh_token=login["refresh_token"], **_as(*who))
    assert again["status"] == 200
    assert realm.introspect(victim)["active"] is True


def _as(client_id: str, secret: str) -> dict[str, str]:
    return {"client_id": client_id, "client_secret": secret}


def test_only_the_server_can_request_the_apis_scope(orders: Orders) -> None:
    realm = orders.realm
    assert realm.register(redirect_uris=[REDIRECT], scope="mcp:tools orders.read")["status"] == 403
    client = realm.register(redirect_uris=[REDIRECT])
    back = realm.log_in("reader", client["client_id"], scope="mcp:tools orders.read")
    assert back["error"] == "invalid_scope"
    secret = next(c for c in realm.admin().get("clients", clientId=API))["secret"]
    for grant in ("client_credentials", "password"):
        response = realm.token(grant_type=grant, username="reader", password="reader", **_as(API, secret))
        assert "access_token" not in response


def test_a_second_apply_changes_nothing_and_no_weakness_is_open(orders: Orders) -> None:
    assert orders.realm.apply() == 0
    found = check(orders.realm)
    assert (found.names, found.weaknesses) == ([], ())


async def test_a_tool_reads_a_claim_that_keycloak_writes_for_it(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool(title="Report")
    async def report() -> str:
        """Return the exposed claims."""
        return repr(current_principal().claims)

    monkeypatch.setattr(tools, "report", report, raising=False)
    token = orders.log_in("reader")
    assert "department" not in claims(token)
    for mode in ("jwt", "introspection"):
        async with serving(settings_for(orders.realm, AUTH_TOKEN_MODE=mode)) as server:
            text = events(await server.call("report", token))[-1]["result"]["content"][0]["text"]
        assert text == "(('email', 'reader@demo.example'),)"


def test_manual_changes_are_reported_and_fixed_and_dropped_clients_are_removed(
    keycloak: Keycloak, tmp_path: Path
) -> None:
    realm = bootstrapped(keycloak, tmp_path, demo_users=USERS, upstreams=upstreams())
    admin = realm.admin()
    (own_client,), (scope,) = (
        admin.get("clients", clientId=realm.public_url),
        [s for s in admin.get("client-scopes") if s["name"] == "orders.read"],
    )
    switch = {"standard.token.exchange.enabled": "false"}
    admin.write(
        "PUT", ("clients", own_client["id"]), {**own_client, "attributes": {**own_client["attributes"], **switch}}
    )
    policies = admin.get("client-policies", "policies")["policies"]
    (rule,) = [policy for policy in policies if policy["name"] == "mcp-no-exchange"]
    rule["enabled"] = False
    admin.write("PUT", ("client-policies", "policies"), {"policies": policies})
    roles = admin.get("client-scopes", scope["id"], "scope-mappings", "realm")
    admin.write("DELETE", ("client-scopes", scope["id"], "scope-mappings", "realm"), roles)
    assert set(check(realm).names) == {
        f"client {realm.public_url}.attributes.standard.token.exchange.enabled",
        "client policies.mcp-no-exchange.enabled",
        "scope orders.read.roles",
    }
    realm.apply()
    assert check(realm).clean

    token = log_in(realm, "reader")
    assert exchange_as_the_server(realm, token)["status"] == 200
    realm.write_access(demo_users={**USERS, "reader": {"password": "reader", "roles": ["mcp-reader"]}})
    realm.apply()
    assert check(realm).clean
    assert exchange_as_the_server(realm, token)["status"] == 400
    policies = admin.get("client-policies", "policies")["policies"]
    assert "mcp-no-exchange" not in {policy["name"] for policy in policies}
    (rule,) = [policy for policy in policies if policy["name"] == "mcp-code-only"]
    assert GRANT_TYPE in rule["conditions"][0]["configuration"]["grant_types"]
    assert admin.get("clients", clientId=API) == []
    (own_client,) = admin.get("clients", clientId=realm.public_url)
    assert own_client["attributes"].get("standard.token.exchange.enabled", "false") == "false"
    assert (own_client["defaultClientScopes"], own_client["optionalClientScopes"]) == ([], [])
    assert "orders.read" not in {s["name"] for s in admin.get("client-scopes")}
    assert "orders-reader" not in {role["name"] for role in admin.get("roles")}


def test_an_apis_own_client_stays_unchanged_and_an_unmanaged_scope_is_rejected(realm: Realm) -> None:
    admin = realm.admin()
    theirs = {
        "clientId": API,
        "publicClient": False,
        "standardFlowEnabled": True,
        "redirectUris": ["https://a.example/x"],
    }
    admin.write("POST", ("clients",), theirs)
    (before,) = admin.get("clients", clientId=API)
    realm.write_access(upstreams=upstreams(), demo_users=USERS)
    realm.apply()
    assert admin.get("clients", clientId=API) == [before]
    assert exchange_as_the_server(realm, log_in(realm, "reader"))["status"] == 200
    realm.write_access(demo_users={})
    realm.apply()
    assert admin.get("clients", clientId=API) == [before]

    admin.write("POST", ("client-scopes",), {"name": "orders.read", "protocol": "openid-connect"})
    realm.write_access(upstreams=upstreams())
    with pytest.raises(ConfigError, match=r"upstreams\.orders-api\.scopes\.orders\.read: the realm has"):
        realm.apply()


def test_a_scope_that_keycloak_puts_into_a_new_realm_is_rejected_there_too(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = Realm(keycloak, tmp_path, f"test-{secrets.token_hex(4)}")
    scopes = {"address": {"description": "Where you live", "roles": ["orders-reader"]}}
    realm.write_access(upstreams={API: {"name": "Orders", "scopes": scopes}})
    with pytest.raises(ConfigError, match=r"upstreams\.orders-api\.scopes\.address: the realm has"):
        realm.apply()
    admin = realm.admin()
    assert admin.get()["enabled"] is False
    (address,) = [scope for scope in admin.get("client-scopes") if scope["name"] == "address"]
    assert [mapper["name"] for mapper in address["protocolMappers"]] == ["address"]
    realm.write_access(upstreams=upstreams())
    realm.apply()
    assert admin.get()["enabled"] is True
