"""Measures latency over sockets, as the client sees it, with one call in progress per connection.

It is wall-clock time on a machine that client, server and provider share, so only ratios within a round are meaningful.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import repeat
from statistics import quantiles
from typing import TYPE_CHECKING

from bench import thresholds
from bench.issuer import published
from bench.prepared_requests import OK, UnexpectedStatusError, modern_call
from bench.processes import Line, on_the_wire, server_process, settings_for
from bench.results import Figure, SampleSize
from bench.sampling import measure, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.issuer import Issuer

_LINES = 16
_CALLS = 25  # calls in a sample, per connection
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Times:
    """Statistics of the calls of a sample: median and 99th percentile in seconds, and the number of failures."""

    median: float
    slow: float
    failed: int

    @classmethod
    def of(cls, responses: Iterable[tuple[int, float]]) -> Times:
        """Computes the statistics from status and seconds of each call."""
        statuses, seconds = zip(*responses, strict=True)
        cut = quantiles(seconds, n=100, method="inclusive")
        return cls(cut[49], cut[98], sum(status != OK for status in statuses))


async def timed(line: Line, message: bytes) -> tuple[int, float]:
    """Sends a call and returns status and seconds."""
    start = time.perf_counter()
    status = await line.send(message)
    return status, time.perf_counter() - start


def compare(name: str, times: Sequence[Times], baselines: Sequence[Times]) -> list[Figure]:
    """Returns the ratios of medians and of 99th percentiles, each within a round."""
    return [
        Figure(f"{name}: p50", ratio([one.median for one in times], [one.median for one in baselines])),
        Figure(f"{name}: p99", ratio([one.slow for one in times], [one.slow for one in baselines])),
    ]


async def under_load(sample_size: SampleSize) -> list[Figure]:
    """Compares calls with a known token and with new tokens with calls of the SDK's application without auth."""
    with published() as issuer:
        async with AsyncExitStack() as stack:
            this_server = await stack.enter_async_context(server_process("mcp_server", settings_for(issuer)))
            sdk_server = await stack.enter_async_context(server_process("bench.sdk_app", {}))
            known, unauthenticated = on_the_wire(modern_call(issuer.token())), on_the_wire(modern_call())
            cases = {
                "plain": lambda: _load(sdk_server.port, repeat(unauthenticated)),
                "known": lambda: _load(this_server.port, repeat(known)),
                "new": lambda: _load(this_server.port, _new_tokens(issuer)),
            }
            samples = await measure(cases, min(sample_size.rounds, _ROUNDS))
    figures = []
    for kind, times in (("a known token", samples["known"]), ("new tokens", samples["new"])):
        figures += compare(f"HTTP latency, {kind} / the SDK's app, no auth", times, samples["plain"])
        tail = ratio([one.slow for one in times], [one.median for one in times])
        figures.append(Figure(f"HTTP latency, {kind}: p99 / p50", tail, thresholds.TAIL))
    return figures


def _new_tokens(issuer: Issuer) -> Iterator[bytes]:
    return iter([on_the_wire(modern_call(issuer.token())) for _ in range(_LINES * _CALLS)])


async def _load(port: int, messages: Iterator[bytes]) -> Times:
    """Sends calls on each connection, the next one as soon as the response to the previous one arrives."""

    async def talk() -> list[tuple[int, float]]:
        line = await Line.open(port)
        responses = [await timed(line, next(messages)) for _ in range(_CALLS)]
        await line.close()
        return responses

    times = Times.of(
        [response for responses in await asyncio.gather(*(talk() for _ in range(_LINES))) for response in responses]
    )
    if times.failed:
        raise UnexpectedStatusError(f"{times.failed} calls were not answered {OK}")
    return times
