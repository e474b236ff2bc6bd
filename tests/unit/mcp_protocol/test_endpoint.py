"""Both protocol revisions on one endpoint: JSON or event stream, and sessions."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mcp.server.mcpserver import Context, MCPServer

from mcp_idp.access.policy import load_access
from mcp_idp.auth.context import AuthenticatedCaller, request_context
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.http.body import MESSAGE_SCOPE_KEY, parse_json_object, read_body
from mcp_idp.http.long_messages import LongMessages
from mcp_idp.mcp_protocol.endpoint import McpEndpoint, non_streaming_tools
from mcp_idp.mcp_protocol.registry import register, tool
from mcp_idp.mcp_protocol.sessions import MAX_SESSIONS_EACH
from mcp_idp.principal import Principal
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_idp.testing.issuer import Issuer
from mcp_idp.util.request_memory import RequestMemory
from mcp_server import tools
from mcp_server.app import create_app
from tests.support.app import FakeClock, Running, lifespan, running
from tests.support.mcp_calls import events, initialized, legacy_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ENVELOPE: dict[str, Any] = {"protocolVersion": MODERN, "clientCapabilities": {}}
HANDSHAKE = ("2025-03-26", "2025-06-18", "2025-11-25")


def kind(response: httpx.Response) -> str:
    return response.headers["content-type"].partition(";")[0]


@pytest.mark.requirement("protocol_revisions.one_endpoint")
@pytest.mark.parametrize("version", HANDSHAKE)
async def test_a_simple_call_in_a_session_gets_one_json_response(version: str) -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token(), version)
        response = await legacy_call(server, headers, "greet", name="Ada")
    assert (response.status_code, kind(response)) == (200, "application/json")
    assert response.json()["result"]["content"] == [{"type": "text", "text": "Hello, Ada!"}]
    assert response.headers["mcp-session-id"] == headers["mcp-session-id"]


async def test_a_tool_that_uses_its_context_for_state_only_gets_one_json_response() -> None:
    async with running() as server:
        token = server.issuer.token(scope="mcp:tools mcp:notes.write")
        headers = await initialized(server, token)
        old = [await legacy_call(server, headers, "note_add", text="a")]
        old += [await legacy_call(server, headers, "note_list")]
        new = await server.call("note_list", token)
        telling = await legacy_call(server, headers, "count", number=1)
    assert [kind(response) for response in (*old, new, telling)] == ["application/json"] * 3 + ["text/event-stream"]
    assert [response.json()["result"]["structuredContent"] for response in (old[1], new)] == [{"result": ["a"]}] * 2


async def test_a_json_response_has_the_content_of_the_stream() -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token())
        by_document = await legacy_call(server, headers, "whoami")
        # Without the version header the SDK responds in the session's stream.
        unversioned = {name: value for name, value in headers.items() if name != "mcp-protocol-version"}
        by_stream = await legacy_call(server, unversioned, "whoami")
    assert (kind(by_document), kind(by_stream)) == ("application/json", "text/event-stream")
    assert by_document.json()["result"] == events(by_stream)[-1]["result"]


async def test_a_simple_call_of_the_modern_revision_gets_one_json_response() -> None:
    async with running() as server:
        response = await server.call("greet", server.issuer.token(), {"name": "Ada"})
    assert (response.status_code, kind(response)) == (200, "application/json")
    assert response.json()["result"]["resultType"] == "complete"


@dataclass
class Heard:
    """A client that reads a response as it arrives and disconnects only at its end."""

    hear: Callable[[str], None]
    body: bytes
    status: int = 0
    _sent: bool = False

    async def receive(self) -> Message:
        if self._sent:
            await asyncio.Event().wait()
        self._sent = True
        return {"type": "http.request", "body": self.body}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.hear(message.get("body", b"").decode())


@pytest.mark.parametrize("revision", ["handshake", "modern"])
async def test_progress_of_a_tool_arrives_while_it_still_runs(revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Event()

    @tool(title="Wait")
    async def wait(ctx: Context) -> str:
        """Send a message, wait until it was received, and end."""
        await ctx.report_progress(1, 2, "half")
        await go_on.wait()
        return "whole"

    monkeypatch.setattr(tools, "wait", wait, raising=False)
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        if "half" in text:
            go_on.set()

    async with served() as (app, server):
        token = server.issuer.token()
        params: dict[str, Any] = {"name": "wait", "arguments": {}, "_meta": {"progressToken": "p"}}
        if revision == "modern":
            own = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "wait"}
            params["_meta"] |= {f"io.modelcontextprotocol/{name}": value for name, value in ENVELOPE.items()}
        else:
            own = await initialized(server, token)
        headers = {"host": "localhost:3000", "accept": BOTH, "content-type": "application/json", **own}
        headers["authorization"] = f"Bearer {token}"
        line = Heard(hear, json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).encode())
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": raw}
        await app(scope, line.receive, line.send)
    assert line.status == 200
    data = [text for text in heard if "data:" in text]
    assert [("half" in text, "whole" in text) for text in data] == [(True, False), (False, True)]


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[tuple[ASGIApp, Running]]:
    """Yields the application and a client, as `running` does."""
    issuer, clock = Issuer(), FakeClock()
    async with issuer.http() as http:
        app = create_app(Settings(**settings), clock=clock.clock, http=http)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield app, Running(client, issuer, clock)


@pytest.mark.requirement("protocol_revisions.accept")
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "text/html", ""])
async def test_a_client_that_does_not_accept_both_media_types_is_rejected(accept: str) -> None:
    async with running() as server:
        token = server.issuer.token()
        headers = {**await initialized(server, token), "accept": accept}
        handshake = await legacy_call(server, headers, "greet", name="Ada")
        modern = await server.call("greet", token, {"name": "Ada"}, accept=accept)
    assert (handshake.status_code, modern.status_code) == (406, 406)
    both = "Not Acceptable: Client must accept both application/json and text/event-stream"
    assert handshake.json()["error"]["message"] == both


@pytest.mark.requirement("protocol_revisions.accept")
async def test_a_client_that_accepts_anything_is_served() -> None:
    async with running() as server:
        headers = {**await initialized(server, server.issuer.token()), "accept": "*/*"}
        response = await legacy_call(server, headers, "greet", name="Ada")
    assert events(response)[-1]["result"]["content"][0]["text"] == "Hello, Ada!"


@pytest.mark.requirement("sessions.required", "sessions.get_stream")
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_without_a_session_nothing_but_opening_one_is_served(method: str) -> None:
    async with running() as server:
        headers = {"authorization": f"Bearer {server.issuer.token()}", "accept": BOTH}
        response = await server.client.request(method, "/mcp", json=PING, headers=headers)
        with_version = await server.client.request(
            method, "/mcp", json=PING, headers={**headers, "mcp-protocol-version": "2025-11-25"}
        )
    assert (response.status_code, with_version.status_code) == (400, 400)
    assert response.json()["error"]["message"] == "Bad Request: Missing session ID"


@pytest.mark.requirement("sessions.required")
async def test_a_call_in_a_session_that_never_was_is_not_found() -> None:
    async with running() as server:
        headers = {"authorization": f"Bearer {server.issuer.token()}", "accept": BOTH, "mcp-session-id": "0" * 32}
        headers["mcp-protocol-version"] = "2025-11-25"
        response = await legacy_call(server, headers, "greet", name="Ada")
    assert response.status_code == 404


@pytest.mark.requirement("sessions.delete")
async def test_an_ended_session_is_gone_for_plain_calls_too() -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token())
        before = await legacy_call(server, headers, "greet", name="Ada")
        ended = await server.client.delete("/mcp", headers=headers)
        after = [await legacy_call(server, headers, "greet", name="Ada"), await legacy_call(server, headers, "count")]
        after.append(await server.client.delete("/mcp", headers=headers))
    assert (before.status_code, ended.status_code) == (200, 200)
    assert [response.status_code for response in after] == [404, 404, 404]


async def test_a_session_with_plain_calls_only_is_touched_in_the_sdk_now_and_then() -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token())
        kinds = []
        for minutes in (0, 9, 2, 1, 12):
            server.clock.forward(minutes * 60)
            headers["authorization"] = f"Bearer {server.issuer.token(iat=server.clock.at, exp=server.clock.at + 300)}"
            kinds.append(kind(await legacy_call(server, headers, "greet", name="Ada")))
    document, stream = "application/json", "text/event-stream"
    assert kinds == [document, document, stream, document, stream]


@pytest.mark.requirement("protocol_revisions.cancel")
async def test_a_call_with_a_pending_json_response_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool(title="Wait")
    async def wait() -> str:
        """Wait forever."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    monkeypatch.setattr(tools, "wait", wait, raising=False)
    async with running() as server:
        mine = await initialized(server, server.issuer.token())
        theirs = await initialized(server, server.issuer.token(sub="other"))
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "wait", "arguments": {}}}
        task = asyncio.create_task(server.client.post("/mcp", json=call, headers=mine))
        await begun.wait()
        for headers, expected in [(theirs, 7), (mine, "7"), (mine, True), (mine, 8), ({**mine, **UNKNOWN_SESSION}, 7)]:
            await server.client.post("/mcp", json=cancelled(expected), headers=headers)
        assert not ended.is_set()
        await server.client.post("/mcp", json=cancelled(7), headers=mine)
        response = await task
    assert ended.is_set()
    assert response.json() == {"jsonrpc": "2.0", "id": 7, "error": {"code": -32800, "message": "Request cancelled"}}


