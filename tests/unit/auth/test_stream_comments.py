"""Comments on event streams that have no event to send."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.auth.stream_comments import serve_with_comments
from mcp_idp.config.settings import Settings
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.issuer import NOW, Issuer
from mcp_server.app import create_app
from tests.support.app import FakeClock, lifespan
from tests.support.asgi_requests import OpenRequest
from tests.support.mcp_calls import INITIALIZE, LEGACY
from tests.support.outcomes import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Send

pytestmark = pytest.mark.anyio
COMMENT = {"type": "http.response.body", "body": b":\n\n", "more_body": True}
STREAM = [(b"content-type", b"text/event-stream")]
EVENT = b"event: message\r\ndata: {}\r\n\r\n"


def start(headers: list[tuple[bytes, bytes]] = STREAM, status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


class Alarm:
    """A sleep that ends when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.waiting.append(asyncio.get_running_loop().create_future())
        await self.waiting[-1]

    async def ring(self) -> None:
        self.waiting.pop().set_result(None)
        await settle()


class Response:
    """A response in progress, its messages, and the alarm of its comments."""

    def __init__(self, deliver: Callable[[Message], Any] | None = None) -> None:
        self.sent: list[Message] = []
        self.alarm = Alarm()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._deliver = deliver
        self.task = asyncio.ensure_future(serve_with_comments(self._serve, self._send, 15.0, self.alarm.sleep))

    async def _serve(self, send: Send) -> None:
        while (message := await self._messages.get()) is not None:
            await send(message)

    async def _send(self, message: Message) -> None:
        if self._deliver is not None:
            await self._deliver(message)
        self.sent.append(message)

    async def give(self, *messages: Message | None) -> None:
        """Lets the application send these; None ends it."""
        for message in messages:
            self._messages.put_nowait(message)
        await settle()


async def test_a_stream_begins_with_a_comment_and_has_one_whenever_nothing_was_sent() -> None:
    response = Response()
    await response.give(start())
    assert response.sent == [start(), COMMENT]
    await response.alarm.ring()
    await response.alarm.ring()
    assert response.sent == [start(), COMMENT, COMMENT, COMMENT]
    await response.give(body(EVENT))
    await response.alarm.ring()
    assert response.sent[4:] == [body(EVENT)]  # an event was sent meanwhile
    await response.alarm.ring()
    await response.give(body(b"", more=False), None)
    await response.task
    assert response.sent[5:] == [COMMENT, body(b"", more=False)]
    assert set(response.alarm.seconds) == {15.0}


@pytest.mark.parametrize(
    ("part", "commented"),
    [
        (b"data: a\n\n", True),
        (b"data: a\r\n\r\n", True),
        (b"data: a\r\r", True),
        (b": ping\n\n", True),
        (b"data: a\n", False),
        (b"data: a", False),
        (b"data: a\r\n", False),
        (b"\n", False),
        (b"", True),  # an empty message changes nothing
    ],
)
async def test_a_comment_is_never_within_an_event(part: bytes, commented: bool) -> None:  # noqa: FBT001 - a row
    response = Response()
    await response.give(start(), body(part))
    await response.alarm.ring()
    await response.alarm.ring()
    assert (response.sent.count(COMMENT) > 1) is commented
    response.task.cancel()


@pytest.mark.parametrize(
    "first",
    [
        start([(b"content-type", b"application/json")]),
        start([]),
        start([(b"content-type", b"text/event-stream-x")]),
        start(status=409),
        start(status=206),
        start([*STREAM, (b"content-encoding", b"gzip")]),
        start([*STREAM, (b"content-length", b"7")]),
    ],
)
async def test_no_other_response_has_comments(first: Message) -> None:
    response = Response()
    await response.give(first, body(b"{}\n\n"))
    await response.alarm.ring()
    await response.give(body(b"", more=False), None)
    await response.task
    assert response.sent == [first, body(b"{}\n\n"), body(b"", more=False)]


@pytest.mark.parametrize(
    "value", [b"text/event-stream; charset=utf-8", b"Text/Event-Stream", b"text/event-stream ;x=y"]
)
async def test_the_type_is_compared_without_parameters(value: bytes) -> None:
    response = Response()
    first = start([(b"Content-Type", value)])
    await response.give(first)
    assert response.sent == [first, COMMENT]
    response.task.cancel()


async def test_after_the_end_nothing_is_sent() -> None:
    response = Response()
    await response.give(start(), body(b"", more=False))
    await response.alarm.ring()
    await response.give(None)
    await response.task
    assert response.sent == [start(), COMMENT, body(b"", more=False)]


async def test_a_client_that_does_not_read_gets_no_pile_of_comments() -> None:
    reads = asyncio.Event()
    delivered: list[Message] = []

    async def deliver(message: Message) -> None:
        if message.get("body") == EVENT:
            await reads.wait()
        delivered.append(message)

    response = Response(deliver)
    await response.give(start(), body(EVENT))
    for _ in range(3):
        if response.alarm.waiting:
            await response.alarm.ring()
    assert delivered == [start(), COMMENT]
    assert len(response.alarm.seconds) <= 2  # the next comment waits for the event
    reads.set()
    await settle()
    assert delivered == [start(), COMMENT, body(EVENT)]
    response.task.cancel()


async def test_a_client_that_has_gone_is_no_error() -> None:
    gone = asyncio.Event()

    async def deliver(message: Message) -> None:
        if gone.is_set():
            raise OSError(message["type"])

    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    response = Response(deliver)
    await response.give(start())
    gone.set()
    await response.alarm.ring()
    await response.give(None)
    await response.task
    gc.collect()  # an exception that nobody retrieved would be reported now
    assert failures == []
    assert response.sent == [start(), COMMENT]


async def test_without_an_interval_there_are_no_comments() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def serve(send: Send) -> None:
        await send(start())
        await send(body(b"", more=False))

    await serve_with_comments(serve, send, 0)
    assert sent == [start(), body(b"", more=False)]


META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.mark.parametrize("seconds", [15, 0])
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_the_first_byte_of_a_stream_is_there_at_once(revision: str, seconds: int) -> None:
    issuer = Issuer()
    headers = {"accept": BOTH, "content-type": "application/json", "mcp-protocol-version": revision}
    params = {"_meta": META, "notifications": {"toolsListChanged": True}}
    listen = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    async with issuer.http() as http:
        app = create_app(Settings(quirk_stream_comments=seconds), clock=FakeClock().clock, http=http)
        async with lifespan(app):
            headers["authorization"] = f"Bearer {issuer.token(exp=NOW + 3000)}"
            if revision == LEGACY:
                opened = OpenRequest(app, "POST", headers, json.dumps(INITIALIZE).encode())
                await opened.responses
                headers["mcp-session-id"] = dict(opened.sent[0]["headers"])[b"mcp-session-id"].decode()
                stream = OpenRequest(app, "GET", headers)
            else:
                headers["mcp-method"] = "subscriptions/listen"
                stream = OpenRequest(app, "POST", headers, json.dumps(listen).encode())
            await stream.begun.wait()
            await settle()
            stream.responses.cancel()
    assert stream.sent[0]["status"] == 200
    assert (COMMENT in stream.sent[1:2]) is (seconds > 0)
