"""The middleware in front of third-party applications."""

from __future__ import annotations

import json
import subprocess
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from structlog.testing import capture_logs

from mcp_idp.application import protect
from mcp_idp.auth.context import current_principal
from mcp_idp.config.settings import Settings
from tests.support.app import Calls, FakeClock, lifespan
from tests.support.fake_issuer import Issuer
from tests.support.mcp_calls import events, initialized, legacy_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _protected(app: ASGIApp, **settings: Any) -> AsyncIterator[tuple[Calls, Issuer]]:
    issuer = Issuer()
    async with issuer.http() as http:
        outer = protect(app, Settings(**settings), clock=FakeClock().clock, http=http)
        transport = httpx.ASGITransport(outer)
        async with lifespan(outer), httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield Calls(client), issuer


def _with_tools(path: Path, tools: dict[str, Any]) -> Path:
    text = Settings().access_file.read_text(encoding="utf-8")
    path.write_text(text + f"\ntools: {json.dumps(tools)}\n", encoding="utf-8")
    return path


def _sdk_application() -> ASGIApp:
    """Returns an application as in the SDK's documentation."""
    server: MCPServer[Any] = MCPServer("theirs")

    @server.tool()
    async def who() -> str:
        token = get_access_token()
        return f"{current_principal().subject} {token.client_id if token else ''}"

    @server.tool()
    async def wipe() -> str:
        return "wiped"

    return server.streamable_http_app()


@pytest.mark.requirement("protect.any_app")
async def test_the_sdk_s_application_is_protected_with_two_lines(tmp_path: Path) -> None:
    access_file = _with_tools(tmp_path / "access.yaml", {"who": [], "wipe": ["mcp:admin"]})
    async with _protected(_sdk_application(), access_file=access_file) as (calls, issuer):
        unauthenticated = await calls.call("who")
        response = await calls.call("who", issuer.token())
        beyond = await calls.call("wipe", issuer.token(mcp_roles=...))
        admin = await calls.call("wipe", issuer.token(scope="mcp:admin"))
        metadata = await calls.client.get("/.well-known/oauth-protected-resource/mcp")
    assert (unauthenticated.status_code, metadata.status_code) == (401, 200)
    assert events(response)[-1]["result"]["content"][0]["text"] == "4f0c client-1"
    assert beyond.status_code == 403
    assert 'scope="mcp:tools mcp:admin"' in beyond.headers["www-authenticate"]
    assert events(admin)[-1]["result"]["content"][0]["text"] == "wiped"


ROOT = Path(__file__).parents[2]
NOT_LISTED = [
    "call_tool",
    "Wipe",
    "wipe ",
    "/wipe",
    "server_wipe",
    "wipe@1",
    "w\u0131pe",
    "wipe\u200b",
    "",
    ["wipe"],
    None,
]


def _application_of_many_names(ran: list[object]) -> ASGIApp:
    """Returns an application that also runs its tools under other names, and accepts names that are not strings."""

    async def mcp(request: Request) -> JSONResponse:
        message = await request.json()
        ran.append(message["params"])
        return JSONResponse({"jsonrpc": "2.0", "id": message.get("id"), "result": {}})

    return Starlette(routes=[Route("/mcp", mcp, methods=["POST"])])


async def _call(calls: Calls, token: str, params: object, **changes: object) -> httpx.Response:
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params, **changes}
    return await calls.client.post("/mcp", json=document, headers={"authorization": f"Bearer {token}"})


@pytest.mark.requirement("scopes.only_listed")
async def test_once_tools_are_listed_no_other_runs_whatever_it_is_called(tmp_path: Path) -> None:
    ran: list[object] = []
    audit = tmp_path / "audit.jsonl"
    access_file = _with_tools(tmp_path / "access.yaml", {"who": [], "wipe": ["mcp:admin"]})
    async with _protected(_application_of_many_names(ran), access_file=access_file, audit_log=str(audit)) as (
        calls,
        issuer,
    ):
        admin = issuer.token(scope="mcp:admin")  # no scope helps
        with capture_logs() as lines:
            responses = [
                await _call(calls, admin, {"name": name, "arguments": {"name": "wipe"}}) for name in NOT_LISTED
            ]
            responses += [await _call(calls, admin, params) for params in (["wipe"], "wipe", {"tool": "wipe"}, None)]
        assert (await _call(calls, admin, {"name": "who"})).status_code == 200
    assert ran == [{"name": "who"}]
    for response in responses:
        assert (response.status_code, "www-authenticate" in response.headers) == (403, False)
        error = response.json()["error"]
        assert (error["code"], error["data"]["error"]) == (-32003, "tool_not_listed")
        assert "under tools" in error["message"]
        assert "@tool" in error["message"]
    rejected = [line for line in lines if line["event"] == "request_rejected"]
    assert [line["tool"] for line in rejected][:4] == ["call_tool", "Wipe", "wipe ", "/wipe"]
    assert [line["tool"] for line in rejected][-6:] == ["list", "NoneType", *["NoneType"] * 4]
    audited = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()][:-1]
    assert {(line["decision"], line["status"], line["reason"], line["method"]) for line in audited} == {
        ("denied", 403, "tool_not_listed", "tools/call")
    }
    names = [name if isinstance(name, str) else None for name in NOT_LISTED]
    assert [line["target"] for line in audited] == [*names, None, None, None, None]


