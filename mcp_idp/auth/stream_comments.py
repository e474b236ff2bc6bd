"""Sends comments on event streams that have no event to send (the setting QUIRK_STREAM_COMMENTS).

The stream of a session (GET) and that of `subscriptions/listen` may have no event for hours. Some proxies pass on a
response only when its first bytes arrive, and close a connection on which nothing was sent for a minute. So a comment
is sent at once, and another one whenever nothing was sent for some time. Parsers ignore comments; the HTML standard
recommends one "every 15 seconds or so" (section 9.2.7, "Authoring notes").
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Send

log = structlog.get_logger(__name__)
_COMMENT = b":\n\n"
# A comment is sent only between events, never within one.
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_OK = 200


async def serve_with_comments(
    serve: Callable[[Send], Awaitable[None]],
    send: Send,
    interval: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Runs `serve` and adds comments to its response if that is an event stream.

    A client that does not read holds back comments as it does events: none is sent while another message is being sent.

    Args:
        serve: sends the response through the ASGI send callable that it is given.
        send: the ASGI send callable of the request.
        interval: seconds without a message after which a comment is sent; 0 for no comments.
        sleep: waits for that long.
    """
    if not interval:
        await serve(send)
        return
    stream = _CommentedStream(send)
    commenting = asyncio.create_task(stream.comment_regularly(interval, sleep), name="send comments on a stream")
    try:
        await serve(stream)
    finally:
        commenting.cancel()  # also drops its error, if the client has gone
        if stream.comments:
            log.debug("stream_comments_sent", comments=stream.comments)


class _CommentedStream:
    """The `send` of a response that may be an event stream.

    Attributes:
        comments: how many comments were sent.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._sending = asyncio.Lock()
        self._messages = 0
        self._is_stream = False
        self._is_between_events = False
        self.comments = 0

    async def __call__(self, message: Message) -> None:
        """Sends an ASGI message; a comment follows the start of an event stream."""
        async with self._sending:
            await self._send(message)
            self._messages += 1
            if message["type"] == "http.response.start":
                self._is_stream = self._is_between_events = _is_event_stream(message)
                await self._comment()
            elif not message.get("more_body", False):
                self._is_stream = self._is_between_events = False
            elif body := message.get("body"):
                self._is_between_events = self._is_stream and body.endswith(_EVENT_ENDS)

    async def comment_regularly(self, interval: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Sends a comment whenever no message was sent for `interval` seconds, until cancelled."""
        while True:
            messages = self._messages
            await sleep(interval)
            async with self._sending:
                if self._messages == messages:
                    await self._comment()

    async def _comment(self) -> None:
        if self._is_between_events:
            self.comments += 1
            await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})


def _is_event_stream(start: Message) -> bool:
    """Whether a response is an event stream whose bytes are those of the events."""
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    is_plain = not {b"content-encoding", b"content-length"} & headers.keys()
    return bool(start["status"] == _OK and kind == b"text/event-stream" and is_plain)
