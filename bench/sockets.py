"""The same comparison over sockets: real server processes, and connections that wait for each response.

It is slower and noisier than in process, because client and kernel share the machine with the server. But it includes
HTTP parsing and writes, so it shows the real share of the auth middleware in a request.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bench.issuer import published
from bench.prepared_requests import OK, UnexpectedStatusError, modern_call
from bench.processes import Line, on_the_wire, server_process, settings_for
from bench.results import Figure, SampleSize, compared
from bench.sampling import measure

if TYPE_CHECKING:
    from bench.prepared_requests import Request
    from bench.processes import Served
    from bench.sampling import Sample

_CONNECTIONS = 4
_CALLS = 100  # calls in a sample, per connection
_MAX_ROUNDS = 25
_SAMPLE_SECONDS = 60.0


async def over_http(sample_size: SampleSize) -> list[Figure]:
    """Measures the server's cost of a call with a token, and of one with authentication disabled."""
    with published() as issuer:
        settings = settings_for(issuer)
        async with AsyncExitStack() as stack:
            guarded = await stack.enter_async_context(server_process("mcp_server", settings))
            opened = await stack.enter_async_context(server_process("mcp_server", {**settings, "DISABLE_AUTH": "true"}))
            sdk_server = await stack.enter_async_context(server_process("bench.sdk_app", {}))
            cases = {
                "ours": _calls(guarded, modern_call(issuer.token())),
                "open": _calls(opened, modern_call()),
                "plain": _calls(sdk_server, modern_call()),
            }
            samples = await measure(cases, min(sample_size.rounds, _MAX_ROUNDS))
    return [
        compared("HTTP: authenticated / the SDK's app, no auth, under uvicorn", samples["plain"], samples["ours"]),
        compared("HTTP: DISABLE_AUTH / the SDK's app, no auth, under uvicorn", samples["plain"], samples["open"]),
    ]


def _calls(server: Served, request: Request) -> Sample:
    """Returns a sample: the server's seconds per call, with one concurrent call per connection."""
    message = on_the_wire(request)

    async def sample() -> float:
        async with asyncio.timeout(_SAMPLE_SECONDS):
            start = server.seconds()
            await asyncio.gather(*(_talk(server.port, message) for _ in range(_CONNECTIONS)))
            return (server.seconds() - start) / (_CONNECTIONS * _CALLS)

    return sample


async def _talk(port: int, message: bytes) -> None:
    line = await Line.open(port)
    for _ in range(_CALLS):
        if (status := await line.send(message)) != OK:
            raise UnexpectedStatusError(f"answered {status} where {OK} was due")
    await line.close()