# An unknown session in an otherwise valid request.
UNKNOWN_SESSION = {"mcp-session-id": "0" * 32}


def cancelled(request_id: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}, 200),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": ["greet"]}}, 200),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "none"}}, 200),
        ({"jsonrpc": "2.0", "id": True, "method": "tools/call", "params": {"name": "greet"}}, 202),
        ({"jsonrpc": "2.0", "id": [], "method": "tools/call", "params": {"name": "greet"}}, 202),
        ({"jsonrpc": "1.0", "id": 1, "method": "tools/call", "params": {"name": "greet"}}, 400),
        ({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "greet"}}, 202),
        ({"jsonrpc": "2.0", "id": 1, "method": ["tools/call"]}, 400),
        ({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": "all"}, 400),
        ({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {}}}, 202),
        ({}, 400),
    ],
)
async def test_an_unusual_message_is_validated_by_the_sdk(document: dict[str, Any], status: int) -> None:
    async with running() as server:
        token = server.issuer.token()
        headers = await initialized(server, token)
        response = await server.client.post("/mcp", json=document, headers=headers)
        good = await legacy_call(server, headers, "greet", name="Ada")
    assert (response.status_code, good.status_code) == (status, 200)


@pytest.mark.parametrize("versions", [("2025-11-25", "2026-07-28"), ("2026-07-28", "2025-11-25"), ("2030-01-01",)])
async def test_no_mixture_of_versions_passes_by_the_session(versions: tuple[str, ...]) -> None:
    async with running() as server:
        own = [("accept", BOTH), ("authorization", f"Bearer {server.issuer.token()}")]
        headers = [*own, *(("mcp-protocol-version", version) for version in versions)]
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
        response = await server.client.post("/mcp", json=call, headers=headers)
    assert response.status_code == 400


