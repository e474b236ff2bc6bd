"""Measures the cost of a call and of a rejection with the reference servers and with ours, in the same rounds.

The references run with their defaults: caches, checks of Host and Origin, logging.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bench import thresholds
from bench.apps import authenticated_app, sdk_guarded, sdk_session_manager, trusting
from bench.cpu_time import (
    INVALID_CALL,
    NOTHING,
    OVER_LONG,
    call_work,
    noop_app,
    subtract_overhead,
)
from bench.issuer import published
from bench.prepared_requests import exchange, legacy_call, modern_call
from bench.references import pyjwt, with_fastmcp
from bench.results import Figure, SampleSize, compared
from bench.sampling import cpu, measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp

_CALLS = 10
_REJECTIONS = 50
_LONG_REJECTIONS = 2  # calls in a sample of rejections that take tens of milliseconds
_ROUNDS = 100
_OPEN = "FastMCP, no auth"


async def calls(sample_size: SampleSize) -> list[Figure]:
    """Compares a `tools/call` in each protocol revision."""
    with published() as issuer:
        token = issuer.token()
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            apps: dict[str, tuple[ASGIApp, str | None]] = {
                "bare": (await enter(sdk_session_manager()), None),
                "ours": (await enter(authenticated_app(issuer, **trusting(issuer))), token),
                pyjwt.NAME: (await enter(pyjwt.guarded(issuer)), token),
                _OPEN: (await enter(with_fastmcp.unguarded()), None),
                with_fastmcp.NAME: (await enter(with_fastmcp.guarded(issuer)), token),
            }
            figures = []
            for revision in ("modern", "legacy"):
                cases = {
                    name: cpu(
                        call_work(app, modern_call(bearer) if revision == "modern" else await legacy_call(app, bearer)),
                        _CALLS,
                    )
                    for name, (app, bearer) in apps.items()
                }
                figures += _call_rows(revision, await measure(cases, min(sample_size.rounds, _ROUNDS)))
            return figures


def _call_rows(revision: str, samples: Mapping[str, Sequence[float]]) -> list[Figure]:
    guarded, opened = samples[with_fastmcp.NAME], samples[_OPEN]
    goal = thresholds.VERSUS_FASTMCP if revision == "modern" else thresholds.VERSUS_FASTMCP_LEGACY
    return [
        *(
            compared(f"{revision}: {name} / unauthenticated", samples["bare"], samples[name])
            for name in (pyjwt.NAME, with_fastmcp.NAME, _OPEN)
        ),
        compared(f"{revision}: {with_fastmcp.NAME} / {_OPEN}", opened, guarded),
        compared(f"{revision}: ours / {with_fastmcp.NAME}", guarded, samples["ours"], goal),
    ]


async def rejections(sample_size: SampleSize) -> list[Figure]:
    """Measures the work that unauthenticated clients can cause at the references."""
    with published() as issuer:
        async with AsyncExitStack() as stack:
            this_server, sdk, with_pyjwt, fastmcp = [
                await stack.enter_async_context(app)
                for app in (
                    authenticated_app(issuer, **trusting(issuer)),
                    sdk_guarded(),
                    pyjwt.guarded(issuer),
                    with_fastmcp.guarded(issuer),
                )
            ]
            cases = {
                "ours invalid": cpu(call_work(this_server, INVALID_CALL), _REJECTIONS),
                "rig": cpu(call_work(noop_app, NOTHING), _REJECTIONS),
                "sdk": cpu(call_work(sdk, NOTHING), _REJECTIONS),
                with_fastmcp.NAME: cpu(call_work(fastmcp, NOTHING), _REJECTIONS),
            }
            for name, app in ((pyjwt.NAME, with_pyjwt), (with_fastmcp.NAME, fastmcp)):
                await exchange(app, modern_call(issuer.token()))  # so that the keys are cached
                cases[f"{name} invalid"] = cpu(call_work(app, INVALID_CALL), _REJECTIONS)
                cases[f"{name} long"] = cpu(call_work(app, OVER_LONG), _LONG_REJECTIONS)
            samples = subtract_overhead(await measure(cases, min(sample_size.rounds, _ROUNDS)))
    return [
        compared(
            f"{with_fastmcp.NAME}: 401 without credentials / the SDK's own 401",
            samples[with_fastmcp.NAME],
            samples["sdk"],
        ),
        *(
            compared(
                f"{name}: rejecting an invalid token of 256 kB / of 1 kB",
                samples[f"{name} long"],
                samples[f"{name} invalid"],
            )
            for name in (pyjwt.NAME, with_fastmcp.NAME)
        ),
        *(
            compared(
                f"{name}: rejecting a token of 256 kB / this server rejecting one of 1 kB",
                samples[f"{name} long"],
                samples["ours invalid"],
            )
            for name in (pyjwt.NAME, with_fastmcp.NAME)
        ),
    ]
