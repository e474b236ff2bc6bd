"""Runs the servers of docs/examples unchanged, with a provider on a socket."""

from __future__ import annotations

import runpy
import time
from typing import Any

import httpx
import pytest

from mcp_idp.testing.corpus.model import BOTH
from mcp_idp.testing.issuer import rsa_key
from tests.support.app import Calls, lifespan
from tests.support.example_server import EXAMPLES, signing
from tests.support.mcp_calls import events

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["sdk", "starlette", "fastmcp_server"])
async def test_an_example_serves_users_with_a_valid_token(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with signing() as issuer:
        monkeypatch.setenv("OAUTH_SERVER_URL", issuer.url)
        app = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
        token = issuer.token(iat=time.time(), exp=time.time() + 60)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            unauthenticated = await Calls(client).call("my_orders")
            response = await Calls(client).call("my_orders", token)
    assert (unauthenticated.status_code, response.status_code) == (401, 200)
    assert "4f0c" in str(events(response)[-1]["result"])


@pytest.mark.parametrize("name", ["sdk", "starlette", "fastmcp_server"])
async def test_an_example_serves_at_another_host_and_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
    with signing() as issuer:
        monkeypatch.setenv("OAUTH_SERVER_URL", issuer.url)
        monkeypatch.setenv("MCP_PUBLIC_URL", "http://localhost:3000/orders")
        monkeypatch.setenv("ALLOWED_HOSTS", "mcp.example.com")
        app = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
        token = issuer.token(aud="http://localhost:3000/orders", iat=time.time(), exp=time.time() + 60)
        headers = {"authorization": f"Bearer {token}", "accept": BOTH}
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://mcp.example.com") as client:
            response = await client.post("/orders", json=opening, headers=headers)
    assert response.status_code == 200, response.text


@pytest.mark.requirement("downstream_api.audience")
async def test_the_api_sees_the_user_of_its_tokens_and_accepts_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with signing() as issuer:
        monkeypatch.setenv("OAUTH_SERVER_URL", issuer.url)
        monkeypatch.setenv("OAUTH_PROVIDER", "keycloak")
        app = runpy.run_path(str(EXAMPLES / "upstream.py"))["app"]
        good: dict[str, Any] = {
            "aud": "orders-api",
            "scope": "orders.read",
            "iat": time.time(),
            "exp": time.time() + 60,
        }
        changes: list[dict[str, Any]] = [
            {},
            {"aud": "http://localhost:3000/mcp"},
            {"iss": "https://evil.example"},
            {"exp": time.time() - 60},
            {"scope": "orders.list"},
        ]
        tokens = [issuer.token(**{**good, **change}) for change in changes]
        sent = [{"authorization": f"Bearer {token}"} for token in [*tokens, issuer.token(key=rsa_key("two"), **good)]]
        async with (
            lifespan(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:3100") as client,
        ):
            responses = [await client.get("/orders", headers=headers) for headers in ({}, *sent)]
    assert [response.status_code for response in responses] == [401, 200, 401, 401, 401, 403, 401]
    assert responses[1].json() == {
        "subject": "4f0c",
        "client": "client-1",
        "scopes": ["orders.read"],
        "audience": "orders-api",
    }
