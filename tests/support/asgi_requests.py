"""ASGI requests without an HTTP client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message


class OpenRequest:
    """A request whose client stays connected."""

    def __init__(self, app: ASGIApp, method: str, headers: dict[str, str], body: bytes = b"") -> None:
        self.sent: list[Message] = []
        self.begun = asyncio.Event()
        self._pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        scope = {
            "type": "http",
            "method": method,
            "path": "/mcp",
            "query_string": b"",
            "headers": [(b"host", b"localhost:3000"), *((n.encode(), v.encode()) for n, v in headers.items())],
        }
        self.responses = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._pending:
            return self._pending.pop()
        await asyncio.Event().wait()
        return {}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.begun.set()
