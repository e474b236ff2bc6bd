"""The same comparison over sockets: real server processes, and a client whose connections wait for each answer.

Slower to run and noisier than in process, since client and kernel share the machine with the server. What it adds is
the true denominator: with HTTP parsing and writes a request costs more, so the gate's part in it is smaller.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Effort, Figure, compared
from bench.measure import measure
from bench.requests import modern_call
from bench.rig import DEFAULTS, Issuer
from mcp_server.settings import NAMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from bench.measure import Sample
    from bench.requests import Request

_CONNECTIONS = 4
_CALLS = 100  # a sample, on each connection
_MOST_ROUNDS = 25
_START_SECONDS = 30.0
_SAMPLE_SECONDS = 60.0
_OK = b"HTTP/1.1 200 "
_LISTENING = re.compile(rb"http://127\.0\.0\.1:([0-9]+)")


@dataclass(frozen=True, slots=True)
class _Served:
    """A server process."""

    pid: int
    port: int

    def seconds(self) -> float:
        """CPU of its event loop's thread so far, where Linux tells; elsewhere time on the wall."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        except OSError:
            return time.perf_counter()


async def over_http(effort: Effort) -> list[Figure]:
    """What a call costs the server with a token, and without one where none is asked for."""
    with _published() as issuer:
        # Named as internal too: where this runs in a container, loopback is refused as a mistake otherwise.
        settings = {"OAUTH_SERVER_URL": issuer.url, "OAUTH_INTERNAL_URL": issuer.url, "OAUTH_PROVIDER": "keycloak"}
        async with AsyncExitStack() as stack:
            guarded = await stack.enter_async_context(_server("mcp_server", settings))
            opened = await stack.enter_async_context(_server("mcp_server", {**settings, "DISABLE_AUTH": "true"}))
            plain = await stack.enter_async_context(_server("bench.plain", {}))
            cases = {
                "ours": _calls(guarded, modern_call(issuer.token())),
                "open": _calls(opened, modern_call()),
                "plain": _calls(plain, modern_call()),
            }
            taken = await measure(cases, min(effort.rounds, _MOST_ROUNDS))
    return [
        compared("HTTP: authenticated / the SDK's app, no auth, under uvicorn", taken["plain"], taken["ours"]),
        compared("HTTP: DISABLE_AUTH / the SDK's app, no auth, under uvicorn", taken["plain"], taken["open"]),
    ]


@contextmanager
def _published() -> Iterator[Issuer]:
    """An issuer that other processes reach, on a port of the system's choice."""

    class Documents(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = issuer.document(self.path)
            body = json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Documents) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_port}/realms/bench")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def _server(module: str, settings: Mapping[str, str]) -> AsyncIterator[_Served]:
    """A server process; it says its port in its log."""
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    own = {"PORT": "0", "LOG_FORMAT": "json", "ACCESS_FILE": str(DEFAULTS.access_file), **settings}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, env={**inherited, **own}, stderr=asyncio.subprocess.PIPE
    )
    log = process.stderr
    try:
        async with asyncio.timeout(_START_SECONDS):
            port = None
            while log is not None and port is None:
                port = _port(await log.readline())
        draining = asyncio.create_task(log.read()) if log is not None else None
        yield _Served(process.pid, port or 0)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    if draining is not None:
        await draining


def _port(line: bytes) -> int | None:
    if not line:
        raise RuntimeError("a server ended before it listened")
    said = _LISTENING.search(line)
    return int(said[1]) if said is not None and b'"listening"' in line else None


def _calls(server: _Served, request: Request) -> Sample:
    """A sample: the server's seconds for one call, with as many at a time as there are connections."""
    head = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers)
    message = b"POST /mcp HTTP/1.1\r\n" + head + b"\r\n" + request.body

    async def sample() -> float:
        async with asyncio.timeout(_SAMPLE_SECONDS):
            start = server.seconds()
            await asyncio.gather(*(_talk(server.port, message) for _ in range(_CONNECTIONS)))
            return (server.seconds() - start) / (_CONNECTIONS * _CALLS)

    return sample


async def _talk(port: int, message: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(_CALLS):
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(_OK):
            raise RuntimeError(f"answered {head[:40]!r}")
        _, _, rest = head.lower().partition(b"content-length:")
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()
