"""An in-process provider with an introspection endpoint."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx

from mcp_idp.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable


SECRET = "s3cret: with + and ü"

MODE = {"token_mode": "introspection", "client_secret": SECRET}


@dataclass
class Introspecting(Issuer):
    """An issuer that introspects tokens with the response `message`; `received` lists the tokens in order."""

    message: Callable[[str], Any] = field(default=lambda _: {})
    received: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    paused: asyncio.Event | None = None
    in_flight: int = 0
    max_in_flight: int = 0

    def active(self, **changes: Any) -> dict[str, Any]:
        """Returns Keycloak's introspection response for a valid token; a change to `...` removes the member."""
        own = {"active": True, "token_type": "Bearer", "client_id": "client-1", "username": "ann"}
        members = {**self.claims(), **own, **changes}
        return {name: value for name, value in members.items() if value is not ...}

    async def respond(self, request: httpx.Request) -> httpx.Response:
        """Responds to an introspection request with `message`, and to other requests as `Issuer` does."""
        if request.method != "POST":
            return await super().respond(request)
        self.requests.append(request)
        token = dict(parse_qsl(request.content.decode()))["token"]
        self.received.append(token)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.paused is not None:
                await self.paused.wait()
            message = self.message(token)
        finally:
            self.in_flight -= 1
        if isinstance(message, Exception):
            raise message
        if not isinstance(message, Reply):
            message = Reply(message if isinstance(message, bytes) else json.dumps(message).encode())
        # A stream, as from a connection: httpx treats a response with `content` as already read.
        return httpx.Response(message.status, stream=httpx.ByteStream(message.content), headers=message.headers)


@dataclass(frozen=True)
class Reply:
    """A response with another status or other headers than the default."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def always_active(**changes: Any) -> Introspecting:
    """Returns a provider that responds to every introspection with an active token and these changes."""
    issuer = Introspecting()
    issuer.message = lambda _: issuer.active(**changes)
    return issuer
