"""What the server measures: the instruments, and the middleware that records requests and calls with them.

Names follow OpenTelemetry's semantic conventions for HTTP and MCP where these have one; the others begin with
`mcp_idp.`. No attribute contains a user, a client, a token or an argument, and a client cannot choose a value: unknown
methods, paths and tools are not named. docs/metrics.md lists all metrics.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry.metrics import CallbackOptions, Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from opentelemetry.metrics import Meter
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Attributes = Mapping[str, str | int]
    Read = Callable[[], Iterable[tuple[float, Attributes]]]

# The boundaries that the semantic conventions recommend for durations of HTTP requests, in seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_MCP_METHODS = frozenset(
    {
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/progress",
        "notifications/roots/list_changed",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "subscriptions/listen",
        "tasks/cancel",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tools/call",
        "tools/list",
    }
)
OTHER = "_OTHER"  # the value that the conventions give to what is not known
_ERROR = 400


class Metrics:
    """The instruments of one server.

    Args:
        meter: creates the instruments.
        tools: the tools that may be named; calls of other tools are recorded as `_OTHER`.
    """

    def __init__(self, meter: Meter, tools: Collection[str]) -> None:
        self._meter = meter
        self._tools = frozenset(tools)
        self._requests = self._seconds("http.server.request.duration", "Duration of HTTP requests.")
        self._active = meter.create_up_down_counter(
            "http.server.active_requests", "{request}", "Requests in progress, streams included."
        )
        self._operations = self._seconds("mcp.server.operation.duration", "Duration of authorized MCP messages.")
        self._provider = self._seconds("http.client.request.duration", "Duration of requests to the identity provider.")
        self._rejections = meter.create_counter(
            "mcp_idp.requests.rejected", "{request}", "Requests that were rejected, by reason."
        )

    def _seconds(self, name: str, description: str) -> Any:
        return self._meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS)

    def count_rejection(self, reason: str) -> None:
        """Counts a rejected request.

        Args:
            reason: the error code, the reason for which a token is invalid, or the limit that was exceeded.
        """
        self._rejections.add(1, {"reason": reason})

    def observe(self, name: str, unit: str, description: str, read: Read, *, total: bool = False) -> None:
        """Adds a metric that is read whenever metrics are collected.

        Args:
            name: its name.
            unit: its unit, as in UCUM.
            description: what it is.
            read: returns the current values, each with its attributes.
            total: whether the values only grow.
        """

        def callback(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, attributes) for value, attributes in read()]

        create = self._meter.create_observable_counter if total else self._meter.create_observable_gauge
        create(name, [callback], unit, description)

    def measure_requests(self, app: ASGIApp, paths: Collection[str]) -> MeasuredRequests:
        """Wraps an application so that its HTTP requests are measured.

        Args:
            app: the application.
            paths: the paths that may be named (`http.route`).
        """
        return MeasuredRequests(app, paths, self._requests.record, self._active.add)

    def measure_operations(self, app: ASGIApp, message_key: str) -> ASGIApp:
        """Wraps the MCP application so that the messages that it handles are measured.

        Args:
            app: the application; it receives authorized requests only.
            message_key: the key in the ASGI scope of the parsed message; None there for a request without one.
        """

        async def measured(scope: Scope, receive: Receive, send: Send) -> None:
            message = scope.get(message_key)
            if message is None:
                await app(scope, receive, send)
                return
            response, began = _StatusOf(send), time.perf_counter()
            try:
                await app(scope, receive, response)
            finally:
                attributes = self._operation(message)
                if not response.status or response.status >= _ERROR:
                    attributes["error.type"] = str(response.status or OTHER)
                self._operations.record(time.perf_counter() - began, attributes)

        return measured

    def _operation(self, message: Mapping[str, Any]) -> dict[str, str]:
        method = message.get("method")
        if not isinstance(method, str) or method not in _MCP_METHODS:
            return {"mcp.method.name": OTHER}
        if method != "tools/call":
            return {"mcp.method.name": method}
        params = message.get("params")
        tool = params.get("name") if isinstance(params, dict) else None
        is_known = isinstance(tool, str) and tool in self._tools
        return {"mcp.method.name": method, "gen_ai.tool.name": str(tool) if is_known else OTHER}

    def measure_provider(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """Wraps the transport of the HTTP client for the identity provider so that its requests are measured."""
        return _MeasuredTransport(transport, self._provider.record)


class _StatusOf:
    """An ASGI send callable that records the status of the response; 0 before its start."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


class MeasuredRequests:
    """ASGI middleware that measures each HTTP request.

    Args:
        app: the application.
        paths: the paths that may be named.
        record: records the duration of a request, in seconds.
        add: adds to the number of requests in progress.
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: Collection[str],
        record: Callable[[float, Attributes], None],
        add: Callable[[int, Attributes], None],
    ) -> None:
        self._app = app
        self._routes = frozenset(paths)
        self._record = record
        self._add = add

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        attributes: dict[str, str | int] = {
            "http.request.method": scope["method"] if scope["method"] in _HTTP_METHODS else OTHER
        }
        if scope["path"] in self._routes:
            attributes["http.route"] = scope["path"]
        response, began = _StatusOf(send), time.perf_counter()
        self._add(1, attributes)
        try:
            await self._app(scope, receive, response)
        finally:
            self._add(-1, attributes)
            status = response.status
            outcome = {"http.response.status_code": status} if status else {"error.type": "disconnected"}
            self._record(time.perf_counter() - began, {**attributes, **outcome})


class _MeasuredTransport(httpx.AsyncBaseTransport):
    def __init__(self, transport: httpx.AsyncBaseTransport, record: Callable[[float, Attributes], None]) -> None:
        self._transport = transport
        self._record = record

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request; its duration ends with the head of the response."""
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": request.url.host,
            "url.template": request.url.path,
        }
        began = time.perf_counter()
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            self._record(time.perf_counter() - began, {**attributes, "error.type": type(error).__name__})
            raise
        self._record(time.perf_counter() - began, {**attributes, "http.response.status_code": response.status_code})
        return response

    async def aclose(self) -> None:
        """Closes the transport."""
        await self._transport.aclose()
