"""Floods that try to fill the memory of a running server, while another user's calls must succeed."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.model import INITIALIZE, META, Request, call
from tests.support.raw_http import Connection, RawResponse

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = 4 * 1024 * 1024
WIDE = "\U0001f600".encode()


@dataclass(frozen=True, slots=True)
class Target:
    """A server, its host name for clients, and the tokens of an attacker and of another user.

    Attributes:
        source: the IP address from which the attacker connects; "" for the one that the system chooses.
    """

    address: tuple[str, int]
    host: bytes
    attacker: str
    other: str
    source: str = ""

    def connect(self, *, receive_bytes: int = 0) -> Connection:
        return Connection(self.address, receive_bytes=receive_bytes, source=self.source)

    def to_bytes(self, request: Request, *, length: int | None = None) -> bytes:
        """Returns the bytes of `request`; `length` replaces the true length of the body in Content-Length."""
        size = len(request.body) if length is None else length
        fields = [(n, v if n != b"host" else self.host) for n, v in request.headers] + [
            (b"content-length", b"%d" % size)
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
        return b"POST " + request.path.encode() + b" HTTP/1.1\r\n" + lines + b"\r\n" + request.body

    def send(self, request: Request) -> RawResponse:
        with closing(self.connect()) as connection:
            return connection.send(self.to_bytes(request)).read_response()

    def serves_other_user(self) -> bool:
        return self.send(call(self.other)).status == 200

    def session(self, body: bytes = INITIALIZE) -> bytes:
        opened = self.send(call(self.attacker, body=body).but(headers=legacy(self.attacker)))
        return opened.headers.get("mcp-session-id", "").encode()


def legacy(token: str, session: bytes = b"") -> tuple[tuple[bytes, bytes], ...]:
    headers = [header for header in call(token).headers if not header[0].startswith(b"mcp-")]
    headers.append((b"mcp-protocol-version", b"2025-06-18"))
    return (*headers, (b"mcp-session-id", session)) if session else tuple(headers)


def message(tool: str, arguments: bytes, **more: Any) -> bytes:
    """Returns a tool call with these bytes as the argument `x`."""
    params = {"name": tool, "arguments": {**more, "x": "@"}, "_meta": META}
    return (
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        .encode()
        .replace(b'"@"', arguments)
    )


def array_of(item: bytes) -> bytes:
    return b"[" + b",".join([item] * ((BODY - 1000) // (len(item) + 1))) + b"]"


def text(start: bytes = b"") -> bytes:
    return b'"' + start + b"a" * (BODY - 1000 - len(start)) + b'"'


def values_over_the_limits(target: Target) -> None:
    for item in (b"{}", b'{"a":{}}', b"[[]]", b'"ab"', b"1e5", b"9" * 4299):
        body = message("whoami", array_of(item))
        for request in (call(target.attacker, body=body), Request(legacy(target.attacker, target.session()), body)):
            assert target.send(request).status in {400, 413}


def largest_messages_at_once(target: Target) -> None:
    for argument in (text(), text(WIDE), b"[" + b"{}," * 16_000 + text(WIDE)[:-100_000] + b'"]'):
        body = message("whoami", argument)
        for request in (call(target.attacker, body=body), Request(legacy(target.attacker, target.session()), body)):
            threads = [threading.Thread(target=_send_quietly, args=(target, request)) for _ in range(8)]
            for thread in threads:
                thread.start()
            assert target.serves_other_user()
            for thread in threads:
                thread.join()


def _send_quietly(target: Target, request: Request) -> None:
    with suppress(OSError, ValueError, IndexError):
        target.send(request)


def half_heads(target: Target) -> None:
    _hold_open(target, [b"POST /mcp HTTP/1.1\r\nHost: " + target.host + b"\r\nX: " + b"a" * 30_000] * 2500)


def half_bodies(target: Target) -> None:
    for count, size in ((48, BODY - 1), (1900, 2000)):
        request = call(target.attacker, body=b" " * size)
        _hold_open(target, [target.to_bytes(request, length=BODY)] * count)


def calls_that_do_not_end(target: Target) -> None:
    request = call(target.attacker, body=message("count", b"1", number=600))
    headers = tuple((n, v if n != b"mcp-name" else b"count") for n, v in request.headers)
    _hold_open(target, [target.to_bytes(request.but(headers=headers))] * 1200)


def calls_whose_clients_leave(target: Target) -> None:
    for argument in (text(), text(WIDE)):
        for _ in range(8):
            request = Request(legacy(target.attacker, target.session()), message("count", argument, number=10))
            with closing(target.connect()) as connection, suppress(OSError, IndexError):
                connection.send(target.to_bytes(request)).head()
            assert target.serves_other_user()


def responses_that_are_not_read(target: Target) -> None:
    page = b"GET / HTTP/1.1\r\nHost: " + target.host + b"\r\n\r\n"
    with ExitStack() as stack:
        connections = []
        for _ in range(1500):
            with suppress(OSError):
                connections.append(stack.enter_context(closing(target.connect(receive_bytes=2048))))
        for _ in range(4):
            for connection in connections:
                with suppress(OSError):
                    connection.send(page * 10)
            assert target.serves_other_user()


def sessions_with_large_initialize(target: Target) -> None:
    many = INITIALIZE.replace(
        b'"capabilities": {}', b'"capabilities": {"experimental": {"x": {"k": [%s]}}}' % b",".join([b"{}"] * 5000)
    )
    for body in (INITIALIZE, many):
        for _ in range(300):
            target.session(body)
        assert target.serves_other_user()


def _hold_open(target: Target, starts: list[bytes]) -> None:
    """Opens a connection for each of `starts`, sends only these bytes, and holds all of them open at once."""
    with ExitStack() as stack:
        for start in starts:
            with suppress(OSError):
                stack.enter_context(closing(target.connect())).send(start)
        assert target.serves_other_user()


FLOODS: tuple[Callable[[Target], None], ...] = (
    values_over_the_limits,
    largest_messages_at_once,
    half_heads,
    half_bodies,
    calls_that_do_not_end,
    calls_whose_clients_leave,
    responses_that_are_not_read,
    sessions_with_large_initialize,
)
