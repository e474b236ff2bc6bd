"""Shares the event loop among the clients of a server, in turns by user or address.

Without it, one turn of the event loop serves everything that has arrived: a client with a thousand connections delays
each step of everybody else's requests by a thousand steps of its own.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Hashable

# What is begun in one turn of the event loop: connections that are read and requests. Each takes about 0.1 ms.
_BEGUN_PER_TURN = 4


class TurnScheduler:
    """Limits what is begun in each turn of the event loop; the rest waits, and owners take turns (RFC 970).

    Args:
        per_turn: how much is begun in a turn.
    """

    def __init__(self, per_turn: int = _BEGUN_PER_TURN) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._is_scheduled = False
        self._waiting: OrderedDict[Hashable, deque[Callable[[], bool]]] = OrderedDict()

    def begin_now(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Takes a place in this turn; returns False if none is left, so that the caller has to wait."""
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._next_turn, loop)
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def wait(self, owner: Hashable, begin: Callable[[], bool]) -> None:
        """Calls `begin` in a later turn.

        Args:
            owner: who waits; within one owner, the order is kept.
            begin: returns False if there was nothing left to begin, which then takes no place.
        """
        self._waiting.setdefault(owner, deque()).append(begin)

    def _next_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._per_turn
        while self._left > 0 and self._waiting:
            owner, calls = self._waiting.popitem(last=False)
            self._left -= calls.popleft()()
            if calls:
                self._waiting[owner] = calls
        self._is_scheduled = self._left < self._per_turn  # until a turn in which nothing is begun
        if self._is_scheduled:
            loop.call_soon(self._next_turn, loop)
