"""Serves all protocol revisions on one endpoint and chooses JSON or SSE for each response.

```
revision     request                                  response      served by
2026-07-28   can only produce a single response   ─► JSON          the SDK's JSON session manager
             anything else                        ─► JSON or SSE   the SDK's SSE session manager
handshake    call of a non-streaming tool         ─► JSON          SingleResponseDispatcher
             anything else                        ─► SSE           the SDK's session
```

The handshake revisions are those with `initialize` (2024-11-05 to 2025-11-25). An SSE stream costs several times as
much as a JSON response, but a JSON response cannot carry progress or log notifications. The choice therefore depends on
the tool: without the SDK's `Context`, or a parameter that is resolved by asking the client, it can send nothing but its
result. A tool that takes a `Context` for another purpose declares this with `streaming=False`. A request that is not
certainly of this kind is passed unchanged to the SDK, which validates its `Accept`, its session and its message.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from functools import lru_cache
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.resolve import find_resolved_parameters
from mcp.server.mcpserver.utilities.context_injection import find_context_parameter
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import JSONRPCRequest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.routing import Router

from mcp_idp.http.body import MESSAGE_SCOPE_KEY
from mcp_idp.http_server.limits import MAX_BODY_BYTES
from mcp_idp.mcp_protocol.registry import is_streaming
from mcp_idp.mcp_protocol.running_calls import RunningCalls
from mcp_idp.mcp_protocol.sessions import SESSION_ID, SessionTracker
from mcp_idp.mcp_protocol.single_response import SingleResponseDispatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Mapping
    from types import ModuleType

    from mcp.server.mcpserver import MCPServer
    from starlette.types import Receive, Scope, Send

    from mcp_idp.http.responses import Response

_CALL = "tools/call"
_CANCELLED = "notifications/cancelled"
_SINGLE_RESPONSE_METHODS = frozenset(
    {"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"}
)
_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})
_HANDSHAKE = frozenset(version.encode() for version in HANDSHAKE_PROTOCOL_VERSIONS)
_MODERN = frozenset(version.encode() for version in MODERN_PROTOCOL_VERSIONS)
_READ = (b"accept", b"content-type", b"mcp-protocol-version", SESSION_ID)


class McpEndpoint:
    """The MCP application as an ASGI application.

    It must be behind `AuthMiddleware`, which puts the caller and the validated message into the ASGI scope.

    Args:
        server: the MCP server.
        non_streaming: names of the tools that send nothing before their result.
        stateless: whether handshake revisions are served without sessions, so that any replica can respond.
        monotonic: returns the time in seconds, on a monotonic clock.
        running_calls: holds the memory of calls until they end, and ends those that take too long.
    """

    def __init__(
        self,
        server: MCPServer[Any],
        *,
        non_streaming: Container[object],
        stateless: bool,
        monotonic: Callable[[], float],
        running_calls: RunningCalls | None = None,
    ) -> None:
        # The router and the auth middleware have validated path, Host and Origin.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        max_bytes = MAX_BODY_BYTES
        server.streamable_http_app(
            stateless_http=stateless, max_request_body_size=max_bytes, transport_security=security
        )
        self._sse_manager = server.session_manager
        self._server = self._sse_manager.app
        self._server.middleware.append(running_calls or RunningCalls())
        self._json_manager = StreamableHTTPSessionManager(
            self._server,
            json_response=True,
            stateless=True,
            max_request_body_size=max_bytes,
            security_settings=security,
        )
        self._sessions = SessionTracker(self._sse_manager.handle_request, monotonic)
        self._single_responses = SingleResponseDispatcher(self._server)
        self._non_streaming = non_streaming
        self._stateless = stateless
        self._state: Any = None
        self._lifespan = Router(lifespan=self._run)

    @asynccontextmanager
    async def _run(self, _app: Any) -> AsyncIterator[None]:
        """Runs both session managers; enters the server's lifespan once, so that they share its state."""
        own = self._server.lifespan
        async with own(self._server) as self._state:
            self._server.lifespan = lambda _server: nullcontext(self._state)
            try:
                async with self._json_manager.run(), self._sse_manager.run():
                    yield
            finally:
                self._server.lifespan = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if scope["method"] != "POST":
            await self._sessions(scope, receive, send)
            return
        accept, kind, version, session = _headers(scope)
        response: Response | None = None
        wants_json = False
        if _accepts_json_and_sse(accept) and _is_json(kind):  # otherwise the SDK rejects it
            document: Mapping[str, Any] = scope[MESSAGE_SCOPE_KEY]
            if version in _HANDSHAKE:
                response = await self._respond_without_stream(scope, document, version.decode(), session)
            wants_json = version in _MODERN and self._single_response(document)
        if response is not None:
            await response.send(send)
        elif wants_json:
            await self._json_manager.handle_request(scope, receive, send)
        else:
            await self._sessions(scope, receive, send)

    async def _respond_without_stream(
        self, scope: Scope, document: Mapping[str, Any], version: str, session: bytes
    ) -> Response | None:
        """Returns the response to a call of a non-streaming tool; None if the SDK must serve the request."""
        is_session_valid = not session if self._stateless else self._sessions.is_open(session, scope["user"])
        if not is_session_valid:
            return None
        if document.get("method") == _CANCELLED:
            self._single_responses.cancel(session, _scalar_member(document.get("params"), "requestId"))
        request = self._call(document)
        return (
            None
            if request is None
            else await self._single_responses.serve(request, scope, version, session, self._state)
        )

    def _call(self, document: Mapping[str, Any]) -> JSONRPCRequest | None:
        """Returns the parsed request if it is a well-formed call of a non-streaming tool, else None."""
        if document.get("method") != _CALL or not self._single_response(document) or document.keys() - _MEMBERS:
            return None
        try:
            return JSONRPCRequest.model_validate(document)
        except ValidationError:
            return None

    def _single_response(self, document: Mapping[str, Any]) -> bool:
        method = _scalar_member(document, "method")
        if method == _CALL:
            return _scalar_member(document.get("params"), "name") in self._non_streaming
        return method in _SINGLE_RESPONSE_METHODS


