"""Ends a stream when the token that opened it expires, is revoked or no longer verifies.

The stream of a session (GET) and that of `subscriptions/listen` (MCP 2026-07-28) would otherwise stay open as long as
the connection does, even after the user's account has been removed. Clients reopen them with a valid token. The
response to a call is not cut off: its token was valid when the call began.

The token is verified again whenever what is known of it would no longer suffice for a new request: in introspection
mode when the cached result is 30 seconds old, otherwise every 30 seconds, which is when a withdrawn key is noticed. If
it cannot be verified, because the provider is unreachable, the stream ends too: a new request would be rejected.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_idp.errors import AuthError, InvalidToken, TokenErrorReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Send

SUBSCRIPTIONS_LISTEN = "subscriptions/listen"
# Minimum pause, so that a result that cannot be cached is not requested in a tight loop.
_MIN_SECONDS = 0.1


async def end_stream_with_token(
    seconds: float,
    serve: Callable[[Send], Awaitable[None]],
    send: Send,
    verify_again: Callable[[], Awaitable[None]],
    seconds_known: Callable[[], float],
) -> None:
    """Runs `serve` and ends its response when the token ends, if it is still running then.

    Args:
        seconds: the remaining lifetime of the token.
        serve: sends the response through the ASGI send callable that it is given.
        send: the ASGI send callable of the request.
        verify_again: verifies the token again; raises `AuthError` if the stream must end.
        seconds_known: returns the seconds after which to do so.

    Raises:
        InvalidToken: the token ended before the response began.
    """
    last: Message | None = None

    async def send_noting(message: Message) -> None:
        nonlocal last
        last = message
        await send(message)

    watching: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(max(seconds, 0.0)) as end:
            watching = asyncio.create_task(_watch(end, verify_again, seconds_known), name="verify a stream's token")
            await serve(send_noting)
    except TimeoutError:
        if not end.expired():
            raise  # the application's own timeout
        if last is None:
            raise InvalidToken(TokenErrorReason.EXPIRED, got="a token that expired before its stream began") from None
        if last["type"] == "http.response.start" or last.get("more_body"):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if watching is not None:
            watching.cancel()


async def _watch(
    end: asyncio.Timeout, verify_again: Callable[[], Awaitable[None]], seconds_known: Callable[[], float]
) -> None:
    """Verifies the token again and again, and lets `end` expire as soon as it does not verify."""
    while True:
        await asyncio.sleep(max(seconds_known(), _MIN_SECONDS))
        try:
            await verify_again()
        except AuthError:
            end.reschedule(0.0)
            return
