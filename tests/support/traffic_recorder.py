"""A proxy that passes bytes on unchanged and records the HTTP/1.1 exchanges in them, also of streams that stay open."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.compose_stack import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_HEAD = 1 << 20
_PIECE = 1 << 16
_NO_BODY = frozenset({204, 304})
_FIRST_FINAL_STATUS = 200  # below: 100 Continue and the like, before the response


@dataclass(slots=True)
class Exchange:
    """A request and its response, as far as it has arrived.

    Attributes:
        method: the method.
        target: the request target.
        headers: the request's headers, by lower-case name.
        body: the request's content.
        status: the status, or 0 without a response.
        response_headers: the response's headers, by lower-case name.
        response: the response's content.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response: bytearray = field(default_factory=bytearray)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def message(self) -> dict[str, Any]:
        """The JSON object of the request, such as a JSON-RPC message, or {}."""
        with suppress(ValueError):
            found = json.loads(bytes(self.body))
            if isinstance(found, dict):
                return found
        return {}

    @property
    def challenge(self) -> str:
        """The `WWW-Authenticate` header of the response, or ""."""
        return self.response_headers.get("www-authenticate", "")


@dataclass(slots=True)
class Traffic:
    """The recorded exchanges.

    Attributes:
        port: where clients connect.
        exchanges: in order of the requests.
    """

    port: int
    exchanges: list[Exchange] = field(default_factory=list)

    def at(self, path: str) -> list[Exchange]:
        """Returns the exchanges of a path."""
        return [one for one in self.exchanges if one.path == path]

    def statuses(self, path: str, *methods: str) -> list[int]:
        """Returns the statuses at a path in order, only those of JSON-RPC `methods` if given."""
        return [one.status for one in self.at(path) if not methods or one.message.get("method") in methods]


@contextmanager
def recording_traffic(target: int, port: int | None = None) -> Iterator[Traffic]:
    """Forwards connections from `port` of this machine, or a free one, to the port `target`, and records them."""
    traffic = Traffic(port or free_port())
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(traffic, target, started, stop)))
    thread.start()
    try:
        assert started.wait(30)
        yield traffic
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _serve(traffic: Traffic, target: int, started: threading.Event, stop: asyncio.Event) -> None:
    tasks: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await _forward(traffic.exchanges, target, reader, writer)
        writer.close()
        tasks.discard(task)

    servers = [await asyncio.start_server(connect, host, traffic.port) for host in ("127.0.0.1", "::1")]
    started.set()
    await stop.wait()
    for server in servers:
        server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(
    exchanges: list[Exchange], target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", target)
    requests, responses = asyncio.StreamReader(limit=_MAX_HEAD), asyncio.StreamReader(limit=_MAX_HEAD)
    waiting: deque[Exchange] = deque()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_read_requests(requests, exchanges, waiting))
            group.create_task(_read_responses(responses, waiting))
            group.create_task(_pump(reader, back_writer, requests))
            group.create_task(_pump(back_reader, writer, responses))
    finally:
        back_writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, copy: asyncio.StreamReader) -> None:
    with suppress(OSError):  # a side that disconnects
        while data := await source.read(_PIECE):
            copy.feed_data(data)
            sink.write(data)
            await sink.drain()
    copy.feed_eof()
    sink.close()


async def _read_requests(reader: asyncio.StreamReader, exchanges: list[Exchange], waiting: deque[Exchange]) -> None:
    with suppress(asyncio.IncompleteReadError):
        while True:
            start, headers = await _read_head(reader)
            method, target, _ = start.split(" ", 2)
            exchange = Exchange(method, target, headers)
            exchanges.append(exchange)
            waiting.append(exchange)
            await _read_body(reader, headers, exchange.body)


async def _read_responses(reader: asyncio.StreamReader, waiting: deque[Exchange]) -> None:
    with suppress(asyncio.IncompleteReadError):
        while True:
            start, headers = await _read_head(reader)
            status = int(start.split(" ", 2)[1])
            if status < _FIRST_FINAL_STATUS or not waiting:
                continue
            exchange = waiting.popleft()
            exchange.status, exchange.response_headers = status, headers
            if exchange.method != "HEAD" and status not in _NO_BODY:
                await _read_body(reader, headers, exchange.response, until_closed=True)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return start, {name.strip().lower(): value.strip() for name, _, value in fields}


async def _read_body(
    reader: asyncio.StreamReader, headers: dict[str, str], into: bytearray, *, until_closed: bool = False
) -> None:
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
            into += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    elif "content-length" in headers or not until_closed:
        into += await reader.readexactly(int(headers.get("content-length", 0)))
    else:
        into += await reader.read()