def non_streaming_tools(module: ModuleType) -> frozenset[str]:
    """Returns the names of the functions in `module` that cannot send anything to the client before their result.

    These functions get no parameter for reporting progress, logging to the client or asking it, or are tools that are
    declared with `streaming=False`.
    """
    return frozenset(
        name
        for name, function in vars(module).items()
        if isfunction(function) and name == function.__name__ and _is_non_streaming(function)
    )


def _is_non_streaming(function: Callable[..., Any]) -> bool:
    streams = find_context_parameter(function) is not None and is_streaming(function)
    return not streams and not find_resolved_parameters(function)


def _headers(scope: Scope) -> tuple[bytes, bytes, bytes, bytes]:
    """Returns the values of the headers in `_READ`: b"" for a missing one, repeated ones joined with b", "."""
    found = dict.fromkeys(_READ, b"")
    for name, value in scope["headers"]:
        if name in found:
            found[name] = value if not found[name] else b", ".join((found[name], value))
    return found[b"accept"], found[b"content-type"], found[b"mcp-protocol-version"], found[SESSION_ID]


@lru_cache(maxsize=256)
def _accepts_json_and_sse(accept: bytes) -> bool:
    """Whether `Accept` names both media types: MCP 2025-03-26 and later, "Sending Messages to the Server"."""
    types = {part.partition(b";")[0].strip().lower() for part in accept.split(b",")}
    return {b"application/json", b"text/event-stream"} <= types


@lru_cache(maxsize=64)
def _is_json(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip() == b"application/json"


def _scalar_member(value: object, name: str) -> str | int | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, (str, int)) else None
