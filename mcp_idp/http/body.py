"""The body of a POST, read whole and judged before the application sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_idp.errors import BodyTooLarge, InvalidBody
from mcp_idp.util import strict_json
from mcp_idp.util.memory_budget import BYTE_COST, VALUE_COST, WIDE_BYTE_COST

if TYPE_CHECKING:
    from starlette.types import Message, Receive

    from mcp_idp.util.memory_budget import Share

MAX_BODY_BYTES = 4 * 1024 * 1024
MESSAGE_SCOPE_KEY = "mcp_server.message"
"""Where the ASGI scope behind the gate has the message that the body was judged to be; None where there is no body."""


class ClientDisconnect(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, share: Share) -> bytes:
    """All of the body; each part of it is taken into `share` as it comes.

    Raises:
        AuthError: `share` takes no more.
        BodyTooLarge: it is longer than `MAX_BODY_BYTES`. The wire refuses this earlier where we own the server.
        ClientDisconnect: the connection closed.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part = message.get("body", b"")
        share.take(len(part) * BYTE_COST)
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(body)


def parse_json_object(body: bytes, share: Share) -> dict[str, Any]:
    """The one JSON object that the body is, taken into `share` before it is built.

    Raises:
        InvalidBody: it is not JSON with one meaning, or not one object. Batches existed in MCP 2025-03-26 only.
        BodyTooLarge: it holds more values than the server reads, or deeper ones.
        AuthError: `share` takes no more.
    """
    try:
        share.take(_cost(body))
        document = strict_json.build(body)
    except strict_json.TooManyValues as error:
        raise BodyTooLarge(
            f"Send at most {strict_json.MAX_VALUES} JSON values in one message, nested {strict_json.MAX_DEPTH} levels "
            f"deep at most. This one: {error}."
        ) from error
    except strict_json.StrictJsonError as error:
        raise InvalidBody(f"Send one JSON-RPC message: {error}.") from error
    if not isinstance(document, dict):
        raise InvalidBody("Send one JSON-RPC message: batches are not served.")
    return document


def _cost(body: bytes) -> int:
    """What the message takes in memory beside `BYTE_COST` for each byte."""
    values = strict_json.count_values(body) * VALUE_COST
    wide = not body.isascii() or b"\\u" in body
    return values + len(body) * (WIDE_BYTE_COST - BYTE_COST) if wide else values


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the very bytes that were judged, then what the connection brings."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message
