"""Settings of the local server: environment variables, and `.env` read as docker-compose.yml reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DOTENV = Path(".env")  # of the working directory, as Docker Compose takes it
ACCESS_FILE = Path("idp-config/access.yaml")  # likewise
_LINE = re.compile(r"""\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^#]*?))\s*(?:\s#.*)?""")
# Valid inside the containers only, where the provider has another address and secrets are mounted files.
_CONTAINER_ONLY = (
    "OAUTH_INTERNAL_URL",
    "OAUTH_CLIENT_SECRET_FILE",
    "OAUTH_CLIENT_KEY_FILE",
    "OAUTH_CA_FILE",
    "HOST",
    "PORT",
)


def server_environment(variables: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """Returns the server's environment variables as they apply on the host that runs the compose stack.

    `MCP_PUBLIC_URL` and `OAUTH_SERVER_URL`, where missing, are derived from the published ports.

    Args:
        variables: The process environment; it takes precedence over the file.
        dotenv: Path of `.env`, which may be missing.
    """
    return with_urls(merge_environment(variables, dotenv))


def merge_environment(variables: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """Returns the environment and, below it, what `.env` says.

    Variables that only hold inside containers are dropped from the file.

    Args:
        variables: The process environment.
        dotenv: Path of `.env`, which may be missing.
    """
    from_file = {name: value for name, value in read_dotenv(dotenv).items() if name not in _CONTAINER_ONLY}
    if from_file.get("ACCESS_FILE"):  # relative to the repository root
        from_file["ACCESS_FILE"] = str(dotenv.parent / from_file["ACCESS_FILE"])
    return {**from_file, **variables}


def with_urls(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables with the URLs of server and provider derived from the published ports, where missing."""
    found = dict(variables)
    mcp_port, keycloak_port, dex_port = (found.get(f"{name}_PORT") for name in ("MCP", "KEYCLOAK", "DEX"))
    if mcp_port and not found.get("MCP_PUBLIC_URL"):
        found["MCP_PUBLIC_URL"] = f"http://localhost:{mcp_port}/mcp"
    if keycloak_port and not found.get("OAUTH_SERVER_URL"):
        found["OAUTH_SERVER_URL"] = f"http://localhost:{keycloak_port}/realms/mcp"
    elif dex_port and not found.get("OAUTH_SERVER_URL"):
        found["OAUTH_SERVER_URL"] = f"http://localhost:{dex_port}"
    return found


def read_dotenv(path: Path) -> dict[str, str]:
    """Parses a `.env` file: `NAME=value` with quotes and comments as in Docker Compose, without variable expansion.

    Returns:
        Name to value; empty if the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = (_LINE.fullmatch(line) for line in lines if not line.lstrip().startswith("#"))
    return {line[1]: next((part for part in line.groups()[1:] if part is not None), "") for line in found if line}
