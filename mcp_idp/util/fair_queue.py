"""Bounds the concurrent calls to a service and shares them fairly among the requesters that cause them.

In a single queue, the requester that sends the most calls would take all places. Here each requester has its own queue
of bounded length, and a bounded number of concurrent calls; free slots go to the requesters in turn. When all queues
together are full, the newest call of the longest queue fails.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_idp.errors import ProviderUnavailable, RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Limits of a `FairQueue`. 0 in the last two means no limit for each requester.

    Attributes:
        in_flight: maximum concurrent calls.
        waiting: maximum calls that wait.
        in_flight_each: maximum concurrent calls of one requester.
        waiting_each: maximum calls of one requester that wait.
    """

    in_flight: int
    waiting: int
    in_flight_each: int = 0
    waiting_each: int = 0


_NO_REQUESTER = object()


class FairQueue:
    """A queue of calls to one service.

    Args:
        limits: the limits.
        overload_message: the detail of the error when all queues are full, for the log.
    """

    def __init__(self, limits: QueueLimits, overload_message: str) -> None:
        self._limits = limits
        self._each = limits.in_flight_each or limits.in_flight
        self._waiting_each = limits.waiting_each or limits.waiting
        self._overload_message = overload_message
        self._running: Counter[Hashable] = Counter()
        self._free = limits.in_flight
        self._queued = 0
        # The waiting calls of each requester, oldest first; the requesters in the order in which they are served.
        self._queues: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, requester: Hashable) -> AsyncIterator[None]:
        """Waits for a free slot and holds it while the context is open.

        Args:
            requester: the user or address that causes the call; None if unknown, then the limits for each requester do
                not apply.

        Raises:
            RateLimited: the requester has too many calls waiting.
            ProviderUnavailable: all queues together are full, and no other queue is longer than that of this requester.
        """
        if not self._free or self._has_all(requester) or requester in self._queues:
            await self._wait(requester)
        else:
            self._start(requester)
        try:
            yield
        finally:
            self._end(requester)

    def _has_all(self, requester: Hashable) -> bool:
        """Whether a requester has as many slots as one may have."""
        return requester is not None and self._running[requester] >= self._each

    def _start(self, requester: Hashable) -> None:
        self._free -= 1
        self._running[requester] += 1

    def _end(self, requester: Hashable) -> None:
        self._free += 1
        self._running[requester] -= 1
        if not self._running[requester]:
            del self._running[requester]  # clients choose the requesters, so idle ones are not stored
        self._serve_next()

    async def _wait(self, requester: Hashable) -> None:
        turn = self._enqueue(requester)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end(requester)  # the slot was granted at the same moment
            else:
                self._leave(requester, turn)
            raise

    def _enqueue(self, requester: Hashable) -> asyncio.Future[None]:
        own = len(self._queues.get(requester, ()))
        if requester is not None and own >= self._waiting_each:
            raise RateLimited(
                "Too many access tokens of this client are waiting to be verified. Retry.", limit="provider-queue"
            )
        if self._queued >= self._limits.waiting:
            self._drop_one(own)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(requester, deque()).append(turn)
        self._queued += 1
        return turn

    def _drop_one(self, own: int) -> None:
        """Fails the newest call of the longest queue if that queue is longer than `own` plus one call; else raises."""
        longest = max(self._queues, key=lambda requester: len(self._queues[requester]))
        error = ProviderUnavailable(self._overload_message)
        if len(self._queues[longest]) <= own + 1:
            raise error
        turn = self._queues[longest][-1]
        self._leave(longest, turn)
        turn.set_exception(error)

    def _leave(self, requester: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(requester, ())
        if turn in queue:
            queue.remove(turn)  # type: ignore[union-attr] # not the empty tuple: it contains `turn`
            self._queued -= 1
            if not queue:
                del self._queues[requester]

    def _serve_next(self) -> None:
        """Gives the free slots to the requesters in turn, except to those who have all that one may have."""
        while self._free:
            requester = next((name for name in self._queues if not self._has_all(name)), _NO_REQUESTER)
            if requester is _NO_REQUESTER:
                return
            turn = self._queues[requester][0]
            self._leave(requester, turn)
            if requester in self._queues:
                self._queues.move_to_end(requester)
            if not turn.done():  # it is done if its caller was cancelled in this moment
                self._start(requester)
                turn.set_result(None)
