"""OAuth for MCP servers: an identity provider issues the tokens, this library verifies them.

The names in `__all__` are the public API. Each is imported on first use (PEP 562), so `import mcp_idp` by itself loads
no submodule.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessFileError, load_access
    from mcp_idp.application import protect
    from mcp_idp.auth.context import current_principal, exchange_token
    from mcp_idp.config import load_settings
    from mcp_idp.config.env import SettingsError
    from mcp_idp.config.settings import Settings
    from mcp_idp.mcp_protocol.registry import prompt, resource, tool
    from mcp_idp.oauth.http import ssl_context
    from mcp_idp.principal import Principal
    from mcp_idp.server import create_server, run
    from mcp_idp.util.clock import Clock

__version__ = "0.1.0"

__all__ = [
    "AccessFileError",
    "Clock",
    "Principal",
    "Settings",
    "SettingsError",
    "create_server",
    "current_principal",
    "exchange_token",
    "load_access",
    "load_settings",
    "prompt",
    "protect",
    "resource",
    "run",
    "ssl_context",
    "tool",
]

_MODULES = {
    "AccessFileError": "access.policy",
    "Clock": "util.clock",
    "Principal": "principal",
    "Settings": "config.settings",
    "SettingsError": "config.env",
    "create_server": "server",
    "current_principal": "auth.context",
    "exchange_token": "auth.context",
    "load_access": "access.policy",
    "load_settings": "config",
    "prompt": "mcp_protocol.registry",
    "protect": "application",
    "resource": "mcp_protocol.registry",
    "run": "server",
    "ssl_context": "oauth.http",
    "tool": "mcp_protocol.registry",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
