"""The rows of the table that compare CPU time in this process, each measured in one go with what it is compared to."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bench import goals
from bench.defaults import DEFAULTS
from bench.figures import Effort, Figure, Point, compared
from bench.floods import unknown_kids
from bench.issuer import Issuer
from bench.measure import cpu, measure
from bench.requests import exchange, legacy_call, modern_call
from bench.rig import bare, gated, plain, sdk_guarded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bench.measure import Sample, Work
    from bench.requests import Request

_CALLS = 20  # a sample of a tools/call: some milliseconds
_REFUSALS = 100
_OVER_LONG_BYTES = 256 * 1024
NOTHING = modern_call(status=401)
JUNK = modern_call("x" * 1000, status=401)
OVER_LONG = modern_call("eyJhbGciOiJSUzI1NiJ9." + "x" * _OVER_LONG_BYTES + ".x", status=401)
THROUGHPUT_PANEL = "throughput, {} (no auth: 1)"
OURS = "this server"
REFUSAL_PANELS = ("401 without credentials (SDK's: 1)", "refusing 256 kB (this server, 1 kB of junk: 1)")


async def throughput(effort: Effort) -> list[Figure]:
    """One `tools/call` in each era: how many of ours are served in the time of one that nobody guards."""
    issuer = Issuer(DEFAULTS.server_url)
    token = issuer.token()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        apps: dict[str, tuple[ASGIApp, str | None]] = {
            "bare": (await enter(bare()), None),
            "plain": (await enter(plain()), None),
            "ours": (await enter(gated(issuer)), token),
            "open": (await enter(gated(issuer, disable_auth=True)), None),
            "sdk": (await enter(sdk_guarded()), token),
        }
        figures = []
        for era in ("modern", "legacy"):
            calls = {
                name: (app, modern_call(bearer) if era == "modern" else await legacy_call(app, bearer))
                for name, (app, bearer) in apps.items()
            }
            taken = await measure({name: cpu(asking(*call), _CALLS) for name, call in calls.items()}, effort.rounds)
            figures += _throughput_rows(era, taken)
        return figures


def _throughput_rows(era: str, taken: Mapping[str, Sequence[float]]) -> list[Figure]:
    goal = goals.THROUGHPUT if era == "modern" else None
    point = Point(THROUGHPUT_PANEL.format(era), OURS)
    return [
        compared(f"{era}: authenticated / unauthenticated", taken["bare"], taken["ours"], goal, point),
        compared(f"{era}: authenticated / the SDK's app with routes, no auth", taken["plain"], taken["ours"]),
        compared(f"{era}: DISABLE_AUTH / unauthenticated", taken["bare"], taken["open"]),
        compared(f"{era}: SDK auth chain that says yes / unauthenticated", taken["bare"], taken["sdk"]),
    ]


async def refusals(effort: Effort) -> list[Figure]:
    """What strangers can make the server do."""
    issuer = Issuer(DEFAULTS.server_url)
    async with gated(issuer) as ours, sdk_guarded() as sdk:
        call = asking(ours, modern_call(issuer.token()))
        await call()  # with keys in hand
        cases = {
            "rig": cpu(asking(silent, NOTHING), _REFUSALS),
            "ours": cpu(asking(ours, NOTHING), _REFUSALS),
            "sdk": cpu(asking(sdk, NOTHING), _REFUSALS),
            "junk": cpu(asking(ours, JUNK), _REFUSALS),
            "over-long": cpu(asking(ours, OVER_LONG), _REFUSALS),
            "kid": _strangers(issuer, ours),
            "call": cpu(call, _CALLS),
        }
        taken = await measure(cases, effort.rounds)
    taken = without_rig(taken)
    challenge, over_long = (Point(panel, OURS) for panel in REFUSAL_PANELS)
    return [
        compared(
            "401 without credentials / the SDK's own 401", taken["ours"], taken["sdk"], goals.CHALLENGE, challenge
        ),
        compared(
            "refusing a token of 256 kB / 1 kB of junk", taken["over-long"], taken["junk"], goals.OVER_LONG, over_long
        ),
        compared("refusing a token with an unknown kid / serving a call", taken["kid"], taken["call"]),
    ]


def _strangers(issuer: Issuer, app: ASGIApp) -> Sample:
    """A sample: each time another unknown kid; making it is not counted."""
    tokens = unknown_kids(issuer)

    async def sample() -> float:
        forged = iter([modern_call(next(tokens), status=401) for _ in range(_CALLS)])

        async def refuse() -> None:
            await exchange(app, next(forged))

        return await cpu(refuse, _CALLS)()

    return sample


def without_rig(taken: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """What is left of each case when that of the case `rig` is taken off, round by round.

    An answer that is ready costs hardly more than asking for it: what the rig itself spends must not count.
    """
    return {name: [a - b for a, b in zip(values, taken["rig"], strict=True)] for name, values in taken.items()}


async def silent(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The least that an application can answer: what is left is the rig."""
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def asking(app: ASGIApp, request: Request) -> Work:
    """The work of having `app` answer `request`."""

    async def work() -> None:
        await exchange(app, request)

    return work
