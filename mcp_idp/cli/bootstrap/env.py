"""Reads the settings that all providers share from the environment. The names are the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mcp_idp.access.policy import AccessFileError
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.config.env import EnvReader, SettingsError
from mcp_idp.config.stack_settings import read_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_Settings = TypeVar("_Settings")


def load_from_env(variables: Mapping[str, str], read: Callable[[EnvReader], _Settings]) -> _Settings:
    """Reads settings from the environment and from the access file that it names.

    Args:
        variables: The environment.
        read: Builds the settings.

    Raises:
        ConfigError: A value or the file is invalid; the message is one line that says what to change.
    """
    try:
        return read(EnvReader(variables))
    except (SettingsError, AccessFileError) as error:
        raise ConfigError(str(error)) from error


def access_file(env: EnvReader) -> Path:
    """Returns the path of the access file; the folders with provider-specific files are next to it."""
    path: Path = read_setting(env, "ACCESS_FILE")
    return path


def public_url(env: EnvReader) -> str:
    """Returns the resource identifier, which is the audience of the tokens."""
    url: str = read_setting(env, "MCP_PUBLIC_URL")
    return url
