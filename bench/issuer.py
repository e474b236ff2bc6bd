"""A fake identity provider: it signs like Keycloak, can be slow, and counts requests."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.defaults import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_TOKEN_SECONDS = 3600

Signers = tuple[tuple[str, rsa.RSAPrivateKey], ...]


def signers(number: int) -> Signers:
    """Generates RSA keys, each with a `kid`."""
    return tuple((f"bench-{i + 1}", rsa.generate_private_key(65537, 2048)) for i in range(number))


class Issuer:
    """An issuer with real RSA keys, whose tokens have the shape and length of Keycloak's.

    Attributes:
        delay: seconds before each response.
        paused: an event for which every response waits, if set.
        down: whether every response is 503.
        signers: the published keys; the last one signs.
        key_fetches: the number of requests for the key set.
        introspections: the number of introspection requests.
        max_at_once: the maximum number of concurrent introspections.
    """

    def __init__(self, url: str, keys: Signers | None = None) -> None:
        self.url = url
        self.delay = 0.0
        self.paused: asyncio.Event | None = None
        self.down = False
        self.signers = keys or signers(1)
        self.key_fetches = 0
        self.introspections = 0
        self.max_at_once = 0
        self._at_once = 0
        self._tokens = 0
        self._issued: dict[str, Mapping[str, object]] = {}

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """The signing key."""
        return self.signers[-1][1]

    def token(self, **claims: object) -> str:
        """Returns a new access token for the default resource."""
        kid, key = self.signers[-1]
        payload = {**self._claims(), **claims}
        token = jwt.encode(payload, key, algorithm="RS256", headers={"kid": kid})
        self._issued[token] = payload
        return token

    def reference(self) -> str:
        """Returns an opaque access token, which only introspection can validate."""
        payload = self._claims()
        token = f"reference-{self._tokens}"
        self._issued[token] = payload
        return token

    def client(self) -> httpx.AsyncClient:
        """Returns an HTTP client that is connected to this issuer only."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._respond))

    async def respond(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Returns status and body of the response to a request, for in-process and socket transports."""
        is_introspection = path.endswith("/introspect")
        if is_introspection:
            self.introspections += 1
            self._at_once += 1
            self.max_at_once = max(self.max_at_once, self._at_once)
        try:
            await asyncio.sleep(self.delay)
            if self.paused is not None:
                await self.paused.wait()
        finally:
            self._at_once -= is_introspection
        if self.down:
            return 503, b""
        document = self._introspected(body) if is_introspection else self._document(path)
        return (404, b"") if document is None else (200, json.dumps(document).encode())

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        status, body = await self.respond(request.url.path, await request.aread())
        # A stream, as from a network, because the server counts bytes as they arrive.
        return httpx.Response(status, content=_piece(body))

    def _document(self, path: str) -> dict[str, Any] | None:
        base = urlsplit(self.url).path
        if path in {f"{base}/.well-known/openid-configuration", f"/.well-known/oauth-authorization-server{base}"}:
            return {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "introspection_endpoint": f"{self.url}/introspect",
            }
        if path != f"{base}/keys":
            return None
        self.key_fetches += 1
        return {"keys": [_published(kid, key) for kid, key in self.signers]}

    def _introspected(self, body: bytes) -> dict[str, Any]:
        """Returns the introspection response (RFC 7662 section 2.2): only tokens issued here are active."""
        claims = self._issued.get(parse_qs(body.decode())["token"][0])
        return {"active": False} if claims is None else {"active": True, **claims}

    def _claims(self) -> dict[str, object]:
        self._tokens += 1
        now = int(time.time())
        return {
            "exp": now + _TOKEN_SECONDS,
            "iat": now,
            "jti": f"onrtac:00000000-0000-4000-8000-{self._tokens:012d}",
            "iss": self.url,
            "aud": [DEFAULTS.public_url, "account"],
            "sub": f"11111111-2222-4333-8444-{self._tokens:012d}",
            "typ": "Bearer",
            "azp": "mcp-native",
            "sid": "66666666-7777-4888-8999-aaaaaaaaaaaa",
            "acr": "1",
            "allowed-origins": ["http://localhost:6274", "http://127.0.0.1:6274"],
            "realm_access": {"roles": ["mcp-reader", "offline_access", "uma_authorization", "default-roles-mcp"]},
            "resource_access": {"account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}},
            "scope": "openid profile email mcp:tools mcp:notes.read",
            "mcp_roles": ["mcp-reader"],
            "email_verified": True,
            "name": "Reader Demo",
            "preferred_username": "reader",
            "email": "reader@example.com",
        }


def _published(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**public, "kid": kid, "alg": "RS256", "use": "sig"}


async def _piece(body: bytes) -> AsyncIterator[bytes]:
    yield body
