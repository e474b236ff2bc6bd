"""What renewing the provider's keys does to everybody else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench import goals
from bench.costs import OURS
from bench.defaults import DEFAULTS
from bench.figures import Effort, Figure, Point
from bench.hands import Hands
from bench.issuer import Issuer
from bench.measure import settled, spread
from bench.requests import exchange, modern_call
from bench.rig import gated

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bench.requests import Request

ANSWERS_AFTER = 0.3
STALL_PANEL = "longest stall of the loop in ms, keys renewed"
_LOOK_EVERY = 0.001
_WATCHED_SECONDS = 1.0  # metadata and key set, one after the other, and some time to settle


async def stalls(effort: Effort) -> list[Figure]:
    """The longest time that the event loop was kept from everybody, with and without a renewal under way."""
    issuer, hands = Issuer(DEFAULTS.server_url), Hands(running=True)
    renewing, still = [], []
    async with gated(issuer, hands.clock) as app:
        call = modern_call(issuer.token())
        await exchange(app, call)
        issuer.delay = ANSWERS_AFTER
        with settled():
            for _ in range(effort.renewals):
                still.append(await longest_stall(app, call))
                before = issuer.key_fetches
                hands.forward(DEFAULTS.key_max_age / 2 + 1)  # old enough to be renewed while they serve
                renewing.append(await longest_stall(app, call))
                if issuer.key_fetches != before + 1:
                    raise RuntimeError(f"{issuer.key_fetches - before} fetches of the keys where one was due")
    point = Point(STALL_PANEL, OURS)
    return [
        Figure("longest stall of the loop, keys renewed", spread(renewing), goals.STALL_MS, "ms", point=point),
        Figure("longest stall of the loop, keys at rest", spread(still), unit="ms"),
    ]


async def longest_stall(app: ASGIApp, call: Request) -> float:
    """In milliseconds: by how much a timer of one millisecond came too late, while requests went on."""
    end = time.perf_counter() + _WATCHED_SECONDS

    async def traffic() -> None:
        while time.perf_counter() < end:
            await exchange(app, call)
            await asyncio.sleep(0)

    async def watch() -> float:
        worst = 0.0
        while (before := time.perf_counter()) < end:
            await asyncio.sleep(_LOOK_EVERY)
            worst = max(worst, time.perf_counter() - before - _LOOK_EVERY)
        return worst * 1e3

    worst, _ = await asyncio.gather(watch(), traffic())
    return worst
