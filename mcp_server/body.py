"""The body of a POST, read whole and judged before the application sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_server import strict_json
from mcp_server.errors import BodyMalformed, BodyTooLarge

if TYPE_CHECKING:
    from starlette.types import Message, Receive

MAX_BODY_BYTES = 4 * 1024 * 1024
MESSAGE = "mcp_server.message"
"""Where the ASGI scope behind the gate has the message that the body was judged to be; None where there is no body."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """All of the body.

    Raises:
        BodyTooLarge: it is longer than `MAX_BODY_BYTES`. The wire refuses this earlier where we own the server.
        ClientGone: the connection closed.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(body)


def judge_body(body: bytes) -> dict[str, Any]:
    """The one JSON object that the body is.

    Raises:
        BodyMalformed: it is not JSON with one meaning, or not one object. Batches existed in MCP 2025-03-26 only.
    """
    try:
        document = strict_json.loads(body)
    except strict_json.NotStrictJson as error:
        raise BodyMalformed(f"Send one JSON-RPC message: {error}.") from error
    if not isinstance(document, dict):
        raise BodyMalformed("Send one JSON-RPC message: batches are not served.")
    return document


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the very bytes that were judged, then what the connection brings."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message
