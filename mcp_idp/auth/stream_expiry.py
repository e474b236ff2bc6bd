"""Ends a stream when the token that opened it expires.

The stream of a session (GET) and that of `subscriptions/listen` (MCP 2026-07-28) would otherwise stay open as long as
the connection does, even after the user's account has been removed. Clients reopen them with a valid token. The
response to a call is not cut off: its token was valid when the call began.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_idp.errors import InvalidToken, TokenErrorReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Send

SUBSCRIPTIONS_LISTEN = "subscriptions/listen"


async def end_stream_after(seconds: float, serve: Callable[[Send], Awaitable[None]], send: Send) -> None:
    """Runs `serve` and ends its response after `seconds` if it is still running then.

    Args:
        seconds: the remaining lifetime of the token.
        serve: sends the response through the ASGI send callable that it is given.
        send: the ASGI send callable of the request.

    Raises:
        InvalidToken: the time was over before the response began.
    """
    last: Message | None = None

    async def send_noting(message: Message) -> None:
        nonlocal last
        last = message
        await send(message)

    try:
        async with asyncio.timeout(max(seconds, 0.0)) as end:
            await serve(send_noting)
    except TimeoutError:
        if not end.expired():
            raise  # the application's own timeout
        if last is None:
            raise InvalidToken(TokenErrorReason.EXPIRED, got="what ended before its stream began") from None
        if last["type"] == "http.response.start" or last.get("more_body"):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
