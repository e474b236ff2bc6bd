"""Loads validated settings from environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.config.env import EnvReader
from mcp_idp.config.settings import NAMES, Settings, read_settings
from mcp_idp.config.stack_settings import KNOWN_NAMES
from mcp_idp.config.validation import validate_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_settings"]


def load_settings(variables: Mapping[str, str], *, in_container: bool = False) -> Settings:
    """Reads and validates the settings of one server.

    Args:
        variables: the environment variables, such as `os.environ`.
        in_container: whether this process runs in a container, where an issuer on localhost is unreachable.

    Raises:
        SettingsError: a value or a combination of values cannot work. The message is one line that says what to
            change.
    """
    env = EnvReader(variables)
    env.reject_typos(NAMES, KNOWN_NAMES)
    settings = read_settings(env)
    validate_settings(settings, in_container=in_container)
    return settings
