"""Real server processes, and connections to them."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from bench.defaults import DEFAULTS
from mcp_idp.config.settings import NAMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bench.issuer import Issuer
    from bench.prepared_requests import Request

_START_SECONDS = 60.0
_LOOK_EVERY = 0.1
_LISTENING = re.compile(rb"http://127\.0\.0\.1:([0-9]+)")


@dataclass(frozen=True, slots=True)
class Served:
    """A server process."""

    pid: int
    port: int

    def seconds(self) -> float:
        """Returns the CPU seconds of the event loop's thread on Linux; on other systems, wall-clock time."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        except OSError:
            return time.perf_counter()


@asynccontextmanager
async def server_process(module: str, settings: Mapping[str, str]) -> AsyncIterator[Served]:
    """Starts a server process, which logs its port. The log is a file, so that the process never blocks on it."""
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    own = {"PORT": "0", "LOG_FORMAT": "json", "ACCESS_FILE": str(DEFAULTS.access_file), **settings}
    with NamedTemporaryFile(mode="w+b") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env={**inherited, **own}, stderr=log.file
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                port = await _port(process, Path(log.name))
            yield Served(process.pid, port)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _port(process: asyncio.subprocess.Process, log: Path) -> int:
    while process.returncode is None:
        for line in log.read_bytes().splitlines():  # noqa: ASYNC240 - a small file
            if b'"listening"' in line and (match := _LISTENING.search(line)) is not None:
                return int(match[1])
        await asyncio.sleep(_LOOK_EVERY)
    raise RuntimeError(f"a server ended before it listened: {log.read_text()[-2000:]}")  # noqa: ASYNC240 - the program ends here


def on_the_wire(request: Request) -> bytes:
    """Returns the request as the bytes that a client sends."""
    head = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers)
    return b"POST /mcp HTTP/1.1\r\n" + head + b"\r\n" + request.body


class Line:
    """A persistent connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Line:
        """Opens a connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, message: bytes) -> int:
        """Sends `message`, reads the whole response and returns its status."""
        self._writer.write(message)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, declared, rest = head.partition(b"content-length:")
        if not declared:
            raise RuntimeError(f"an answer without a length: {head[:200]!r}")
        await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1])

    async def close(self) -> None:
        """Closes the connection."""
        self._writer.close()
        await self._writer.wait_closed()


def settings_for(issuer: Issuer, **more: str) -> dict[str, str]:
    """Returns the environment of a server that trusts `issuer`."""
    # Set as the internal URL too: in a container the server otherwise rejects a loopback issuer as a mistake.
    own = {"OAUTH_SERVER_URL": issuer.url, "OAUTH_INTERNAL_URL": issuer.url, "OAUTH_PROVIDER": "keycloak"}
    # The limits are on, and too high to be reached.
    names = (
        "RATE_LIMIT_ADDRESS",
        "RATE_LIMIT_USER",
        "RATE_LIMIT_NEW_TOKENS",
        "MAX_CALLS_PER_USER",
        "MAX_STREAMS_PER_USER",
    )
    return {**own, **dict.fromkeys(names, "1000000"), **more}
