"""Counts, in this process, the requests to the provider that floods of tokens cause."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from bench import thresholds
from bench.apps import authenticated_app
from bench.defaults import DEFAULTS
from bench.issuer import Issuer
from bench.prepared_requests import OK, exchange, modern_call, status_of
from bench.results import Figure, counted
from mcp_idp.providers import PROFILES
from tests.support.app import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp

    from bench.results import SampleSize

KIDS = 1000
_OPAQUE_TOKENS = 300  # more than may be in flight and queued together
_CALLS_MEANWHILE = 50  # completed long before any call times out waiting for the provider
_CROWD = 100
_TURNS = 50  # of the event loop, in which every call reaches the provider or its queue
_RESPONSE_DELAY = 0.05
_UNAUTHORIZED, _TOO_MANY_REQUESTS = 401, 429
INTROSPECTING: dict[str, Any] = {
    "token_mode": "introspection",
    "provider": PROFILES["generic"],  # may issue JWTs or opaque tokens, so both are introspected
    "client_secret": "bench",
}


async def floods(_sample_size: SampleSize) -> list[Figure]:
    """Counts requests to the provider, and calls of other clients that fail meanwhile."""
    fetches = await fetches_under_a_flood(KIDS)
    flood = await opaque_flood(_OPAQUE_TOKENS)
    return [
        counted(f"key fetches for {KIDS:,} unknown kids in one cool-down", fetches, thresholds.KEY_FETCHES),
        counted(
            f"introspections under way at once: {_OPAQUE_TOKENS} invalid opaque tokens, one signed",
            flood.max_at_once,
            thresholds.IN_FLIGHT,
        ),
        counted("during this flood: calls with a known token that failed", flood.failed_known, thresholds.FAILED),
        counted("during this flood: calls with a new signed token that failed", flood.failed_signed, thresholds.FAILED),
        counted(
            f"introspections for {_CROWD} uses of one new token at once", await one_token(_CROWD), thresholds.REQUIRED
        ),
    ]


def unknown_kids(issuer: Issuer) -> Iterator[str]:
    """Yields well-formed tokens endlessly, each with a different unknown `kid`."""
    _, payload, signature = issuer.token().split(".")
    for i in count():
        header = json.dumps({"alg": "RS256", "typ": "JWT", "kid": f"unknown-{i}"}).encode()
        yield f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{payload}.{signature}"


async def fetches_under_a_flood(tokens: int) -> int:
    """Returns how often the keys are fetched for concurrent tokens with different `kid`s while no time passes."""
    issuer, clock = Issuer(DEFAULTS.server_url), FakeClock(time.time())
    async with authenticated_app(issuer, clock.clock) as app:
        await exchange(app, modern_call(issuer.token()))
        before = issuer.key_fetches
        forged = islice(unknown_kids(issuer), tokens)
        await asyncio.gather(*(exchange(app, modern_call(token, _UNAUTHORIZED)) for token in forged))
        return issuer.key_fetches - before


@dataclass(frozen=True, slots=True)
class OpaqueFlood:
    """The result of a flood of invalid opaque tokens.

    Attributes:
        max_at_once: the maximum number of concurrent introspections.
        rejected: invalid tokens that were introspected.
        turned_away: invalid tokens that were rejected without introspection because the queue was full.
        failed_known: failed calls with a token whose introspection result was cached.
        failed_signed: failed calls with a signed token that had not been introspected yet.
    """

    max_at_once: int
    rejected: int
    turned_away: int
    failed_known: int
    failed_signed: int


async def opaque_flood(tokens: int) -> OpaqueFlood:
    """Sends distinct opaque tokens concurrently; the provider responds after the other callers are done."""
    issuer = Issuer(DEFAULTS.server_url)
    async with _introspecting(issuer) as app:
        known = modern_call(issuer.reference())
        await exchange(app, known)
        issuer.paused, issuer.max_in_flight = asyncio.Event(), 0
        flood = [asyncio.ensure_future(status_of(app, modern_call(f"invalid-{i}"))) for i in range(tokens)]
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        signed = asyncio.ensure_future(status_of(app, modern_call(issuer.token())))
        responses = [await status_of(app, known) for _ in range(_CALLS_MEANWHILE)]
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        issuer.paused.set()
        statuses = await asyncio.gather(*flood)
        return OpaqueFlood(
            issuer.max_in_flight,
            statuses.count(_UNAUTHORIZED),
            statuses.count(_TOO_MANY_REQUESTS) + statuses.count(503),
            sum(status != OK for status in responses),
            int(await signed != OK),
        )


async def one_token(uses: int) -> int:
    """Returns the number of introspections when one new token is used concurrently `uses` times."""
    issuer = Issuer(DEFAULTS.server_url)
    issuer.delay = _RESPONSE_DELAY
    async with _introspecting(issuer) as app:
        call = modern_call(issuer.token())
        await asyncio.gather(*(exchange(app, call) for _ in range(uses)))
        return len(issuer.received)


def _introspecting(issuer: Issuer) -> AbstractAsyncContextManager[ASGIApp]:
    return authenticated_app(issuer, **INTROSPECTING)
