"""Measures the latency of calls with known tokens over sockets during floods of invalid tokens, compared with no flood.

The callers pause between calls, so that they alone do not saturate the server. The flood has a fixed rate, whether or
not responses arrive, as long as one of its connections is free. The sending client also uses the machine, so a flood of
the cheapest requests, those without credentials, is measured for comparison.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from itertools import chain, count, islice, repeat
from typing import TYPE_CHECKING

from bench import thresholds
from bench.flood_counts import unknown_kids
from bench.issuer import published
from bench.latency import Times, compare, timed
from bench.prepared_requests import OK, UnexpectedStatusError, modern_call
from bench.processes import Line, on_the_wire, server_process, settings_for
from bench.results import Figure, SampleSize, counted
from bench.sampling import spread
from mcp_idp.tokens.jwks import REFRESH_COOLDOWN_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

_CALLERS = 2
_PAUSE = 0.01
_WINDOW = 2.0
_WINDOWS = 6
_LINES = 160  # connections of the flood: more than may be in flight and queued together
_RATE = 600  # requests of the flood per second
_MIN_SENT = 200  # requests of the flood in a window, on any machine: more than 1,000 in all windows
_TICK = 0.002
_RESPONSE_DELAY = 0.3
_INTROSPECTION_SETTINGS = {
    "OAUTH_PROVIDER": "generic",
    "AUTH_TOKEN_MODE": "introspection",
    "OAUTH_CLIENT_SECRET": "bench",
}


async def flooded(_sample_size: SampleSize) -> list[Figure]:
    """Measures floods of tokens with unknown kids, then of invalid opaque tokens that a slow provider introspects."""
    with published() as issuer:
        async with server_process("mcp_server", settings_for(issuer)) as server:
            known = on_the_wire(modern_call(issuer.token()))
            kids = map(on_the_wire, map(modern_call, unknown_kids(issuer)))
            await _call_once(server.port, known)
            before, start = issuer.key_fetches, time.perf_counter()
            by_kids = [await _windows(server.port, known, kids, {401}) for _ in range(_WINDOWS)]
            begun = math.ceil((time.perf_counter() - start) / REFRESH_COOLDOWN_SECONDS)
            fetches = (issuer.key_fetches - before) / begun
        issuer.delay = _RESPONSE_DELAY
        invalid = (on_the_wire(modern_call(f"invalid-{i}")) for i in count())
        with_opaque = []
        async with server_process("mcp_server", {**settings_for(issuer), **_INTROSPECTION_SETTINGS}) as server:
            for _ in range(_WINDOWS):
                # A different one each time, because introspection results are cached for 30 s only.
                known = on_the_wire(modern_call(issuer.reference()))
                await _call_once(server.port, known)
                with_opaque.append(await _windows(server.port, known, invalid, {401, 503}))
    return [
        *_rows("unknown kids", by_kids),
        Figure("HTTP: key fetches in one cool-down, unknown kids all along", spread([fetches]), thresholds.KEY_FETCHES),
        *_rows("invalid opaque tokens, introspection takes 300 ms", with_opaque),
        counted(
            "HTTP: introspections under way at once, invalid opaque tokens", issuer.max_in_flight, thresholds.IN_FLIGHT
        ),
    ]


def _rows(what: str, rounds: Sequence[tuple[Times, Times, Times]]) -> list[Figure]:
    none, cheap, invalid = (list(times) for times in zip(*rounds, strict=True))
    failed = sum(one.failed for one in (*none, *cheap, *invalid))
    return [
        *compare(f"HTTP latency of a known token, flood of {what} / none", invalid, none),
        *compare(f"HTTP latency of a known token, flood of {what} / as many without credentials", invalid, cheap),
        counted(f"HTTP: failed calls of known tokens, flood of {what}", failed, thresholds.FAILED),
    ]


async def _call_once(port: int, message: bytes) -> None:
    line = await Line.open(port)
    if (status := await line.send(message)) != OK:
        raise UnexpectedStatusError(f"answered {status} where {OK} was due")
    await line.close()


async def _windows(
    port: int, message: bytes, invalid: Iterator[bytes], expected: set[int]
) -> tuple[Times, Times, Times]:
    """Measures calls in three windows: no flood, one without credentials, and one of invalid tokens."""
    none = await _window(port, message)
    cheap = await _during_unauthenticated_flood(port, message, repeat(on_the_wire(modern_call())), {401})
    return none, cheap, await _during_unauthenticated_flood(port, message, invalid, expected)


async def _during_unauthenticated_flood(
    port: int, message: bytes, invalid: Iterator[bytes], expected: set[int]
) -> Times:
    """Measures calls in a window with a flood.

    Raises:
        UnexpectedStatusError: the flood got other statuses than expected.
        RuntimeError: the flood sent too few requests.
    """
    responses: Counter[int] = Counter()
    ready = islice(invalid, int(_RATE * _WINDOW * 2))
    async with _unauthenticated(port, iter([*ready]), responses):
        times = await _window(port, message)
    if not expected.issuperset(responses):
        raise UnexpectedStatusError(f"unexpected statuses in the flood: {responses}")
    if responses.total() < _MIN_SENT:
        raise RuntimeError(f"only {responses.total()} requests of the flood in {_WINDOW:g} s: this machine is too busy")
    return times


async def _window(port: int, message: bytes) -> Times:
    end = time.perf_counter() + _WINDOW

    async def call() -> list[tuple[int, float]]:
        line, responses = await Line.open(port), []
        while time.perf_counter() < end:
            responses.append(await timed(line, message))
            await asyncio.sleep(_PAUSE)
        await line.close()
        return responses

    return Times.of(chain.from_iterable(await asyncio.gather(*(call() for _ in range(_CALLERS)))))


@asynccontextmanager
async def _unauthenticated(port: int, invalid: Iterator[bytes], responses: Counter[int]) -> AsyncIterator[None]:
    """Sends invalid requests at a fixed rate while the block runs, and counts the responses."""
    lines = [await Line.open(port) for _ in range(_LINES)]
    free, tasks = list(lines), []

    async def send_invalid(line: Line) -> None:
        responses[await line.send(next(invalid))] += 1
        free.append(line)

    async def send() -> None:
        due, last = 0.0, time.perf_counter()
        while True:
            now = time.perf_counter()
            due, last = min(due + _RATE * (now - last), len(free)), now
            while due >= 1:
                tasks.append(asyncio.create_task(send_invalid(free.pop())))
                due -= 1
            await asyncio.sleep(_TICK)

    sending = asyncio.create_task(send())
    yield
    sending.cancel()
    await asyncio.gather(*tasks)
    for line in lines:
        await line.close()
