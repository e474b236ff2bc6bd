"""The provider of the benchmarks: it counts requests, and its tokens have the shape and length of Keycloak's."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.defaults import DEFAULTS
from mcp_idp.testing.introspecting_issuer import Introspecting
from mcp_idp.testing.issuer import public_jwk
from mcp_idp.testing.issuer_server import serve_issuer

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN_SECONDS = 20 * 3600  # longer than any measurement moves a clock

Signers = tuple[tuple[str, rsa.RSAPrivateKey], ...]


def signers(number: int) -> Signers:
    """Generates RSA keys, each with a `kid`."""
    return tuple((f"bench-{i + 1}", rsa.generate_private_key(65537, 2048)) for i in range(number))


class Issuer(Introspecting):
    """An issuer whose tokens all differ; it introspects those that it issued as active."""

    def __init__(self, url: str, keys: Signers | None = None) -> None:
        super().__init__(url=url, message=self._introspect)
        self._tokens = 0
        self._issued: dict[str, dict[str, Any]] = {}
        self.publish(keys or signers(1))

    def publish(self, keys: Signers) -> None:
        """Replaces the published keys; the last one signs."""
        self.signers = keys
        self.keys = [public_jwk(key, kid=kid, alg="RS256", use="sig") for kid, key in keys]
        kid, self.key = keys[-1]
        self.header = {**self.header, "kid": kid}

    @property
    def keys_url(self) -> str:
        """The URL of the published keys."""
        return f"{self.url}/protocol/openid-connect/certs"

    def token(self, **options: Any) -> str:
        """Returns a new access token for the default resource."""
        token = super().token(**options)
        self._issued[token] = jwt.decode(token, options={"verify_signature": False})
        return token

    def reference(self) -> str:
        """Returns an opaque access token, which only introspection can validate."""
        claims = self.claims()
        token = f"reference-{self._tokens}"
        self._issued[token] = claims
        return token

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Returns the claims of the next token."""
        self._tokens += 1
        now = int(time.time())
        keycloak: dict[str, Any] = {
            "exp": now + _TOKEN_SECONDS,
            "iat": now,
            "jti": f"onrtac:00000000-0000-4000-8000-{self._tokens:012d}",
            "aud": [DEFAULTS.public_url, "account"],
            "sub": f"11111111-2222-4333-8444-{self._tokens:012d}",
            "azp": "mcp-native",
            "sid": "66666666-7777-4888-8999-aaaaaaaaaaaa",
            "acr": "1",
            "allowed-origins": ["http://localhost:6274", "http://127.0.0.1:6274"],
            "realm_access": {"roles": ["mcp-reader", "offline_access", "uma_authorization", "default-roles-mcp"]},
            "resource_access": {"account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}},
            "scope": "openid profile email mcp:tools mcp:notes.read",
            "email_verified": True,
            "name": "Reader Demo",
            "preferred_username": "reader",
            "email": "reader@example.com",
        }
        return super().claims(**{**keycloak, **changes})

    def _introspect(self, token: str) -> dict[str, Any]:
        """Returns the introspection response (RFC 7662 section 2.2): only tokens issued here are active."""
        claims = self._issued.get(token)
        return {"active": False} if claims is None else {"active": True, **claims}


@contextmanager
def published() -> Iterator[Issuer]:
    """Yields an issuer on a socket, for servers in other processes and for clients that block their event loop."""
    issuer = Issuer("")
    with serve_issuer(issuer) as issuer.url:
        yield issuer
