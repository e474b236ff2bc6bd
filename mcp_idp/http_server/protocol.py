"""Limits on the wire: uvicorn's httptools protocol, with graceful connection shutdown.

The limits apply before any application code runs; httptools has none of its own. llhttp is the only parser that decides
where a request begins and ends. `mcp_idp.http_server.limits` documents what llhttp rejects and what is validated in
addition.

`LimitedHttpProtocol` guarantees for every connection (the names are attributes of `HttpLimits`):

- A head over `header_bytes` or with more than `header_count` fields gets 431. The connection is closed if a head is not
  complete within `header_seconds`, even if bytes keep arriving. The time starts with the first byte of the head; for
  the first head it starts with the connection.
- A declared body over `body_bytes` gets 413 before it is read, a chunked body as soon as it exceeds the limit. Chunk
  extensions and trailers have a separate limit of `header_bytes`. Trailers never become headers (RFC 9110 section
  6.5.1).
- Each pipelined request is validated separately, and at most `pipelined` requests wait.
- Upgrade is ignored, as RFC 9110 section 7.8 allows: the request is processed as an ordinary one, with its body.
  Unmodified uvicorn drops that body or parses it as the next request. Rejecting such requests is not an option, because
  Java's HTTP client asks for h2c with every request.

`mcp_idp.http_server.connections` limits all connections together. uvicorn's `limit_concurrency` is not used: once a
single client holds that many connections, it responds 503 to all clients, including health checks and authenticated
ones, which makes an attack cheaper.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import httptools
import structlog

from mcp_idp.http_server import limits
from mcp_idp.http_server.connection_log import ConnectionLog
from mcp_idp.http_server.connections import Connections
from mcp_idp.http_server.graceful_protocol import GracefulHttpProtocol
from mcp_idp.http_server.limits import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    NOT_HTTP,
    TOO_MANY_HEADERS,
    HttpLimits,
    RequestRejected,
)
from mcp_idp.http_server.turn_scheduler import TurnScheduler
from mcp_idp.util.request_memory import AUTHENTICATED_CALLBACK, REQUEST_BYTES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Hashable

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

log = structlog.get_logger(__name__)


_BETWEEN, _HEAD, _BODY = range(3)
# The framing of a chunk that does not count against `_chunk_overhead_budget`: two digits and two line ends, plus one
# byte per 64 bytes of data for the digits of longer chunks.
_CHUNK_BYTES, _CHUNK_SHARE = 6, 64
# Bytes of a head that are fed to the parser at once; the header fields are counted after each piece.
_PIECE_BYTES = 4096
# Memory of a header field in addition to its text, in bytes: two bytes objects and their tuple.
_LINE_BYTES = 160


class LimitedHttpProtocol(GracefulHttpProtocol):
    """The protocol of one connection.

    `protocol_with_limits` creates a subclass with `limits` and `all_connections`.

    Attributes:
        all_connections: all connections of the server, which share some limits.
        turn_scheduler: decides when received bytes and pipelined requests are processed.
        waiting: bytes received for requests that are not authenticated yet.
        unsent: bytes of responses that the client has not read, as of the last measurement.
    """

    all_connections: Connections
    turn_scheduler: TurnScheduler

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting = 0
        self.unsent = 0
        self._held = b""  # received bytes that are not processed yet
        self._has_turn = False  # whether the turn scheduler has given this connection a place, which is being used
        self._lines = 0  # header fields of the current head that `waiting` includes
        self._uncounted = 0  # bytes to be added to `waiting` with the next piece
        self._authenticated = False  # whether the newest request is authenticated
        self._state = _BETWEEN
        self._state_changes = 0  # counts changes of `_state`, to tell whether a piece crosses a boundary
        self._head_bytes = 0
        # The head began inside a piece that began with something else, so its size is computed when it is complete.
        self._head_started_mid_chunk = False
        self._length: int | None = 0  # declared length of the body; None for a chunked one
        self._body_bytes = 0
        self._chunk_overhead_budget = 0  # bytes left for chunk extensions and trailers
        self._skipping = False  # llhttp is about to report the end of a request whose body it skips (Upgrade)
        self._replaying = False  # a new parser is being fed a synthetic head, see `_ignore_upgrade`

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # declared so by uvicorn
        """Registers the connection and starts the deadline for the first head."""
        super().connection_made(transport)
        self._start_deadline()
        self.all_connections.add(self)
        self.all_connections.keep_measuring(self.loop)
        if not self.turn_scheduler.begin_now(self.loop):
            self.flow.pause_reading()
            self.turn_scheduler.wait(self.all_connections.owner_of(self), self._begin_reading)

    def _begin_reading(self) -> bool:
        is_open = not self.transport.is_closing()
        if is_open:
            self.flow.resume_reading()
        return is_open

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Starts to process a request: one that was just received at once, a pipelined one when it is its turn."""
        if self._has_turn or self.turn_scheduler.begin_now(self.loop):
            super()._start_asgi_task(cycle, app)
            return
        self._running = cycle
        self.turn_scheduler.wait(self.all_connections.owner_of(self), partial(self._start_waiting_task, cycle, app))

    def _start_waiting_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> bool:
        if not cycle.disconnected:
            super()._start_asgi_task(cycle, app)
        return not cycle.disconnected

    def connection_lost(self, exc: Exception | None) -> None:
        """Removes the connection from the shared limits."""
        self.all_connections.remove(self)
        super().connection_lost(exc)
        self._held = b""
        self.scope = {}  # type: ignore[typeddict-item] # breaks a reference cycle: its extension refers to this object

    def pause_writing(self) -> None:
        """Counts what is buffered for the client."""
        super().pause_writing()
        self.all_connections.update_unsent(self)

    def resume_writing(self) -> None:
        """Updates the count after the buffer has drained."""
        super().resume_writing()
        self.all_connections.update_unsent(self)

    def data_received(self, data: bytes) -> None:
        """Processes received bytes, in a later turn of the event loop if there is too much to do in this one."""
        self._unset_keepalive_if_required()
        if self._held or not self.turn_scheduler.begin_now(self.loop):
            self._hold(data)
        else:
            self._process(data)

    def _hold(self, data: bytes) -> None:
        if not self._held:
            self.flow.pause_reading()
            self.turn_scheduler.wait(self.all_connections.owner_of(self), self._process_held)
        self._held += data
        self.all_connections.add_waiting(self, len(data))

    def _process_held(self) -> bool:
        data, self._held = self._held, b""
        if self.transport.is_closing():
            return False
        self.all_connections.add_waiting(self, -len(data))
        self.flow.resume_reading()
        self._process(data)
        return True

    def _process(self, data: bytes) -> None:
        self._has_turn = True
        self._parse(data)
        self._has_turn = False

    def _parse(self, data: bytes) -> None:
        """Feeds the parser in pieces no larger than what is still allowed, so that no limit is exceeded by much."""
        view: bytes | memoryview = data
        if self._state != _BETWEEN or len(data) > _PIECE_BYTES:  # otherwise usually a complete small request
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
        if not self.pipeline:  # the piece may have begun with the end of a body that no longer waits
            size = min(size, self.limits.header_bytes + (self._body_bytes if self._state != _HEAD else 0))
        if self._state == _HEAD:
            lines = len(self.headers or ())
            size += (lines - self._lines) * _LINE_BYTES
            self._lines = lines
        size += self._uncounted
        self._uncounted = 0
        if self._waits():
            self.all_connections.add_waiting(self, size)

    def _waits(self) -> bool:
        """Whether the connection holds bytes of a request that is neither authenticated nor answered."""
        if self._held or self._state == _HEAD or self.pipeline:
            return True
        running = self._running  # also the newest request, because the pipeline is empty
        return running is not None and not self._authenticated and not running.response_complete

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
            if cause is not None:
                cause.__traceback__ = None  # its frames refer to the parser and the connection
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
        self._state = _HEAD  # empty lines before a request count as part of its head; llhttp does not report them
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
        if self._state == _BODY:  # llhttp has skipped it: a new parser, fed a head without Upgrade, reads the body
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            framing = "transfer-encoding: chunked" if self._length is None else f"content-length: {self._length}"
            self._replaying = True
            self.parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
            self._replaying = False
        if rest:
            self._parse(bytes(rest))

    def on_message_begin(self) -> None:
        """Begins a head and adds the `AUTHENTICATED_CALLBACK` extension to the ASGI scope."""
        if self._replaying:
            return
        if self._state != _HEAD:
            self._state = _HEAD
            self._state_changes += 1
        super().on_message_begin()
        self.scope["extensions"] = {
            AUTHENTICATED_CALLBACK: {"callback": self.mark_authenticated, "usage": self.all_connections.usage}
        }

    def mark_authenticated(self, user: Hashable) -> int:
        """Records that the token of the request in progress is verified.

        Args:
            user: the user of the token.

        Returns:
            The connection's waiting bytes until now; from here on they are charged to the user.
        """
        self.all_connections.mark_authenticated(self, user)
        self._authenticated_running = True
        waiting = self.waiting
        if not self.pipeline and not self._held and self._state != _HEAD:
            self._authenticated = True
            self.all_connections.clear_waiting(self)
        return waiting

    def on_headers_complete(self) -> None:
        """Validates the head before the request is passed to the application.

        Raises:
            RequestRejected: the head is rejected; the parser stops and `feed_data` raises with this error as context.
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
        self._authenticated = False
        self._uncounted += (len(self.headers) - self._lines) * _LINE_BYTES + (REQUEST_BYTES if self.pipeline else 0)
        self._lines = 0
        self._stop_deadline()
        self._skipping = upgrade and self._length != 0
        self._head_started_mid_chunk = False
        self.headers = []  # the application keeps the old list, so trailers, reported like headers, are dropped
        self._state, self._head_bytes, self._body_bytes, self._chunk_overhead_budget = (
            _BODY,
            0,
            0,
            self.limits.header_bytes,
        )
        self._state_changes += 1
        if self.expect_100_continue:
            # After a final response without "100 Continue" it is unclear whether the body follows (RFC 9110 section
            # 10.1.1).
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Counts a part of the body and passes it on.

        Raises:
            RequestRejected: a chunked body exceeds `body_bytes`.
        """
        self._body_bytes += len(body)
        self._chunk_overhead_budget += _CHUNK_BYTES + len(body) // _CHUNK_SHARE
        if self._body_bytes > self.limits.body_bytes:
            raise RequestRejected(BODY_TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends a request, unless llhttp reports the end only because it skips the body of an Upgrade request."""
        if self._skipping:
            self._skipping = False
            return
        self._stop_deadline()
        self._state = _BETWEEN
        self._state_changes += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Resets the waiting bytes if no unauthenticated request is left."""
        super().on_response_complete()
        if not self._waits():
            self.all_connections.clear_waiting(self)

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress or queued."""
        return not self._response_pending() and not self.pipeline and not self._held

    def _start_deadline(self) -> None:
        seconds = self.limits.body_seconds if self._state == _BODY else self.limits.header_seconds
        self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # reading is paused by our own flow control
            self._start_deadline()
        else:
            self._reject(None, reading=self._state == _BODY)


def protocol_with_limits(limits: HttpLimits) -> type[LimitedHttpProtocol]:
    """Returns the protocol class of one server, for `uvicorn.Config(http=...)`; its connections share `Connections`."""
    log = ConnectionLog()
    connections = Connections(limits.connections, limits.waiting_bytes, limits.unsent_bytes, log=log)
    found = {"limits": limits, "all_connections": connections, "turn_scheduler": TurnScheduler(), "log": log}
    return type("LimitedHttpProtocol", (LimitedHttpProtocol,), found)
