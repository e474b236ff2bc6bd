"""The provider on a socket, for servers in other processes and for clients that block their event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from bench.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_PATH = "/realms/bench"


@contextmanager
def published(issuer: Issuer | None = None) -> Iterator[Issuer]:
    """Yields an issuer that listens on 127.0.0.1 at a free port; its event loop runs in a thread."""
    issuer = issuer or Issuer("")
    ready = threading.Event()
    end: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with _listening(issuer) as port:
            issuer.url = f"http://127.0.0.1:{port}{_PATH}"
            end.append((asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(timeout=10):
        raise RuntimeError("the provider did not start")
    loop, stop = end[0]
    try:
        yield issuer
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@asynccontextmanager
async def _listening(issuer: Issuer) -> AsyncIterator[int]:
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            talks.add(task)
            task.add_done_callback(talks.discard)
        try:
            while True:
                await _respond_once(issuer, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client disconnected
        finally:  # stopping the provider cancels this task: close the writer before the loop is closed
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _respond_once(issuer: Issuer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    path = head.split(" ", 2)[1]
    length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
    status, body = await issuer.respond(path, await reader.readexactly(length))
    writer.write(
        f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )
