"""Sends a request of the corpus to an ASGI application, byte for byte."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

    from mcp_idp.testing.corpus.model import Request


@dataclass(frozen=True, slots=True)
class AsgiResponse:
    """A complete HTTP response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def send_request(app: ASGIApp, request: Request) -> AsgiResponse:
    """Sends a request and returns the response; sends `before` first and uses the session that it opens."""
    for other in request.crowd:
        await send_request(app, other)
    headers = list(request.headers)
    if request.before is not None:
        opened = await send_request(app, request.before)
        assert opened.status == 200, opened
        headers += [(name, value) for name, value in opened.headers if name == b"mcp-session-id"]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query,
        "root_path": "",
        "headers": headers,
        "client": (request.client, 50000),
        "server": ("127.0.0.1", 3000),
        "state": {},
    }
    waiting: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]
    sent: list[Message] = []
    responses = asyncio.Event()

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await responses.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            responses.set()

    await app(scope, receive, send)
    start = sent[0]
    assert start["type"] == "http.response.start"
    return AsgiResponse(start["status"], list(start["headers"]), b"".join(m.get("body", b"") for m in sent[1:]))
