"""A raw HTTP client, a small application, and a server for it in a thread or a process."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import struct
import sys
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from mcp_idp.config.settings import Settings
from mcp_idp.http_server.protocol import protocol_with_limits
from mcp_idp.http_server.runner import serve
from mcp_idp.observability.logging import configure_logging
from mcp_idp.util.request_memory import AUTHENTICATED_CALLBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.http_server.limits import HttpLimits

HOST = b"Host: here\r\n"
LARGE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawResponse:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """A connection that sends and receives bytes."""

    def __init__(self, address: tuple[Any, ...], *, receive_bytes: int = 0, source: str = "") -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self._socket.settimeout(10)
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        if source:
            self._socket.bind((source, 0))
        self._socket.connect(address[:2])
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = self._socket.makefile("rb")

    def close(self) -> None:
        self._read.close()
        self._socket.close()

    def reset_on_close(self) -> None:
        """Lets `close` reset the connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def send(self, *pieces: bytes) -> Connection:
        for piece in pieces:
            self._socket.sendall(piece)
        return self

    def line(self) -> bytes:
        return self._read.readline()

    def read(self, size: int) -> bytes:
        return self._read.read(size)

    def head(self) -> RawResponse:
        status = int(self.line().split()[1])
        headers: dict[str, str] = {}
        while (line := self.line()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name] = value.strip()
        return RawResponse(status, headers, b"")

    def read_response(self) -> RawResponse:
        head = self.head()
        if "content-length" in head.headers:
            return RawResponse(head.status, head.headers, self._read.read(int(head.headers["content-length"])))
        body = b""
        while size := int(self.line(), 16):
            body += self._read.read(size)
            self.line()
        self.line()
        return RawResponse(head.status, head.headers, body)

    def rest(self) -> bytes:
        """Reads until the peer closes the connection."""
        return self._read.read()

    def drip(self, data: bytes, *, times: int) -> bool:
        """Sends `data` repeatedly; returns whether the peer closed the connection meanwhile."""
        self._socket.settimeout(0.02)
        try:
            for _ in range(times):
                with suppress(TimeoutError):
                    self._socket.sendall(data)
                    return self._socket.recv(1) == b""
        except ConnectionError:
            return True
        finally:
            self._socket.settimeout(10)
        return False

    def is_reset_unread(self, milliseconds: int = 10_000) -> bool:
        """Whether the other side resets it within this time, while nothing is read here."""
        poll = select.poll()
        poll.register(self._socket, select.POLLHUP)  # a reset, not an end after which there may be something to read
        return bool(poll.poll(milliseconds))

    def has_ended(self) -> bool:
        """Reads everything and returns whether the peer closed the connection."""
        self._socket.settimeout(0.05)
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        finally:
            self._socket.settimeout(10)
        return True

    def is_reset_under(self, data: bytes) -> bool:
        """Sends `data` until the peer resets the connection."""
        try:
            while True:
                self._socket.sendall(data)
        except ConnectionError:
            return True


@dataclass
class Echo:
    """An application that echoes requests and records them.

    `/wait` responds after `/release` was called; `/known` counts as a request of somebody with a verified token,
    `/known/as/bob` as one of bob; `/large` responds four megabytes, `/flood` sends until its client has disconnected.
    `/block` blocks the whole event loop until `go_on` is set.
    """

    seen: list[str] = field(default_factory=list)
    headers: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    pauses: list[asyncio.Event] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        self.seen.append(path)
        self.headers.append(scope["headers"])
        if path.startswith("/known"):
            scope["extensions"][AUTHENTICATED_CALLBACK]["callback"](path.partition("/as/")[2] or "somebody")
        if path == "/block":
            self.go_on.wait(30)
        await self._wait_for_release(path)
        if path in {"/unread", "/flood"} or "/large" in path:
            await self._respond_without_reading(path, receive, send)
            return
        if path == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"event", "more_body": True})
        body = await read(receive)
        if body is not None and path != "/stream":
            await respond(send, 200, f"{scope['method']} {path} {len(body)}".encode())
            return
        while body is not None and (await receive())["type"] != "http.disconnect":
            pass
        self.ended.set()

    async def _respond_without_reading(self, path: str, receive: Any, send: Any) -> None:
        if path == "/unread":
            await respond(send, 401, b"")
        elif path == "/flood":
            await self._flood(receive, send)
        else:
            await respond(send, 200, b"a" * LARGE)

    async def _flood(self, receive: Any, send: Any) -> None:
        gone = asyncio.ensure_future(self._gone(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
            await asyncio.sleep(0)
        self.ended.set()

    async def _gone(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _wait_for_release(self, path: str) -> None:
        if path == "/release":
            for pause in self.pauses:
                pause.set()
        if path.endswith("/wait"):
            self.pauses.append(pause := asyncio.Event())
            await pause.wait()


async def read(receive: Any) -> bytes | None:
    """Returns the body, or None if the client disconnected."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def respond(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@dataclass
class Served:
    address: tuple[Any, ...]
    app: Echo

    @contextmanager
    def connect(self, *, receive_bytes: int = 0) -> Iterator[Connection]:
        with closing(Connection(self.address, receive_bytes=receive_bytes)) as connection:
            yield connection

    def once(self, request: bytes) -> RawResponse:
        with self.connect() as connection:
            return connection.send(request).read_response()


@contextmanager
def on_a_socket(app: Any, protocol: type[asyncio.Protocol]) -> Iterator[tuple[Any, ...]]:
    """Serves `app` with our server in a thread; yields its address, where a socket listens before the server starts."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # as `bind_sockets` does
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        address = listener.getsockname()
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served(limits: HttpLimits, protocol: type[asyncio.Protocol] | None = None) -> Iterator[Served]:
    """Serves the echo application with these limits."""
    app = Echo()
    with on_a_socket(app, protocol or protocol_with_limits(limits)) as address:
        yield Served(address, app)


class Stage:
    """The application of the server process: reports events on standard output and continues on command."""

    def __init__(self, fault: str) -> None:
        self._fault = fault
        self._go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == "/who":
            await respond(send, 200, f"{scope['scheme']} {scope['client'][0]}".encode())
        elif scope["path"] == "/wait":
            report("waiting")
            await self._go_on.wait()
            await respond(send, 200, b"done")
        elif scope["path"] == "/events":
            await self._stream(send)
            while (await receive())["type"] != "http.disconnect":
                pass
            report("told")
        else:
            await self._stream(send)
            try:
                await asyncio.Event().wait()
            finally:
                report("cancelled")

    async def _stream(self, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        report("starting")
        if self._fault == "start":
            await send({"type": "lifespan.startup.failed", "message": "no provider"})
            return
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._hear)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        report("stopping")
        if self._fault == "stop":
            await asyncio.Event().wait()
        await send({"type": "lifespan.shutdown.complete"})

    def _hear(self) -> None:
        if not os.read(sys.stdin.fileno(), 100):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._go_on.set()


def report(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main(host: str, port: str, fault: str = "", *proxies: str) -> int:
    configure_logging("json", "info")
    settings = Settings(host=host, port=int(port), trusted_proxies=proxies)
    return serve(Stage(fault), settings, ready=lambda url: report(f"ready {url} {gc.get_freeze_count() > 0}"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
