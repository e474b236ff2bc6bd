"""How a connection ends: refused, cut off or at the end of the server, with every answer in its place.

Guaranteed: answers leave in the order of their requests; after a refusal nothing is read as a request; a refusal can
still be read by a client that is busy sending, because the connection is half-closed and read empty for a bounded while
instead of being reset (RFC 9112 section 9.6). It relies on `RequestResponseCycle` of uvicorn 0.54 (`disconnected`,
`message_event`, `keep_alive`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_server.framing import FULL, Refusal, WireLimits

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

log = structlog.get_logger(__name__)


class PartingProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an orderly end."""

    limits = WireLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `cycle` is the newest request, which may still wait for its turn; this is the one being answered.
        self._running: RequestResponseCycle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._deaf = False
        self._farewell: Refusal | None = None
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
        if running is None or not self._answering():
            self.transport.close()
        elif self._is_event_stream(running):
            self._disconnect()
            self.transport.write(b"0\r\n\r\n")
            self.transport.close()
        else:
            running.keep_alive = False

    def cut(self) -> None:
        """End it now. The application learns of it as if the client had left."""
        self._disconnect()
        self.transport.abort()

    def shed(self) -> None:
        """End it, because there are too many; who was not answered anything is told so, if that needs no waiting."""
        log.info("shed: too many connections, or too much waits in them", client=self.client)
        self._stop_deadline()
        self._deaf = True
        if self._answering() or self.transport.get_write_buffer_size():
            self.cut()
        else:
            self.transport.write(FULL.answer([*self.server_state.default_headers, (b"retry-after", b"1")]))
            self.transport.close()

    def on_response_complete(self) -> None:
        """Start the next request that waits; after the last one, take leave if that was put off."""
        super().on_response_complete()
        if self._deaf and not self.transport.is_closing() and not self._answering():
            self._take_leave()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _answering(self) -> bool:
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

    def _refuse(self, refusal: Refusal | None, *, reading: bool) -> None:
        """Read no more requests, answer those before, then this one. `reading`: the head was accepted, the body not."""
        self._deaf = True
        self._stop_deadline()
        log.info("refused on the wire", client=self.client, reason=refusal.code if refusal else "late")
        self._farewell = refusal
        # Nothing is read as a request any more: what was read of this one must not stay as long as the connection.
        self.headers, self.url, self.scope = [], b"", {}  # type: ignore[typeddict-item]
        self.parser = None  # type: ignore[assignment] # as uvicorn does at the end
        if reading and self.pipeline:
            self.pipeline.popleft()
        elif reading:
            if self.cycle.response_started:  # too late for another one
                self._farewell = None
            self._disconnect()
        if not self._answering():
            self._take_leave()

    def _take_leave(self) -> None:
        self._unset_keepalive_if_required()
        if self._farewell is not None:
            self.transport.write(self._farewell.answer(self.server_state.default_headers))
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
