"""Our server in process, in front of a real provider, with a clock that a test moves."""

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
    """What the environment of a server for `realm` gives, with these variables set besides."""
    return load_settings({**realm.environment, **variables})


@dataclass
class Served(Calls):
    """A server that runs.

    Attributes:
        clock: starts now, as tokens of a real provider ask for, and is held there.
        requests: what the server sent to the provider's introspection endpoint.
        fetched: which documents it asked the provider for, in order.
    """

    clock: FakeClock
    requests: list[httpx.Request]
    fetched: list[httpx.URL]

    async def status(self, token: str) -> int:
        return (await self.post(token)).status_code


@asynccontextmanager
async def serving(settings: Settings, *, clock: Clock | None = None, patience: float = 20.0) -> AsyncIterator[Served]:
    """Start the server, with its keys held; stop it at the end.

    Args:
        settings: of the server.
        clock: in place of the held one.
        patience: seconds that the server waits for the provider's bytes. Long, so that a busy machine is no fault.
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
