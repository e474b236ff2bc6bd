"""Logins in a bootstrapped realm: scopes, audience, rotation, expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.keycloak.anonymous_clients import ALL, NATIVE, native
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT, claims, is_valid_for

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Json, Realm

pytestmark = pytest.mark.containers


@pytest.mark.parametrize(
    ("user", "scopes"),
    [
        ("reader", "mcp:tools mcp:notes.read"),
        ("writer", "mcp:tools mcp:notes.read mcp:notes.write"),
        ("admin", ALL),
    ],
)
def test_a_login_grants_the_scopes_of_the_roles_and_the_audience(standing_realm: Realm, user: str, scopes: str) -> None:
    response = standing_realm.log_in(user, native(standing_realm), scope=ALL)
    token = claims(response["access_token"])
    assert token["iss"] == standing_realm.issuer
    assert token["aud"] == PUBLIC_URL
    assert set(token["scope"].split()) == set(scopes.split())
    assert token["mcp_roles"] == [f"mcp-{user}"]
    assert token["typ"] == "Bearer"
    assert is_valid_for(token, 300)


def test_a_client_that_names_no_scope_when_it_registers_may_ask_for_all_later(standing_realm: Realm) -> None:
    client = standing_realm.register(**NATIVE)
    token = claims(standing_realm.log_in("admin", client["client_id"], scope="mcp:tools mcp:admin")["access_token"])
    assert set(token["scope"].split()) == {"mcp:tools", "mcp:admin"}


def test_requesting_offline_access_adds_its_own_role_to_the_claim(standing_realm: Realm) -> None:
    # Keycloak binds this scope to a realm role of the same name. No rule of ours covers it, see docs/decisions.
    client_id = native(standing_realm, "mcp:tools offline_access")
    token = claims(standing_realm.log_in("reader", client_id, scope="mcp:tools offline_access")["access_token"])
    assert set(token["mcp_roles"]) == {"mcp-reader", "offline_access"}


def test_a_user_without_a_role_gets_neither_scope_nor_audience(standing_realm: Realm) -> None:
    response = standing_realm.log_in("nobody", native(standing_realm), scope=ALL)
    token = claims(response["access_token"])
    assert "aud" not in token
    assert token["scope"] == ""
    assert "mcp_roles" not in token


@pytest.mark.requirement("bootstrap.advertised_scopes")
def test_the_provider_advertises_our_scopes_and_no_others(standing_realm: Realm) -> None:
    url = f"{standing_realm.server.url}/.well-known/oauth-authorization-server/realms/{standing_realm.name}"
    metadata = httpx.get(url).json()
    assert metadata["issuer"] == standing_realm.issuer
    assert set(metadata["scopes_supported"]) == {"openid", *ALL.split()}
    assert "S256" in metadata["code_challenge_methods_supported"]


@pytest.mark.requirement("bootstrap.introspection")
def test_introspection_shows_whether_a_token_is_active(standing_realm: Realm) -> None:
    client_id = native(standing_realm)
    response = standing_realm.log_in("reader", client_id, scope="mcp:tools")
    output = standing_realm.introspect(response["access_token"])
    assert (output["active"], output["aud"], output["username"]) == (True, PUBLIC_URL, "reader")
    url = f"{standing_realm.issuer}/protocol/openid-connect/revoke"
    httpx.post(url, data={"token": response["refresh_token"], "client_id": client_id}).raise_for_status()
    assert standing_realm.introspect(response["access_token"]) == {"active": False}


@pytest.mark.requirement("bootstrap.introspection")
@pytest.mark.parametrize("grant", ["client_credentials", "password"])
def test_the_servers_own_client_gets_no_token(standing_realm: Realm, grant: str) -> None:
    secret = standing_realm.client_secret
    response = standing_realm.token(
        grant_type=grant, client_id=PUBLIC_URL, client_secret=secret, username="reader", password="reader"
    )
    assert response["status"] in {400, 401}
    assert "access_token" not in response


@pytest.mark.requirement("bootstrap.refresh_rotation")
def test_a_refresh_token_works_once_more_and_then_ends_the_session(standing_realm: Realm) -> None:
    client_id = native(standing_realm)
    first = standing_realm.log_in("reader", client_id, scope="mcp:tools")

    def refresh(token: str) -> Json:
        return standing_realm.token(grant_type="refresh_token", refresh_token=token, client_id=client_id)

    refreshed = [refresh(first["refresh_token"]) for _ in range(2)]
    assert [response["status"] for response in refreshed] == [200, 200]
    assert refresh(first["refresh_token"])["error"] == "invalid_grant"
    assert [refresh(response["refresh_token"])["error"] for response in refreshed] == ["invalid_grant"] * 2


@pytest.mark.requirement("bootstrap.pkce")
@pytest.mark.parametrize("pkce", [{}, {"code_challenge": "x" * 43, "code_challenge_method": "plain"}])
def test_no_code_without_pkce_or_with_plain(standing_realm: Realm, pkce: dict[str, str]) -> None:
    for client_id in (native(standing_realm), "mcp-native"):
        redirect = REDIRECT if client_id != "mcp-native" else "http://127.0.0.1:5555/callback"
        back = standing_realm.authorize("reader", client_id=client_id, scope="mcp:tools", redirect_uri=redirect, **pkce)
        assert "code" not in back
        assert back["error"] == "invalid_request"


@pytest.mark.requirement("bootstrap.native_client")
def test_the_client_known_beforehand_works_on_any_loopback_port(standing_realm: Realm) -> None:
    for uri in ("http://127.0.0.1:5555/callback", "http://localhost:6666/callback", "http://[::1]:7777/callback"):
        response = standing_realm.log_in("writer", "mcp-native", scope=ALL, redirect_uri=uri)
        assert claims(response["access_token"])["aud"] == PUBLIC_URL
    assert "code" not in standing_realm.authorize(
        "writer", client_id="mcp-native", redirect_uri="http://127.0.0.1/other"
    )
