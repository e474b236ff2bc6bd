"""What renewing the provider's keys does to everybody else."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import time
from typing import TYPE_CHECKING

from bench import goals
from bench.figures import Effort, Figure
from bench.measure import spread
from bench.requests import exchange, modern_call
from bench.rig import DEFAULTS, Issuer, gated
from mcp_server.clock import Clock

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bench.requests import Request

_ANSWERS_AFTER = 0.3
_LOOK_EVERY = 0.001
_WATCHED_SECONDS = 1.0  # metadata and key set, one after the other, and some time to settle


class Hands:
    """The hands of a clock that a person can move forward, and that stand still unless `running`."""

    def __init__(self, *, running: bool) -> None:
        self._running = running
        self._ahead = 1000.0
        self.clock = Clock(monotonic=self._read)

    def forward(self, seconds: float) -> None:
        """Make it later."""
        self._ahead += seconds

    def _read(self) -> float:
        return self._ahead + (time.monotonic() if self._running else 0.0)


async def stalls(effort: Effort) -> list[Figure]:
    """The longest time that the event loop was kept from everybody, with and without a renewal under way."""
    issuer, hands = Issuer(DEFAULTS.server_url), Hands(running=True)
    renewing, still = [], []
    async with gated(issuer, hands.clock) as app:
        call = modern_call(issuer.token())
        await exchange(app, call)
        issuer.delay = _ANSWERS_AFTER
        gc.collect()
        gc.freeze()
        for _ in range(effort.renewals):
            still.append(await _longest_stall(app, call))
            before = issuer.key_fetches
            hands.forward(DEFAULTS.key_max_age / 2 + 1)  # old enough to be renewed while they serve
            renewing.append(await _longest_stall(app, call))
            if issuer.key_fetches != before + 1:
                raise RuntimeError(f"{issuer.key_fetches - before} fetches of the keys where one was due")
        gc.unfreeze()
    return [
        Figure("longest stall of the loop, keys renewed", spread(renewing), goals.STALL_MS, "ms"),
        Figure("longest stall of the loop, keys at rest", spread(still), unit="ms"),
    ]


async def _longest_stall(app: ASGIApp, call: Request) -> float:
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


async def flood(_effort: Effort) -> list[Figure]:
    """How often strangers can send the server to its provider."""
    fetches = await fetches_under_a_flood(1000)
    return [Figure("key fetches for 1,000 unknown kids in one cool-down", spread([float(fetches)]), goals.KEY_FETCHES)]


async def fetches_under_a_flood(tokens: int) -> int:
    """How often the keys are fetched for that many tokens at once, each of another `kid`, while no time passes."""
    issuer, hands = Issuer(DEFAULTS.server_url), Hands(running=False)
    async with gated(issuer, hands.clock) as app:
        await exchange(app, modern_call(issuer.token()))
        before = issuer.key_fetches
        _, payload, signature = issuer.token().split(".")
        forged = (f"{_header(f'unknown-{i}')}.{payload}.{signature}" for i in range(tokens))
        await asyncio.gather(*(exchange(app, modern_call(token, status=401)) for token in forged))
        return issuer.key_fetches - before


def _header(kid: str) -> str:
    header = json.dumps({"alg": "RS256", "typ": "JWT", "kid": kid}).encode()
    return base64.urlsafe_b64encode(header).decode().rstrip("=")
