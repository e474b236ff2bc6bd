"""A server that exchanges tokens with an in-process provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable  # noqa: TC003 - in a dataclass
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx

from mcp_idp.oauth.token_exchange import ACCESS_TOKEN
from mcp_idp.testing.issuer import Issuer

ENDPOINT = "/realms/mcp/protocol/openid-connect/token"


def _token_response(**changes: Any) -> dict[str, Any]:
    response = {"access_token": "given", "token_type": "Bearer", "issued_token_type": ACCESS_TOKEN, "expires_in": 300}
    return {name: value for name, value in {**response, **changes}.items() if value is not ...}


@dataclass
class Exchanging(Issuer):
    """A provider with token exchange; `requests` are the received forms."""

    responses: Callable[[], httpx.Response] = lambda: httpx.Response(200, json=_token_response())
    requests: list[dict[str, str]] = field(default_factory=list)
    displayed: list[str] = field(default_factory=list)
    release: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.metadata = {"token_endpoint": f"{self.url}/protocol/openid-connect/token"}

    async def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != ENDPOINT:
            return await super().respond(request)
        self.requests.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        self.displayed.append(request.headers.get("authorization", ""))
        self.arrived.set()
        if self.release is not None:
            await self.release.wait()
        response = self.responses()
        return httpx.Response(response.status_code, stream=httpx.ByteStream(response.content))
