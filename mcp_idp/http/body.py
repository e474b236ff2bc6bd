"""Reads and validates the body of a POST before the application sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcp_idp.errors import BodyTooLarge, InvalidBody
from mcp_idp.http_server.limits import MAX_BODY_BYTES
from mcp_idp.util import strict_json
from mcp_idp.util.request_memory import BYTE_COST, VALUE_COST, WIDE_BYTE_COST

if TYPE_CHECKING:
    from starlette.types import Receive

    from mcp_idp.util.request_memory import MemoryShare

# A session keeps its `initialize` request for as long as it lasts, and one user may hold many sessions.
MAX_INITIALIZE_BYTES = 16 * 1024
# A response repeats the id of its request.
MAX_ID_CHARACTERS = 256
LONG_BYTES = 64 * 1024
MESSAGE_SCOPE_KEY = "mcp_idp.message"
"""Key of the ASGI scope under which the auth middleware passes on the validated JSON-RPC message.

The value is the message as a `dict`, or None for a request without a body.
"""


class ClientDisconnect(Exception):
    """The client disconnected before its request was complete."""


async def read_body(receive: Receive, share: MemoryShare) -> bytes:
    """Reads the whole body.

    Args:
        receive: the ASGI `receive` of the request.
        share: the request's share of the memory budget, charged for each part of the body as it arrives.

    Raises:
        TooManyRequests, ServerFull: the memory budget is exhausted.
        BodyTooLarge: the body is longer than `MAX_BODY_BYTES`, which our own HTTP server rejects earlier, or than the
            memory budget allows for one request.
        ClientDisconnect: the client disconnected.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part = message.get("body", b"")
        await share.reserve(len(part) * BYTE_COST)
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(body)


async def count_memory(body: bytes) -> int:
    """Returns the memory in bytes that the message takes in addition to `BYTE_COST` for each byte of it.

    Between the steps of a long count, other requests are served.

    Raises:
        BodyTooLarge: the body has more than `strict_json.MAX_VALUES` values or is nested deeper than
            `strict_json.MAX_DEPTH`.
    """
    values = 0
    try:
        for count in strict_json.counting(body):
            values = count
            if len(body) > LONG_BYTES:
                await asyncio.sleep(0)
    except strict_json.TooManyValues as error:
        raise BodyTooLarge(
            f"Send at most {strict_json.MAX_VALUES} JSON values in one message, nested {strict_json.MAX_DEPTH} levels "
            f"deep at most. This one: {error}."
        ) from error
    wide = not body.isascii() or b"\\u" in body
    return values * VALUE_COST + (len(body) * (WIDE_BYTE_COST - BYTE_COST) if wide else 0)


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Parses the body as one JSON object.

    Args:
        body: the whole body, which `count_memory` has accepted.

    Returns:
        The JSON-RPC message; its members are not validated.

    Raises:
        InvalidBody: the body is not unambiguous JSON (see `strict_json`), not an object, or its id is longer than
            `MAX_ID_CHARACTERS`. Batches, which only MCP 2025-03-26 had, are rejected too.
        BodyTooLarge: the body is an `initialize` request over `MAX_INITIALIZE_BYTES`.
    """
    try:
        document = strict_json.build(body)
    except strict_json.StrictJsonError as error:
        raise InvalidBody(f"Send one JSON-RPC message: {error}.") from error
    if not isinstance(document, dict):
        raise InvalidBody("Send one JSON-RPC message: batches are not served.")
    if document.get("method") == "initialize" and len(body) > MAX_INITIALIZE_BYTES:
        raise BodyTooLarge(f"Send at most {MAX_INITIALIZE_BYTES} bytes to initialize a session.")
    request_id = document.get("id")
    if isinstance(request_id, str) and len(request_id) > MAX_ID_CHARACTERS:
        raise InvalidBody(f"Send an id of at most {MAX_ID_CHARACTERS} characters.")
    return document
