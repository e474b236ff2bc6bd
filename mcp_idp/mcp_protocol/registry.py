"""What `tools.py` needs: decorators that say "this function is a tool", "… a resource", "… a prompt".

Each takes the scope that a use needs besides the base scope: one name, several, or a function of the arguments. The
gate refuses a caller who has it not (HTTP 403, one challenge); what is registered here looks again when the function is
about to run, with the arguments it gets, so that no second reading of the message slips through.
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
    silent: bool

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


def tool(  # noqa: PLR0913 - each a keyword with a default
    *,
    title: str,
    scope: ScopeSpec = None,
    read_only: bool = True,
    destructive: bool = False,
    open_world: bool = False,
    silent: bool = False,
) -> Callable[[_Function], _Function]:
    """Make a function a tool: its name, docstring and parameters are what clients see.

    Args:
        title: for people.
        scope: what a call needs besides the base scope: `"mcp:notes.write"`, several, or a function of the arguments
            (`lambda arguments: "mcp:admin" if arguments["everybody"] else ()`). If it raises, the call is refused.
        read_only: it changes nothing.
        destructive: what it changes may be lost.
        open_world: it reaches beyond this server.
        silent: it takes a `Context`, and not to tell anything before its result (for the state, say): it is answered by
            one document, and what it told all the same would be lost.
    """
    annotations = ToolAnnotations(
        title=title, read_only_hint=read_only, destructive_hint=destructive, open_world_hint=open_world
    )
    return _attach(_Tool(title, annotations, scope, silent))


def resource(
    uri: str, *, title: str, scope: ScopeSpec = None, mime_type: str | None = None
) -> Callable[[_Function], _Function]:
    """Make a function a resource at `uri`, or at every URI of a template (RFC 6570); `scope` is as for a tool."""
    return _attach(_Resource(uri, title, mime_type, scope))


def prompt(*, title: str, scope: ScopeSpec = None) -> Callable[[_Function], _Function]:
    """Make a function a prompt; `scope` is as for a tool."""
    return _attach(_Prompt(title, scope))


def register(server: MCPServer[Any], module: ModuleType, scope_requirements: ScopeRequirements) -> None:
    """Serve every tool, resource and prompt of `module`, in the order in which they stand there.

    Raises:
        AccessFileError: one needs a scope that the access file does not have.
    """
    for function in list(vars(module).values()):  # the SDK may have Python add to it
        registration = getattr(function, _REGISTRATION_ATTR, None)
        if isinstance(registration, _Tool | _Resource | _Prompt):
            registration.add(function, server, scope_requirements)


def is_silent(function: Callable[..., Any]) -> bool:
    """Whether `function` is a tool that says of itself that it tells nothing before its result."""
    registration = getattr(function, _REGISTRATION_ATTR, None)
    return isinstance(registration, _Tool) and registration.silent


def scope_checked(function: _Function, requirement: ScopeRequirement) -> Callable[..., Any]:
    """`function`, which runs only for a principal who has the scopes that its arguments need.

    What needs the base scope only is given back as it is: without that scope there is no principal here.
    """
    if requirement.dynamic_scopes is None and requirement.static_scopes == (requirement.access.base_scope,):
        return function

    def check(arguments: dict[str, Any]) -> None:
        try:
            values = {name: value for name, value in arguments.items() if not isinstance(value, Context)}
            require_scopes(current_principal(), requirement.scopes(values), requirement.access)
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


def _attach(what: _Tool | _Resource | _Prompt) -> Callable[[_Function], _Function]:
    def attach(function: _Function) -> _Function:
        setattr(function, _REGISTRATION_ATTR, what)
        return function

    return attach
