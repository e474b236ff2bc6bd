"""Measures how a refresh of the provider's keys affects other calls."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from bench import thresholds
from bench.apps import authenticated_app
from bench.defaults import DEFAULTS
from bench.issuer import Issuer
from bench.prepared_requests import exchange, modern_call
from bench.results import Figure, SampleSize
from bench.sampling import settled, spread
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bench.prepared_requests import Request

RESPONSE_DELAY = 0.3
_LOOK_EVERY = 0.001
_PATIENCE = 10_000
_WATCHED_SECONDS = 1.0  # time for metadata, key set and completion


async def stalls(sample_size: SampleSize) -> list[Figure]:
    """Measures the longest stall of the event loop, with and without a key refresh in progress."""
    issuer, clock = Issuer(DEFAULTS.server_url), FakeClock(time.time(), running=True)
    renewing, still = [], []
    async with authenticated_app(issuer, clock.clock) as app:
        call = modern_call(issuer.token())
        await exchange(app, call)
        issuer.delay = RESPONSE_DELAY
        with settled():
            for _ in range(sample_size.renewals):
                still.append(await longest_stall(app, call))
                before = issuer.key_fetches
                clock.forward(DEFAULTS.key_max_age / 2 + 1)  # old enough for a background refresh
                renewing.append(await longest_stall(app, call))
                for _ in range(_PATIENCE):  # a busy machine needs longer
                    if issuer.key_fetches == before:
                        await asyncio.sleep(_LOOK_EVERY)
                if issuer.key_fetches != before + 1:
                    raise RuntimeError(f"{issuer.key_fetches - before} fetches of the keys where one was due")
    late, computed = (spread(values) for values in zip(*renewing, strict=True))
    late_still, computed_still = (spread(values) for values in zip(*still, strict=True))
    return [
        Figure("longest stall of the loop, keys renewed", late, thresholds.STALL_MS, "ms"),
        Figure("longest stall of the loop, keys at rest", late_still, unit="ms"),
        Figure("CPU in the longest stall, keys renewed", computed, thresholds.STALL_CPU_MS, "ms"),
        Figure("CPU in the longest stall, keys at rest", computed_still, unit="ms"),
    ]


class Stall(NamedTuple):
    """The largest delay of a timer of one millisecond, and the most CPU time between two of them, in milliseconds."""

    late: float
    computed: float


async def longest_stall(app: ASGIApp, call: Request) -> Stall:
    """Measures the longest stall that a timer observes while requests are served."""
    end = time.perf_counter() + _WATCHED_SECONDS

    async def traffic() -> None:
        while time.perf_counter() < end:
            await exchange(app, call)
            await asyncio.sleep(0)

    async def watch() -> Stall:
        late = computed = 0.0
        while (before := time.perf_counter()) < end:
            cpu = time.process_time()
            await asyncio.sleep(_LOOK_EVERY)
            late = max(late, time.perf_counter() - before - _LOOK_EVERY)
            computed = max(computed, time.process_time() - cpu)
        return Stall(late * 1e3, computed * 1e3)

    worst, _ = await asyncio.gather(watch(), traffic())
    return worst
