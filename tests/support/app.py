"""The whole application in process, with its lifespan."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from mcp_idp.config.settings import Settings
from mcp_idp.testing.issuer import NOW, Issuer
from mcp_idp.testing.tool_calls import tool_call
from mcp_idp.util.clock import Clock
from mcp_server.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message


@dataclass
class FakeClock:
    """A clock that can be moved, and stands still unless it is `running`."""

    at: float = NOW
    running: bool = False
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        started = time.monotonic()

        def read() -> float:
            return self.at + (time.monotonic() - started if self.running else 0.0)

        self.clock = Clock(now=read, monotonic=read)

    def forward(self, seconds: float) -> None:
        self.at += seconds


@asynccontextmanager
async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Runs the ASGI lifespan of `app` around the block."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "asgi": {"version": "3.0"}}, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    assert (await from_app.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        stopped = await from_app.get()
        assert stopped["type"] == "lifespan.shutdown.complete", stopped
        await task


@dataclass
class Calls:
    """A client of a running server, at its public URL."""

    client: httpx.AsyncClient

    async def post(self, token: str | None = None, **headers: str) -> httpx.Response:
        """Calls `whoami` in protocol revision 2026-07-28."""
        return await self.call("whoami", token, None, **headers)

    async def call(
        self, tool: str, token: str | None = None, arguments: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        request = tool_call(tool, token, arguments)
        return await self.client.post("/mcp", json=request["json"], headers={**request["headers"], **headers})


@dataclass
class Running(Calls):
    """A client together with the server's provider and clock."""

    issuer: Issuer
    clock: FakeClock


@asynccontextmanager
async def running(provider: Issuer | None = None, /, **settings: Any) -> AsyncIterator[Running]:
    """Starts a server with these settings; its keys are cached unless the provider is down."""
    issuer, clock = provider or Issuer(), FakeClock()
    async with issuer.http() as http:
        app = create_app(Settings(**settings), clock=clock.clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield Running(client, issuer, clock)