@pytest.mark.requirement("scopes.only_listed")
async def test_a_name_that_is_not_listed_is_bounded_and_escaped_in_the_log_and_not_said_again(tmp_path: Path) -> None:
    access_file = _with_tools(tmp_path / "access.yaml", {"wipe": ["mcp:admin"]})
    async with _protected(_application_of_many_names([]), access_file=access_file) as (calls, issuer):
        with capture_logs() as lines:
            response = await _call(calls, issuer.token(), {"name": "\x1b]0;owned\x07\r\n" + "x" * 100_000})
    (line,) = [line for line in lines if line["event"] == "request_rejected"]
    assert line["tool"].isprintable()
    assert len(line["tool"]) == 200
    assert "owned" not in response.text


@pytest.mark.requirement("scopes.only_listed")
@pytest.mark.parametrize(("tools", "level"), [({}, "warning"), ({"who": []}, "info"), (None, None)])
async def test_an_empty_list_is_a_list_and_the_start_tells_of_either(
    tools: dict[str, Any] | None, level: str | None, tmp_path: Path
) -> None:
    access_file = Settings().access_file if tools is None else _with_tools(tmp_path / "access.yaml", tools)
    with capture_logs() as lines:
        async with _protected(_application_of_many_names([]), access_file=access_file) as (calls, issuer):
            response = await _call(calls, issuer.token(), {"name": "other"})
    assert response.status_code == (200 if tools is None else 403)
    assert [line["log_level"] for line in lines if line["event"].startswith("access_file_")] == (
        [level] if level else []
    )


@pytest.mark.requirement("scopes.only_listed")
async def test_a_tool_that_runs_others_by_name_is_refused_in_both_eras(tmp_path: Path) -> None:
    ran = []
    server: MCPServer[Any] = MCPServer("theirs")

    @server.tool()
    async def wipe() -> str:
        ran.append("wipe")
        return "wiped"

    @server.tool()
    async def call_tool(name: str) -> str:
        await server.call_tool(name, {})
        return "called"

    access_file = _with_tools(tmp_path / "access.yaml", {"wipe": ["mcp:admin"]})
    async with _protected(server.streamable_http_app(), access_file=access_file) as (calls, issuer):
        token = issuer.token()
        modern = await calls.call("call_tool", token, {"name": "wipe"})
        headers = await initialized(calls, token)  # type: ignore[arg-type]  # they post
        legacy = await legacy_call(calls, headers, "call_tool", name="wipe")  # type: ignore[arg-type]  # likewise
        listed = await calls.client.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, headers=headers
        )
    assert (modern.status_code, legacy.status_code, ran) == (403, 403, [])
    assert {tool["name"] for tool in events(listed)[-1]["result"]["tools"]} == {"wipe", "call_tool"}  # its own list


@pytest.mark.full
@pytest.mark.requirement("scopes.only_listed")
def test_fastmcp_s_search_transform_runs_no_tool_that_the_caller_may_not() -> None:
    subprocess.run(["scripts/venv", "requirements-bench.lock"], cwd=ROOT, check=True, capture_output=True)
    words = [".venv-bench/bin/python", "-m", "tests.support.fastmcp_search"]
    ran = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    found = json.loads(ran.stdout.splitlines()[-1])
    for revision in ("modern", "legacy"):
        assert [response["status"] for response in found[revision]] == [403, 403, 403, 403, 403, 200, 200]
        assert not any("www-authenticate" in response["headers"] for response in found[revision])
        assert "4f0c" in found[revision][-1]["text"]
    assert "all is gone" in found["admin"]
    assert found["ran"] == ["delete_everything"]  # called by the administrator, by its name
    rejected = [(line["target"], line["reason"]) for line in found["audit"] if line["decision"] == "denied"]
    by_another_name = [(name, "tool_not_listed") for name in ("call_tool", "call_tool", "Call_Tool", "call_tool ")]
    assert rejected == [*by_another_name, ("delete_everything", "insufficient_role")] * 2


