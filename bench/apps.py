"""The applications under test, in this process.

They use no sockets: a mock transport connects the provider, and requests are prepared ASGI scopes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from bench.defaults import DEFAULTS
from mcp_idp.access.policy import load_access
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.http_server.limits import MAX_BODY_BYTES
from mcp_idp.mcp_protocol.registry import register
from mcp_server import tools
from mcp_server.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.auth.provider import TokenVerifier
    from starlette.types import ASGIApp, Message

    from bench.issuer import Issuer
    from mcp_idp.util.clock import Clock

BASE_SCOPE = "mcp:tools"


class Yes:
    """A token verifier for the SDK that accepts every token, to measure the cost of the middleware around it."""

    async def verify_token(self, token: str) -> AccessToken:
        """Returns an access token for any input."""
        return AccessToken(token=token, client_id="bench", scopes=[BASE_SCOPE], resource=DEFAULTS.public_url)


@asynccontextmanager
async def authenticated_app(issuer: Issuer, clock: Clock | None = None, /, **values: Any) -> AsyncIterator[ASGIApp]:
    """Yields our complete server, started."""
    async with issuer.http() as http:
        app = create_app(replace(DEFAULTS, **values), clock=clock, http=http)
        async with started(app):
            yield app


@asynccontextmanager
async def sdk_session_manager() -> AsyncIterator[ASGIApp]:
    """Yields the same MCP application without any middleware: the SDK's session manager."""
    server = mcp_server()
    server.streamable_http_app(max_request_body_size=MAX_BODY_BYTES, transport_security=_unchecked())
    async with server.session_manager.run():
        yield server.session_manager.handle_request


@asynccontextmanager
async def sdk_app() -> AsyncIterator[ASGIApp]:
    """Yields the SDK's own application with the same tools, with its routes and without `auth=`."""
    app = mcp_server().streamable_http_app(max_request_body_size=MAX_BODY_BYTES, transport_security=_unchecked())
    async with started(app):
        yield app


@asynccontextmanager
async def sdk_guarded(verifier: TokenVerifier | None = None) -> AsyncIterator[ASGIApp]:
    """Yields the SDK's application with the same tools and `auth=`; by default the verifier accepts every token."""
    auth = AuthSettings.model_validate(
        {
            "issuer_url": DEFAULTS.server_url,
            "resource_server_url": DEFAULTS.public_url,
            "required_scopes": [BASE_SCOPE],
            "validate_token_resource": True,
        }
    )
    server = mcp_server(auth=auth, token_verifier=verifier or Yes())
    app = server.streamable_http_app(max_request_body_size=MAX_BODY_BYTES, transport_security=_unchecked())
    async with started(app):
        yield app


def trusting(issuer: Issuer) -> dict[str, Any]:
    """Returns the settings of a server that trusts `issuer` instead of the default one."""
    return {"server_url": issuer.url, "internal_url": issuer.url, "issuer": issuer.url}


def mcp_server(**options: Any) -> MCPServer[Any]:
    """Returns an SDK server with our demo tools."""
    server: MCPServer[Any] = MCPServer("bench", **options)
    register(server, tools, ScopeRequirements(load_access(DEFAULTS.access_file)))
    return server


def _unchecked() -> TransportSecuritySettings:
    """Disables the SDK's checks of Host and Origin, as behind our own router."""
    return TransportSecuritySettings(enable_dns_rebinding_protection=False)


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """Runs the ASGI lifespan around the block."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    for phase in ("startup", "shutdown"):
        await to_app.put({"type": f"lifespan.{phase}"})
        message = await from_app.get()
        if message["type"] != f"lifespan.{phase}.complete":
            raise RuntimeError(f"the application did not come through its {phase}: {message}")
        if phase == "startup":
            try:
                yield
            except BaseException:
                task.cancel()
                raise
    await task
