"""The demo tools, called as clients do, in both protocol revisions."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer

from mcp_idp.access.policy import load_access
from mcp_idp.auth.context import current_principal
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.mcp_protocol.registry import register, tool
from mcp_idp.testing.corpus.model import BOTH
from mcp_idp.testing.issuer import Issuer
from mcp_server import tools
from tests.support.app import running
from tests.support.mcp_calls import events, initialized, legacy_call

pytestmark = pytest.mark.anyio


async def test_greet_in_both_protocol_revisions() -> None:
    async with running() as server:
        token = server.issuer.token()
        modern = await server.call("greet", token, {"name": "Ada"})
        legacy = await legacy_call(server, await initialized(server, token), "greet", name="Ada")
    texts = [events(response)[-1]["result"]["content"][0]["text"] for response in (modern, legacy)]
    assert texts == ["Hello, Ada!"] * 2


@pytest.mark.requirement("tools.progress")
async def test_count_sends_each_number_in_the_handshake_revisions() -> None:
    async with running() as server:
        response = await legacy_call(server, await initialized(server, server.issuer.token()), "count", number=1)
    received = events(response)
    assert [message.get("method") for message in received] == ["notifications/message", "notifications/progress", None]
    assert received[0]["params"]["data"] == "Counted to 1"
    assert received[1]["params"]["message"] == "Counted to 1"
    assert received[2]["result"]["content"][0]["text"] == "Counting to 1"


@pytest.mark.requirement("tools.progress")
@pytest.mark.parametrize(
    ("meta", "received"),
    [
        ({}, []),
        ({"progressToken": 7}, ["notifications/progress"]),
        ({"io.modelcontextprotocol/logLevel": "info"}, ["notifications/message"]),
        ({"io.modelcontextprotocol/logLevel": "error"}, []),
    ],
)
async def test_count_sends_only_requested_notifications_in_the_modern_revision(
    meta: dict[str, Any], received: list[str]
) -> None:
    own = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": "count", "arguments": {"number": 1}, "_meta": {**own, **meta}}
    headers = {"accept": BOTH, "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "count"}
    async with running() as server:
        headers["authorization"] = f"Bearer {server.issuer.token()}"
        document = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        response = await server.client.post("/mcp", json=document, headers=headers)
    messages = events(response)
    assert [message["method"] for message in messages[:-1]] == received
    assert messages[-1]["result"]["content"][0]["text"] == "Counting to 1"


@pytest.mark.requirement("tools.progress")
@pytest.mark.parametrize("number", [0, -1, 601, "many", 1.5])
async def test_count_rejects_numbers_that_it_would_never_finish(number: Any) -> None:
    async with running() as server:
        response = await server.call("count", server.issuer.token(), {"number": number})
    assert response.json()["result"]["isError"] is True


async def test_get_time_spells_one_moment_four_times() -> None:
    before = time.time()
    async with running() as server:
        response = await server.call("get_time", server.issuer.token())
    structured = response.json()["result"]["structuredContent"]
    assert set(structured) == {"current_time", "timezone", "timestamp", "formatted"}
    assert structured["timezone"] == "UTC"
    assert before <= structured["timestamp"] <= time.time()
    moment = datetime.fromisoformat(structured["current_time"])
    assert moment.timestamp() == pytest.approx(structured["timestamp"])
    assert moment.strftime("%Y-%m-%d %H:%M:%S") == structured["formatted"]


async def test_whoami_returns_the_token_s_claims_and_not_the_token() -> None:
    async with running() as server:
        token = server.issuer.token()
        modern = await server.call("whoami", token)
        legacy = await legacy_call(server, await initialized(server, token), "whoami")
    for response in (modern, legacy):
        content = events(response)[-1]["result"]["structuredContent"]
        assert content == {
            "subject": "4f0c",
            "client": "client-1",
            "scopes": ["mcp:notes.read", "mcp:tools"],
            "expires_at": "2027-01-15T08:05:00+00:00",
        }
        assert token not in response.text


@pytest.mark.requirement("sessions.owner")
async def test_in_one_session_each_request_is_its_own_token_s() -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token())
        narrower = {**headers, "authorization": f"Bearer {server.issuer.token(scope='mcp:tools')}"}
        responses = await asyncio.gather(*(legacy_call(server, h, "whoami") for h in [headers, narrower] * 10))
    scopes = [events(response)[-1]["result"]["structuredContent"]["scopes"] for response in responses]
    assert scopes == [["mcp:notes.read", "mcp:tools"], ["mcp:tools"]] * 10


@pytest.mark.requirement("sessions.owner")
@pytest.mark.parametrize("change", [{"sub": "other"}, {"azp": "other"}, {"sub": ...}])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_session_does_not_exist_for_other_users(change: dict[str, Any], method: str) -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token())
        unauthenticated = {**headers, "authorization": f"Bearer {server.issuer.token(**change)}"}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        response = await server.client.request(method, "/mcp", headers=unauthenticated, json=ping)
        owner = await server.client.post("/mcp", json=ping, headers=headers)
    assert (response.status_code, owner.status_code) == (404, 200)


@pytest.mark.requirement("tools.annotations")
async def test_every_tool_has_a_title_and_a_description() -> None:
    server: MCPServer[Any] = MCPServer("t")
    register(server, tools, ScopeRequirements(load_access(Settings().access_file)))
    listed = await server.list_tools()
    names = "greet count get_time whoami calculator weather note_list note_add note_count"
    assert [entry.name for entry in listed] == names.split()
    for entry in listed:
        assert entry.title
        assert entry.description
        assert entry.annotations is not None
        assert entry.annotations.read_only_hint is (entry.name != "note_add")
        assert entry.annotations.open_world_hint is False


async def test_a_function_marked_as_a_tool_is_served_and_others_are_not() -> None:
    module = ModuleType("mine")

    @tool(title="Add", read_only=False, destructive=True)
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    vars(module).update(add=add, helper=lambda: None)
    server: MCPServer[Any] = MCPServer("t")
    register(server, module, ScopeRequirements(load_access(Settings().access_file)))
    (listed,) = await server.list_tools()
    assert (listed.name, listed.title, listed.description) == ("add", "Add", "Add two numbers.")
    assert listed.annotations is not None
    assert (listed.annotations.read_only_hint, listed.annotations.destructive_hint) == (False, True)


@pytest.mark.requirement("tools.sdk_token")
async def test_the_sdk_knows_the_caller_but_not_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @tool(title="Look")
    async def look() -> str:
        """Look who is calling."""
        seen.append(get_access_token())
        return "seen"

    monkeypatch.setattr(tools, "look", look, raising=False)
    issuer = Issuer()
    async with running(issuer) as server:
        sent = issuer.token()
        await server.call("look", sent)
    (token,) = seen
    assert token is not None
    assert (token.subject, token.client_id) == ("4f0c", "client-1")
    assert token.token not in sent  # a digest that tells callers apart
    assert re.fullmatch(r"[0-9a-f]{64}", token.token)
    assert token.claims == {"iss": issuer.url}


def test_outside_a_request_there_is_no_principal() -> None:
    with pytest.raises(LookupError):
        current_principal()
