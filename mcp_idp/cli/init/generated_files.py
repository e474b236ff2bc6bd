"""The files that `mcp-idp init` writes, and the next commands that it prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mcp_idp.cli.common.installation import bundled_config
from mcp_idp.cli.init.installed_wheel import WHEEL_NAME
from mcp_idp.cli.init.template_rendering import render
from mcp_idp.util.urls import is_loopback

if TYPE_CHECKING:
    from pathlib import PurePosixPath

Framework = Literal["sdk", "fastmcp", "starlette"]
FRAMEWORKS: tuple[Framework, ...] = ("sdk", "fastmcp", "starlette")
ACCESS_FILE = "idp-config/access.yaml"
WHEEL_FILE = f"wheels/{WHEEL_NAME}"
_PACKAGES = {"sdk": "", "fastmcp": ' "fastmcp>=4.2.3,<5"', "starlette": ""}
_IMPORT = "from mcp_idp import load_settings, protect"
_NOTES = {
    "sdk": "'{name}' is the MCPServer itself, not its streamable_http_app()",
    "fastmcp": "'{name}' is the FastMCP server itself, not its http_app()",
    "starlette": "'{name}' serves MCP at the path of MCP_PUBLIC_URL, /mcp; every other path gets 404",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """The options of a run.

    Attributes:
        framework: The framework of the server.
        existing: The existing server as MODULE:APP; None writes a new one, server.py.
        issuer: The realm of an existing Keycloak; None writes a Keycloak into the compose file.
        with_image: Whether to write a Dockerfile, and the server into the compose file.
        mcp_port: The server's port on this machine.
        keycloak_port: Keycloak's port on this machine.
    """

    framework: Framework = "sdk"
    existing: str | None = None
    issuer: str | None = None
    with_image: bool = False
    mcp_port: int = 3000
    keycloak_port: int = 8080

    @property
    def application(self) -> str:
        """The application as an argument of `mcp-idp serve`."""
        return self.existing or "server:app"

    @property
    def has_demo_users(self) -> bool:
        """Whether the access file has demo users: every URL is on this machine."""
        return self.issuer is None or is_loopback(urlsplit(self.issuer).hostname or "")


def new_files(options: InitOptions, wheel: bytes | None, module: PurePosixPath | None = None) -> dict[str, bytes]:
    """Returns the content of each file, by its path in the folder.

    Args:
        options: The options of the run.
        wheel: The wheel that the images install; None leaves it out.
        module: The file or folder of the existing server, for the Dockerfile.
    """
    is_new = options.existing is None
    conditions = {
        "keycloak": options.issuer is None,
        "container": options.with_image,
        "demo_users": options.has_demo_users,
        "new": is_new,
    }
    values = {
        "MCP_PORT": str(options.mcp_port),
        "KEYCLOAK_PORT": str(options.keycloak_port),
        "ISSUER": options.issuer or "",
        "APPLICATION": options.application,
        "WHEEL": WHEEL_NAME,
        "PACKAGES": _PACKAGES[options.framework],
        "MODULE": str(module or f"{options.application.partition(':')[0].partition('.')[0]}.py"),
    }
    templates = {ACCESS_FILE: "access.yaml", ".env": "env", "docker-compose.yml": "docker-compose.yml"}
    if options.with_image:
        templates["Dockerfile"] = "Dockerfile"
    if is_new:
        templates["server.py"] = f"server_{options.framework}.py"
    files = {path: render(name, conditions, values).encode() for path, name in templates.items()}
    files["idp-config/access.schema.json"] = (bundled_config() / "access.schema.json").read_bytes()
    if options.issuer is None:
        files["keycloak.Caddyfile"] = (bundled_config() / "keycloak" / "local.Caddyfile").read_bytes()
    return files if wheel is None else {**files, WHEEL_FILE: wheel}


def protect_lines(options: InitOptions) -> list[str]:
    """Returns the two lines that put an existing server behind `protect()`, and a comment; none for a new server."""
    if options.existing is None:
        return []
    name = options.existing.partition(":")[2]
    note = _NOTES[options.framework].format(name=name)
    return [_IMPORT, f"app = protect({name}, load_settings(os.environ))  # {note}"]


def next_commands(options: InitOptions) -> list[tuple[str, str]]:
    """Returns three commands, each with what it does."""
    serve = (f"mcp-idp serve {options.application} --env-file .env", "start the server")
    if options.issuer is None:
        start = ("docker compose run --rm bootstrap", "start Keycloak and configure it")
        if options.with_image:
            start = ("docker compose up --wait", "start Keycloak, configure it, and start the server")
    else:
        start = ("docker compose run --rm bootstrap plan", "see what your Keycloak lacks; then apply")
        if options.with_image:
            serve = ("docker compose up --wait", "start the server")
    login = ("mcp-idp login", "log in with the browser and call a tool")
    if options.has_demo_users and options.issuer is None:
        login = ("MCP_PASSWORD=reader mcp-idp login --headless --user reader", "log in and call a tool")
    if options.issuer is None and options.with_image:
        return [start, login, ("docker compose logs mcp-server", "see what the server did")]
    return [start, serve, login]
