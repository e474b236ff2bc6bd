"""A component of a FastMCP server is authorized as itself, however it is reached."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Context, FastMCP
from fastmcp.experimental.transforms import code_mode, jev_search
from fastmcp.server import transforms
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from fastmcp.server.transforms import Transform, search
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from mcp_idp.auth.context import current_principal
from tests.support.fastmcp_servers import CALL, CASES, LISTED, Case, Renaming, server, two_versions
from tests.support.mcp_calls import events
from tests.support.protected import Client, access_with, audited, protected

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
REVISIONS = ["modern", "legacy"]
_CALLERS: list[dict[str, Any]] = [{}, {"sub": "other"}, {"scope": "mcp:admin"}, {"client_id": "c2", "azp": "c2"}, {}]


def _is_rejected(message: dict[str, Any]) -> bool:
    return "error" in message or message["result"].get("isError") is True


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_unauthorized_caller_cannot_run_a_component_in_any_way(
    case: Case, revision: str, tmp_path: Path
) -> None:
    ran: list[str] = []
    access_file, audit = access_with(tmp_path / "access.yaml", **case.access()), tmp_path / "audit.jsonl"
    async with protected(case.build(ran), access_file=access_file, audit_log=str(audit)) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:tools", mcp_roles=...), revision)
        response = await client.request(case.method, case.params)
        assert ran == []
        assert "all is" not in response.text
        assert _is_rejected(events(response)[-1])
        assert "mcp:admin" in response.text
        denied = [line for line in audited(audit) if line["decision"] == "denied"]
        admin = await Client.of(calls, issuer.token(scope="mcp:admin"), revision)
        allowed = await admin.request(case.method, case.params)
    assert "all is" in allowed.text
    assert len(ran) == 1
    (line,) = denied
    assert (line["reason"], line["status"]) == ("insufficient_scope", 403)
    if case.target is not None:
        assert case.target in (line["target"], *line.get("runs", ()))
        by_admin = [line for line in audited(audit) if line["scopes"] == ["mcp:admin"]]
        assert any(case.target in (line["target"], *line.get("runs", ())) for line in by_admin)


async def test_each_transform_of_fastmcp_is_tried() -> None:
    known = {
        thing
        for module in (transforms, search, code_mode, jev_search)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Transform) and not getattr(thing, "__abstractmethods__", None)
    }
    known -= {thing for thing in known if thing.__name__ in {"Transform", "CatalogTransform", "BaseSearchTransform"}}
    assert known == {case.transform for case in CASES if case.transform is not None}


@pytest.mark.parametrize("case", [case for case in CASES if case.listed], ids=lambda case: case.name)
async def test_an_unlisted_name_is_rejected_even_if_its_component_is_listed(case: Case, tmp_path: Path) -> None:
    ran: list[str] = []
    access_file = access_with(tmp_path / "access.yaml", **LISTED)
    async with protected(case.build(ran), access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:admin"), "modern")
        response = await client.request(case.method, case.params)
    assert (response.status_code, ran) == (403, [])
    assert response.json()["error"]["data"]["error"].endswith("not_listed")


async def test_an_alias_is_challenged_for_what_it_stands_for(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "a prefix")
    access_file = access_with(tmp_path / "access.yaml", **case.access())
    async with protected(case.build([]), access_file=access_file) as (calls, issuer):
        response = await calls.call("sub_wipe", issuer.token(mcp_roles=...))
    assert response.status_code == 403
    assert 'scope="mcp:tools mcp:admin"' in response.headers["www-authenticate"]


async def test_the_audit_log_leads_from_the_call_to_what_it_ran(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "search by pattern")
    access_file, audit = access_with(tmp_path / "access.yaml", **case.access()), tmp_path / "audit.jsonl"
    async with protected(case.build([]), access_file=access_file, audit_log=str(audit)) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:admin"), "modern")
        for _ in range(2):
            await client.request(CALL, case.params)
        await client.tool("who")
    one, two, three, four, five = audited(audit)
    for outer, inner in ((one, two), (three, four)):
        assert (outer["target"], "within" in outer) == ("call_tool", False)
        assert (inner["target"], inner["within"], inner["decision"]) == ("wipe", "call_tool", "allowed")
        assert (inner["correlation_id"], inner["subject"]) == (outer["correlation_id"], "4f0c")
    assert (five["target"], "runs" in five) == ("who", False)


async def test_a_tool_that_a_transform_runs_counts_for_its_limit(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "search by pattern")
    ran: list[str] = []
    access_file = access_with(tmp_path / "access.yaml", **case.access(), tool_limits={"wipe": {"calls_per_minute": 2}})
    async with protected(case.build(ran), access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(scope="mcp:admin"), "modern")
        answers = [await client.request(CALL, case.params) for _ in range(3)]
    assert len(ran) == 2
    assert "too often" in answers[2].text


async def test_middleware_added_later_cannot_change_what_was_authorized(tmp_path: Path) -> None:
    ran: list[str] = []
    made = server(ran)
    access_file = access_with(tmp_path / "access.yaml", **LISTED)
    async with protected(made, access_file=access_file) as (calls, issuer):
        made.add_middleware(Renaming())
        client = await Client.of(calls, issuer.token(), "modern")
        response = await client.tool("who")
    assert ran == []
    assert _is_rejected(events(response)[-1])


async def test_the_component_that_a_session_selects_is_authorized(tmp_path: Path) -> None:
    ran: list[str] = []
    made = two_versions(ran)

    @made.tool
    async def hide(ctx: Context) -> str:
        await ctx.disable_components(keys={"tool:tidy@2"})
        return "hidden"

    blocks = {**LISTED, "tools": {**LISTED["tools"], "tidy": [], "hide": []}}
    access_file = access_with(tmp_path / "access.yaml", **blocks)
    async with protected(made, access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(), "legacy")
        before = await client.tool("tidy")
        await client.tool("hide")
        after = await client.tool("tidy")
        admin = await Client.of(calls, issuer.token(scope="mcp:admin"), "legacy")
        await admin.tool("hide")
        allowed = await admin.tool("tidy")
    assert "tidied" in before.text
    assert _is_rejected(events(after)[-1])
    assert "mcp:admin" in after.text
    assert "all is gone" in allowed.text
    assert ran == ["wipe"]


async def test_a_server_mounted_later_is_authorized_too(tmp_path: Path) -> None:
    ran: list[str] = []
    made: FastMCP[Any] = FastMCP("main")
    mounted = server(ran, transforms=[search.RegexSearchTransform()])
    blocks = {**LISTED, "tools": {**LISTED["tools"], "sub_call_tool": []}}
    access_file = access_with(tmp_path / "access.yaml", **blocks)
    async with protected(made, access_file=access_file) as (calls, issuer):
        made.mount(mounted, namespace="sub")
        client = await Client.of(calls, issuer.token(), "modern")
        response = await client.tool("sub_call_tool", name="wipe", arguments={})
    assert ran == []
    assert _is_rejected(events(response)[-1])


@pytest.mark.parametrize("way", ["application", "mounted", "wrapped", "named"])
async def test_a_server_is_found_in_its_application(way: str, tmp_path: Path) -> None:
    ran: list[str] = []
    made = server(ran, transforms=[search.RegexSearchTransform()])
    inner = made.http_app()
    app: Any = inner
    if way == "mounted":
        app = Starlette(routes=[Mount("/", app=inner)], lifespan=inner.lifespan)
    elif way == "wrapped":
        app = CORSMiddleware(inner, allow_origins=["*"])
    elif way == "named":

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

    access_file = access_with(tmp_path / "access.yaml", **{**LISTED, "tools": {"call_tool": [], "wipe": ["mcp:admin"]}})
    servers = [made] if way == "named" else []
    async with protected(app, servers=servers, access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(), "modern")
        response = await client.tool("call_tool", name="wipe", arguments={})
    assert ran == []
    assert _is_rejected(events(response)[-1])


async def test_the_cache_of_fastmcp_keeps_people_apart() -> None:
    made: FastMCP[Any] = FastMCP("theirs", middleware=[ResponseCachingMiddleware()])

    @made.tool
    async def who() -> str:
        return str(current_principal().subject)

    async with protected(made) as (calls, issuer):
        results = []
        for claims in _CALLERS:
            client = await Client.of(calls, issuer.token(**claims), "modern")
            results.append(events(await client.tool("who"))[-1]["result"]["content"][0]["text"])
    assert results == ["4f0c", "other", "4f0c", "4f0c", "4f0c"]


async def test_custom_methods_are_rejected_unless_listed(tmp_path: Path) -> None:
    blocks = {"tools": {}, "methods": {"their/known": [], "their/admin": ["mcp:admin"]}}
    access_file = access_with(tmp_path / "access.yaml", **blocks)
    async with protected(server([]), access_file=access_file) as (calls, issuer):
        client = await Client.of(calls, issuer.token(mcp_roles=...), "modern")
        results = [await client.request(f"their/{name}", {}) for name in ("other", "admin", "known")]
    assert [response.status_code for response in results[:2]] == [403, 403]
    assert results[0].json()["error"]["data"]["error"] == "not_listed"
    assert "methods" in results[0].json()["error"]["message"]
    assert results[1].json()["error"]["data"]["error"] == "insufficient_scope"
    assert results[2].status_code != 403  # the server responds


def test_fastmcp_is_not_imported_unless_it_is_used() -> None:
    code = (
        "import sys, mcp_idp, mcp_idp.application, mcp_idp.server, mcp_idp.adapters.server_lookup;"
        "sys.exit('fastmcp' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
