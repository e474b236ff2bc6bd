"""The wiring: which part answers what.

```
host ─► path ─► /mcp ───────► gate ─► MCP application ─► tools.py
          ├──► /.well-known/oauth-protected-resource[/mcp]   metadata
          ├──► /livez, /readyz                               health (any Host)
          └──► /                                             page
```
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Router

from mcp_server import __version__, tools
from mcp_server.access import Access, load_access
from mcp_server.body import MAX_BODY_BYTES
from mcp_server.borders import Borders
from mcp_server.challenge import Challenger
from mcp_server.clock import Clock
from mcp_server.environment import SettingsError
from mcp_server.front import Front
from mcp_server.gate import Gate
from mcp_server.health import LIVE, readiness
from mcp_server.metadata import metadata_answer, metadata_endpoint, metadata_paths, metadata_url
from mcp_server.page import page_answer
from mcp_server.principal import Principal
from mcp_server.registry import register
from mcp_server.sessions import Sessions
from mcp_server.trust import TrustedIssuers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp

    from mcp_server.settings import Settings

log = structlog.get_logger(__name__)
_WARN_EVERY_SECONDS = 60.0


def create_app(settings: Settings, *, clock: Clock | None = None, http: httpx.AsyncClient | None = None) -> ASGIApp:
    """The whole server as an ASGI application.

    Args:
        settings: where everything follows from.
        clock: the time; the system's by default.
        http: for calls to the identity provider; one of its own by default, closed at the end.

    Raises:
        AccessFileError: the access file cannot be used.
        SettingsError: the access file asks for what the settings do not allow.
    """
    access = load_access(settings.access_file)
    client = http or httpx.AsyncClient(timeout=httpx.Timeout(5.0), trust_env=False)
    _check_introspection(settings, access)
    clock = clock or Clock()
    trusted = None if settings.disable_auth else TrustedIssuers(settings, access, clock, client)
    server = _mcp_server(access)
    mcp = _mcp_application(server, settings)
    borders = Borders(settings)
    gate = Gate(
        mcp,
        verify=trusted.verify if trusted else _everybody(access),
        access=access,
        borders=borders,
        challenger=Challenger(metadata_url(settings), access.login_scopes),
        seconds_left=lambda principal: principal.expires_at + settings.clock_leeway - clock.now(),
    )

    lifespan = _lifespan(server, trusted, None if http else client)
    return Front(_paths(settings, access, trusted, gate), borders, Router(lifespan=lifespan))


def _lifespan(
    server: MCPServer[Any], trusted: TrustedIssuers | None, client: httpx.AsyncClient | None
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What runs as long as the application does; `client` is closed with it."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if client is not None:
                await stack.enter_async_context(client)
            await stack.enter_async_context(server.session_manager.run())
            if trusted is not None:
                stack.push_async_callback(trusted.close)
            for work in [p.wait_until_reached() for p in trusted.all] if trusted else [_warn_of_disabled_auth()]:
                stack.push_async_callback(_end, asyncio.create_task(work))
            yield

    return lifespan


def _paths(settings: Settings, access: Access, trusted: TrustedIssuers | None, gate: Gate) -> Mapping[str, ASGIApp]:
    paths: dict[str, ASGIApp] = {
        "/": page_answer(settings, access),
        "/livez": LIVE,
        "/readyz": readiness(trusted.first.keys if trusted else None),
        settings.public_path: gate,
    }
    if not settings.disable_auth:
        document = metadata_endpoint(metadata_answer(settings, access))
        paths |= dict.fromkeys(metadata_paths(settings), document)
    return paths


def _mcp_server(access: Access) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer(access.resource.name, version=__version__)
    register(server, tools)
    return server


def _mcp_application(server: MCPServer[Any], settings: Settings) -> ASGIApp:
    """The SDK's endpoint without its routes: path, Host and Origin are judged already."""
    server.streamable_http_app(
        stateless_http=settings.legacy_sessions == "stateless",
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Sessions(server.session_manager.handle_request)


def _check_introspection(settings: Settings, access: Access) -> None:
    """Asking about some tokens needs our credentials, also where all others are judged without."""
    if access.introspect_for and not settings.can_introspect:
        raise SettingsError(
            f"{settings.access_file}: introspect_for needs OAUTH_CLIENT_SECRET, its file, or OAUTH_CLIENT_KEY_FILE"
        )


def _everybody(access: Access) -> Principal:
    """Whoever calls, where DISABLE_AUTH is set."""
    return Principal(
        issuer="", subject="dev", client="dev", scopes=frozenset(access.scopes), expires_at=math.inf, roles=None
    )


async def _warn_of_disabled_auth() -> None:
    while True:
        log.warning("DISABLE_AUTH is set: everybody on this machine may call every tool, as dev")
        await asyncio.sleep(_WARN_EVERY_SECONDS)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