@pytest.mark.parametrize("method", [["tools/call"], {"a": 1}, 7, None])
async def test_an_invalid_method_name_is_rejected_in_the_modern_revision_too(method: Any) -> None:
    async with running() as server:
        headers = {"accept": BOTH, "authorization": f"Bearer {server.issuer.token()}", "mcp-protocol-version": MODERN}
        document = {"jsonrpc": "2.0", "id": 1, "method": method}
        response = await server.client.post("/mcp", json=document, headers=headers)
    assert response.status_code == 400


async def test_two_session_headers_in_one_request_are_rejected() -> None:
    async with running() as server:
        headers = await initialized(server, server.issuer.token())
        another = await initialized(server, server.issuer.token())
        both = [*headers.items(), ("mcp-session-id", another["mcp-session-id"])]
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
        response = await server.client.post("/mcp", json=call, headers=both)
    assert kind(response) == "text/event-stream"  # the SDK's response, for the first of the two


async def test_a_message_that_only_one_parser_accepts_is_left_to_the_sdk() -> None:
    async with running() as server:
        headers = {**await initialized(server, server.issuer.token()), "content-type": "application/json"}
        body = (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{"name":"\\ud800"}}}'
        )
        response = await server.client.post("/mcp", content=body, headers=headers)
    assert response.status_code == 400


async def test_a_body_with_another_content_type_than_json_is_rejected() -> None:
    async with running() as server:
        headers = {**await initialized(server, server.issuer.token()), "content-type": "text/plain"}
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
        response = await server.client.post("/mcp", content=json.dumps(call), headers=headers)
    assert response.status_code == 400


async def test_without_sessions_any_replica_answers_any_request() -> None:
    issuer = Issuer()
    stateless = {"legacy_sessions": "stateless"}
    async with running(issuer, **stateless) as one, running(issuer, **stateless) as other:
        headers = {"authorization": f"Bearer {issuer.token()}", "accept": BOTH}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        opened = await one.client.post("/mcp", json=hello, headers=headers)
        headers["mcp-protocol-version"] = "2025-11-25"
        greeting = await legacy_call(other, headers, "greet", name="Ada")
        counted = await legacy_call(one, headers, "count", number=1)
        listed = await other.client.post("/mcp", json={**PING, "method": "tools/list"}, headers=headers)
        gone = await other.client.delete("/mcp", headers=headers)
    assert (opened.status_code, "mcp-session-id" in opened.headers) == (200, False)
    assert (kind(greeting), "mcp-session-id" in greeting.headers) == ("application/json", False)
    assert greeting.json()["result"]["content"][0]["text"] == "Hello, Ada!"
    assert [message.get("method") for message in events(counted)] == [
        "notifications/message",
        "notifications/progress",
        None,
    ]
    assert "greet" in listed.text
    assert gone.status_code == 405


