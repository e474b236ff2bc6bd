"""What every provider's settings have in common, read from the environment. The names are the server's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mcp_idp.access.policy import AccessFileError
from mcp_idp.cli.bootstrap.errors import SettingsFailure
from mcp_idp.config.env import Environment, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Settings = TypeVar("_Settings")


def settings_from(variables: Mapping[str, str], read: Callable[[Environment], _Settings]) -> _Settings:
    """What `read` makes of the environment and of the access file that it names.

    Raises:
        SettingsFailure: a value or the file cannot work; one line says what to change.
    """
    try:
        return read(Environment(variables))
    except (SettingsError, AccessFileError) as error:
        raise SettingsFailure(str(error)) from error


def access_file(env: Environment) -> Path:
    """Who may do what; beside it are the folders with what each provider needs besides."""
    return Path(env.text("ACCESS_FILE") or "idp-config/access.yaml")


def public_url(env: Environment) -> str:
    """The resource: audience of the tokens."""
    return env.url("MCP_PUBLIC_URL") or "http://localhost:3000/mcp"
