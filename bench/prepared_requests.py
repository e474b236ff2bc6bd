"""Prepared requests, and functions that send them directly to an ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
_META = "io.modelcontextprotocol/"
Call = Mapping[str, Any]
GREET: Call = {"name": "greet", "arguments": {"name": "Ada"}}

Headers = tuple[tuple[bytes, bytes], ...]


OK = 200


class UnexpectedStatusError(Exception):
    """The response has another status than the measurement requires."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST to the MCP endpoint, and the expected status."""

    headers: Headers
    body: bytes
    status: int = 200

    def scope(self) -> dict[str, Any]:
        """Returns a new ASGI scope, because applications modify theirs."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/mcp",
            "raw_path": b"/mcp",
            "root_path": "",
            "query_string": b"",
            "headers": [*self.headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 3000),
            "state": {},
        }


class Exchange:
    """`receive` and `send` of one request. The client stays connected until the response is complete."""

    __slots__ = ("_body", "headers", "status")

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    async def receive(self) -> Message:
        """Returns the body, then blocks."""
        if self._body is None:
            await asyncio.get_running_loop().create_future()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Records status and headers."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]


async def exchange(app: ASGIApp, request: Request, line: Exchange | None = None) -> Exchange:
    """Sends `request` to `app`, through `line` if given.

    Raises:
        UnexpectedStatusError: the response has another status than expected.
    """
    line = line or Exchange(request.body)
    await app(request.scope(), line.receive, line.send)
    if line.status != request.status:
        raise UnexpectedStatusError(f"answered {line.status} where {request.status} was due")
    return line


async def status_of(app: ASGIApp, request: Request) -> int:
    """Returns the status of the response of `app`, whatever status is expected."""
    line = Exchange(request.body)
    await app(request.scope(), line.receive, line.send)
    return line.status


def modern_call(token: str | None = None, status: int = 200, call: Call = GREET) -> Request:
    """Returns a stateless `tools/call` of protocol revision 2026-07-28."""
    meta = {
        **call.get("_meta", {}),
        f"{_META}protocolVersion": MODERN,
        f"{_META}clientCapabilities": {},
        f"{_META}clientInfo": {"name": "bench", "version": "1"},
    }
    name: str = call["name"]
    own = (
        (b"mcp-protocol-version", MODERN.encode()),
        (b"mcp-method", b"tools/call"),
        (b"mcp-name", name.encode()),
    )
    return _post("tools/call", {**call, "_meta": meta}, own, token, status)


async def legacy_call(app: ASGIApp, token: str | None = None, call: Call = GREET) -> Request:
    """Opens a session of protocol revision 2025-11-25 and returns a `tools/call` in it."""
    hello = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    opened = await exchange(app, _post("initialize", hello, (), token, 200))
    session = next(value for name, value in opened.headers if name == b"mcp-session-id")
    own = ((b"mcp-protocol-version", LEGACY.encode()), (b"mcp-session-id", session))
    await exchange(app, _post("notifications/initialized", None, own, token, 202))
    return _post("tools/call", {**call}, own, token, 200)


def _post(method: str, params: dict[str, Any] | None, own: Headers, token: str | None, status: int) -> Request:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message |= {"id": 1, "params": params}
    body = json.dumps(message).encode()
    headers: Headers = (
        (b"host", b"localhost:3000"),
        (b"user-agent", b"bench"),
        (b"accept", b"application/json, text/event-stream"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *own,
    )
    if token is not None:
        headers += ((b"authorization", b"Bearer " + token.encode()),)
    return Request(headers, body, status)
