"""Checks where a tool, resource or prompt of a FastMCP 4 server runs.

A FastMCP component can run under several names: transforms and mounts rename it, and a transform's own tools (search,
code mode, resources and prompts as tools) run any other component by name. All of them pass the middleware of the
server whose component runs. So the protected server and each server mounted on it get two checks as middleware: one
before all others, so that no other middleware responds first, and one after all others, so that no other middleware
changes what was authorized.

This module imports FastMCP, so it is imported only where FastMCP already is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastmcp.exceptions import AuthorizationError
from fastmcp.server.dependencies import extract_version_spec
from fastmcp.server.middleware import Middleware
from fastmcp.server.providers.addressing import parse_hashed_backend_name
from fastmcp.server.providers.fastmcp_provider import (
    FastMCPProviderPrompt,
    FastMCPProviderResource,
    FastMCPProviderResourceTemplate,
    FastMCPProviderTool,
)
from fastmcp.server.transforms.visibility import get_session_transforms
from fastmcp.utilities.versions import VersionSpec

from mcp_idp.auth.invocations import CALL, GET_PROMPT, READ, Resolved
from mcp_idp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from contextlib import AbstractContextManager

    from fastmcp import FastMCP
    from fastmcp.server.middleware import CallNext, MiddlewareContext

    from mcp_idp.auth.invocations import InvocationGuard

_MOUNTED = (FastMCPProviderTool, FastMCPProviderResource, FastMCPProviderPrompt)
# Attributes that FastMCP writes into its traces: the names of a component on the server that runs it.
_REMOTE_NAME_ATTRIBUTES = (
    "fastmcp.delegate.original_name",
    "fastmcp.delegate.original_uri",
    "fastmcp.delegate.original_uri_template",
    "fastmcp.proxy.backend_name",
    "fastmcp.proxy.backend_uri",
    "fastmcp.proxy.backend_uri_template",
)
_MAX_DEPTH = 32


class FastMCPAdapter:
    """Authorizes what a FastMCP server and the servers mounted on it run.

    Args:
        server: the server. Its middleware, and that of the mounted servers, gets two checks.
        guard: authorizes what is about to run.
    """

    def __init__(self, server: FastMCP[Any], guard: InvocationGuard) -> None:
        self._server = server
        self.guard = guard
        self._first, self._last = _First(self), _Last(self)
        self._install(server)

    async def resolve(self, method: str, name: str) -> Resolved:
        """Resolves `name` on the protected server, in its highest version."""
        self._install(self._server)
        return await self.resolve_on(self._server, method, name, None)

    async def resolve_on(self, server: FastMCP[Any], method: str, name: str, version: VersionSpec | None) -> Resolved:
        """Resolves `name` on one server: returns all names of the function that runs.

        Args:
            server: the protected server, or one that is mounted on it.
            method: `tools/call`, `resources/read` or `prompts/get`.
            name: the name or URI.
            version: the component's version; None for the highest.
        """
        steps = _Steps(method)
        await self._follow(server, name, version, steps)
        return Resolved(tuple((method, each) for each in steps.names if each != name), frozenset(steps.keys))

    async def _follow(self, server: FastMCP[Any], name: str, version: VersionSpec | None, steps: _Steps) -> None:
        steps.keys.add((server, steps.method, name))
        steps.depth += 1
        if steps.depth > _MAX_DEPTH:
            raise RecursionError(f"{name}: more than {_MAX_DEPTH} mounted servers")
        component = await _find(server, steps.method, name, version)
        while component is not None:
            steps.add(component)
            if isinstance(component, FastMCPProviderResourceTemplate):
                component = await component.create_resource(name, component.matches(name) or {})
                steps.add(component)
            if isinstance(component, _MOUNTED):
                mounted = component._server  # noqa: SLF001 - FastMCP names it nowhere else
                self._install(mounted)
                original = _remote_names(component)[0]
                its_version = VersionSpec(eq=component.version) if component.version else None
                await self._follow(mounted, original, its_version, steps)
            component = getattr(component, "parent_tool", None)  # of a transformed tool

    def _install(self, server: FastMCP[Any]) -> None:
        """Puts the checks around all other middleware of the server, including any added since the last call."""
        existing = [each for each in server.middleware if each is not self._first and each is not self._last]
        desired = [self._first, *existing, self._last]
        if desired != server.middleware:
            server.middleware[:] = desired


@dataclass
class _Steps:
    """The names of a component, and the steps to what runs."""

    method: str
    names: dict[str, None] = field(default_factory=dict)
    keys: set[Hashable] = field(default_factory=set)
    depth: int = 0

    def add(self, component: Any) -> None:
        self.names |= dict.fromkeys((_name(component), *_remote_names(component)))
        function = getattr(getattr(component, "fn", None), "__name__", None)
        if self.method != READ and function is not None:
            self.names[function] = None


def _name(component: Any) -> str:
    """Returns the name of a tool or prompt, the URI of a resource or the URI template of a resource template."""
    uri = getattr(component, "uri_template", None) or getattr(component, "uri", None)
    return str(uri or component.name)


def _remote_names(component: Any) -> list[str]:
    """Returns the names of a component at the server that runs it, if that is another server."""
    attributes = component.get_span_attributes()
    return [str(attributes[name]) for name in _REMOTE_NAME_ATTRIBUTES if attributes.get(name)]


async def _find(server: FastMCP[Any], method: str, name: str, version: VersionSpec | None) -> Any:
    """Finds a component as FastMCP does before it runs it; returns None if there is none."""
    if method == CALL:
        hashed = parse_hashed_backend_name(name)
        tool = await server.get_tool(name, version)
        return await server.get_tool_by_hash(*hashed) if tool is None and hashed is not None else tool
    if method == GET_PROMPT:
        return await server.get_prompt(name, version)
    return await server.get_resource(name, version) or await server.get_resource_template(name, version)


class _First(Middleware):
    """Authorizes a component before all other middleware, unless the request is already authorized for it."""

    def __init__(self, adapter: FastMCPAdapter) -> None:
        self._adapter = adapter

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        return await self._run(CALL, context.message.name, context, call_next)

    async def on_get_prompt(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        return await self._run(GET_PROMPT, context.message.name, context, call_next)

    async def on_read_resource(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        return await self._run(READ, str(context.message.uri), context, call_next)

    async def check_resource_access(self, context: MiddlewareContext[Any]) -> None:
        with await self._check(READ, str(context.message.uri), context):
            pass

    async def _run(self, method: str, name: str, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        try:
            with await self._check(method, name, context):
                return await call_next(context)
        except AuthError as error:
            raise AuthorizationError(error.description) from error

    async def is_authorized(self, method: str, name: str, context: MiddlewareContext[Any]) -> bool:
        return self._adapter.guard.is_authorized((_server_of(context), method, name))

    async def _check(self, method: str, name: str, context: MiddlewareContext[Any]) -> AbstractContextManager[None]:
        resolved = Resolved()
        if not await self.is_authorized(method, name, context):
            stated = extract_version_spec(context.message.meta)
            version = VersionSpec(eq=stated) if stated else None
            resolved = await self._adapter.resolve_on(_server_of(context), method, name, version)
        return self._adapter.guard.check(method, name, resolved)


class _Last(_First):
    """Authorizes a component after all other middleware: the one that this session and this version select."""

    async def is_authorized(self, method: str, name: str, context: MiddlewareContext[Any]) -> bool:
        """Whether this name is authorized already, and neither the session nor a version selects another component."""
        if extract_version_spec(context.message.meta) or not await super().is_authorized(method, name, context):
            return False
        return context.fastmcp_context is not None and not await get_session_transforms(context.fastmcp_context)


def _server_of(context: MiddlewareContext[Any]) -> FastMCP[Any]:
    if context.fastmcp_context is None:
        raise RuntimeError("FastMCP called its middleware without a context")
    server: FastMCP[Any] = context.fastmcp_context.fastmcp
    return server
