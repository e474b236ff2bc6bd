"""One request of the handshake era and its answer, without the streams that a session needs.

In a session every message goes through the SDK's streams, for any of them may be followed by others: progress, log
lines, a question to the client. A call of a tool that can do none of this has one answer, and is served as the SDK
serves the requests of 2026-07-28: by itself. `docs/decisions/json-and-streams.md` has what that saves.
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

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from mcp.server.lowlevel.server import Server
    from mcp.shared.dispatcher import CallOptions
    from mcp_types import JSONRPCRequest, RequestId
    from starlette.types import Scope

log = structlog.get_logger(__name__)
# What the SDK's sessions answer with (and language servers, where it comes from).
_CANCELLED = ErrorData(code=-32800, message="Request cancelled")
_KIND = "streamable-http"


@dataclass
class _RequestContext:
    """What a handler sees of the request: nobody to ask anything of, and nowhere to send what is not the answer."""

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
        """Nothing: what may tell of its progress is not served here."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Nothing, as `notify`."""


class SingleResponseDispatcher:
    """Serves single requests of the handshake era, and cancels them when their client asks.

    Args:
        server: whose handlers serve.
    """

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._in_flight: dict[Hashable, anyio.CancelScope] = {}

    async def serve(self, request: JSONRPCRequest, scope: Scope, version: str, session: bytes, state: Any) -> Response:
        """The answer to `request`.

        Args:
            request: the message.
            scope: of the HTTP request that brought it.
            version: the protocol revision that the client speaks.
            session: its id, or b"" where there are none.
            state: what the server's lifespan gave.
        """
        key = _key(session, request.id)
        with anyio.CancelScope() as end:
            if session:  # without one, nobody could tell whose request a cancellation means
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
        return Response(200, (*headers, (b"mcp-session-id", session)) if session else tuple(headers), body)

    def cancel(self, session: bytes, request_id: object) -> None:
        """End what is under way for `notifications/cancelled` of that session."""
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
    """By session, for each numbers its requests as it likes; 1 and "1" are two ids (JSON-RPC 2.0 section 4)."""
    return session, type(request_id), repr(request_id)
