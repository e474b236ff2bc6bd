"""The rows of the table that compare CPU time in this process. Both sides of a ratio are measured in the same round."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bench import thresholds
from bench.apps import authenticated_app, sdk_app, sdk_guarded, sdk_session_manager
from bench.defaults import DEFAULTS
from bench.flood_counts import unknown_kids
from bench.issuer import Issuer
from bench.prepared_requests import exchange, legacy_call, modern_call
from bench.results import Figure, SampleSize, compared
from bench.sampling import cpu, measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bench.prepared_requests import Request
    from bench.sampling import Sample, Work

_CALLS = 20  # calls in a sample of a tools/call, which takes some milliseconds
_REJECTIONS = 100
_OVER_LONG_BYTES = 256 * 1024
NOTHING = modern_call(status=401)
INVALID_CALL = modern_call("x" * 1000, status=401)
OVER_LONG = modern_call("eyJhbGciOiJSUzI1NiJ9." + "x" * _OVER_LONG_BYTES + ".x", status=431)


async def throughput(sample_size: SampleSize) -> list[Figure]:
    """Compares a `tools/call` of our server with one without authentication, in each protocol revision."""
    issuer = Issuer(DEFAULTS.server_url)
    token = issuer.token()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        apps: dict[str, tuple[ASGIApp, str | None]] = {
            "bare": (await enter(sdk_session_manager()), None),
            "plain": (await enter(sdk_app()), None),
            "ours": (await enter(authenticated_app(issuer)), token),
            "open": (await enter(authenticated_app(issuer, disable_auth=True)), None),
            "sdk": (await enter(sdk_guarded()), token),
        }
        figures = []
        for revision in ("modern", "legacy"):
            calls = {
                name: (app, modern_call(bearer) if revision == "modern" else await legacy_call(app, bearer))
                for name, (app, bearer) in apps.items()
            }
            samples = await measure(
                {name: cpu(call_work(*call), _CALLS) for name, call in calls.items()}, sample_size.rounds
            )
            figures += _throughput_rows(revision, samples)
        return figures


def _throughput_rows(revision: str, samples: Mapping[str, Sequence[float]]) -> list[Figure]:
    goal = thresholds.THROUGHPUT if revision == "modern" else None
    return [
        compared(f"{revision}: authenticated / unauthenticated", samples["bare"], samples["ours"], goal),
        compared(f"{revision}: authenticated / the SDK's app with routes, no auth", samples["plain"], samples["ours"]),
        compared(f"{revision}: DISABLE_AUTH / unauthenticated", samples["bare"], samples["open"]),
        compared(f"{revision}: SDK auth chain that says yes / unauthenticated", samples["bare"], samples["sdk"]),
    ]


async def rejections(sample_size: SampleSize) -> list[Figure]:
    """Measures the work that unauthenticated clients can cause."""
    issuer = Issuer(DEFAULTS.server_url)
    async with authenticated_app(issuer) as app, sdk_guarded() as sdk:
        call = call_work(app, modern_call(issuer.token()))
        await call()  # so that the keys are cached
        cases = {
            "rig": cpu(call_work(noop_app, NOTHING), _REJECTIONS),
            "ours": cpu(call_work(app, NOTHING), _REJECTIONS),
            "sdk": cpu(call_work(sdk, NOTHING), _REJECTIONS),
            "invalid": cpu(call_work(app, INVALID_CALL), _REJECTIONS),
            "over-long": cpu(call_work(app, OVER_LONG), _REJECTIONS),
            "kid": _unauthenticated(issuer, app),
            "call": cpu(call, _CALLS),
        }
        samples = await measure(cases, sample_size.rounds)
    samples = subtract_overhead(samples)
    return [
        compared(
            "401 without credentials / the SDK's own 401",
            samples["ours"],
            samples["sdk"],
            thresholds.CHALLENGE,
        ),
        compared(
            "rejecting an invalid token of 256 kB / of 1 kB",
            samples["over-long"],
            samples["invalid"],
            thresholds.OVER_LONG,
        ),
        compared("rejecting a token with an unknown kid / serving a call", samples["kid"], samples["call"]),
    ]


def _unauthenticated(issuer: Issuer, app: ASGIApp) -> Sample:
    """Returns a sample of calls with a different unknown kid each; creating the tokens is not counted."""
    tokens = unknown_kids(issuer)

    async def sample() -> float:
        forged = iter([modern_call(next(tokens), status=401) for _ in range(_CALLS)])

        async def reject() -> None:
            await exchange(app, next(forged))

        return await cpu(reject, _CALLS)()

    return sample


def subtract_overhead(samples: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Subtracts the time of the case `rig` from that of every other case, round by round.

    A prebuilt response costs hardly more than sending the request, so the overhead of the measurement must not count.
    """
    return {name: [a - b for a, b in zip(values, samples["rig"], strict=True)] for name, values in samples.items()}


async def noop_app(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Sends an empty response, to measure the overhead of the measurement."""
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def call_work(app: ASGIApp, request: Request) -> Work:
    """Returns a function that sends `request` to `app`."""

    async def work() -> None:
        await exchange(app, request)

    return work
