"""Checks where a tool of the official SDK's `MCPServer` runs.

A tool of the SDK can run another tool with `server.call_tool`, and read a resource with `ctx.read_resource`. Both call
methods of the protected server, which are replaced by checked ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST

from mcp_idp.auth.invocations import CALL, GET_PROMPT, READ, Resolved
from mcp_idp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.mcpserver import MCPServer

    from mcp_idp.auth.invocations import InvocationGuard


_METHODS = {CALL: "call_tool", READ: "read_resource", GET_PROMPT: "get_prompt"}


class SdkAdapter:
    """Authorizes what an `MCPServer` runs.

    Args:
        server: the server. Its methods `call_tool`, `read_resource` and `get_prompt` are replaced by checked ones.
        guard: authorizes what is about to run.
    """

    def __init__(self, server: MCPServer[Any], guard: InvocationGuard) -> None:
        self._server = server
        self._guard = guard
        # Set on the instance: the SDK's handlers and the server's tools look these methods up at each call.
        for method, name in _METHODS.items():
            setattr(server, name, self._checked(method, getattr(server, name)))

    async def resolve(self, method: str, name: str) -> Resolved:
        """Returns the name of the function that is registered under `name`, if it differs."""
        return self._resolve(method, name)

    def _resolve(self, method: str, name: str) -> Resolved:
        keys = frozenset({(self._server, method, name)})
        function = self._function(method, name)
        function_name = getattr(function, "__name__", name)
        return Resolved(() if function_name == name else ((method, function_name),), keys)

    def _function(self, method: str, name: str) -> Callable[..., Any] | None:
        if method == CALL and (tool := self._server._tool_manager.get_tool(name)) is not None:  # noqa: SLF001 - no public lookup
            return tool.fn
        if method == GET_PROMPT and (prompt := self._server._prompt_manager.get_prompt(name)) is not None:  # noqa: SLF001 - likewise
            return prompt.fn
        return None

    def _checked(self, method: str, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def checked(name: Any, *args: Any, **kwargs: Any) -> Any:
            called = str(name)  # a URI may be an AnyUrl
            try:
                with self._guard.check(method, called, self._resolve(method, called)):
                    return await run(name, *args, **kwargs)
            except AuthError as error:
                raise MCPError(code=INVALID_REQUEST, message=error.description) from error

        return checked
