"""An open stream ends with the token that opened it."""

from __future__ import annotations

import asyncio
import json

import pytest

from mcp_idp.auth.stream_expiry import end_stream_after
from mcp_idp.config.settings import Settings
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.issuer import NOW, Issuer
from mcp_server.app import create_app
from tests.support.app import FakeClock, lifespan
from tests.support.asgi_requests import OpenRequest
from tests.support.mcp_calls import INITIALIZE, LEGACY

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


@pytest.mark.requirement("sessions.stream_expiry")
def test_a_timeout_of_the_application_is_not_mistaken_for_the_token_s_expiry() -> None:
    async def fails(_send: object) -> None:
        raise TimeoutError

    async def unheard(_message: object) -> None:
        raise AssertionError

    with pytest.raises(TimeoutError):
        asyncio.run(end_stream_after(3600, fails, unheard))
