"""Serves single requests of the handshake protocol revisions without the streams of a session.

In a session every message goes through the SDK's streams, because a handler may send further messages: progress, log
notifications, requests to the client. A call of a tool that can send none of these has a single response, so it is
dispatched directly, as the SDK dispatches requests of 2026-07-28. `docs/decisions/json-and-streams.md` has the savings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCResponse
from starlette.requests import Request

from mcp_idp.http.responses import Response
from mcp_idp.mcp_protocol.sessions import SESSION_ID

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from mcp.server.lowlevel.server import Server
    from mcp.shared.dispatcher import CallOptions
    from mcp_types import JSONRPCRequest, RequestId
    from starlette.types import Scope

log = structlog.get_logger(__name__)
# The error of the SDK's sessions; the code comes from the Language Server Protocol.
_CANCELLED = ErrorData(code=-32800, message="Request cancelled")
_KIND = "streamable-http"


@dataclass
class _RequestContext:
    """The SDK's dispatch context for a handler that can send neither requests nor notifications to the client."""

    request_id: RequestId
    message_metadata: ServerMessageMetadata
    transport: TransportContext = field(default_factory=lambda: TransportContext(kind=_KIND, can_send_request=False))
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = False

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        del params, opts
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Drops the notification: tools that send notifications are not served here."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Drops the progress report, as `notify`."""


class SingleResponseDispatcher:
    """Serves single requests of the handshake revisions, and cancels them on request of the client.

    Args:
        server: the SDK's low-level server, which has the handlers.
    """

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._in_flight: dict[Hashable, anyio.CancelScope] = {}

    async def serve(self, request: JSONRPCRequest, scope: Scope, version: str, session: bytes, state: Any) -> Response:
        """Serves `request` and returns the HTTP response, which has status 200 also for a JSON-RPC error.

        Args:
            request: the JSON-RPC request.
            scope: the ASGI scope of its HTTP request.
            version: the client's protocol revision.
            session: the session id; b"" without a session.
            state: the state that the server's lifespan yielded.
        """
        key = _key(session, request.id)
        with anyio.CancelScope() as end:
            if session:  # without a session, a cancellation cannot be attributed to a request
                self._in_flight[key] = end
            try:
                message = await self._dispatch(request, scope, version, state)
            finally:
                if self._in_flight.get(key) is end:
                    del self._in_flight[key]
        if end.cancelled_caught:
            message = JSONRPCError(jsonrpc="2.0", id=request.id, error=_CANCELLED)
        body = message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return Response(200, (*headers, (SESSION_ID, session)) if session else tuple(headers), body)

    def cancel(self, session: bytes, request_id: object) -> None:
        """Cancels a request in progress, for `notifications/cancelled`; does nothing if there is none with this id.

        Args:
            session: the session id; only requests of the same session are cancelled.
            request_id: the JSON-RPC id of the request.
        """
        if end := self._in_flight.get(_key(session, request_id)):
            end.cancel()

    async def _dispatch(
        self, request: JSONRPCRequest, scope: Scope, version: str, state: Any
    ) -> JSONRPCResponse | JSONRPCError:
        context = _RequestContext(request.id, ServerMessageMetadata(request_context=Request(scope)))
        connection = Connection.from_envelope(version, None, None)
        try:
            result = await serve_one(
                self._server, context, request.method, request.params, connection=connection, lifespan_state=state
            )
        except Exception as error:
            error_data = handler_exception_to_error_data(error)
            if error_data is None:
                log.exception("mcp_handler_failed", method=request.method)
                error_data = ErrorData(code=INTERNAL_ERROR, message="Internal server error")
            return JSONRPCError(jsonrpc="2.0", id=request.id, error=error_data)
        return JSONRPCResponse(jsonrpc="2.0", id=request.id, result=result)


def _key(session: bytes, request_id: object) -> Hashable:
    """Returns the key of a request: ids are unique per session only, and 1 and "1" differ (JSON-RPC 2.0 section 4)."""
    return session, type(request_id), repr(request_id)
