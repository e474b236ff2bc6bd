"""Measures how the reference servers refresh keys: stalls, number of fetches, and when a new key is accepted."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from bench.apps import authenticated_app, trusting
from bench.flood_counts import KIDS, unknown_kids
from bench.issuer import published, signers
from bench.key_refresh import RESPONSE_DELAY, longest_stall
from bench.prepared_requests import OK, exchange, modern_call, status_of
from bench.references import pyjwt, with_fastmcp
from bench.results import Figure, SampleSize, counted
from bench.sampling import settled, spread

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp

    from bench.issuer import Issuer
    from bench.prepared_requests import Request

    Guarded = Callable[[Issuer], AbstractAsyncContextManager[ASGIApp]]

_CALLS = 20
_UNAUTHORIZED = 401


async def renewing(sample_size: SampleSize) -> list[Figure]:
    """Measures stalls, fetches and failures of each reference, and failures of our server."""
    figures = []
    for module in (pyjwt, with_fastmcp):
        figures += [await _stall(module.NAME, partial(module.guarded, cool_down=0.0), sample_size)]
        figures += [await _fetches(module.NAME, module.guarded)]
    for name, guarded in (
        ("ours", _this_server),
        (pyjwt.NAME, pyjwt.guarded),
        (with_fastmcp.NAME, with_fastmcp.guarded),
    ):
        figures += [await _new_key(name, guarded)]
    return figures


def _this_server(issuer: Issuer) -> AbstractAsyncContextManager[ASGIApp]:
    return authenticated_app(issuer, **trusting(issuer))


async def _stall(name: str, guarded: Guarded, sample_size: SampleSize) -> Figure:
    """Measures the longest stall while a token with an unknown kid causes a fetch, as each does without a cool-down."""
    worst = []
    with published() as issuer:
        async with guarded(issuer) as app:
            call = modern_call(issuer.token())
            await exchange(app, call)
            issuer.delay = RESPONSE_DELAY
            unknown_tokens = unknown_kids(issuer)
            with settled():
                for _ in range(sample_size.renewals):
                    before = issuer.key_fetches
                    rejected_call = modern_call(next(unknown_tokens), _UNAUTHORIZED)
                    stall, _ = await asyncio.gather(longest_stall(app, call), _later(app, rejected_call))
                    worst.append(stall.late)
                    if issuer.key_fetches == before:
                        raise RuntimeError("the keys were not fetched")
    title = f"{name}: longest stall of the loop, keys renewed"
    return Figure(title, spread(worst), unit="ms")


async def _later(app: ASGIApp, request: Request) -> None:
    """Sends the request after the measurement has begun; a stall at the start would be missed otherwise."""
    await asyncio.sleep(0.1)
    await exchange(app, request)


async def _fetches(name: str, guarded: Guarded) -> Figure:
    with published() as issuer:
        async with guarded(issuer) as app:
            await exchange(app, modern_call(issuer.token()))
            before = issuer.key_fetches
            forged = islice(unknown_kids(issuer), KIDS)
            await asyncio.gather(*(exchange(app, modern_call(token, _UNAUTHORIZED)) for token in forged))
            return counted(f"{name}: key fetches for {KIDS:,} unknown kids at once", issuer.key_fetches - before)


async def _new_key(name: str, guarded: Guarded) -> Figure:
    """Counts failures with a signing key that was published after the server's last fetch."""
    with published() as issuer:
        async with guarded(issuer) as app:
            await exchange(app, modern_call(issuer.token()))
            issuer.publish((*issuer.signers, *signers(2)[1:]))
            statuses = [await status_of(app, modern_call(issuer.token())) for _ in range(_CALLS)]
    failed = sum(status != OK for status in statuses)
    return counted(f"{name}: failed of {_CALLS} calls signed with a key published a moment ago", failed)
