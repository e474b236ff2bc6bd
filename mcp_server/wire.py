"""Bounds on the wire, before any of our application code runs: httptools has none of its own.

`BoundedHttpProtocol` is uvicorn's httptools protocol with limits. One parser alone, llhttp, decides where a request
begins and ends; what it refuses and what we add stands in `mcp_server.framing`, how a connection ends in
`mcp_server.parting`.
Guaranteed for every connection:

- a head over `header_bytes` or with more than `header_count` lines is answered 431; one that is not complete within
  `header_seconds` of its first byte (of the connection, for the first) ends the connection, however it drips;
- a declared body over `body_bytes` is answered 413 unread, a chunked one as soon as the bound is passed; extensions and
  trailers of chunks share one more `header_bytes`; trailers never become headers (RFC 9110 section 6.5.1);
- each pipelined request is judged by itself, and at most `pipelined` wait;
- Upgrade is not taken (RFC 9110 section 7.8 allows that): the request is an ordinary one, with its body. uvicorn alone
  drops that body or reads it as the next request. Java's client asks for h2c with every request: refusing is no option.

All connections together are bounded in `mcp_server.connections`. uvicorn's `limit_concurrency` would answer 503 to
everybody as soon as anybody holds that many, the health checks and the people logged in included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools

from mcp_server import framing
from mcp_server.budget import LET_IN, REQUEST_BYTES
from mcp_server.connections import Connections
from mcp_server.framing import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    NOT_HTTP,
    TOO_MANY_HEADERS,
    RequestRefused,
    WireLimits,
)
from mcp_server.parting import PartingProtocol

if TYPE_CHECKING:
    import asyncio

_BETWEEN, _HEAD, _BODY = range(3)
# What one chunk may cost besides its data without touching the allowance: two digits and two line ends, and the digits
# of longer chunks.
_CHUNK_BYTES, _CHUNK_SHARE = 6, 64
# Of a head, at once: its lines are counted after each.
_PIECE_BYTES = 4096
# A line of a head, besides its text: two bytes objects and their pair.
_LINE_BYTES = 160


class BoundedHttpProtocol(PartingProtocol):
    """One connection. `bounded_protocol` gives it its limits, and those that it shares them with."""

    beside: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting = 0
        self._lines = 0  # of the head, as far as they are counted in `waiting`
        self._owed = 0  # bytes that are not counted in `waiting` yet
        self._let_in = False  # the newest request
        self._part = _BETWEEN
        self._changes = 0  # of _part: whether a piece held a border
        self._head_bytes = 0
        self._began_inside = (
            False  # the head, in a piece that began with something else: its size is summed up at its end
        )
        self._length: int | None = 0
        self._body_bytes = 0
        self._allowance = 0  # what is left for extensions and trailers
        self._skipping = False
        self._replaying = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # declared so by uvicorn
        """The time for the first head starts with the connection."""
        super().connection_made(transport)
        self._start_deadline()
        self.beside.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing waits in it any more."""
        self.beside.remove(self)
        super().connection_lost(exc)
        self.scope = {}  # type: ignore[typeddict-item] # it leads back here

    def data_received(self, data: bytes) -> None:
        """Give the parser no more at once than may still follow, so that no bound is passed far inside."""
        self._unset_keepalive_if_required()
        view: bytes | memoryview = data
        if self._part != _BETWEEN or len(data) > _PIECE_BYTES:  # not the usual whole request
            while not self._deaf and len(view) > (room := self._room()):
                view = memoryview(view)
                self._feed(view[:room])
                view = view[room:]
        if self._deaf:
            self._discard(len(view))
            return
        self._feed(view)
        if self._deaf:
            return
        if self._part != _BETWEEN and self._deadline is None:
            self._start_deadline()
        self._count_waiting(len(data))

    def _count_waiting(self, size: int) -> None:
        if not self.pipeline:  # the piece may have begun with the end of a body that waits no more
            size = min(size, self.limits.header_bytes + (self._body_bytes if self._part != _HEAD else 0))
        if self._part == _HEAD:
            lines = len(self.headers or ())
            size += (lines - self._lines) * _LINE_BYTES
            self._lines = lines
        size += self._owed
        self._owed = 0
        if self._waits():
            self.beside.arrived(self, size)

    def _waits(self) -> bool:
        """Whether anything is here of a request that was not let in, nor answered."""
        if self._part == _HEAD or self.pipeline:
            return True
        running = self._running  # and the newest, where none waits behind it
        return running is not None and not self._let_in and not running.response_complete

    def _room(self) -> int:
        if self._part == _BODY:
            return self.limits.header_bytes if self._length is None else self._length - self._body_bytes
        return min(self.limits.header_bytes - self._head_bytes, _PIECE_BYTES)

    def _feed(self, data: bytes | memoryview) -> None:
        changes, before, got = self._changes, self._part, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            refused = error.__context__
            refusal = refused.refusal if isinstance(refused, RequestRefused) else NOT_HTTP
            self._refuse(refusal, reading=self._part == _BODY)
            return
        changes = self._changes - changes
        if changes == 0 and before == _BODY:
            self._count_framing(len(data) - (self._body_bytes - got))
        elif changes == 0 or (changes == 1 and before == _BETWEEN):
            self._count_head(len(data))
        elif self._part == _HEAD:
            self._began_inside = True

    def _count_head(self, size: int) -> None:
        self._part = _HEAD  # line ends before a request are its first bytes, though the parser begins none
        self._head_bytes += size
        if self._head_bytes >= self.limits.header_bytes:
            self._refuse(HEAD_TOO_LARGE, reading=False)
        elif len(self.headers or ()) > self.limits.header_count:
            self._refuse(TOO_MANY_HEADERS, reading=False)

    def _count_framing(self, size: int) -> None:
        self._allowance -= size
        if self._allowance < 0:
            self._refuse(BODY_TOO_LARGE, reading=True)

    def _stay_with_http(self, rest: bytes | memoryview) -> None:
        if self._part == _BODY:  # llhttp has skipped it: a parser that never heard of the Upgrade reads on from here
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            framing = "transfer-encoding: chunked" if self._length is None else f"content-length: {self._length}"
            self._replaying = True
            self.parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
            self._replaying = False
        if rest:
            self.data_received(bytes(rest))

    def on_message_begin(self) -> None:
        """A head begins."""
        if self._replaying:
            return
        if self._part != _HEAD:
            self._part = _HEAD
            self._changes += 1
        super().on_message_begin()
        self.scope["extensions"] = {LET_IN: {"tell": self.let_in}}

    def let_in(self) -> int:
        """The token of the request that is being answered is verified: what waited of it, in bytes."""
        self.beside.let_in(self)
        waiting = self.waiting
        if not self.pipeline and self._part != _HEAD:
            self._let_in = True
            self.beside.settled(self)
        return waiting

    def on_headers_complete(self) -> None:
        """Judge the head; only then does the application hear of the request.

        Raises:
            RequestRefused: it is refused; the parser stops and hands the error on.
        """
        if self._replaying:
            return
        parser = self.parser
        upgrade = parser.should_upgrade()
        self._length = framing.body_length(parser.get_http_version(), self.headers, self.limits)
        if upgrade or not self.url.startswith(b"/") or b"#" in self.url:
            self.url = framing.origin_form(parser.get_method(), self.url, self.headers)
        if self._began_inside and framing.head_size(self.url, self.headers) > self.limits.header_bytes:
            raise RequestRefused(HEAD_TOO_LARGE)
        if len(self.pipeline) >= self.limits.pipelined:
            raise RequestRefused(None)
        super().on_headers_complete()
        self._let_in = False
        self._owed += (len(self.headers) - self._lines) * _LINE_BYTES + (REQUEST_BYTES if self.pipeline else 0)
        self._lines = 0
        self._stop_deadline()
        self._skipping = upgrade and self._length != 0
        self._began_inside = False
        self.headers = []  # the app keeps the list: trailers, which the parser reports in the same way, go nowhere
        self._part, self._head_bytes, self._body_bytes, self._allowance = _BODY, 0, 0, self.limits.header_bytes
        self._changes += 1
        if self.expect_100_continue:
            # Answered without "100 Continue", neither side knows whether the body follows (RFC 9110 section 10.1.1).
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count, and pass it on.

        Raises:
            RequestRefused: a chunked body passes the bound.
        """
        self._body_bytes += len(body)
        self._allowance += _CHUNK_BYTES + len(body) // _CHUNK_SHARE
        if self._body_bytes > self.limits.body_bytes:
            raise RequestRefused(BODY_TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has ended, unless llhttp only skips the body of one that asked for an Upgrade."""
        if self._skipping:
            self._skipping = False
            return
        self._stop_deadline()
        self._part = _BETWEEN
        self._changes += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What was answered waits no more."""
        super().on_response_complete()
        if not self._waits():
            self.beside.settled(self)

    @property
    def is_idle(self) -> bool:
        """No request is being answered."""
        return not self._answering() and not self.pipeline

    def _start_deadline(self) -> None:
        seconds = self.limits.body_seconds if self._part == _BODY else self.limits.header_seconds
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who do not read
            self._start_deadline()
        else:
            self._refuse(None, reading=self._part == _BODY)


def bounded_protocol(limits: WireLimits) -> type[BoundedHttpProtocol]:
    """The protocol of one server with these limits, for `uvicorn.Config(http=...)`."""
    beside = Connections(limits.connections, limits.waiting_bytes)
    return type("BoundedHttpProtocol", (BoundedHttpProtocol,), {"limits": limits, "beside": beside})
