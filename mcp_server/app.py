"""The server of this project: its tools, behind the gate that `protect.py` puts before any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.access.policy import Access, AccessFileError, load_access
from mcp_idp.application import protect
from mcp_idp.auth.scopes import Needs
from mcp_idp.mcp_protocol.endpoint import Eras, quiet_tools
from mcp_idp.mcp_protocol.registry import register
from mcp_idp.mcp_protocol.scope_filtered_server import ListingServer
from mcp_idp.oauth.http import tls_context
from mcp_idp.util.clock import Clock
from mcp_server import __version__, tools
from mcp_server.demo import upstream_tools

if TYPE_CHECKING:
    import httpx
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp

    from mcp_idp.config.settings import Settings


def create_app(settings: Settings, *, clock: Clock | None = None, http: httpx.AsyncClient | None = None) -> ASGIApp:
    """The whole server as an ASGI application.

    Args:
        settings: where everything follows from.
        clock: the time; the system's by default.
        http: for calls to the identity provider; one of its own by default, closed at the end.

    Raises:
        AccessFileError: the access file cannot be used, or does not fit the tools.
        SettingsError: the access file asks for what the settings do not allow, or a file of theirs is of no use.
    """
    access = load_access(settings.access_file)
    needs = Needs(access)
    application = Eras(
        _mcp_server(access, needs, settings),
        quiet=quiet_tools(tools) | quiet_tools(upstream_tools),
        stateless=settings.legacy_sessions == "stateless",
        monotonic=(clock or Clock()).monotonic,
    )
    return protect(application, settings, needs=needs, clock=clock, http=http)


def _mcp_server(access: Access, needs: Needs, settings: Settings) -> MCPServer[Any]:
    server = ListingServer(
        access.resource.name,
        version=__version__,
        access=access,
        needs=needs,
        state=tools.State(tls_context(settings.ca_file), upstreams=access.upstreams),
        show=settings.tools_list,
    )
    register(server, tools, needs)
    if any(upstream.url for upstream in access.upstreams.values()):
        register(server, upstream_tools, needs)
    for name in sorted(needs.unclaimed):
        known = ", ".join(tool for tool in needs.tools if tool not in needs.unclaimed)
        raise AccessFileError(f"{settings.access_file}: tools.{name}: there is no such tool; there are: {known}")
    return server
