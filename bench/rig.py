"""What is measured with: an identity provider in this process, and the applications side by side.

No sockets: the provider answers through a mock transport, and requests are prepared ASGI scopes.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from mcp_server import tools
from mcp_server.access import load_access
from mcp_server.app import create_app
from mcp_server.body import MAX_BODY_BYTES
from mcp_server.needs import Needs
from mcp_server.registry import register
from mcp_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message

    from mcp_server.clock import Clock

DEFAULTS = Settings(access_file=Path(__file__).parent.parent / "idp-config" / "access.yaml")
_BASE_SCOPE = "mcp:tools"
_TOKEN_SECONDS = 3600


class Issuer:
    """A provider that signs like Keycloak: real RSA keys, tokens of its shape and length.

    Attributes:
        delay: seconds before each of its answers.
        key_fetches: how often the key set was fetched.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.delay = 0.0
        self.key_fetches = 0
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._tokens = 0

    def token(self, **claims: object) -> str:
        """An access token for the default resource, another one at each call."""
        self._tokens += 1
        now = int(time.time())
        mine = {
            "exp": now + _TOKEN_SECONDS,
            "iat": now,
            "jti": f"onrtac:00000000-0000-4000-8000-{self._tokens:012d}",
            "iss": self.url,
            "aud": [DEFAULTS.public_url, "account"],
            "sub": "11111111-2222-4333-8444-555555555555",
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
        return jwt.encode({**mine, **claims}, self.key, algorithm="RS256", headers={"kid": "bench-1"})

    def document(self, path: str) -> dict[str, Any] | None:
        """What it publishes at `path`; None for 404."""
        if ".well-known" in path:
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if not path.endswith("/keys"):
            return None
        self.key_fetches += 1
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "bench-1", "alg": "RS256", "use": "sig"}]}

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that reaches nobody else."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.delay)
        document = self.document(request.url.path)
        if document is None:
            return httpx.Response(404)
        # A stream, as from a network: the server counts the bytes as they come.
        return httpx.Response(200, content=_piece(json.dumps(document).encode()))


async def _piece(body: bytes) -> AsyncIterator[bytes]:
    yield body


class Yes:
    """The SDK's token verifier with nothing to do: what is left is the price of the chain around it."""

    async def verify_token(self, token: str) -> AccessToken:
        """Whatever the token."""
        return AccessToken(token=token, client_id="bench", scopes=[_BASE_SCOPE], resource=DEFAULTS.public_url)


@asynccontextmanager
async def gated(issuer: Issuer, clock: Clock | None = None, **values: Any) -> AsyncIterator[ASGIApp]:
    """Our whole server, started."""
    async with issuer.client() as http:
        app = create_app(replace(DEFAULTS, **values), clock=clock, http=http)
        async with _started(app):
            yield app


@asynccontextmanager
async def bare() -> AsyncIterator[ASGIApp]:
    """The same MCP application with the same tools and nothing in front: the SDK's session manager."""
    server = mcp_server()
    server.streamable_http_app(max_request_body_size=MAX_BODY_BYTES, transport_security=_trusting())
    async with server.session_manager.run():
        yield server.session_manager.handle_request


@asynccontextmanager
async def plain() -> AsyncIterator[ASGIApp]:
    """The same tools in the application that the SDK makes of them, with its routes and without `auth=`."""
    app = mcp_server().streamable_http_app(max_request_body_size=MAX_BODY_BYTES, transport_security=_trusting())
    async with _started(app):
        yield app


@asynccontextmanager
async def sdk_guarded() -> AsyncIterator[ASGIApp]:
    """The same tools behind the SDK's own `auth=`."""
    auth = AuthSettings.model_validate(
        {
            "issuer_url": DEFAULTS.server_url,
            "resource_server_url": DEFAULTS.public_url,
            "required_scopes": [_BASE_SCOPE],
            "validate_token_resource": True,
        }
    )
    server = mcp_server(auth=auth, token_verifier=Yes())
    app = server.streamable_http_app(max_request_body_size=MAX_BODY_BYTES, transport_security=_trusting())
    async with _started(app):
        yield app


def mcp_server(**options: Any) -> MCPServer[Any]:
    """An SDK server with our demo tools."""
    server: MCPServer[Any] = MCPServer("bench", **options)
    register(server, tools, Needs(load_access(Settings().access_file)))
    return server


def _trusting() -> TransportSecuritySettings:
    """Host and Origin unchecked, as where our own front has judged them."""
    return TransportSecuritySettings(enable_dns_rebinding_protection=False)


@asynccontextmanager
async def _started(app: ASGIApp) -> AsyncIterator[None]:
    """The ASGI lifespan around the block."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    for phase in ("startup", "shutdown"):
        await to_app.put({"type": f"lifespan.{phase}"})
        answer = await from_app.get()
        if answer["type"] != f"lifespan.{phase}.complete":
            raise RuntimeError(f"the application did not come through its {phase}: {answer}")
        if phase == "startup":
            try:
                yield
            except BaseException:
                task.cancel()
                raise
    await task
