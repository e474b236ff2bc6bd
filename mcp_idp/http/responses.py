"""Complete HTTP responses, built once and sent any number of times."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response: status, headers and body; also an ASGI application that sends it.

    Attributes:
        status: the HTTP status.
        headers: pairs of lower-case name and value, `content-length` included.
        body: the content.
    """

    status: int
    headers: Headers
    body: bytes

    @classmethod
    def json(cls, status: int, document: Mapping[str, Any], headers: Headers = ()) -> Response:
        """Builds a response with a JSON document.

        Args:
            status: the HTTP status.
            document: the JSON object.
            headers: further headers; without a `cache-control` among them, `cache-control: no-store` is added.
        """
        body = json.dumps(document, separators=(",", ":")).encode()
        own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if not any(name == b"cache-control" for name, _ in headers):
            own.append((b"cache-control", b"no-store"))
        return cls(status, (*own, *headers), body)

    async def send(self, send: Send, headers: Headers = ()) -> None:
        """Sends the response, with `headers` added after its own."""
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, *headers]})
        await send({"type": "http.response.body", "body": self.body})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Responds to GET and HEAD; any other method gets 405."""
        if scope["method"] not in {"GET", "HEAD"}:
            await METHOD_NOT_ALLOWED.send(send)
        elif scope["method"] == "HEAD":
            await Response(self.status, self.headers, b"").send(send)
        else:
            await self.send(send)


METHOD_NOT_ALLOWED = Response.json(
    405, {"error": "method_not_allowed", "error_description": "Use GET."}, ((b"allow", b"GET, HEAD"),)
)
NOT_FOUND = Response.json(404, {"error": "not_found", "error_description": "Nothing is served at this path."})


def not_found(public_url: str) -> Response:
    """Returns the response at a path where nothing is served, with the URL to use instead."""
    text = f"Nothing is served at this path. The URL of the MCP server is exactly {public_url}"
    return Response.json(404, {"error": "not_found", "error_description": text})
