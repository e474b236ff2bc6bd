"""The queue before the provider: whose turn it is, and what is given back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mcp_idp.errors import ProviderUnavailable, RateLimited
from mcp_idp.util.fair_queue import FairQueue, QueueLimits
from tests.support.outcomes import settle

if TYPE_CHECKING:
    from collections.abc import Hashable

pytestmark = pytest.mark.anyio


class Calls:
    """Calls through a queue; each lasts until it is told to end."""

    def __init__(self, **limits: int) -> None:
        self._queue = FairQueue(QueueLimits(**limits), "full")
        self.started: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    def begin(self, name: str, requester: Hashable) -> asyncio.Task[None]:
        self._ends[name] = asyncio.Event()
        return asyncio.create_task(self._call(name, requester))

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await settle()

    async def _call(self, name: str, requester: Hashable) -> None:
        async with self._queue.slot(requester):
            self.started.append(name)
            await self._ends[name].wait()


async def test_requesters_are_served_in_turn_however_many_calls_they_queued() -> None:
    calls = Calls(in_flight=1, waiting=20)
    tasks = [calls.begin(f"a{n}", "a") for n in range(4)]
    await settle()
    tasks += [calls.begin(name, name[0]) for name in ("b0", "b1", "c0")]
    await settle()
    await calls.end("a0", "a1", "b0", "c0", "a2", "b1", "a3")
    await asyncio.gather(*tasks)
    assert calls.started == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_one_requester_cannot_have_all_slots() -> None:
    calls = Calls(in_flight=3, waiting=20, in_flight_each=2)
    tasks = [calls.begin(f"a{n}", "a") for n in range(4)]
    await settle()
    assert calls.started == ["a0", "a1"]
    tasks.append(calls.begin("b0", "b"))
    await settle()
    assert calls.started == ["a0", "a1", "b0"]
    await calls.end("b0")
    assert calls.started == ["a0", "a1", "b0"]
    await calls.end("a0", "a1", "a2", "a3")
    await asyncio.gather(*tasks)


async def test_an_unknown_requester_has_only_the_limits_of_all() -> None:
    calls = Calls(in_flight=3, waiting=2, in_flight_each=1, waiting_each=1)
    tasks = [calls.begin(f"a{n}", None) for n in range(6)]
    await settle()
    assert len(calls.started) == 3
    await calls.end(*(f"a{n}" for n in range(6)))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results if result] == [ProviderUnavailable]


async def test_only_a_requester_with_too_many_queued_calls_is_limited() -> None:
    calls = Calls(in_flight=1, waiting=20, waiting_each=2)
    tasks = [calls.begin(f"a{n}", "a") for n in range(5)]
    tasks.append(calls.begin("b0", "b"))
    await settle()
    await calls.end("a0", "a1", "b0", "a2")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [*3 * [type(None)], RateLimited, RateLimited, type(None)]


async def test_no_queued_call_is_dropped_for_an_equal_queue() -> None:
    calls = Calls(in_flight=1, waiting=2)
    tasks = [calls.begin("x", "x"), calls.begin("a", "a"), calls.begin("b", "b"), calls.begin("c", "c")]
    await settle()
    assert isinstance(tasks[-1].exception(), ProviderUnavailable)
    await calls.end("x", "a", "b")
    await asyncio.gather(*tasks[:-1])


@pytest.mark.parametrize("when", ["waiting", "granted", "running"])
async def test_a_cancelled_call_releases_its_slot(when: str) -> None:
    calls = Calls(in_flight=1, waiting=20)
    first, second, third = calls.begin("a", "a"), calls.begin("b", "b"), calls.begin("c", "c")
    await settle()
    if when == "waiting":
        second.cancel()
        await calls.end("a")
    elif when == "granted":  # the slot is given to it, and it has not run since
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second.cancel()
    else:
        await calls.end("a")
        second.cancel()
    await settle()
    assert calls.started[-1] == "c"
    await calls.end("c")
    again = calls.begin("d", "d")
    await calls.end("d")
    await asyncio.gather(third, again)


async def test_idle_requesters_are_forgotten() -> None:
    calls = Calls(in_flight=2, waiting=5, in_flight_each=1)
    tasks = [calls.begin(f"a{n}", n % 3) for n in range(6)]
    await settle()
    await calls.end(*(f"a{n}" for n in range(6)))
    await asyncio.gather(*tasks)
    state = vars(calls._queue)  # noqa: SLF001 - what is left in memory
    assert (state["_running"], state["_queues"], state["_queued"], state["_free"]) == ({}, {}, 0, 2)
