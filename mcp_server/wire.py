"""Bounds on the wire, before any of our application code runs: httptools has none of its own.

`BoundedHttpProtocol` is uvicorn's httptools protocol with limits. One parser alone, llhttp, decides where a request begins and
ends; what it lets pass and we do not stands in `mcp_server.framing`. Guaranteed for every connection:

- a head over `header_bytes` or with more than `header_count` lines is answered 431; one that is not complete within
  `header_seconds` of its first byte (of the connection, for the first) ends the connection, however it drips;
- a declared body over `body_bytes` is answered 413 unread, a chunked one as soon as the bound is passed; extensions and
  trailers of chunks share one more `header_bytes`; trailers never become headers (RFC 9110 section 6.5.1);
- an answer never overtakes those to earlier pipelined requests, and after a refusal nothing is read as a request;
- a refused connection is half-closed and read empty for a bounded while, so the answer is not lost to a reset (RFC 9112
  section 9.6);
- Upgrade is not taken (RFC 9110 section 7.8 allows that): the request is an ordinary one, with its body. llhttp would take
  that body for the next request. Java's client asks for h2c with every request, so refusing is not an option.

There is no bound on the number of connections: uvicorn's `limit_concurrency` answers 503 to everybody as soon as anybody holds
that many, the health checks and the streams of people logged in included, so it makes an attack cheaper. A connection
that does nothing ends after `header_seconds`; the limit on open files and the proxy in front bound the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_server.framing import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    NOT_HTTP,
    Refusal,
    RequestRefused,
    WireLimits,
    body_length,
    origin_form,
)

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_BETWEEN, _HEAD, _BODY = range(3)
# What one chunk may cost besides its data without touching the allowance: two digits and two line ends, and the digits
# of longer chunks.
_CHUNK_BYTES, _CHUNK_SHARE = 6, 64


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. `bounded_protocol` gives it other limits than the default ones."""

    limits = WireLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._part = _BETWEEN
        self._changes = 0  # how often _part changed: whether a piece held a border
        self._head_bytes = 0
        self._length: int | None = 0
        self._body_bytes = 0
        self._allowance = 0  # what is left for extensions and trailers
        self._deadline: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None  # `cycle` is the newest one, which may still wait
        self._deaf = False
        self._farewell: Refusal | None = None
        self._discarded = 0
        self._replaying = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self.pipeline.clear()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._deaf:
            self._discard(len(data))
            return
        view: bytes | memoryview = data
        # A piece never reaches beyond what may still follow, so that a border inside it is judged where it is.
        while len(view) > (room := self._room()):
            self._feed(memoryview(view)[:room])
            view = memoryview(view)[room:]
            if self._deaf:
                self._discard(len(view))
                return
        self._feed(view)
        if self._part != _BETWEEN and self._deadline is None and not self._deaf:
            self._start_deadline()

    def _room(self) -> int:
        if self._part == _BODY:
            return self.limits.header_bytes if self._length is None else self._length - self._body_bytes
        return self.limits.header_bytes - (self._head_bytes if self._part == _HEAD else 0)

    def _feed(self, data: bytes | memoryview) -> None:
        changes, before, got = self._changes, self._part, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            refused = error.__context__
            self._refuse(refused.refusal if isinstance(refused, RequestRefused) else NOT_HTTP)
            return
        if self._changes == changes and before == _BODY:
            if self._length is None:
                self._count_framing(len(data) - (self._body_bytes - got))
        elif self._changes == changes or (before == _BETWEEN and self._changes == changes + 1):
            # The whole piece belongs to one head. Line ends before a request are its first bytes.
            self._part = _HEAD
            self._head_bytes += len(data)
            if self._head_bytes >= self.limits.header_bytes:
                self._refuse(HEAD_TOO_LARGE)

    def _count_framing(self, size: int) -> None:
        self._allowance -= size
        if self._allowance < 0:
            self._refuse(BODY_TOO_LARGE)

    def _stay_with_http(self, rest: bytes | memoryview) -> None:
        if self._part == _BODY:  # llhttp skipped it: a parser that never heard of the Upgrade reads on from here
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            framing = "transfer-encoding: chunked" if self._length is None else f"content-length: {self._length}"
            self._replaying = True
            self.parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
            self._replaying = False
        self.data_received(bytes(rest))

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        if self._part == _BETWEEN:
            self._part, self._head_bytes = _HEAD, 0
            self._changes += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._replaying:
            return
        parser = self.parser
        self._length = body_length(parser.get_http_version(), self.headers, self.limits)
        if not self.url.startswith(b"/") or b"#" in self.url:
            self.url = origin_form(parser.get_method(), self.url, self.headers)
        if len(self.pipeline) >= self.limits.pipelined:
            raise RequestRefused(None)
        super().on_headers_complete()
        self._stop_deadline()
        self.headers = []  # the app has the list: trailers, which the parser reports in the same way, go nowhere
        self._part, self._body_bytes, self._allowance = _BODY, 0, self.limits.header_bytes
        self._changes += 1
        if self.expect_100_continue:
            # Answered without "100 Continue", neither side knows whether the body follows (RFC 9110 section 10.1.1).
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._allowance += _CHUNK_BYTES + len(body) // _CHUNK_SHARE
        if self._body_bytes > self.limits.body_bytes:
            raise RequestRefused(BODY_TOO_LARGE)
        super().on_body(body)
