"""Handles one long message at a time, so that many at once do not delay the requests of others.

Parsing a message of 4 MiB takes some 20 ms, during which the event loop serves nobody else: once in
`parse_json_object`, and once in the application. Each such step waits for its turn, users in turn, and is followed by a
pause of the same length. A request of somebody else then waits for one step, not for one of each long message.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from mcp_idp.http.body import LONG_BYTES, count_memory, parse_json_object
from mcp_idp.util.fair_queue import FairQueue, QueueLimits

if TYPE_CHECKING:
    from collections.abc import Hashable

    from starlette.types import Message, Receive

    from mcp_idp.util.request_memory import MemoryShare

# Those that wait are bounded by the memory that their bodies have reserved.
_LIMITS = QueueLimits(in_flight=1, waiting=1_000_000)


class LongMessages:
    """The turns of the long messages of one server."""

    def __init__(self) -> None:
        self._queue = FairQueue(_LIMITS, "too many long messages")
        self._holders: set[asyncio.Task[None]] = set()

    async def parse(self, body: bytes, requester: Hashable, share: MemoryShare) -> dict[str, Any]:
        """Reserves memory for the values of a message and parses it.

        Args:
            body: the body of the request.
            requester: the user.
            share: the request's share of the memory budget.

        Raises:
            InvalidBody: see `parse_json_object`.
            BodyTooLarge: see `count_memory`.
            TooManyRequests, ServerFull: the memory budget is exhausted.
        """
        if len(body) <= LONG_BYTES:
            await share.reserve(await count_memory(body))
            return parse_json_object(body)
        async with self._queue.slot(requester):
            await share.reserve(await count_memory(body))
            began = time.perf_counter()
            try:
                return parse_json_object(body)
            finally:
                await asyncio.sleep(time.perf_counter() - began)

    def replay(self, body: bytes, receive: Receive, requester: Hashable) -> Receive:
        """Returns a `receive` that yields `body`, exactly the bytes that were validated, and then reads from `receive`.

        A long body is yielded when it has its turn, because the application parses it at once.
        """
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def next_message() -> Message:
            if not pending:
                return await receive()
            if len(body) > LONG_BYTES:
                await self._begin_step(requester)
            return pending.pop()

        return next_message

    async def _begin_step(self, requester: Hashable) -> None:
        """Waits for a turn, which lasts until the caller suspends next, and for the same time after that."""
        granted = asyncio.get_running_loop().create_future()
        holder = asyncio.create_task(self._hold(requester, granted))
        self._holders.add(holder)
        holder.add_done_callback(self._holders.discard)
        await granted

    async def _hold(self, requester: Hashable, granted: asyncio.Future[None]) -> None:
        async with self._queue.slot(requester):
            began = time.perf_counter()
            if not granted.done():  # else the caller was cancelled
                granted.set_result(None)
                await asyncio.sleep(0)  # the caller's step runs before this task again
            await asyncio.sleep(time.perf_counter() - began)
