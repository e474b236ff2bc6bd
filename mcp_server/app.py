"""The server of this project: the tools of `tools.py`, behind the gate that `protect.py` puts before any server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Router

from mcp_server import __version__, tools
from mcp_server.access import Access, AccessFileError, load_access
from mcp_server.body import MAX_BODY_BYTES
from mcp_server.listing import ListingServer
from mcp_server.needs import Needs
from mcp_server.protect import protect
from mcp_server.registry import register

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mcp_server.clock import Clock
    from mcp_server.settings import Settings


def create_app(settings: Settings, *, clock: Clock | None = None, http: httpx.AsyncClient | None = None) -> ASGIApp:
    """The whole server as an ASGI application.

    Args:
        settings: where everything follows from.
        clock: the time; the system's by default.
        http: for calls to the identity provider; one of its own by default, closed at the end.

    Raises:
        AccessFileError: the access file cannot be used, or does not fit the tools.
        SettingsError: the access file asks for what the settings do not allow.
    """
    access = load_access(settings.access_file)
    needs = Needs(access)
    application = _mcp_application(_mcp_server(access, needs, settings), settings)
    return protect(application, settings, needs=needs, clock=clock, http=http)


def _mcp_server(access: Access, needs: Needs, settings: Settings) -> MCPServer[Any]:
    server = ListingServer(
        access.resource.name,
        version=__version__,
        access=access,
        needs=needs,
        state=tools.State(),
        show=settings.tools_list,
    )
    register(server, tools, needs)
    for name in sorted(needs.unclaimed):
        raise AccessFileError(f"{settings.access_file}: tools.{name}: there is no such tool: {', '.join(needs.tools)}")
    return server


def _mcp_application(server: MCPServer[Any], settings: Settings) -> ASGIApp:
    """The SDK's endpoint without its routes: path, Host and Origin are judged already."""
    server.streamable_http_app(
        stateless_http=settings.legacy_sessions == "stateless",
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )

    @asynccontextmanager
    async def running(_app: Any) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    lifespan = Router(lifespan=running)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        handle = lifespan if scope["type"] == "lifespan" else server.session_manager.handle_request
        await handle(scope, receive, send)

    return application
