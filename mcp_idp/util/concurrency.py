"""Merges identical requests to the identity provider."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Outcome = TypeVar("Outcome")


class SingleFlight(Generic[Outcome]):
    """Merges concurrent calls with the same key into one.

    Args:
        name: the name of the tasks that make the calls, for debugging.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: dict[str, asyncio.Task[Outcome]] = {}

    async def get(self, key: str, call: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """Returns the result of `call`, or of the call already in progress for the same key.

        Args:
            key: identifies the call.
            call: makes the call. It must return failures instead of raising them: if every waiter has given up, asyncio
                would report an exception that was never retrieved.
        """
        if (task := self._under_way.get(key)) is None:
            task = asyncio.create_task(call(), name=self._name)
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        # Shielded, so that a waiter that is cancelled does not cancel the call for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancels all calls in progress and waits until they have ended."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
