"""Counts failed calls during a key rotation and during an outage of the provider, with a fake clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench import thresholds
from bench.apps import authenticated_app
from bench.defaults import DEFAULTS
from bench.issuer import Issuer, signers
from bench.prepared_requests import OK, modern_call, status_of
from bench.results import Figure, counted
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bench.results import SampleSize

_CALLS = 20  # per step and token
_STEP = 5.0
_OUTAGE = 60.0
_UNAVAILABLE = 503


async def rotation_and_outage(_sample_size: SampleSize) -> list[Figure]:
    """Counts failed calls during a rotation and an outage."""
    rotated, rejected_old = await measure_rotation()
    known, unknown = await measure_outage()
    return [
        counted("failed calls over a key rotation with overlap", rotated, thresholds.FAILED),
        counted(
            "after the overlap: calls with a token of the old key that still succeed", rejected_old, thresholds.FAILED
        ),
        counted("failed calls over a provider outage of 60 s, known tokens, keys due", known, thresholds.FAILED),
        counted("during the outage: tokens with an unknown kid that did not get 503", unknown, thresholds.FAILED),
    ]


async def measure_rotation() -> tuple[int, int]:
    """Counts failed calls during a key rotation, and accepted calls with the withdrawn key after it.

    Each step uses old and new tokens; the old key is withdrawn when its tokens are no longer used.
    """
    old, new = signers(2)
    issuer, clock = Issuer(DEFAULTS.server_url, (old,)), FakeClock(time.time())
    failed = 0
    async with authenticated_app(issuer, clock.clock) as app:
        before = issuer.token()
        failed += await _failed(app, [before])
        issuer.publish((old, new))
        for _ in range(5):
            # New tokens before a refresh is due: the server fetches the unknown key for them.
            failed += await _failed(app, [before, issuer.token(), issuer.token()])
            clock.forward(_STEP)
        issuer.publish((new,))
        clock.forward(DEFAULTS.key_max_age + 1)
        failed += await _failed(app, [issuer.token()])
        return failed, _CALLS - await _failed(app, [before])


async def measure_outage() -> tuple[int, int]:
    """Counts failed calls with a cached key, and wrong responses to others, during an outage of the provider.

    The outage begins when the keys are due for a refresh: throughout it they are older than `key_max_age`.
    """
    issuer, clock = Issuer(DEFAULTS.server_url), FakeClock(time.time())
    failed = wrong = 0
    async with authenticated_app(issuer, clock.clock) as app:
        known = issuer.token()
        failed += await _failed(app, [known])
        new = issuer.token()
        third_party_token = Issuer(DEFAULTS.server_url, (("bench-other", signers(1)[0][1]),)).token()
        issuer.down = True
        clock.forward(DEFAULTS.key_max_age + 1)
        for _ in range(int(_OUTAGE / _STEP)):
            failed += await _failed(app, [known, new])
            wrong += await status_of(app, modern_call(third_party_token)) != _UNAVAILABLE
            clock.forward(_STEP)
        issuer.down = False
        failed += await _failed(app, [known, new])
    return failed, wrong


async def _failed(app: ASGIApp, tokens: list[str]) -> int:
    calls = [modern_call(token) for token in tokens for _ in range(_CALLS)]
    return sum([status != OK for status in await asyncio.gather(*(status_of(app, call) for call in calls))])
