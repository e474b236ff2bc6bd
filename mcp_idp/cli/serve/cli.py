"""`mcp-idp serve`: the command line of the server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcp_idp.cli.common.command_line import TextCommand, parse_port
from mcp_idp.cli.common.server_env import server_environment
from mcp_idp.cli.serve.application import find_application, protected
from mcp_idp.server import run

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcp_idp.config.settings import Settings

_HELP = """\
Serve an MCP application behind OAuth, on the library's own HTTP server, which limits headers, bodies, times and
connections.

APP is a server of the SDK (MCPServer) or of FastMCP, any ASGI application that serves MCP, what protect() returned, or
a function that takes the Settings and returns one of these. It is put behind protect() unless it is already.

examples:
  mcp-idp serve orders:server                      the object `server` of ./orders.py
  mcp-idp serve shop.mcp:create_app --port 8000    a function in a package
  OAUTH_SERVER_URL=https://login.example.com/realms/mcp MCP_PUBLIC_URL=https://mcp.example.com/mcp \\
    mcp-idp serve orders:server
"""
_EPILOG = """\
environment: the settings of the server (docs/settings.md). The most common ones:
  OAUTH_SERVER_URL   the identity provider's issuer          [http://localhost:8080/realms/mcp]
  MCP_PUBLIC_URL     the URL that clients use                [http://localhost:3000/mcp]
  HOST, PORT         where to listen                         [127.0.0.1, 3000]
  ACCESS_FILE        the scopes, and who has them            [idp-config/access.yaml]

exit codes: 0 stopped, 1 stopped by force, 2 the command line or a setting is wrong, 3 the
application did not start.
"""


@click.command(cls=TextCommand, help=_HELP, epilog=_EPILOG)
@click.argument("application", metavar="MODULE:APP")
@click.option("--host", metavar="ADDRESS", help="the address to listen on [HOST, else 127.0.0.1]")
@click.option("--port", type=parse_port, metavar="PORT", help="the port to listen on [PORT, else 3000]")
@click.option("--env-file", type=Path, metavar="FILE", help="a file with further settings, such as .env")
def command(application: str, host: str | None, port: int | None, env_file: Path | None) -> int:
    """Serves until it is stopped; returns the exit code."""
    if env_file is not None:
        os.environ.update(server_environment(os.environ, env_file))
    if host is not None:
        os.environ["HOST"] = host
    if port is not None:
        os.environ["PORT"] = str(port)
        os.environ.setdefault("MCP_PUBLIC_URL", f"http://localhost:{port}/mcp")
    elif env_file is not None and os.environ.get("MCP_PORT"):  # the port of the URL, as for Docker Compose
        os.environ.setdefault("PORT", os.environ["MCP_PORT"])
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does; an installed command does not

    def create_app(settings: Settings) -> ASGIApp:
        return protected(find_application(application), settings)

    return run(create_app)
