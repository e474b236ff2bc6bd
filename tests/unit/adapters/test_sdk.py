"""A component of an SDK server is authorized as itself, however it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.routing import Mount

from mcp_idp.adapters.server_lookup import adapters_for, find_servers
from mcp_idp.config.env import SettingsError
from tests.support.mcp_calls import events
from tests.support.protected import Client, access_with, audited, protected

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
ADMIN = ["mcp:admin"]
BLOCKS: dict[str, Any] = {
    "tools": {"wipe": ADMIN, "tidy": [], "run": [], "look": [], "show": [], "change": []},
    "resources": {"notes://all": ADMIN, "notes://of/{person}": ADMIN},
    "prompts": {"confess": ADMIN, "chat": []},
}


class Renaming(MCPServer[Any]):
    """Takes `change` for `wipe`."""

    async def call_tool(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "change":
            return await self.call_tool("wipe", *args, **kwargs)
        return await super().call_tool(name, *args, **kwargs)


def _server(ran: list[str]) -> MCPServer[Any]:
    server = Renaming("theirs")

    async def wipe() -> str:
        """Dangerous."""
        ran.append("wipe")
        return "all is gone"

    server.add_tool(wipe)
    server.add_tool(wipe, name="tidy")

    @server.tool()
    async def run(name: str) -> str:
        return str(await server.call_tool(name, {}))

    @server.tool()
    async def look(uri: str, ctx: Context) -> str:
        return str([each.content for each in await ctx.read_resource(uri)])

    @server.tool()
    async def show(name: str) -> str:
        return str(await server.get_prompt(name))

    @server.resource("notes://all")
    async def everything() -> str:
        ran.append("notes://all")
        return "all is said"

    @server.resource("notes://of/{person}")
    async def of(person: str) -> str:
        ran.append("notes://of")
        return f"all is said of {person}"

    async def confess() -> str:
        """Dangerous."""
        ran.append("confess")
        return "all is told"

    server.prompt()(confess)
    server.prompt(name="chat")(confess)
    return server


WAYS: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", {"name": "wipe", "arguments": {}}),
    ("tools/call", {"name": "tidy", "arguments": {}}),
    ("tools/call", {"name": "change", "arguments": {}}),
    ("tools/call", {"name": "run", "arguments": {"name": "wipe"}}),
    ("tools/call", {"name": "run", "arguments": {"name": "tidy"}}),
    ("tools/call", {"name": "run", "arguments": {"name": "change"}}),
    ("tools/call", {"name": "look", "arguments": {"uri": "notes://all"}}),
    ("tools/call", {"name": "look", "arguments": {"uri": "notes://of/ada"}}),
    ("tools/call", {"name": "show", "arguments": {"name": "confess"}}),
    ("tools/call", {"name": "show", "arguments": {"name": "chat"}}),
    ("prompts/get", {"name": "confess"}),
    ("prompts/get", {"name": "chat"}),
    ("resources/read", {"uri": "notes://all"}),
    ("resources/read", {"uri": "notes://of/ada"}),
]


@pytest.mark.parametrize("revision", ["modern", "legacy"])
@pytest.mark.parametrize(("method", "params"), WAYS, ids=str)
async def test_an_unauthorized_caller_cannot_run_a_component_in_any_way(
    method: str, params: dict[str, Any], revision: str, tmp_path: Path
) -> None:
    ran: list[str] = []
    access_file, audit = access_with(tmp_path / "access.yaml", **BLOCKS), tmp_path / "audit.jsonl"
    async with protected(_server(ran), access_file=access_file, audit_log=str(audit)) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:tools", mcp_roles=...), revision)
        response = await client.request(method, params)
        assert ran == []
        message = events(response)[-1]
        assert "error" in message or message["result"]["isError"] is True
        assert "mcp:admin" in response.text
        denied = [line for line in audited(audit) if line["decision"] == "denied"]
        admin = await Client.of(calls, issuer.token(scope="mcp:admin"), revision)
        allowed = await admin.request(method, params)
    assert "all is" in allowed.text
    assert len(ran) == 1
    assert [line["reason"] for line in denied] == ["insufficient_scope"]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_tool_that_other_tools_run_counts_for_its_limit(era: str, tmp_path: Path) -> None:
    ran: list[str] = []
    access_file = access_with(tmp_path / "access.yaml", **BLOCKS, tool_limits={"wipe": {"calls_per_minute": 3}})
    async with protected(_server(ran), access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:admin"), era)
        for name in ("wipe", "wipe", "tidy"):
            await client.tool("run", name=name)
        nested = await client.tool("run", name="wipe")
        direct = await client.tool("wipe")
        other = await Client.of(calls, issuer.token(scope="mcp:admin", sub="7b1d"), era)
        await other.tool("run", name="wipe")
    assert "too often" in nested.text
    assert direct.status_code == 429
    assert len(ran) == 4


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "notes://other"}),
        ("resources/read", {"uri": "notes://All"}),
        ("resources/subscribe", {"uri": "notes://other"}),
        ("prompts/get", {"name": "other"}),
        ("prompts/get", {"name": ["confess"]}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "other"}}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "notes://other"}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["notes://other"]}}),
        ("tasks/result", {"taskId": "1"}),
        ("notifications/theirs", {}),
        ("their/method", {}),
        ("Tools/Call", {"name": "wipe"}),
        ("tools/call ", {"name": "wipe"}),
    ],
)
async def test_an_unlisted_name_is_rejected_once_the_access_file_lists_anything(
    method: str, params: dict[str, Any], tmp_path: Path
) -> None:
    access_file = access_with(tmp_path / "access.yaml", tools={"wipe": ADMIN})
    async with protected(_server([]), access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:admin"), "modern")
        response = await client.request(method, params)
        lists = [await client.request(f"{each}/list", {}) for each in ("tools", "prompts", "resources")]
    assert (response.status_code, "www-authenticate" in response.headers) == (403, False)
    assert response.json()["error"]["data"]["error"] == "not_listed"
    assert [each.status_code for each in lists] == [200, 200, 200]


async def test_a_star_lists_whatever_is_not_listed(tmp_path: Path) -> None:
    ran: list[str] = []
    blocks = {"tools": {"wipe": ADMIN, "*": []}, "resources": {"*": ["mcp:notes.read"]}, "prompts": {"*": []}}
    access_file = access_with(tmp_path / "access.yaml", **blocks)
    async with protected(_server(ran), access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:tools", mcp_roles=...), "modern")
        for name in ("wipe", "tidy"):  # a function's name counts whatever lists the tool
            assert (await client.tool(name)).status_code == 403
        assert (await client.request("resources/read", {"uri": "notes://all"})).status_code == 403
        assert ran == []
        assert (await client.request("prompts/get", {"name": "confess"})).status_code == 200
    assert ran == ["confess"]


@pytest.mark.parametrize("way", ["application", "mounted", "named"])
async def test_a_server_is_found_in_its_application(way: str, tmp_path: Path) -> None:
    ran: list[str] = []
    server = _server(ran)
    inner = server.streamable_http_app()
    app: Any = inner
    if way == "mounted":
        app = Starlette(routes=[Mount("/", app=inner)], lifespan=lambda _app: server.session_manager.run())
    elif way == "named":

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

    access_file = access_with(tmp_path / "access.yaml", **BLOCKS)
    servers = [server] if way == "named" else []
    async with protected(app, servers=servers, access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(), "modern")
        response = await client.tool("run", name="wipe")
    assert ran == []
    assert "mcp:admin" in response.text


def test_what_is_no_server_is_none() -> None:
    assert find_servers(Starlette()) == []
    assert find_servers(lambda: None) == []
    circle = Starlette()
    circle.app = circle  # type: ignore[attr-defined]  # a middleware might
    assert find_servers(circle) == []
    with pytest.raises(SettingsError, match="Starlette is neither"):
        adapters_for([circle], None)  # type: ignore[arg-type]  # not used
