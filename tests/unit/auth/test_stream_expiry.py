"""An open stream ends with the token that opened it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.auth.stream_expiry import end_stream_with_token
from mcp_idp.config.settings import Settings
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.introspecting_issuer import SECRET, Introspecting
from mcp_idp.testing.issuer import NOW, Issuer
from mcp_idp.tokens.introspection import MAX_RESULT_AGE
from mcp_server.app import create_app
from tests.support.app import FakeClock, lifespan
from tests.support.asgi_requests import OpenRequest
from tests.support.mcp_calls import INITIALIZE, LEGACY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

pytestmark = pytest.mark.anyio


META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.mark.requirement("sessions.stream_expiry")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_stream_ends_with_its_token(revision: str) -> None:
    issuer, clock = Issuer(), FakeClock()
    headers = {"accept": BOTH, "content-type": "application/json", "mcp-protocol-version": revision}
    listen = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"}
    params = {"_meta": META, "notifications": {"toolsListChanged": True}}
    async with issuer.http() as http:
        app = create_app(Settings(clock_leeway=0), clock=clock.clock, http=http)
        async with lifespan(app):
            headers["authorization"] = f"Bearer {issuer.token()}"
            if revision == LEGACY:
                opened = OpenRequest(app, "POST", headers, json.dumps(INITIALIZE).encode())
                await opened.responses
                headers["mcp-session-id"] = dict(opened.sent[0]["headers"])[b"mcp-session-id"].decode()
            headers["authorization"] = f"Bearer {issuer.token(exp=NOW + 0.5)}"
            if revision == LEGACY:
                stream = OpenRequest(app, "GET", headers)
            else:
                headers["mcp-method"] = listen["method"]  # type: ignore[assignment] # a text
                stream = OpenRequest(app, "POST", headers, json.dumps({**listen, "params": params}).encode())
            await stream.responses
    assert stream.sent[0]["status"] == 200
    assert stream.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def _open_stream(app: ASGIApp, token: str, revision: str) -> OpenRequest:
    """Opens the stream of a session, or that of `subscriptions/listen`, and waits until it has begun."""
    headers = {"accept": BOTH, "content-type": "application/json", "mcp-protocol-version": revision}
    headers["authorization"] = f"Bearer {token}"
    if revision == LEGACY:
        opened = OpenRequest(app, "POST", headers, json.dumps(INITIALIZE).encode())
        await opened.responses
        headers["mcp-session-id"] = dict(opened.sent[0]["headers"])[b"mcp-session-id"].decode()
        stream = OpenRequest(app, "GET", headers)
    else:
        headers["mcp-method"] = "subscriptions/listen"
        params = {"_meta": META, "notifications": {"toolsListChanged": True}}
        listen = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
        stream = OpenRequest(app, "POST", headers, json.dumps(listen).encode())
    await stream.begun.wait()
    return stream


@asynccontextmanager
async def _stream_before_next_introspection(
    revision: str,
) -> AsyncIterator[tuple[Introspecting, FakeClock, OpenRequest]]:
    """Opens a stream 0.2 seconds before the cached introspection result of its token expires."""
    issuer, clock = Introspecting(), FakeClock()
    issuer.message = lambda _: issuer.active()
    async with issuer.http() as http:
        app = create_app(Settings(token_mode="introspection", client_secret=SECRET), clock=clock.clock, http=http)
        async with lifespan(app):
            token = issuer.token()
            first = await _open_stream(app, token, revision)
            clock.forward(MAX_RESULT_AGE - 0.2)
            yield issuer, clock, await _open_stream(app, token, revision)
            first.responses.cancel()


@pytest.mark.requirement("sessions.stream_expiry")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
@pytest.mark.parametrize("then", [{"active": False}, {"aud": "another"}, {"scope": "x"}, None])
async def test_a_stream_ends_when_its_token_is_no_longer_active(revision: str, then: dict[str, Any] | None) -> None:
    async with _stream_before_next_introspection(revision) as (issuer, clock, stream):
        message = RuntimeError("down") if then is None else issuer.active(**then)
        issuer.message = lambda _: message
        await asyncio.wait({stream.responses}, timeout=0.05)
        assert not stream.responses.done()
        clock.forward(0.2)
        await asyncio.wait_for(stream.responses, 10)
    assert stream.sent[0]["status"] == 200
    assert stream.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.requirement("sessions.stream_expiry")
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_stream_whose_token_is_still_active_continues(revision: str) -> None:
    async with _stream_before_next_introspection(revision) as (_, clock, stream):
        clock.forward(0.2)
        await asyncio.wait({stream.responses}, timeout=0.5)
        assert not stream.responses.done()
        stream.responses.cancel()


@pytest.mark.requirement("sessions.stream_expiry")
def test_a_timeout_of_the_application_is_not_mistaken_for_the_token_s_expiry() -> None:
    async def fails(_send: object) -> None:
        raise TimeoutError

    async def unheard(_message: object) -> None:
        raise AssertionError

    async def verify_again() -> None:
        raise AssertionError

    with pytest.raises(TimeoutError):
        asyncio.run(end_stream_with_token(3600, fails, unheard, verify_again, lambda: 3600.0))
