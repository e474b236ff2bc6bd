"""What open streams cost everybody else: `count(5)` tells its numbers while other calls go through."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from bench import goals
from bench.costs import asking
from bench.defaults import DEFAULTS
from bench.figures import Effort, Figure, compared
from bench.issuer import Issuer
from bench.measure import cpu, settled
from bench.requests import Exchange, exchange, legacy_call, modern_call
from bench.rig import gated

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

    from bench.measure import Work
    from bench.requests import Request

_STREAMS = 10
_NUMBERS = 5
_CALLS = 500  # without streams; beside them some thousands
_META: dict[str, Any] = {"progressToken": "p", "io.modelcontextprotocol/logLevel": "info"}
_COUNT = {"name": "count", "arguments": {"number": _NUMBERS}, "_meta": _META}


class _Listener(Exchange):
    """The client's end of a stream: notes how many other calls were done when a number was told."""

    __slots__ = ("_done", "heard")

    def __init__(self, body: bytes, done: list[None]) -> None:
        super().__init__(body)
        self._done = done
        self.heard: list[int] = []

    async def send(self, message: Message) -> None:
        await super().send(message)
        if b"notifications/progress" in message.get("body", b""):
            self.heard.append(len(self._done))


async def streams(effort: Effort) -> list[Figure]:
    """In each era: the rate of other calls while streams are open, as a part of that without."""
    issuer = Issuer(DEFAULTS.server_url)
    token = issuer.token()
    figures = []
    async with gated(issuer) as app:
        for era in ("modern", "legacy"):
            call = modern_call(token) if era == "modern" else await legacy_call(app, token)
            counting = [
                modern_call(token, call=_COUNT) if era == "modern" else await legacy_call(app, token, _COUNT)
                for _ in range(_STREAMS)
            ]
            await cpu(asking(app, call), _CALLS)()
            with settled():
                rounds = [await one_round(app, asking(app, call), counting) for _ in range(effort.streams)]
            name = f"{era}: rate of calls with {_STREAMS} streams of count({_NUMBERS}) open / without"
            figures.append(compared(name, [r[0] for r in rounds], [r[1] for r in rounds], goals.STREAMS))
    return figures


async def one_round(app: ASGIApp, work: Work, counting: list[Request]) -> tuple[float, float]:
    """CPU seconds of a call without streams (the mean of before and after), and with them, until the last ends.

    Raises:
        RuntimeError: the numbers were not told as they came, with calls in between.
    """
    before = await cpu(work, _CALLS)()
    done: list[None] = []
    listeners = [_Listener(request.body, done) for request in counting]
    start = time.process_time()
    telling = asyncio.gather(*(exchange(app, r, line) for r, line in zip(counting, listeners, strict=True)))
    while not telling.done():
        await work()
        done.append(None)
        await asyncio.sleep(0)  # an answer that is ready gives nobody else a turn
    beside = (time.process_time() - start) / len(done)
    await telling
    for line in listeners:
        # On a machine that stood still for a second, two may come with no call in between.
        if len(line.heard) != _NUMBERS or len({*line.heard}) < _NUMBERS - 1:
            raise RuntimeError(f"told {len(line.heard)} numbers, after {line.heard} calls")
    return (before + await cpu(work, _CALLS)()) / 2, beside
