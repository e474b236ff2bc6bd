"""Assembles this stack's server from its tool modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp import create_server, load_access, ssl_context
from mcp_server import __version__, tools
from mcp_server.demo import upstream_tools
from mcp_server.demo.state import State

if TYPE_CHECKING:
    import httpx
    from starlette.types import ASGIApp

    from mcp_idp import Clock, Settings


def create_app(settings: Settings, *, clock: Clock | None = None, http: httpx.AsyncClient | None = None) -> ASGIApp:
    """Creates the server's ASGI application.

    Args:
        settings: the server's settings.
        clock: the time source; the system's clocks by default.
        http: the client for requests to the identity provider; by default one that is created here and closed at
            shutdown. A client that is passed in stays open.

    Raises:
        AccessFileError: the access file cannot be used, or lists a tool that does not exist.
        SettingsError: the access file requires what the settings do not provide, or a file that the settings name
            cannot be used.
    """
    access = load_access(settings.access_file)
    upstreams = {audience: upstream.url for audience, upstream in access.upstreams.items() if upstream.url}
    modules = [tools, upstream_tools] if upstreams else [tools]
    state = State(ssl_context(settings.ca_file), upstreams=upstreams)
    return create_server(settings, modules, state=state, version=__version__, access=access, clock=clock, http=http)
