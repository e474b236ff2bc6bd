"""Sessions of the handshake revisions: who owns one, and which one is closed over the limit."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_idp.mcp_protocol.sessions import MAX_SESSIONS_EACH
from mcp_idp.testing.corpus.model import BOTH
from mcp_idp.testing.issuer import NOW
from tests.support.app import running
from tests.support.mcp_calls import LEGACY, open_session, ping, post_in_session

pytestmark = pytest.mark.anyio


async def test_opening_too_many_sessions_closes_the_least_recently_used_of_the_same_user() -> None:
    async with running() as server:
        mine, other_client = server.issuer.token(), server.issuer.token(azp="client-2")
        others = server.issuer.token(sub="somebody-else")
        theirs = await open_session(server, others)
        stored, lost = await open_session(server, mine), await open_session(server, mine)
        assert await ping(server, mine, stored) == 200
        for _ in range(MAX_SESSIONS_EACH - 1):
            newest = await open_session(server, other_client)
        assert await ping(server, mine, stored) == 200
        assert await ping(server, mine, lost) == 404
        assert await ping(server, other_client, newest) == 200
        assert await ping(server, others, theirs) == 200


async def test_requests_that_open_no_session_evict_none() -> None:
    async with running() as server:
        token = server.issuer.token()
        session = await open_session(server, token)
        for _ in range(MAX_SESSIONS_EACH + 1):
            rejected = await post_in_session(server, token, {"jsonrpc": "2.0", "id": 1, "method": "ping"})
            assert rejected.status_code == 400
        assert await ping(server, token, session) == 200


@pytest.mark.requirement("sessions.owner")
@pytest.mark.parametrize("changes", [{"sub": "evil"}, {"azp": "evil"}, {"sub": ...}])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_the_session_of_another_user_or_client_is_404(changes: dict[str, Any], method: str) -> None:
    async with running() as server:
        session = await open_session(server, server.issuer.token())
        headers = {
            "authorization": f"Bearer {server.issuer.token(**changes)}",
            "accept": BOTH,
            "mcp-session-id": session,
            "mcp-protocol-version": LEGACY,
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        response = await server.client.request(method, "/mcp", headers=headers, json=message)
        assert response.status_code == 404
        assert await ping(server, server.issuer.token(), session) == 200


@pytest.mark.requirement("sessions.owner")
async def test_a_session_of_a_token_without_a_subject_belongs_to_that_token_only() -> None:
    async with running() as server:
        first, second = server.issuer.token(sub=...), server.issuer.token(sub=..., exp=NOW + 299)
        session = await open_session(server, first)
        assert await ping(server, second, session) == 404
        assert await ping(server, first, session) == 200


@pytest.mark.requirement("sessions.identity")
async def test_a_call_in_a_session_acts_for_its_own_token() -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
    async with running() as server:
        session = await open_session(server, server.issuer.token(scope="mcp:admin"))
        message = await post_in_session(server, server.issuer.token(scope="mcp:tools"), call, session)
    assert message.json()["result"]["structuredContent"]["scopes"] == ["mcp:tools"]
