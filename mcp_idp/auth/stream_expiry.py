"""An answer that has no end of its own ends with the token that asked for it.

The stream of a session (GET) and that of `subscriptions/listen` (MCP 2026-07-28) would go on for as long as somebody
holds the connection: long after the person has lost the account. Their clients open them again, with a token that is
good. A call that is being answered is not cut: its token was good when it began.
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
    """Let `serve` answer by the `send` it is given, and end the answer after `seconds` if it goes on then.

    Raises:
        InvalidToken: the time was over before the answer began.
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
            raise  # the application's own
        if last is None:
            raise InvalidToken(TokenErrorReason.EXPIRED, got="what ended before its stream began") from None
        if last["type"] == "http.response.start" or last.get("more_body"):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
