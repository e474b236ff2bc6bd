"""The middleware in front of third-party applications."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

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
from tests.support.mcp_calls import events, initialized, legacy_call
from tests.support.protected import access_with, protected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket

    from tests.support.app import Calls

pytestmark = pytest.mark.anyio


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


async def test_the_sdk_s_application_is_protected_with_two_lines(tmp_path: Path) -> None:
    access_file = access_with(tmp_path / "access.yaml", tools={"who": [], "wipe": ["mcp:admin"]})
    async with protected(_sdk_application(), access_file=access_file) as (calls, issuer):
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


@pytest.mark.requirement("scopes.listed_tools_only")
async def test_once_tools_are_listed_no_other_runs_whatever_it_is_called(tmp_path: Path) -> None:
    ran: list[object] = []
    audit = tmp_path / "audit.jsonl"
    access_file = access_with(tmp_path / "access.yaml", tools={"who": [], "wipe": ["mcp:admin"]})
    async with protected(_application_of_many_names(ran), access_file=access_file, audit_log=str(audit)) as (
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


@pytest.mark.requirement("scopes.listed_tools_only")
async def test_an_unlisted_name_is_logged_bounded_and_escaped_and_not_returned(tmp_path: Path) -> None:
    access_file = access_with(tmp_path / "access.yaml", tools={"wipe": ["mcp:admin"]})
    async with protected(_application_of_many_names([]), access_file=access_file) as (calls, issuer):
        with capture_logs() as lines:
            response = await _call(calls, issuer.token(), {"name": "\x1b]0;owned\x07\r\n" + "x" * 100_000})
    (line,) = [line for line in lines if line["event"] == "request_rejected"]
    assert line["tool"].isprintable()
    assert len(line["tool"]) == 200
    assert "owned" not in response.text


@pytest.mark.requirement("scopes.listed_tools_only")
@pytest.mark.parametrize(("tools", "level"), [({}, "warning"), ({"who": []}, "info"), (None, None)])
async def test_an_empty_list_is_a_list_and_the_start_logs_either(
    tools: dict[str, Any] | None, level: str | None, tmp_path: Path
) -> None:
    access_file = Settings().access_file if tools is None else access_with(tmp_path / "access.yaml", tools=tools)
    with capture_logs() as lines:
        async with protected(_application_of_many_names([]), access_file=access_file) as (calls, issuer):
            response = await _call(calls, issuer.token(), {"name": "other"})
    assert response.status_code == (200 if tools is None else 403)
    assert [line["log_level"] for line in lines if line["event"].startswith("access_file_")] == (
        [level] if level else []
    )


@pytest.mark.requirement("scopes.listed_tools_only")
async def test_a_tool_that_runs_others_by_name_is_rejected_in_both_revisions(tmp_path: Path) -> None:
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

    access_file = access_with(tmp_path / "access.yaml", tools={"wipe": ["mcp:admin"]})
    async with protected(server.streamable_http_app(), access_file=access_file) as (calls, issuer):
        token = issuer.token()
        modern = await calls.call("call_tool", token, {"name": "wipe"})
        headers = await initialized(calls, token)  # type: ignore[arg-type]  # they post
        legacy = await legacy_call(calls, headers, "call_tool", name="wipe")  # type: ignore[arg-type]  # likewise
        listed = await calls.client.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, headers=headers
        )
    assert (modern.status_code, legacy.status_code, ran) == (403, 403, [])
    assert {tool["name"] for tool in events(listed)[-1]["result"]["tools"]} == {"wipe", "call_tool"}  # its own list


async def test_no_route_of_a_plain_application_bypasses_the_auth_middleware() -> None:
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
    async with protected(Starlette(routes=routes, lifespan=around)) as (calls, issuer):
        assert ran == ["started"]
        bearer = {"authorization": f"Bearer {issuer.token()}"}
        response = await calls.client.post("/mcp", json={"method": "x"}, headers=bearer)
        rejected = await calls.client.post("/mcp", json={"method": "x"})
        unprotected = await calls.client.get("/admin", headers=bearer)
    assert response.json() == {"subject": "4f0c", "body": {"method": "x"}}
    assert (rejected.status_code, unprotected.status_code) == (401, 404)
    assert ran == ["started", "stopped"]


@pytest.mark.parametrize("raises", [False, True])
async def test_an_application_that_ignores_the_startup_event_stops_the_start(raises: bool) -> None:  # noqa: FBT001 - a parameter
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


async def test_the_inbound_token_is_never_returned_by_an_exchange() -> None:
    server: MCPServer[Any] = MCPServer("theirs")

    @server.tool()
    async def headers(ctx: Context) -> str:
        return str(sorted(ctx.headers or ()))

    async with protected(server.streamable_http_app()) as (calls, issuer):
        token = issuer.token()
        modern = await calls.call("headers", token)
        legacy = await legacy_call(calls, await initialized(calls, token), "headers")  # type: ignore[arg-type]  # they post
    for response in (modern, legacy):
        names = events(response)[-1]["result"]["content"][0]["text"]
        assert "'host'" in names
        assert "authorization" not in names


@pytest.mark.requirement("scopes.every_primitive")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET", "QUERY"])
async def test_a_call_by_another_method_than_post_does_not_go_around_its_scope(method: str, tmp_path: Path) -> None:
    async def mcp(request: Request) -> JSONResponse:
        return JSONResponse({"body": (await request.body()).decode()})

    access_file = access_with(tmp_path / "access.yaml", tools={"wipe": ["mcp:admin"]})
    app = Starlette(routes=[Route("/mcp", mcp, methods=[method])])
    async with protected(app, access_file=access_file) as (calls, issuer):
        bearer = {"authorization": f"Bearer {issuer.token()}"}
        message = {"method": "tools/call", "params": {"name": "wipe"}}
        response = await calls.client.request(method, "/mcp", json=message, headers=bearer)
    assert response.json() == {"body": ""}


def _with_cors(headers: list[tuple[bytes, bytes]]) -> ASGIApp:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)
            return
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    return answering


_VARIED = [(b"vary", b"Accept-Encoding, origin"), (b"Vary", b"Cookie")]


@pytest.mark.parametrize("origin", ["http://localhost:6274", None])
@pytest.mark.parametrize(
    ("headers", "vary"),
    [
        ([(b"access-control-allow-origin", b"*")], "Origin"),
        ([(b"access-control-allow-origin", b"http://localhost:6274"), (b"vary", b"Origin")], "Origin"),
        ([(b"Access-Control-Allow-Origin", b"https://evil.example")], "Origin"),
        ([(b"access-control-allow-origin", b"null"), (b"access-control-allow-credentials", b"true")], "Origin"),
        ([(b"access-control-expose-headers", b"x"), (b"access-control-allow-methods", b"PUT")], "Origin"),
        ([(b"ACCESS-CONTROL-ALLOW-PRIVATE-NETWORK", b"true")], "Origin"),
        (_VARIED, "Accept-Encoding, origin, Cookie"),
        ([], "Origin"),
    ],
)
async def test_only_the_middleware_sets_cors_headers(
    headers: list[tuple[bytes, bytes]], vary: str, origin: str | None
) -> None:
    async with protected(_with_cors([(b"x-theirs", b"1"), *headers])) as (calls, issuer):
        sent = {"authorization": f"Bearer {issuer.token()}", **({"origin": origin} if origin else {})}
        response = await calls.client.post("/mcp", json={"method": "ping"}, headers=sent)
    own = {name: value for name, value in response.headers.multi_items() if name.startswith("access-control-")}
    assert len(own) == len([name for name in response.headers if name.startswith("access-control-")])
    assert own.pop("access-control-allow-origin", None) == origin
    assert own.keys() <= {"access-control-expose-headers"}
    assert "x" not in own.get("access-control-expose-headers", "").split(", ")
    assert response.headers.get_list("vary") == [vary]
    assert response.headers["x-theirs"] == "1"
