"""Bounds on the wire, before any of our application code runs: httptools has none of its own.

`LimitedHttpProtocol` is uvicorn's httptools protocol with limits. One parser alone, llhttp, decides where a request
begins and ends; what it refuses and what we add stands in `mcp_idp.http_server.limits`, how a connection ends in
`mcp_idp.http_server.protocol`.
Guaranteed for every connection:

- a head over `header_bytes` or with more than `header_count` lines is answered 431; one that is not complete within
  `header_seconds` of its first byte (of the connection, for the first) ends the connection, however it drips;
- a declared body over `body_bytes` is answered 413 unread, a chunked one as soon as the bound is passed; extensions and
  trailers of chunks share one more `header_bytes`; trailers never become headers (RFC 9110 section 6.5.1);
- each pipelined request is judged by itself, and at most `pipelined` wait;
- Upgrade is not taken (RFC 9110 section 7.8 allows that): the request is an ordinary one, with its body. uvicorn alone
  drops that body or reads it as the next request. Java's client asks for h2c with every request: refusing is no option.

All connections together are bounded in `mcp_idp.http_server.connections`. uvicorn's `limit_concurrency` would answer
503 to everybody as soon as anybody holds that many, the health checks and authenticated clients included: an attack
made cheaper.

How a connection ends: refused, cut off or at the end of the server, with every answer in its place.

Guaranteed: answers leave in the order of their requests; after a refusal nothing is read as a request; a refusal can
still be read by a client that is busy sending, because the connection is half-closed and read empty for a bounded while
instead of being reset (RFC 9112 section 9.6). It relies on `RequestResponseCycle` of uvicorn 0.54 (`disconnected`,
`message_event`, `keep_alive`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_idp.http_server import limits
from mcp_idp.http_server.connections import Connections
from mcp_idp.http_server.limits import (
    BODY_TOO_LARGE,
    FULL,
    HEAD_TOO_LARGE,
    NOT_HTTP,
    TOO_MANY_HEADERS,
    HttpLimits,
    HttpRejection,
    RequestRejected,
)
from mcp_idp.util.memory_budget import LET_IN, REQUEST_BYTES

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

log = structlog.get_logger(__name__)


class GracefulHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an orderly end."""

    limits = HttpLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `cycle` is the newest request, which may still wait for its turn; this is the one being answered.
        self._running: RequestResponseCycle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._rejecting = False
        self._final_response: HttpRejection | None = None
        self._discarded = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The request being answered is told too; uvicorn tells the newest one only."""
        self._stop_deadline()
        self._disconnect()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: an event stream is completed, a request being answered may finish, the rest is closed.

        A request that waits behind another is dropped; its client may send it again (RFC 9112 section 9.3.2).
        """
        running = self._running
        if running is None or not self._response_pending():
            self.transport.close()
        elif self._is_event_stream(running):
            self._disconnect()
            self.transport.write(b"0\r\n\r\n")
            self.transport.close()
        else:
            running.keep_alive = False

    def abort(self) -> None:
        """End it now. The application learns of it as if the client had left."""
        self._disconnect()
        self.transport.abort()

    def shed(self) -> None:
        """End it, because there are too many; who was not answered anything is told so, if that needs no waiting."""
        log.info("connection_shed", client=self.client)
        self._stop_deadline()
        self._rejecting = True
        if self._response_pending() or self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.transport.write(FULL.to_bytes([*self.server_state.default_headers, (b"retry-after", b"1")]))
            self.transport.close()

    def on_response_complete(self) -> None:
        """Start the next request that waits; after the last one, take leave if that was put off."""
        super().on_response_complete()
        if self._rejecting and not self.transport.is_closing() and not self._response_pending():
            self._send_final_response()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _response_pending(self) -> bool:
        running = self._running
        return running is not None and not running.response_complete and not running.disconnected

    def _disconnect(self) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    @staticmethod
    def _is_event_stream(cycle: RequestResponseCycle) -> bool:
        # A stream of events promises no end, so it may end well here. A POST owes an answer: cut, it must look cut.
        return bool(
            cycle.response_started
            and cycle.chunked_encoding
            and cycle.scope["method"] == "GET"
            and any(name == b"accept" and b"text/event-stream" in value for name, value in cycle.scope["headers"])
        )

    def _reject(self, rejection: HttpRejection | None, *, reading: bool) -> None:
        """Read no more requests, answer those before, then this one. `reading`: the head was accepted, the body not."""
        self._rejecting = True
        self._stop_deadline()
        log.info("http_request_rejected", client=self.client, reason=rejection.code if rejection else "late")
        self._final_response = rejection
        # Nothing is read as a request any more: what was read of this one must not stay as long as the connection.
        self.headers, self.url, self.scope = [], b"", {}  # type: ignore[typeddict-item]
        self.parser = None  # type: ignore[assignment] # as uvicorn does at the end
        if reading and self.pipeline:
            self.pipeline.popleft()
        elif reading:
            if self.cycle.response_started:  # too late for another one
                self._final_response = None
            self._disconnect()
        if not self._response_pending():
            self._send_final_response()

    def _send_final_response(self) -> None:
        self._unset_keepalive_if_required()
        if self._final_response is not None:
            self.transport.write(self._final_response.to_bytes(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self.limits.linger_bytes:
            self.transport.abort()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


_BETWEEN, _HEAD, _BODY = range(3)
# What one chunk may cost besides its data without touching the allowance: two digits and two line ends, and the digits
# of longer chunks.
_CHUNK_BYTES, _CHUNK_SHARE = 6, 64
# Of a head, at once: its lines are counted after each.
_PIECE_BYTES = 4096
# A line of a head, besides its text: two bytes objects and their pair.
_LINE_BYTES = 160


class LimitedHttpProtocol(GracefulHttpProtocol):
    """One connection. `protocol_with_limits` gives it its limits, and those that it shares them with."""

    beside: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting = 0
        self._lines = 0  # of the head, as far as they are counted in `waiting`
        self._owed = 0  # bytes that are not counted in `waiting` yet
        self._let_in = False  # the newest request
        self._state = _BETWEEN
        self._state_changes = 0  # of _part: whether a piece held a border
        self._head_bytes = 0
        self._head_started_mid_chunk = (
            False  # the head, in a piece that began with something else: its size is summed up at its end
        )
        self._length: int | None = 0
        self._body_bytes = 0
        self._chunk_overhead_budget = 0  # what is left for extensions and trailers
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
        if self._state != _BETWEEN or len(data) > _PIECE_BYTES:  # not the usual whole request
            while not self._rejecting and len(view) > (remaining := self._remaining_bytes()):
                view = memoryview(view)
                self._feed(view[:remaining])
                view = view[remaining:]
        if self._rejecting:
            self._discard(len(view))
            return
        self._feed(view)
        if self._rejecting:
            return
        if self._state != _BETWEEN and self._deadline is None:
            self._start_deadline()
        self._count_waiting(len(data))

    def _count_waiting(self, size: int) -> None:
        if not self.pipeline:  # the piece may have begun with the end of a body that waits no more
            size = min(size, self.limits.header_bytes + (self._body_bytes if self._state != _HEAD else 0))
        if self._state == _HEAD:
            lines = len(self.headers or ())
            size += (lines - self._lines) * _LINE_BYTES
            self._lines = lines
        size += self._owed
        self._owed = 0
        if self._waits():
            self.beside.arrived(self, size)

    def _waits(self) -> bool:
        """Whether anything is here of a request that was not let in, nor answered."""
        if self._state == _HEAD or self.pipeline:
            return True
        running = self._running  # and the newest, where none waits behind it
        return running is not None and not self._let_in and not running.response_complete

    def _remaining_bytes(self) -> int:
        if self._state == _BODY:
            return self.limits.header_bytes if self._length is None else self._length - self._body_bytes
        return min(self.limits.header_bytes - self._head_bytes, _PIECE_BYTES)

    def _feed(self, data: bytes | memoryview) -> None:
        changes, before, got = self._state_changes, self._state, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            rejection = cause.rejection if isinstance(cause, RequestRejected) else NOT_HTTP
            self._reject(rejection, reading=self._state == _BODY)
            return
        changes = self._state_changes - changes
        if changes == 0 and before == _BODY:
            self._count_framing(len(data) - (self._body_bytes - got))
        elif changes == 0 or (changes == 1 and before == _BETWEEN):
            self._count_head(len(data))
        elif self._state == _HEAD:
            self._head_started_mid_chunk = True

    def _count_head(self, size: int) -> None:
        self._state = _HEAD  # line ends before a request are its first bytes, though the parser begins none
        self._head_bytes += size
        if self._head_bytes >= self.limits.header_bytes:
            self._reject(HEAD_TOO_LARGE, reading=False)
        elif len(self.headers or ()) > self.limits.header_count:
            self._reject(TOO_MANY_HEADERS, reading=False)

    def _count_framing(self, size: int) -> None:
        self._chunk_overhead_budget -= size
        if self._chunk_overhead_budget < 0:
            self._reject(BODY_TOO_LARGE, reading=True)

    def _ignore_upgrade(self, rest: bytes | memoryview) -> None:
        if self._state == _BODY:  # llhttp has skipped it: a parser that never heard of the Upgrade reads on from here
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
        if self._state != _HEAD:
            self._state = _HEAD
            self._state_changes += 1
        super().on_message_begin()
        self.scope["extensions"] = {LET_IN: {"tell": self.let_in}}

    def let_in(self) -> int:
        """The token of the request that is being answered is verified: what waited of it, in bytes."""
        self.beside.let_in(self)
        waiting = self.waiting
        if not self.pipeline and self._state != _HEAD:
            self._let_in = True
            self.beside.settled(self)
        return waiting

    def on_headers_complete(self) -> None:
        """Judge the head; only then does the application hear of the request.

        Raises:
            RequestRejected: it is refused; the parser stops and hands the error on.
        """
        if self._replaying:
            return
        parser = self.parser
        upgrade = parser.should_upgrade()
        self._length = limits.validate_head(parser.get_http_version(), self.headers, self.limits)
        if upgrade or not self.url.startswith(b"/") or b"#" in self.url:
            self.url = limits.origin_form(parser.get_method(), self.url, self.headers)
        if self._head_started_mid_chunk and limits.head_size(self.url, self.headers) > self.limits.header_bytes:
            raise RequestRejected(HEAD_TOO_LARGE)
        if len(self.pipeline) >= self.limits.pipelined:
            raise RequestRejected(None)
        super().on_headers_complete()
        self._let_in = False
        self._owed += (len(self.headers) - self._lines) * _LINE_BYTES + (REQUEST_BYTES if self.pipeline else 0)
        self._lines = 0
        self._stop_deadline()
        self._skipping = upgrade and self._length != 0
        self._head_started_mid_chunk = False
        self.headers = []  # the app keeps the list: trailers, which the parser reports in the same way, go nowhere
        self._state, self._head_bytes, self._body_bytes, self._chunk_overhead_budget = (
            _BODY,
            0,
            0,
            self.limits.header_bytes,
        )
        self._state_changes += 1
        if self.expect_100_continue:
            # Answered without "100 Continue", neither side knows whether the body follows (RFC 9110 section 10.1.1).
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count, and pass it on.

        Raises:
            RequestRejected: a chunked body passes the bound.
        """
        self._body_bytes += len(body)
        self._chunk_overhead_budget += _CHUNK_BYTES + len(body) // _CHUNK_SHARE
        if self._body_bytes > self.limits.body_bytes:
            raise RequestRejected(BODY_TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has ended, unless llhttp only skips the body of one that asked for an Upgrade."""
        if self._skipping:
            self._skipping = False
            return
        self._stop_deadline()
        self._state = _BETWEEN
        self._state_changes += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What was answered waits no more."""
        super().on_response_complete()
        if not self._waits():
            self.beside.settled(self)

    @property
    def is_idle(self) -> bool:
        """No request is being answered."""
        return not self._response_pending() and not self.pipeline

    def _start_deadline(self) -> None:
        seconds = self.limits.body_seconds if self._state == _BODY else self.limits.header_seconds
        self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who do not read
            self._start_deadline()
        else:
            self._reject(None, reading=self._state == _BODY)


def protocol_with_limits(limits: HttpLimits) -> type[LimitedHttpProtocol]:
    """The protocol of one server with these limits, for `uvicorn.Config(http=...)`."""
    beside = Connections(limits.connections, limits.waiting_bytes)
    return type("LimitedHttpProtocol", (LimitedHttpProtocol,), {"limits": limits, "beside": beside})
