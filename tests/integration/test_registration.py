"""Client registration in a bootstrapped realm, under each registration profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.keycloak.anonymous_clients import NATIVE
from tests.support.keycloak.realm import PUBLIC_URL, REDIRECT, bootstrapped, claims

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak, Realm

pytestmark = pytest.mark.containers

# Registration requests of known clients.
PROFILES: dict[str, dict[str, Any]] = {
    "VS Code": {
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ],
        "scope": "mcp:tools mcp:notes.read mcp:notes.write",
        "application_type": "native",
    },
    "Claude Code": {**NATIVE, "client_name": "Claude Code", "redirect_uris": ["http://localhost:54212/callback"]},
    "claude.ai": {
        **NATIVE,
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "token_endpoint_auth_method": "client_secret_post",
    },
    "MCP Inspector": {
        **NATIVE,
        "client_name": "MCP Inspector",
        "client_uri": "https://github.com/modelcontextprotocol/inspector",
        "redirect_uris": ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
        "scope": "mcp:tools mcp:notes.read mcp:notes.write",
    },
    "Cursor": {**NATIVE, "client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"]},
    "Codex": {**NATIVE, "client_name": "Codex", "redirect_uris": ["http://127.0.0.1:41235/callback/x1Y2"]},
    "OpenCode": {**NATIVE, "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"]},
    "IPv6 loopback": {**NATIVE, "redirect_uris": ["http://[::1]:33333/callback"]},
    "asks for openid and offline_access": {**NATIVE, "scope": "openid mcp:tools offline_access"},
}
EVIL = [
    "https://evil.example/callback",
    "http://localhost.evil.example/callback",
    "http://localhost@evil.example/callback",
    "http://evil.example#@localhost/",
    "http://evil.example\\@localhost/",
    "http://localhost/*",
    "http://localhost*",
    "http://localhost:*/callback",
    "*",
    "https://*",
    "https://localhost/callback",
    "https://vscode.dev/redirect/../evil",
    "https://vscode.dev/redirectx",
    "https://vscodeXdev/redirect",
    "https://claude.ai.evil.example/api/mcp/auth_callback",
    "cursor://evil/oauth/callback",
    "com.example.app:/callback",
    "javascript:alert(1)",
    "data:text/html,x",
]


@pytest.mark.requirement("bootstrap.client_profiles")
@pytest.mark.parametrize("profile", PROFILES)
def test_known_clients_can_register_with_their_real_requests(standing_realm: Realm, profile: str) -> None:
    registered = standing_realm.register(**PROFILES[profile])
    assert registered["status"] == 201, registered


@pytest.mark.requirement("bootstrap.redirect_uris")
@pytest.mark.parametrize("uri", EVIL)
def test_a_redirect_to_anywhere_else_is_rejected(standing_realm: Realm, uri: str) -> None:
    for uris in ([uri], [REDIRECT, uri]):
        rejected = standing_realm.register(**{**NATIVE, "redirect_uris": uris})
        assert rejected["status"] in {400, 403}, rejected


@pytest.mark.requirement("bootstrap.redirect_uris")
def test_a_registered_client_cannot_move_its_redirect_elsewhere(standing_realm: Realm) -> None:
    registered = standing_realm.register(**NATIVE)
    changed = httpx.put(
        f"{standing_realm.issuer}/clients-registrations/openid-connect/{registered['client_id']}",
        json={**NATIVE, "client_id": registered["client_id"], "redirect_uris": ["https://evil.example/callback"]},
        headers={"Authorization": f"Bearer {registered['registration_access_token']}"},
    )
    assert changed.status_code == 403


def test_loopback_only_accepts_loopback_redirects_and_no_vendor(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"profile": "loopback-only"})
    statuses = {name: realm.register(**metadata)["status"] for name, metadata in PROFILES.items()}
    rejected = {"VS Code", "claude.ai", "Cursor"}  # their redirect URIs are a vendor's
    assert statuses == {name: 403 if name in rejected else 201 for name in PROFILES}


def test_closed_accepts_no_registration_even_with_an_initial_access_token(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"profile": "closed"})
    assert {realm.register(**metadata)["status"] for metadata in PROFILES.values()} == {403}
    admin = realm.admin()
    path = f"admin/realms/{realm.name}/clients-initial-access"
    initial_access_token = admin.connection.raw_post(path, data='{"count": 1, "expiration": 60}').json()["token"]
    assert realm.post_client("openid-connect", NATIVE, initial_access_token)["status"] == 403
    response = realm.log_in("reader", "mcp-native", scope="mcp:tools", redirect_uri="http://127.0.0.1:5555/callback")
    assert claims(response["access_token"])["aud"] == PUBLIC_URL


@pytest.mark.requirement("bootstrap.redirect_uris")
def test_an_initial_access_token_loosens_no_rule(standing_realm: Realm) -> None:
    admin = standing_realm.admin()
    path = f"admin/realms/{standing_realm.name}/clients-initial-access"
    initial_access_token = admin.connection.raw_post(path, data='{"count": 9, "expiration": 60}').json()["token"]
    registered = standing_realm.post_client("openid-connect", NATIVE, initial_access_token)
    assert registered["status"] == 201
    client = admin.get("clients", clientId=registered["client_id"])[0]
    assert (client["consentRequired"], client["fullScopeAllowed"]) == (True, False)
    for uri in ("https://evil.example/callback", "http://localhost/*"):
        rejected = standing_realm.post_client(
            "openid-connect", {**NATIVE, "redirect_uris": [uri]}, initial_access_token
        )
        assert rejected["status"] == 403


def test_a_full_realm_accepts_no_further_client(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"max_clients": 10})
    statuses = [realm.register(**NATIVE)["status"] for _ in range(5)]
    assert statuses[0] == 201
    assert statuses[-1] == 403


@pytest.mark.requirement("bootstrap.test_registration")
def test_the_test_registration_leaves_no_client_behind(realm: Realm) -> None:
    admin = realm.admin()
    before = {client["clientId"] for client in admin.get("clients")}
    assert realm.apply(try_registration=True) == 0
    assert any("could register and was removed" in line for line in realm.message)
    assert {client["clientId"] for client in admin.get("clients")} == before
