"""Releases the memory of a JSON-RPC request when its handler has ended, and cancels handlers that run for too long.

`RunningCalls` is a middleware of the SDK's low-level server, so it encloses every request in every protocol revision.
In a session, the handler runs in a task of the session and continues when its client disconnects, so the HTTP request
ends before the call does. The middleware therefore keeps the request's share of the memory until the handler ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import REQUEST_TIMEOUT

from mcp_idp.errors import TooManyRequests
from mcp_idp.util.request_memory import MEMORY_SHARE_SCOPE_KEY

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from mcp_idp.util.request_memory import MemoryShare

log = structlog.get_logger(__name__)
_CALL = "tools/call"
# JSON-RPC 2.0 section 5.1 reserves -32000 to -32099 for servers. The SDK defines none for this.
_OVERLOADED = -32029


class RunningCalls:
    """Middleware of the SDK's low-level server.

    Args:
        timeout: the seconds after which a tool call is cancelled; 0 for no limit.
        timeouts: the same by tool, in place of `timeout`.
        async_tools: the names of the tools that run in the event loop. All others may run in a thread, which must be
            waited for when the call is cancelled; that costs a cancel scope for each call.
    """

    def __init__(
        self,
        timeout: float = 0.0,
        timeouts: Mapping[str, float] | None = None,
        async_tools: Container[object] = frozenset(),
    ) -> None:
        self._timeout = timeout
        self._timeouts = timeouts or {}
        self._async_tools = async_tools

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Runs the handler of one message.

        Raises:
            MCPError: the call was cancelled because it ran for too long, or because its user uses too much memory.
        """
        share: MemoryShare | None = ctx.request.scope.get(MEMORY_SHARE_SCOPE_KEY) if ctx.request else None
        if share is None or ctx.request_id is None:  # not behind our middleware, or a notification
            return await call_next(ctx)
        name = (ctx.params or {}).get("name") if ctx.method == _CALL else None
        seconds = self._timeouts.get(name, self._timeout) if isinstance(name, str) else 0.0
        with share:
            if seconds:
                return await _run_with_timeout(ctx, call_next, seconds, share)
            if isinstance(name, str) and name in self._async_tools:
                return await _run_in_task(ctx, call_next, share)
            with anyio.CancelScope() as scope, share.cancellable(scope.cancel):
                return await call_next(ctx)
        raise _overloaded()


async def _run_in_task(ctx: ServerRequestContext[Any, Any], call_next: CallNext, share: MemoryShare) -> HandlerResult:
    """Runs the handler, which is cancelled with the current task if its user uses too much memory."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    share.add_cancel(task.cancel)
    try:
        return await call_next(ctx)
    except asyncio.CancelledError:
        if not share.is_cancelled or task.uncancel():
            raise  # cancelled for another reason
        raise _overloaded() from None
    finally:
        share.remove_cancel(task.cancel)


def _overloaded() -> MCPError:
    return MCPError(code=_OVERLOADED, message=f"The call was cancelled: {TooManyRequests.description}")


async def _run_with_timeout(
    ctx: ServerRequestContext[Any, Any], call_next: CallNext, seconds: float, share: MemoryShare
) -> HandlerResult:
    """Runs the handler in a separate task, so that the client gets a response even if the handler cannot be cancelled.

    A tool that is not async runs in a thread, which cannot be stopped. It continues and keeps the share until it ends.
    """
    scope = anyio.CancelScope()  # unlike a task's cancellation, it waits for threads
    task = asyncio.ensure_future(_run_with_share(ctx, call_next, share, scope))
    task.add_done_callback(_retrieve)
    with share.cancellable(scope.cancel):
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            scope.cancel()
            raise
    if done and share.is_cancelled and scope.cancelled_caught:
        raise _overloaded()
    if done:
        return task.result()
    scope.cancel()
    name = (ctx.params or {}).get("name")
    log.warning("tool_timeout", tool=str(name)[:200], seconds=seconds)
    raise MCPError(code=REQUEST_TIMEOUT, message=f"The tool was cancelled: it did not end within {seconds:g} s.")


async def _run_with_share(
    ctx: ServerRequestContext[Any, Any], call_next: CallNext, share: MemoryShare, scope: anyio.CancelScope
) -> HandlerResult:
    with share, scope:
        return await call_next(ctx)
    return None  # cancelled; the result is not used


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieves the exception of a task that is no longer awaited; asyncio would log it otherwise."""
    if not task.cancelled():
        task.exception()
