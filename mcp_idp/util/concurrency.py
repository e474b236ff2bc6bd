"""How the provider is asked: once for all who want the same answer, and of different questions a bounded number."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mcp_idp.errors import ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

Outcome = TypeVar("Outcome")


class SingleFlight(Generic[Outcome]):
    """However many want one answer at once, it is asked for once.

    Args:
        name: of the tasks that ask, for whoever looks at a stuck process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: dict[str, asyncio.Task[Outcome]] = {}

    async def get(self, key: str, call: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """What `call` gives: called here, or by somebody who came before with the same `key`.

        A failure is an outcome that `call` returns: a task that nobody waits for any more must not complain of one.
        """
        if (task := self._under_way.get(key)) is None:
            task = asyncio.create_task(call(), name=self._name)
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        # Shielded: whoever gives up waiting must not end the call for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the calls that are under way, if any."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Bulkhead:
    """Room for some calls at once, and for some that wait; beyond, nobody is let in.

    Args:
        in_flight: calls at once.
        max_queued: how many more may wait.
        overload_message: what the log says when there are more.
    """

    def __init__(self, in_flight: int, max_queued: int, overload_message: str) -> None:
        self._running = asyncio.Semaphore(in_flight)
        self._free = in_flight + max_queued
        self._overload_message = overload_message

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one place, as soon as there is one.

        Raises:
            ProviderUnavailable: too many wait already.
        """
        if not self._free:
            raise ProviderUnavailable(self._overload_message)
        self._free -= 1
        try:
            async with self._running:
                yield
        finally:
            self._free += 1
