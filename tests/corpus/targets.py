"""The servers that are attacked: in process, and on a socket."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mcp_idp.config.settings import Settings
from mcp_idp.http_server.protocol import protocol_with_limits
from mcp_server.app import create_app
from tests.support.app import FakeClock, lifespan
from tests.support.raw_http import Connection, on_a_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from starlette.types import ASGIApp, Message

    from mcp_idp.http_server.limits import HttpLimits
    from tests.corpus.model import Request, Stage
    from tests.support.fake_issuer import Issuer

    Ask = Callable[[Request], Coroutine[Any, Any, "Answer"]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def _settings(stage: Stage, folder: Path) -> Settings:
    settings = Settings(**stage.settings)
    if not stage.access:
        return settings
    content = yaml.safe_load(settings.access_file.read_text(encoding="utf-8"))
    path = folder / "access.yaml"
    path.write_text(yaml.safe_dump({**content, **stage.access}), encoding="utf-8")
    return Settings(access_file=path, **stage.settings)


@asynccontextmanager
async def on(stage: Stage) -> AsyncIterator[tuple[Issuer, Ask]]:
    """The stage's server between its start and its stop: its provider, and how to ask it."""
    issuer = stage.issuer()
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(stage, Path(folder))
        async with issuer.http() as http:
            app = create_app(settings, clock=FakeClock(at=issuer.now).clock, http=http)
            async with lifespan(app):
                yield issuer, lambda request: ask(app, request)


async def ask(app: ASGIApp, request: Request) -> Answer:
    """What `app` answers; `before` is asked first, and the session it opens is used."""
    for other in request.crowd:
        await ask(app, other)
    headers = list(request.headers)
    if request.before is not None:
        opened = await ask(app, request.before)
        assert opened.status == 200, opened
        headers += [(name, value) for name, value in opened.headers if name == b"mcp-session-id"]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query,
        "root_path": "",
        "headers": headers,
        "client": (request.client, 50000),
        "server": ("127.0.0.1", 3000),
        "state": {},
    }
    waiting: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]
    sent: list[Message] = []
    responses = asyncio.Event()

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await responses.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            responses.set()

    await app(scope, receive, send)
    start = sent[0]
    assert start["type"] == "http.response.start"
    return Answer(start["status"], list(start["headers"]), b"".join(m.get("body", b"") for m in sent[1:]))


@dataclass
class Listening:
    """The whole application behind its wire; `exchange` gives all that is answered until the connection ends."""

    address: tuple[Any, ...]
    issuer: Issuer

    def exchange(self, *pieces: bytes) -> bytes:
        connection = Connection(self.address)
        try:
            return connection.send(*pieces).rest()
        finally:
            connection.close()


@contextmanager
def listening(stage: Stage, limits: HttpLimits) -> Iterator[Listening]:
    """The stage's server on a socket."""
    issuer = stage.issuer()
    http = None if issuer.elsewhere else issuer.http()
    app = create_app(_settings(stage, Path()), clock=FakeClock(at=issuer.now).clock, http=http)
    with on_a_socket(app, protocol_with_limits(limits)) as address:
        yield Listening(address, issuer)
