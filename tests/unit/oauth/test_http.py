"""Requests to the provider."""

from __future__ import annotations

import json

import httpx
import pytest

from mcp_idp.oauth.http import FetchError, fetch_json
from mcp_idp.testing.issuer import Issuer

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("auth.provider_error")
async def test_an_invalid_host_name_is_an_error_of_the_provider() -> None:
    async with Issuer().http() as http:
        with pytest.raises(FetchError):
            await fetch_json(http, "http://xn--/keys")


@pytest.mark.requirement("auth.provider_error")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    requested: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        return httpx.Response(status, headers={"location": "https://other.example.com/keys"}, content=b"{}")

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond), follow_redirects=True) as http:
        with pytest.raises(FetchError, match=f"status {status}"):
            await fetch_json(http, "https://login.example.com/keys")
    assert requested == ["https://login.example.com/keys"]


@pytest.mark.parametrize(("token", "sent"), [(None, None), ("abc", "Bearer abc")])
async def test_a_token_is_sent_only_if_there_is_one(token: str | None, sent: str | None) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        content = json.dumps({"sent": request.headers.get("authorization")}).encode()
        return httpx.Response(200, stream=httpx.ByteStream(content))

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
        assert await fetch_json(http, "https://login.example.com/userinfo", token) == {"sent": sent}


@pytest.mark.requirement("auth.provider_error")
@pytest.mark.parametrize(
    ("error", "reason"),
    [(TimeoutError(), "no response within 5 s"), (httpx.ConnectError("refused"), "ConnectError: refused")],
)
async def test_a_provider_that_does_not_respond_is_an_error_that_says_so(error: Exception, reason: str) -> None:
    def respond(_request: httpx.Request) -> httpx.Response:
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
        with pytest.raises(FetchError, match=reason):
            await fetch_json(http, "https://login.example.com/keys")