async def test_every_form_of_response_sees_the_state_of_one_lifespan(caplog: pytest.LogCaptureFixture) -> None:
    entered: list[dict[str, Any]] = []

    @asynccontextmanager
    async def once(_server: Any) -> AsyncIterator[dict[str, Any]]:
        entered.append({})
        yield entered[-1]
        entered[-1]["left"] = True

    seen: list[Any] = []

    async def look(ctx: Any, call_next: Any) -> Any:
        if ctx.method == "tools/call":
            seen.append(ctx.lifespan_context)
            if ctx.params["name"] == "get_time":
                raise RuntimeError("the password of the database")
        return await call_next(ctx)

    server: MCPServer[Any] = MCPServer("t", lifespan=once, middleware=[look])
    register(server, tools, ScopeRequirements(load_access(Settings().access_file)))
    endpoint = McpEndpoint(server, non_streaming=non_streaming_tools(tools), stateless=True, monotonic=lambda: 0.0)
    principal = Principal(issuer="i", subject="s", client="c", scopes=frozenset(), expires_at=2e9, roles=None)

    caller = AuthenticatedCaller(principal, effective_scopes=frozenset())

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, RequestMemory(1 << 20).share())
        with request_context(caller):
            await endpoint(
                {**scope, "user": caller, MESSAGE_SCOPE_KEY: parse_json_object(body)},
                LongMessages().replay(body, receive, None),
                send,
            )

    async with (
        lifespan(endpoint),
        httpx.AsyncClient(transport=httpx.ASGITransport(authenticated), base_url="http://localhost:3000") as client,
    ):
        calls = Running(client, Issuer(), FakeClock())
        headers = {"accept": BOTH, "mcp-protocol-version": "2025-11-25"}
        await calls.call("greet", None, {"name": "Ada"})
        await calls.call("count", None, {"number": 1})
        await legacy_call(calls, headers, "greet", name="Ada")
        await legacy_call(calls, headers, "count", number=1)
        failed = await legacy_call(calls, headers, "get_time")
    assert len(entered) == 1
    assert [state is entered[0] for state in seen] == [True] * 5
    assert entered[0] == {"left": True}
    assert failed.json()["error"] == {"code": -32603, "message": "Internal server error"}


async def test_opening_too_many_sessions_closes_the_least_recently_used() -> None:
    async with running() as server:
        token = server.issuer.token()
        theirs = await initialized(server, server.issuer.token(sub="other"))
        current = [await initialized(server, token) for _ in range(MAX_SESSIONS_EACH)]
        await legacy_call(server, {**current[0], **UNVERSIONED}, "whoami")
        current.append(await initialized(server, token))
        statuses = [
            (await legacy_call(server, headers, "whoami")).status_code
            for headers in (*current[:3], current[-1], theirs)
        ]
    assert statuses == [200, 404, 200, 200, 200]


# As in a session of the SDK, which is not used for a plain call.
UNVERSIONED = {"mcp-protocol-version": "2025-03-26", "accept": "*/*"}


async def test_a_thousand_interleaved_calls_of_two_users_are_not_mixed_up() -> None:
    async with running() as server:
        users = {name: server.issuer.token(sub=name) for name in ("ada", "bob")}
        sessions = {name: [await initialized(server, token) for _ in range(3)] for name, token in users.items()}

        async def call_who(turn: int, name: str) -> tuple[str, str]:
            session = sessions[name][turn % 3]
            match turn % 4:
                case 0:
                    response = await server.call("whoami", users[name])
                case 1:
                    response = await legacy_call(server, session, "whoami")
                case 2:
                    response = await legacy_call(server, {**session, **UNVERSIONED}, "whoami")
                case _:  # another user's session with the client's own token
                    other_user = sessions["bob" if name == "ada" else "ada"][turn % 3]["mcp-session-id"]
                    response = await legacy_call(server, {**session, "mcp-session-id": other_user}, "whoami")
                    return name, str(response.status_code)
            return name, events(response)[-1]["result"]["structuredContent"]["subject"]

        responses = []
        for turn in range(0, 500, 25):
            requests = [call_who(i, name) for i in range(turn, turn + 25) for name in users]
            responses += await asyncio.gather(*requests)
    assert len(responses) == 1000
    assert {name: Counter(message for who, message in responses if who == name) for name in users} == {
        "ada": {"ada": 375, "404": 125},
        "bob": {"bob": 375, "404": 125},
    }
