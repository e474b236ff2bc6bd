"""uvicorn's httptools protocol with graceful connection shutdown.

`GracefulHttpProtocol` guarantees when a connection ends:

- Responses are sent in the order of their requests.
- After a rejection, received bytes are no longer parsed.
- A client that is still sending can read the rejection, because the connection is half-closed and its input discarded
  for a limited time instead of being reset (RFC 9112 section 9.6).
- A client that does not read its responses is cut off after `write_seconds`.

This relies on `RequestResponseCycle` of uvicorn 0.54 (`disconnected`, `message_event`, `keep_alive`).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_idp.http_server.connection_log import ConnectionLog
from mcp_idp.http_server.limits import (
    FULL,
    HttpLimits,
    HttpRejection,
)

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# While the write buffer is full, a client must read this much within `write_seconds`, or all of the buffer.
_MIN_READ_BYTES = 64 * 1024
# On close, the kernel discards what it has not sent, instead of keeping it until the client reads it (socket(7)).
_DISCARD_ON_CLOSE = struct.pack("ii", 1, 0)


class GracefulHttpProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with graceful connection shutdown."""

    limits = HttpLimits()
    log = ConnectionLog()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The request whose response is in progress. `cycle` is the newest request, which may still be queued.
        self._running: RequestResponseCycle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._authenticated_running = False  # whether the request in progress is authenticated
        self._rejecting = False
        self._final_response: HttpRejection | None = None
        self._discarded = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Notifies the request in progress of the disconnect; uvicorn notifies the newest request only.

        Stops all timers: each refers to the connection, and so keeps its memory. After a reset (`exc`), uvicorn leaves
        its keep-alive timer running.
        """
        self._stop_deadline()
        self._stop_write_deadline()
        self._disconnect()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        # Its requests refer to the connection. Without these references back, all is freed now, not by the collector,
        # which would stop all requests to find the connections of a flood.
        self._running = None
        self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()

    def pause_writing(self) -> None:
        """Starts the deadline by which the client must read what is buffered."""
        super().pause_writing()
        if self._write_deadline is None:
            self._start_write_deadline()

    def resume_writing(self) -> None:
        """Stops that deadline: the buffer has drained."""
        super().resume_writing()
        self._stop_write_deadline()

    def shutdown(self) -> None:
        """Ends the connection because the server shuts down.

        An event stream is completed, another request in progress may finish, an idle connection is closed. Pipelined
        requests that wait are dropped; their client may send them again (RFC 9112 section 9.3.2).
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
        """Closes the connection immediately. To the application this looks like a client disconnect."""
        self._disconnect()
        self.transport.abort()

    @property
    def host(self) -> str:
        """The IP address of the client; "" if it has none."""
        return self.client[0] if self.client else ""

    def shed(self) -> bool:
        """Closes the connection because a limit over all connections is exceeded.

        Sends 503 first, unless a response is in progress or earlier output is still buffered. If an authenticated
        request is being served, only what waits behind it is dropped.

        Returns:
            Whether the connection is closed now; False if it ends after the response that is in progress.
        """
        self.log.record("connection_shed", client=self.client)
        self._stop_deadline()
        if self._authenticated_running and self._response_pending():
            self.pipeline.clear()
            self._reject(None, reading=False)
            return False
        self._rejecting = True
        if self._response_pending() or self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.transport.write(FULL.to_bytes([*self.server_state.default_headers, (b"retry-after", b"1")]))
            self.transport.close()
        return True

    def cut(self) -> None:
        """Closes the connection at once, because its client does not read, and discards what is not sent."""
        self.log.record("connection_cut", client=self.client, unsent=self.measure_unsent())
        handle = self.transport.get_extra_info("socket")
        if handle is not None:
            with suppress(OSError):
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD_ON_CLOSE)
        self._stop_write_deadline()
        self.abort()

    def measure_unsent(self) -> int:
        """Returns the bytes that the client has not read: in the write buffer, and in the kernel's on Linux."""
        if self.transport.is_closing():
            return 0
        unsent = self.transport.get_write_buffer_size()
        handle = self.transport.get_extra_info("socket")
        with suppress(OSError, ValueError, AttributeError):
            unsent += int.from_bytes(fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return unsent

    def on_response_complete(self) -> None:
        """Starts the next pipelined request; after the last one, sends a rejection that was deferred."""
        self._authenticated_running = False
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
        # The stream of a GET may end at any time, so it can be completed cleanly. A POST must deliver its response: if
        # it is cut off, the client must notice.
        return bool(
            cycle.response_started
            and cycle.chunked_encoding
            and cycle.scope["method"] == "GET"
            and any(name == b"accept" and b"text/event-stream" in value for name, value in cycle.scope["headers"])
        )

    def _reject(self, rejection: HttpRejection | None, *, reading: bool) -> None:
        """Stops parsing, lets earlier requests finish, then sends `rejection` (None: no response) and closes.

        `reading` says that the head of the rejected request has been accepted and its body was being read.
        """
        self._rejecting = True
        self._stop_deadline()
        reason = rejection.code if rejection else "late"
        self.log.record("http_request_rejected", reason, client=self.client, reason=reason)
        self._final_response = rejection
        # Nothing more is parsed; release the data of this request now instead of when the connection ends.
        self.headers, self.url, self.scope = [], b"", {}  # type: ignore[typeddict-item]
        self.parser = None  # type: ignore[assignment] # as uvicorn does in connection_lost
        if reading and self.pipeline:
            self.pipeline.popleft()
        elif reading:
            if self.cycle.response_started:  # too late for a second response
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

    def _start_write_deadline(self) -> None:
        self._write_deadline = self.loop.call_later(
            self.limits.write_seconds, self._on_write_deadline, self.measure_unsent()
        )

    def _on_write_deadline(self, unsent: int) -> None:
        """Closes the connection unless its client has read enough of the `unsent` bytes that it had at the start."""
        self._write_deadline = None
        if unsent - self.measure_unsent() >= _MIN_READ_BYTES:
            self._start_write_deadline()
        else:
            self.cut()

    def _stop_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
