"""The rows of the table that compare CPU time in this process, each measured in one go with what it is compared to."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import base64url_decode

from bench import goals
from bench.measure import Spread, cpu, measure, ratio, spread
from bench.requests import exchange, legacy_call, modern_call
from bench.rig import DEFAULTS, Issuer, bare, gated, plain, sdk_guarded
from mcp_server.access import load_access
from mcp_server.clock import Clock
from mcp_server.provider import IdentityProvider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bench.goals import Goal
    from bench.measure import Sample, Work
    from bench.requests import Request

_CALLS = 20  # a sample of a tools/call: some milliseconds
_REFUSALS = 100
_OVER_LONG = 256 * 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """One row.

    Attributes:
        name: what is compared with what.
        value: the ratio, or in `unit`.
        goal: None where the figure is there to compare with.
        costs: what the two halves of a ratio took, in microseconds of CPU.
    """

    name: str
    value: Spread
    goal: Goal | None = None
    unit: str = ""
    costs: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    renewals: int


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
            taken = await measure({name: cpu(_ask(*call), _CALLS) for name, call in calls.items()}, effort.rounds)
            figures += _throughput_rows(era, taken)
        return figures


def _throughput_rows(era: str, taken: Mapping[str, Sequence[float]]) -> list[Figure]:
    goal = goals.THROUGHPUT if era == "modern" else None
    return [
        compared(f"{era}: authenticated / unauthenticated", taken["bare"], taken["ours"], goal),
        compared(f"{era}: authenticated / the SDK's app with routes, no auth", taken["plain"], taken["ours"]),
        compared(f"{era}: DISABLE_AUTH / unauthenticated", taken["bare"], taken["open"]),
        compared(f"{era}: SDK auth chain that says yes / unauthenticated", taken["bare"], taken["sdk"]),
    ]


async def refusals(effort: Effort) -> list[Figure]:
    """What strangers can make the server do."""
    async with gated(Issuer(DEFAULTS.server_url)) as ours, sdk_guarded() as sdk:
        nothing = modern_call(status=401)
        junk = modern_call("x" * 1000, status=401)
        over_long = modern_call("eyJhbGciOiJSUzI1NiJ9." + "x" * _OVER_LONG + ".x", status=401)
        cases = {
            "rig": cpu(_ask(_silent, nothing), _REFUSALS),
            "ours": cpu(_ask(ours, nothing), _REFUSALS),
            "sdk": cpu(_ask(sdk, nothing), _REFUSALS),
            "junk": cpu(_ask(ours, junk), _REFUSALS),
            "over-long": cpu(_ask(ours, over_long), _REFUSALS),
        }
        taken = await measure(cases, effort.rounds)
    # An answer that is ready costs hardly more than asking for it: what the rig itself spends must not count.
    taken = {name: [a - b for a, b in zip(taken[name], taken["rig"], strict=True)] for name in taken}
    return [
        compared("401 without credentials / the SDK's own 401", taken["ours"], taken["sdk"], goals.CHALLENGE),
        compared("refusing a token of 256 kB / 1 kB of junk", taken["over-long"], taken["junk"], goals.OVER_LONG),
    ]


async def _silent(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The least that an application can answer: what is left is the rig."""
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def verification(effort: Effort) -> list[Figure]:
    """A token seen for the first time, and one that is known, against the signature check alone."""
    issuer = Issuer(DEFAULTS.server_url)
    async with issuer.client() as http:
        provider = IdentityProvider(DEFAULTS, load_access(DEFAULTS.access_file), Clock(), http)
        known = issuer.token()
        await provider.verify(known)

        async def warm() -> None:
            await provider.verify(known)

        cases = {"raw": _raw(issuer), "cold": _cold(issuer, provider), "warm": cpu(warm, _REFUSALS)}
        taken = await measure(cases, effort.rounds)
    return [
        compared("verifying a new token / raw RS256", taken["cold"], taken["raw"]),
        compared("verifying a known token / raw RS256", taken["warm"], taken["raw"], goals.CACHE_HIT),
    ]


def _raw(issuer: Issuer) -> Sample:
    """The signature check alone, by `cryptography`."""
    signed, _, signature = issuer.token().rpartition(".")
    message, proof, key = signed.encode(), base64url_decode(signature), issuer.key.public_key()

    async def verify() -> None:
        key.verify(proof, message, PKCS1v15(), SHA256())

    return cpu(verify, _REFUSALS)


def _cold(issuer: Issuer, provider: IdentityProvider) -> Sample:
    """Each time another token; signing it is not counted."""

    async def sample() -> float:
        tokens = iter([issuer.token() for _ in range(_CALLS)])

        async def verify() -> None:
            await provider.verify(next(tokens))

        return await cpu(verify, _CALLS)()

    return sample


def _ask(app: ASGIApp, request: Request) -> Work:
    async def work() -> None:
        await exchange(app, request)

    return work


def compared(name: str, above: Sequence[float], below: Sequence[float], goal: Goal | None = None) -> Figure:
    """The row of a ratio, from the seconds that each half took in each round."""
    costs = (spread(above).median * 1e6, spread(below).median * 1e6)
    return Figure(name, ratio(above, below), goal, costs=costs)
