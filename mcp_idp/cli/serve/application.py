"""Imports the application of `mcp-idp serve`, and puts it behind `protect()` unless it is already."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcp.server.transport_security import TransportSecuritySettings

from mcp_idp.application import is_protected, protect
from mcp_idp.cli.common.command_line import usage_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mcp_idp.config.settings import Settings

_ASGI_PARAMETERS = 3  # scope, receive, send


def find_application(name: str) -> Any:
    """Imports the object that `MODULE:APP` names.

    Args:
        name: A module and, after a colon, an attribute of it, which may be dotted.

    Raises:
        UsageError: There is no such module or attribute.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise usage_error(f"'{name}' is not MODULE:APP, such as orders:server")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # a module that the application imports is missing
        raise usage_error(
            f"there is no module '{error.name}' in this folder or among the installed packages"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise usage_error(f"'{name}': there is no '{part}' in {getattr(found, '__name__', type(found).__name__)}")
        found = getattr(found, part)
    return found


def protected(application: Any, settings: Settings) -> ASGIApp:
    """Returns the ASGI application to serve: `application` behind `protect()`.

    Args:
        application: What `protect()` returned, a server of the SDK or of FastMCP, an ASGI application, or a function
            that takes the settings, or nothing, and returns one of these.
        settings: The server's settings.

    Raises:
        UsageError: It is none of these.
    """
    if _required_parameters(application) in {0, 1}:
        application = application(settings) if _required_parameters(application) else application()
    if is_protected(application):  # behind protect() already
        return application
    if callable(create := getattr(application, "streamable_http_app", None)):  # a server of the SDK
        # protect() checks Host and Origin. The SDK's own check would accept localhost only.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        application = create(streamable_http_path=settings.public_path, transport_security=unchecked)
    elif callable(create := getattr(application, "http_app", None)):  # FastMCP
        application = create(path=settings.public_path)
    if not callable(application) or _required_parameters(application) not in {_ASGI_PARAMETERS, None}:
        raise usage_error(f"{type(application).__name__} is neither an MCP server nor an ASGI application")
    return protect(application, settings)


def _required_parameters(value: Any) -> int | None:
    """Returns the number of arguments that a call requires; None if that is unknown or `value` is not callable.

    Servers of the SDK and of FastMCP count as not callable.
    """
    if not callable(value) or hasattr(value, "streamable_http_app") or hasattr(value, "http_app"):
        return None
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds and parameter.default is inspect.Parameter.empty for parameter in parameters)
