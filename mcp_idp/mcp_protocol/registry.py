"""Decorators that register functions as tools, resources and prompts, with the scopes they require.

Each decorator takes the scope that is required in addition to the base scope: one name, several, or a function of the
arguments. The auth middleware rejects a caller without it (HTTP 403). The scope is checked again when the function is
about to run, with its actual arguments, in case the SDK reads the message differently than the middleware.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, ToolAnnotations
from pydantic_core import to_jsonable_python

from mcp_idp.auth.context import current_principal
from mcp_idp.auth.scopes import require_scopes
from mcp_idp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from mcp.server.mcpserver import MCPServer

    from mcp_idp.auth.scopes import ScopeRequirement, ScopeRequirements, ScopeSpec

log = structlog.get_logger(__name__)
_Function = TypeVar("_Function", bound="Callable[..., Any]")
_REGISTRATION_ATTR = "__mcp_registered__"


@dataclass(frozen=True, slots=True)
class _Tool:
    title: str
    annotations: ToolAnnotations
    scope: ScopeSpec
    streaming: bool
    timeout: float | None

    def add(self, function: Callable[..., Any], server: MCPServer[Any], scope_requirements: ScopeRequirements) -> None:
        requirement = scope_requirements.add_tool(function.__name__, self.scope)
        server.add_tool(scope_checked(function, requirement), title=self.title, annotations=self.annotations)


@dataclass(frozen=True, slots=True)
class _Resource:
    uri: str
    title: str
    mime_type: str | None
    scope: ScopeSpec

    def add(self, function: Callable[..., Any], server: MCPServer[Any], scope_requirements: ScopeRequirements) -> None:
        requirement = scope_requirements.add_resource(self.uri, self.scope)
        server.resource(self.uri, title=self.title, mime_type=self.mime_type)(scope_checked(function, requirement))


@dataclass(frozen=True, slots=True)
class _Prompt:
    title: str
    scope: ScopeSpec

    def add(self, function: Callable[..., Any], server: MCPServer[Any], scope_requirements: ScopeRequirements) -> None:
        requirement = scope_requirements.add_prompt(function.__name__, self.scope)
        server.add_prompt(Prompt.from_function(scope_checked(function, requirement), title=self.title))


def tool(  # noqa: PLR0913 - all are keyword arguments
    *,
    title: str,
    scope: ScopeSpec = None,
    read_only: bool = True,
    destructive: bool = False,
    open_world: bool = False,
    streaming: bool = True,
    timeout: float | None = None,
) -> Callable[[_Function], _Function]:
    """Registers the decorated function as a tool; clients see its name, docstring and parameters.

    Args:
        title: the display name.
        scope: the scopes that a call requires in addition to the base scope: one (`"mcp:notes.write"`), several, or a
            function of the arguments (`lambda arguments: "mcp:admin" if arguments["everybody"] else ()`). It gets
            them as JSON values: an object for a model, the value of an enum, the text of a date. If it raises, the call
            is rejected.
        read_only: the tool changes nothing (`readOnlyHint`).
        destructive: the tool may destroy data (`destructiveHint`).
        open_world: the tool interacts with systems beyond this server (`openWorldHint`).
        streaming: False for a tool that takes a `Context` but sends nothing before its result (for example, it only
            reads the lifespan state). The response is then JSON, and any progress or log notification would be lost.
        timeout: the seconds after which a call is cancelled and answered with an error; 0 for no limit, None for that
            of TOOL_TIMEOUT. `tool_timeouts` in the access file takes precedence.
    """
    annotations = ToolAnnotations(
        title=title, read_only_hint=read_only, destructive_hint=destructive, open_world_hint=open_world
    )
    return _attach(_Tool(title, annotations, scope, streaming, timeout))


def resource(
    uri: str, *, title: str, scope: ScopeSpec = None, mime_type: str | None = None
) -> Callable[[_Function], _Function]:
    """Registers the decorated function as a resource, or as a resource template.

    Args:
        uri: the URI, or a URI template (RFC 6570).
        title: the display name.
        scope: as in `tool`.
        mime_type: the media type of the content; None leaves it to the SDK.
    """
    return _attach(_Resource(uri, title, mime_type, scope))


def prompt(*, title: str, scope: ScopeSpec = None) -> Callable[[_Function], _Function]:
    """Registers the decorated function as a prompt.

    Args:
        title: the display name.
        scope: as in `tool`.
    """
    return _attach(_Prompt(title, scope))


def register(server: MCPServer[Any], module: ModuleType, scope_requirements: ScopeRequirements) -> None:
    """Adds every decorated function of `module` to `server`, in the order of their definition.

    Args:
        server: the MCP server.
        module: the module with the functions.
        scope_requirements: records the scopes that each function requires.

    Raises:
        AccessFileError: a function requires a scope that the access file does not define, or two tools, two prompts or
            two resources have the same name.
    """
    for function in list(vars(module).values()):  # a copy: Python may add names to the module during registration
        registration = getattr(function, _REGISTRATION_ATTR, None)
        if isinstance(registration, _Tool | _Resource | _Prompt):
            registration.add(function, server, scope_requirements)


def is_streaming(function: Callable[..., Any]) -> bool:
    """Whether `function` may send notifications before its result: all but tools registered with `streaming=False`."""
    registration = getattr(function, _REGISTRATION_ATTR, None)
    return not isinstance(registration, _Tool) or registration.streaming


def tool_timeouts(module: ModuleType) -> dict[str, float]:
    """Returns the timeouts in seconds of those tools in `module` that declare one, by name."""
    declared = {
        function.__name__: getattr(function, _REGISTRATION_ATTR, None)
        for function in list(vars(module).values())
        if inspect.isfunction(function)
    }
    return {
        name: found.timeout
        for name, found in declared.items()
        if isinstance(found, _Tool) and found.timeout is not None
    }


def async_tools(module: ModuleType) -> frozenset[str]:
    """Returns the names of the coroutine functions in `module`; functions of another kind run in threads."""
    return frozenset(
        name
        for name, function in vars(module).items()
        if inspect.iscoroutinefunction(function) and name == function.__name__
    )


def scope_checked(function: _Function, requirement: ScopeRequirement) -> Callable[..., Any]:
    """Wraps `function` so that it runs only if the current principal has the scopes that its arguments require.

    A function that requires only the base scope is returned unchanged, because the auth middleware requires that scope
    for every request.

    Args:
        function: the function of a tool, resource or prompt.
        requirement: the scopes that it requires.

    Returns:
        The wrapped function. It raises `MCPError` if a scope is missing.
    """
    if requirement.dynamic_scopes is None and requirement.static_scopes == (requirement.access.base_scope,):
        return function

    def check(arguments: dict[str, Any]) -> None:
        try:
            require_scopes(current_principal(), requirement.scopes(_as_sent(arguments)), requirement.access)
        except AuthError as error:
            log.warning("tool_call_denied", name=requirement.name, code=error.code, detail=error.description)
            raise MCPError(code=INVALID_REQUEST, message=error.description) from error

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(**arguments: Any) -> Any:
            check(arguments)
            return await function(**arguments)

        return run_async

    @functools.wraps(function)
    def run(**arguments: Any) -> Any:
        check(arguments)
        return function(**arguments)

    return run


def _as_sent(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments in the shape in which they are sent, so that both checks evaluate a scope on the same.

    A parameter may be a model, a dataclass, an enum or a date; the message has a JSON value for each.
    """
    values = {name: value for name, value in arguments.items() if not isinstance(value, Context)}
    converted: dict[str, Any] = to_jsonable_python(values, by_alias=True, serialize_unknown=True)
    return converted


def _attach(what: _Tool | _Resource | _Prompt) -> Callable[[_Function], _Function]:
    def attach(function: _Function) -> _Function:
        setattr(function, _REGISTRATION_ATTR, what)
        return function

    return attach
