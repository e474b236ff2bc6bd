"""Finds the MCP servers in an application, so that what they run can be authorized."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from mcp_idp.adapters.sdk import SdkAdapter
from mcp_idp.config.env import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import ASGIApp

    from mcp_idp.auth.invocations import InvocationGuard, ServerAdapter

_MAX_WALKED = 10_000


def as_application(app: Any, path: str) -> ASGIApp:
    """Returns the ASGI application of an MCP server, or `app` if it is an ASGI application already.

    Args:
        app: an `MCPServer` of the SDK, a `FastMCP` server, or an ASGI application.
        path: the path at which the server is to serve MCP.
    """
    application: ASGIApp
    if isinstance(app, MCPServer):
        # The router and the auth middleware validate Host and Origin.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        application = app.streamable_http_app(streamable_http_path=path, transport_security=security)
    elif _is_fastmcp(app):
        application = app.http_app(path=path, host_origin_protection=False)
    else:
        application = app
    return application


def find_servers(app: Any) -> list[Any]:
    """Returns the MCP servers that can be found in an ASGI application.

    The Starlette applications of FastMCP and of the SDK refer to their server. The search follows routes, mounts, and
    middleware with an attribute `app`.
    """
    found: dict[int, Any] = {}
    waiting, seen = [app], set[int]()
    while waiting and len(seen) < _MAX_WALKED:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        for server in _servers_of(part):
            found[id(server)] = server
        waiting += [getattr(part, "app", None), *(getattr(part, "routes", None) or ())]
    return list(found.values())


def adapters_for(servers: Iterable[Any], guard: InvocationGuard) -> list[ServerAdapter]:
    """Returns an adapter for each server.

    Args:
        servers: FastMCP servers and `MCPServer`s of the SDK.
        guard: authorizes what they run.

    Raises:
        SettingsError: a server is of another type.
    """
    return [_adapter(server, guard) for server in servers]


def _adapter(server: Any, guard: InvocationGuard) -> ServerAdapter:
    if isinstance(server, MCPServer):
        return SdkAdapter(server, guard)
    if _is_fastmcp(server):
        from mcp_idp.adapters.fastmcp import FastMCPAdapter  # noqa: PLC0415 - FastMCP need not be installed

        return FastMCPAdapter(server, guard)
    raise SettingsError(
        f"protect(servers=…): {type(server).__name__} is neither a FastMCP server nor the SDK's MCPServer"
    )


def _servers_of(part: Any) -> Iterator[Any]:
    candidates = [part, getattr(getattr(part, "state", None), "fastmcp_server", None)]
    low_level = getattr(getattr(part, "session_manager", None), "app", None)
    lookup = getattr(low_level, "get_request_handler", None)
    entry = lookup("tools/call") if callable(lookup) else None
    candidates.append(getattr(getattr(entry, "handler", None), "__self__", None))
    yield from (each for each in candidates if isinstance(each, MCPServer) or _is_fastmcp(each))


def _is_fastmcp(server: Any) -> bool:
    """Whether this is a FastMCP server. FastMCP is not imported for the check: if there is a server, it already is."""
    fastmcp = sys.modules.get("fastmcp")
    return fastmcp is not None and isinstance(server, fastmcp.FastMCP)
