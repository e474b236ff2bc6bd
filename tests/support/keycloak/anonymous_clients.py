"""Clients that register themselves without credentials, as real MCP clients and attackers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.keycloak.realm import REDIRECT

if TYPE_CHECKING:
    from tests.support.keycloak.realm import Json, Realm

ALL = "mcp:tools mcp:notes.read mcp:notes.write mcp:admin"
NATIVE: dict[str, Any] = {
    "redirect_uris": [REDIRECT],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
# The registration of an attacker's server: a confidential client, which gets a secret.
CONFIDENTIAL: dict[str, Any] = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post"}
EVIL = "https://evil.example/callback"


def native(realm: Realm, scope: str = ALL) -> str:
    """Registers a client that may request `scope`; returns its id."""
    client_id: str = registered(realm, **NATIVE, scope=scope)["client_id"]
    return client_id


def registered(realm: Realm, **metadata: Any) -> Json:
    """Registers a client, by default for the base scope; returns the whole response."""
    client = realm.register(**{"redirect_uris": [REDIRECT], "scope": "mcp:tools", **metadata})
    assert client["status"] == 201, client
    return client


def bearer(token: str) -> dict[str, str]:
    """Returns the Authorization header for a token (RFC 6750 section 2.1)."""
    return {"Authorization": f"Bearer {token}"}
