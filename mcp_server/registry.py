"""What `tools.py` needs: a decorator that says "this function is a tool", and nothing of how tools are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mcp_types import ToolAnnotations

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from mcp.server.mcpserver import MCPServer

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_MARK = "__mcp_tool__"


@dataclass(frozen=True, slots=True)
class _Tool:
    title: str
    annotations: ToolAnnotations


def tool(
    *, title: str, read_only: bool = True, destructive: bool = False, open_world: bool = False
) -> Callable[[_Function], _Function]:
    """Make a function a tool: its name, docstring and parameters are what clients see.

    Args:
        title: for people.
        read_only: it changes nothing.
        destructive: what it changes may be lost.
        open_world: it reaches beyond this server.
    """
    annotations = ToolAnnotations(
        title=title, read_only_hint=read_only, destructive_hint=destructive, open_world_hint=open_world
    )

    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, _Tool(title, annotations))
        return function

    return mark


def register(server: MCPServer[Any], module: ModuleType) -> None:
    """Serve every tool of `module`, in the order in which they stand there."""
    for function in vars(module).values():
        marked = getattr(function, _MARK, None)
        if isinstance(marked, _Tool):
            server.add_tool(function, title=marked.title, annotations=marked.annotations)
