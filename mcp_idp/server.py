"""Assembles and runs an MCP server from modules of functions decorated with `@tool`, `@resource` and `@prompt`."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPDeprecationWarning

from mcp_idp import __version__
from mcp_idp.access.policy import AccessFileError, AccessPolicy, load_access
from mcp_idp.application import protect
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.http_server.runner import serve
from mcp_idp.mcp_protocol.endpoint import McpEndpoint, non_streaming_tools
from mcp_idp.mcp_protocol.registry import async_tools, register, tool_timeouts
from mcp_idp.mcp_protocol.running_calls import RunningCalls
from mcp_idp.mcp_protocol.scope_filtered_server import ScopeFilteredServer
from mcp_idp.observability.logging import configure_logging
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    import httpx
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp

    from mcp_idp.config.settings import Settings

_EXIT_CONFIG_ERROR = 2


def create_server(  # noqa: PLR0913 - the optional ones are keyword-only
    settings: Settings,
    modules: Iterable[ModuleType],
    *,
    state: object = None,
    version: str = __version__,
    access: AccessPolicy | None = None,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
) -> ASGIApp:
    """Creates an ASGI application that serves the tools, resources and prompts of `modules`, behind `protect()`.

    Args:
        settings: the server's settings.
        modules: the modules whose decorated functions are served, in this order.
        state: an object shared by all tools, available as `ctx.request_context.lifespan_context`.
        version: the server's version, as reported to clients.
        access: the access policy, if the caller has loaded it already; by default read from `settings.access_file`.
        clock: the time source; the system's clocks by default.
        http: the client for requests to the identity provider; by default one that is created here and closed at
            shutdown. A client that is passed in stays open.

    Raises:
        AccessFileError: the access file cannot be used, or lists a tool, prompt or resource that no module
            defines.
        SettingsError: the access file requires what the settings do not provide, or a file that the settings name
            cannot be used.
    """
    modules = tuple(modules)
    access = access or load_access(settings.access_file)
    scope_requirements = ScopeRequirements(access)
    application = McpEndpoint(
        _build_mcp_server(modules, access, scope_requirements, settings, state, version),
        non_streaming=frozenset().union(*map(non_streaming_tools, modules)),
        stateless=settings.legacy_sessions == "stateless",
        monotonic=(clock or Clock()).monotonic,
        running_calls=RunningCalls(
            settings.tool_timeout,
            _tool_timeouts(modules, access),
            frozenset().union(*map(async_tools, modules)),
        ),
    )
    return protect(application, settings, access=access, scope_requirements=scope_requirements, clock=clock, http=http)


def _tool_timeouts(modules: tuple[ModuleType, ...], access: AccessPolicy) -> dict[str, float]:
    """Returns the timeouts of single tools: those of their decorators, and those of the access file in their place."""
    declared = {name: seconds for module in modules for name, seconds in tool_timeouts(module).items()}
    return {**declared, **access.tool_timeouts}


def _build_mcp_server(  # noqa: PLR0913, PLR0917 - the parts of one server
    modules: tuple[ModuleType, ...],
    access: AccessPolicy,
    scope_requirements: ScopeRequirements,
    settings: Settings,
    state: object,
    version: str,
) -> MCPServer[Any]:
    server = ScopeFilteredServer(
        access.resource.name,
        version=version,
        access=access,
        scope_requirements=scope_requirements,
        state=state,
        visibility=settings.tools_list,
    )
    for module in modules:
        register(server, module, scope_requirements)
    for block, name in sorted(scope_requirements.unmatched):
        known = ", ".join(
            each for each in getattr(scope_requirements, block) if (block, each) not in scope_requirements.unmatched
        )
        kind = block.removesuffix("s")
        raise AccessFileError(
            f"{settings.access_file}: {block}.{name}: there is no such {kind}; the {block} are: {known}"
        )
    for name in sorted(access.tool_limits.keys() - set(scope_requirements.tools)):
        raise AccessFileError(f"{settings.access_file}: tool_limits.{name}: there is no such tool")
    for name in sorted(access.tool_timeouts.keys() - set(scope_requirements.tools)):
        raise AccessFileError(f"{settings.access_file}: tool_timeouts.{name}: there is no such tool")
    return server


def run(create_app: Callable[[Settings], ASGIApp]) -> int:
    """Reads the settings from the environment, configures logging and serves the application until it is stopped.

    Args:
        create_app: creates the ASGI application from the settings.

    Returns:
        The exit code of the process: 2 if the configuration cannot work (one line on standard error says what to
        change), otherwise that of `http_server.runner.serve`.
    """
    # The image sets this variable. The file /.dockerenv would not do: development containers have it too, and there an
    # issuer on localhost can be reachable.
    in_container = os.environ.get("RUNNING_IN_CONTAINER") == "1"
    # Log notifications are deprecated in MCP 2026-07-28; clients of earlier revisions display them.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    try:
        settings = load_settings(os.environ, in_container=in_container)
        configure_logging(settings.log_format, settings.log_level)
        app = create_app(settings)
    except (SettingsError, AccessFileError) as error:
        print(f"mcp-server: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        return _EXIT_CONFIG_ERROR
    return serve(app, settings)
