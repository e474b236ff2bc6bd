"""Measures how open streams (`count(5)`) affect other calls."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from bench import thresholds
from bench.apps import authenticated_app
from bench.cpu_time import call_work
from bench.defaults import DEFAULTS
from bench.issuer import Issuer
from bench.prepared_requests import Exchange, exchange, legacy_call, modern_call
from bench.results import Figure, SampleSize, compared
from bench.sampling import cpu, settled

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

    from bench.prepared_requests import Request
    from bench.sampling import Work
    from bench.thresholds import Goal

_MANY = 10
_NUMBERS = 5
_CALLS = 5_000  # calls without streams, twice; with streams about as many, so that both include garbage collections
_META: dict[str, Any] = {"progressToken": "p", "io.modelcontextprotocol/logLevel": "info"}
_COUNT = {"name": "count", "arguments": {"number": _NUMBERS}, "_meta": _META}


class _Listener(Exchange):
    """The client's side of a stream; records how many other calls were done when each number arrived."""

    __slots__ = ("_done", "received")

    def __init__(self, body: bytes, done: list[None]) -> None:
        super().__init__(body)
        self._done = done
        self.received: list[int] = []

    async def send(self, message: Message) -> None:
        await super().send(message)
        if b"notifications/progress" in message.get("body", b""):
            self.received.append(len(self._done))


async def one_stream(sample_size: SampleSize) -> list[Figure]:
    """Compares the rate of other calls with one open stream to that without, in each protocol revision."""
    return await _calls_beside_streams(1, sample_size.streams, thresholds.STREAMS)


async def many_streams(sample_size: SampleSize) -> list[Figure]:
    """Compares the same with ten streams. Their own cost is included, because they run on the same processor."""
    return await _calls_beside_streams(_MANY, sample_size.streams)


async def _calls_beside_streams(count: int, rounds: int, goal: Goal | None = None) -> list[Figure]:
    issuer = Issuer(DEFAULTS.server_url)
    token = issuer.token()
    figures = []
    async with authenticated_app(issuer) as app:
        for revision in ("modern", "legacy"):
            call = modern_call(token) if revision == "modern" else await legacy_call(app, token)
            counting = [
                modern_call(token, call=_COUNT) if revision == "modern" else await legacy_call(app, token, _COUNT)
                for _ in range(count)
            ]
            await cpu(call_work(app, call), _CALLS)()
            with settled():
                samples = [await one_round(app, call_work(app, call), counting) for _ in range(rounds)]
            name = f"{revision}: rate of calls with {count} of count({_NUMBERS}) streaming / without"
            figures.append(compared(name, [one[0] for one in samples], [one[1] for one in samples], goal))
    return figures


async def one_round(app: ASGIApp, work: Work, counting: list[Request]) -> tuple[float, float]:
    """Measures CPU seconds per call without streams (the mean of before and after) and while they are open.

    Raises:
        RuntimeError: the numbers did not arrive one by one, with calls in between.
    """

    async def one_call() -> None:
        await work()
        done.append(None)
        await asyncio.sleep(0)  # a prebuilt response does not yield to the loop; the same turn is made in both cases

    done: list[None] = []
    before = await cpu(one_call, _CALLS)()
    done.clear()
    listeners = [_Listener(request.body, done) for request in counting]
    start = time.process_time()
    pending = asyncio.gather(*(exchange(app, r, line) for r, line in zip(counting, listeners, strict=True)))
    while not pending.done():
        await one_call()
    with_streams = (time.process_time() - start) / len(done)
    await pending
    for line in listeners:
        # If the machine stalls for a second, two numbers may arrive without a call in between.
        if len(line.received) != _NUMBERS or len({*line.received}) < _NUMBERS - 1:
            raise RuntimeError(f"received {len(line.received)} numbers, after {line.received} calls")
    return (before + await cpu(one_call, _CALLS)()) / 2, with_streams
