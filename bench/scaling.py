"""Measures the cost of a request with many tokens in use and with many keys in the key set."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import cycle
from typing import TYPE_CHECKING

from bench.apps import authenticated_app
from bench.defaults import DEFAULTS
from bench.issuer import Issuer, signers
from bench.prepared_requests import exchange, modern_call
from bench.results import Figure, SampleSize, compared
from bench.sampling import cpu, measure
from bench.verification import known, new
from mcp_idp.access.policy import load_access
from mcp_idp.tokens.issuers import IssuerVerifier
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp

    from bench.prepared_requests import Request
    from bench.sampling import Sample

TOKENS = (10, 100, 1_000, 4_000, 5_000, 10_000, 12_000)
KEYS = (1, 10, 100)
_CALLS = 20
_ROUNDS = 100


async def by_tokens(sample_size: SampleSize) -> list[Figure]:
    """Compares calls with many tokens that are used in turn with calls with ten.

    This is the worst order for an LRU cache: with one token more than its capacity, no lookup hits.
    """
    issuer = Issuer(DEFAULTS.server_url)
    requests = [modern_call(issuer.token()) for _ in range(max(TOKENS))]
    async with AsyncExitStack() as stack:
        cases = {}
        for number in TOKENS:
            app = await stack.enter_async_context(authenticated_app(issuer))
            for request in requests[:number]:
                await exchange(app, request)
            cases[str(number)] = _in_turn(app, requests[:number])
        measured = await measure(cases, min(sample_size.rounds, _ROUNDS))
    few = measured[str(TOKENS[0])]
    return [
        compared(
            f"a call, {number:,} tokens in use / {TOKENS[0]}",
            measured[str(number)],
            few,
        )
        for number in TOKENS[1:]
    ]


def _in_turn(app: ASGIApp, requests: Sequence[Request]) -> Sample:
    turn = cycle(requests)

    async def work() -> None:
        await exchange(app, next(turn))

    return cpu(work, _CALLS)


async def by_keys(sample_size: SampleSize) -> list[Figure]:
    """Compares verification of new and known tokens and a key refresh with a key set of one key."""
    all_signers = signers(max(KEYS))
    kinds = ("a new token", "a known token", "renewing the keys")
    async with AsyncExitStack() as stack:
        cases: dict[str, Sample] = {}
        for number in KEYS:
            issuer = Issuer(DEFAULTS.server_url, all_signers[:number])
            http = await stack.enter_async_context(issuer.http())
            provider = IssuerVerifier(DEFAULTS, load_access(DEFAULTS.access_file), Clock(), http)
            stack.push_async_callback(provider.close)
            samples = (new(issuer, provider), known(issuer, provider), cpu(provider.keys.refresh, 1))
            cases |= {f"{kind} {number}": sample for kind, sample in zip(kinds, samples, strict=True)}
        measured = await measure(cases, min(sample_size.rounds, _ROUNDS))
    return [
        compared(
            f"{kind}, {number} keys in the set / {KEYS[0]}",
            measured[f"{kind} {number}"],
            measured[f"{kind} {KEYS[0]}"],
        )
        for kind in kinds
        for number in KEYS[1:]
    ]
