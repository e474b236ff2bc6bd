"""Our server in process, with a real provider and a clock that tests move."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from mcp_idp.config import load_settings
from mcp_server.app import create_app
from tests.support.app import Calls, FakeClock, lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_idp.config.settings import Settings
    from mcp_idp.util.clock import Clock
    from tests.support.keycloak.realm import Realm


def settings_for(realm: Realm, **variables: str) -> Settings:
    """Returns the settings of a server for `realm`, with these additional variables.

    Rates are not limited: the clock of these servers stands still, so that no time to wait passes.
    """
    unlimited = dict.fromkeys(("RATE_LIMIT_ADDRESS", "RATE_LIMIT_USER", "RATE_LIMIT_NEW_TOKENS"), "0")
    return load_settings({**unlimited, **realm.environment, **variables})


@dataclass
class Served(Calls):
    """A running server.

    Attributes:
        clock: a clock that starts now, because the provider's tokens are real, and stands still.
        requests: the requests that the server sent to the introspection endpoint.
        fetched: the documents that it requested from the provider, in order.
    """

    clock: FakeClock
    requests: list[httpx.Request]
    fetched: list[httpx.URL]

    async def status(self, token: str) -> int:
        return (await self.post(token)).status_code


@asynccontextmanager
async def serving(settings: Settings, *, clock: Clock | None = None, patience: float = 20.0) -> AsyncIterator[Served]:
    """Starts the server and waits until its keys are cached; stops it at the end.

    Args:
        settings: the server's settings.
        clock: a clock instead of the one that stands still.
        patience: the server's read timeout for the provider, in seconds; long because the machine may be busy.
    """
    fake_clock = FakeClock(at=time.time())
    requests: list[httpx.Request] = []
    fetched: list[httpx.URL] = []

    async def note(request: httpx.Request) -> None:
        if request.method == "POST":
            requests.append(request)
        else:
            fetched.append(request.url)

    async with httpx.AsyncClient(trust_env=False, timeout=patience, event_hooks={"request": [note]}) as http:
        app = create_app(settings, clock=clock or fake_clock.clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url=settings.public_origin) as client:
            yield Served(client, fake_clock, requests, fetched)