@pytest.mark.requirement("protect.any_app", "protect.only_mcp")
async def test_a_plain_application_is_protected_and_nothing_of_it_goes_around_the_gate() -> None:
    ran = []

    @asynccontextmanager
    async def around(_app: Starlette) -> AsyncIterator[None]:
        ran.append("started")
        yield
        ran.append("stopped")

    async def mcp(request: Request) -> JSONResponse:
        return JSONResponse({"subject": request.user.principal.subject, "body": await request.json()})

    async def admin(_request: Request) -> JSONResponse:
        raise AssertionError("reached without a token")

    routes = [Route("/mcp", mcp, methods=["POST"]), Route("/admin", admin)]
    async with _protected(Starlette(routes=routes, lifespan=around)) as (calls, issuer):
        assert ran == ["started"]
        bearer = {"authorization": f"Bearer {issuer.token()}"}
        response = await calls.client.post("/mcp", json={"method": "x"}, headers=bearer)
        rejected = await calls.client.post("/mcp", json={"method": "x"})
        unprotected = await calls.client.get("/admin", headers=bearer)
    assert response.json() == {"subject": "4f0c", "body": {"method": "x"}}
    assert (rejected.status_code, unprotected.status_code) == (401, 404)
    assert ran == ["started", "stopped"]


@pytest.mark.requirement("protect.any_app")
@pytest.mark.parametrize("raises", [False, True])
async def test_an_application_that_does_not_answer_the_start_stops_it_in_words(raises: bool) -> None:  # noqa: FBT001 - a parameter
    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        if raises:
            raise ValueError(scope["type"])

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = protect(application, Settings())
    with pytest.raises(ValueError, match="lifespan") if raises else nullcontext():
        await app({"type": "lifespan"}, receive, send)
    (message,) = sent
    assert message["type"] == "lifespan.startup.failed"  # otherwise the server would run without keys
    assert "lifespan" in message["message"]


@pytest.mark.requirement("protect.only_mcp")
async def test_a_websocket_goes_nowhere_and_ends_nothing_of_the_server() -> None:
    async def echo(_socket: WebSocket) -> None:
        raise AssertionError("reached without a token")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = protect(Starlette(routes=[WebSocketRoute("/mcp", echo)]), Settings())
    await app({"type": "websocket", "path": "/mcp", "headers": [(b"host", b"localhost:3000")]}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]  # before it was accepted: 403


@pytest.mark.requirement("exchange.only_if_asked_for", "protect.any_app")
async def test_the_token_that_was_sent_stays_at_the_gate() -> None:
    server: MCPServer[Any] = MCPServer("theirs")

    @server.tool()
    async def headers(ctx: Context) -> str:
        return str(sorted(ctx.headers or ()))

    async with _protected(server.streamable_http_app()) as (calls, issuer):
        token = issuer.token()
        modern = await calls.call("headers", token)
        legacy = await legacy_call(calls, await initialized(calls, token), "headers")  # type: ignore[arg-type]  # they post
    for response in (modern, legacy):
        names = events(response)[-1]["result"]["content"][0]["text"]
        assert "'host'" in names
        assert "authorization" not in names


@pytest.mark.requirement("protect.any_app", "scopes.everything_named")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET", "QUERY"])
async def test_a_call_by_another_method_than_post_does_not_go_around_its_scope(method: str, tmp_path: Path) -> None:
    async def mcp(request: Request) -> JSONResponse:
        return JSONResponse({"body": (await request.body()).decode()})

    access_file = _with_tools(tmp_path / "access.yaml", {"wipe": ["mcp:admin"]})
    app = Starlette(routes=[Route("/mcp", mcp, methods=[method])])
    async with _protected(app, access_file=access_file) as (calls, issuer):
        bearer = {"authorization": f"Bearer {issuer.token()}"}
        message = {"method": "tools/call", "params": {"name": "wipe"}}
        response = await calls.client.request(method, "/mcp", json=message, headers=bearer)
    assert response.json() == {"body": ""}
