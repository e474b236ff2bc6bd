"""Required scopes of tools, resources and prompts, checked by the middleware and again when they run."""

from __future__ import annotations

import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from structlog.testing import capture_logs

from mcp_idp.access.policy import AccessFileError, AccessPolicy, load_access
from mcp_idp.auth.context import AuthenticatedCaller, request_context
from mcp_idp.auth.scopes import MAX_SUBSCRIPTION_URIS, ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.errors import ScopeResolutionError
from mcp_idp.mcp_protocol.registry import prompt, register, resource, scope_checked, tool
from mcp_idp.mcp_protocol.scope_filtered_server import ScopeFilteredServer
from mcp_idp.principal import Principal
from mcp_idp.testing.corpus.model import BOTH, MODERN
from mcp_server.app import create_app
from tests.support.app import Running, running
from tests.support.mcp_calls import events, initialized, legacy_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio

READER: dict[str, Any] = {"scope": "mcp:tools mcp:notes.read", "mcp_roles": ["mcp-reader"]}
COULD_WRITE: dict[str, Any] = {"scope": "mcp:tools mcp:notes.read", "mcp_roles": ["mcp-writer"]}
CHALLENGE = (
    'Bearer error="insufficient_scope", '
    'resource_metadata="http://localhost:3000/.well-known/oauth-protected-resource/mcp", '
    'scope="mcp:tools mcp:notes.write"'
)


def _access(**changes: Any) -> AccessPolicy:
    shipped = load_access(Settings().access_file)
    return AccessPolicy.model_validate({**shipped.model_dump(exclude_unset=True), **changes})


def _principal(*scopes: str, roles: frozenset[str] | None = None) -> Principal:
    return Principal("https://issuer", "ada", "client", frozenset(scopes), 2e9, roles)


def _call(name: str, arguments: object = None, **params: Any) -> dict[str, Any]:
    return {"method": "tools/call", "params": {"name": name, "arguments": arguments, **params}}


@pytest.mark.requirement("scopes.one_challenge", "scopes.every_revision")
async def test_a_call_beyond_the_token_gets_one_challenge_with_all_required_scopes() -> None:
    async with running() as server:
        token = server.issuer.token(**COULD_WRITE)
        modern = await server.call("note_add", token, {"text": "x"})
        legacy = await legacy_call(server, await initialized(server, token), "note_add", text="x")
        may = server.issuer.token(scope="mcp:tools mcp:notes.write")
        stored = await server.call("note_list", may)
    for rejection in (modern, legacy):
        assert rejection.status_code == 403
        assert rejection.headers.get_list("www-authenticate") == [CHALLENGE]
        assert rejection.json()["error"]["data"]["error"] == "insufficient_scope"
    assert events(stored)[-1]["result"]["structuredContent"] == {"result": []}  # neither call ran


async def test_challenges_name_scopes_as_the_provider_does(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    text = Settings().access_file.read_text(encoding="utf-8")
    path.write_text(text + "\nscope_prefix: api://7/\n", encoding="utf-8")
    prefixed_scopes = "api://7/mcp:tools api://7/mcp:notes.read api://7/mcp:notes.write"
    async with running(access_file=path) as server:
        unauthenticated = await server.post()
        metadata = await server.client.get("/.well-known/oauth-protected-resource")
        token = server.issuer.token(scope="api://7/mcp:notes.read", mcp_roles=["mcp-writer"])
        listed, rejected = await server.call("note_list", token), await server.call("note_add", token, {"text": "x"})
    assert f'scope="{prefixed_scopes}"' in unauthenticated.headers["www-authenticate"]
    assert metadata.json()["scopes_supported"] == prefixed_scopes.split()
    assert listed.status_code == 200
    assert 'scope="api://7/mcp:tools api://7/mcp:notes.write"' in rejected.headers["www-authenticate"]


@pytest.mark.requirement("scopes.insufficient_role")
async def test_a_tool_that_none_of_the_user_s_roles_grants_is_a_403_without_a_challenge() -> None:
    async with running() as server:
        rejection = await server.call("note_add", server.issuer.token(**READER), {"text": "x"})
    assert rejection.status_code == 403
    assert "www-authenticate" not in rejection.headers
    error = rejection.json()["error"]
    assert error["data"]["error"] == "insufficient_role"
    assert "mcp-writer, mcp-admin" in error["message"]


@pytest.mark.requirement("scopes.json_rpc_error")
@pytest.mark.parametrize(
    ("sent", "output"),
    [(7, 7), ("seven", "seven"), ("x" * 256, "x" * 256), (True, None), (7.5, None), (None, None)],
)
async def test_a_denial_is_a_json_rpc_error_with_the_id_of_its_request(sent: object, output: object) -> None:
    call = {"jsonrpc": "2.0", "id": sent, "method": "tools/call", "params": {"name": "note_add", "arguments": {}}}
    async with running() as server:
        headers = {"authorization": f"Bearer {server.issuer.token(**READER)}", "accept": BOTH}
        rejection = await server.client.post("/mcp", json=call, headers=headers)
        early = await server.client.post(
            "/mcp", json=call, headers=headers | {"authorization": _token_without_roles(server)}
        )
    assert (rejection.status_code, early.status_code) == (403, 403)
    response = rejection.json()
    assert (response["jsonrpc"], response["id"], response["error"]["code"]) == ("2.0", output, -32003)
    assert (early.json()["id"], early.json()["error"]["code"]) == (None, -32003)  # the body was not read
    assert rejection.headers["content-type"] == "application/json"


def _token_without_roles(server: Running) -> str:
    return f"Bearer {server.issuer.token(scope='openid', mcp_roles=[])}"


@pytest.mark.requirement("scopes.hierarchy")
@pytest.mark.parametrize("scope", ["mcp:notes.write", "mcp:admin"])
async def test_a_broader_scope_is_sufficient_for_a_narrower_tool(scope: str) -> None:
    async with running() as server:
        response = await server.call("note_list", server.issuer.token(scope=scope))
    assert response.status_code == 200


@pytest.mark.requirement("scopes.one_challenge")
@pytest.mark.parametrize(
    "headers", [{"mcp-name": "greet"}, {"mcp-method": "tools/list"}, {"mcp-protocol-version": "2025-11-25"}]
)
async def test_headers_that_contradict_the_body_bypass_no_scope(headers: dict[str, str]) -> None:
    async with running() as server:
        response = await server.call("note_add", server.issuer.token(**COULD_WRITE), {"text": "x"}, **headers)
    assert response.status_code == 403


@pytest.mark.requirement("scopes.by_arguments")
async def test_scopes_that_follow_from_arguments_come_in_one_challenge() -> None:
    requirements = ScopeRequirements(_access())
    requirements.add_tool("export", lambda arguments: ["mcp:admin"] if arguments["all_users"] else ())
    assert requirements.for_message(_call("export", {"all_users": True})) == ("mcp:tools", "mcp:admin")
    assert requirements.for_message(_call("export", {"all_users": False})) == ("mcp:tools",)


@pytest.mark.requirement("scopes.undecided")
@pytest.mark.parametrize("arguments", [{}, None, [], "x", 1])
@pytest.mark.parametrize(
    "decide",
    [
        lambda arguments: arguments["missing"],
        lambda _arguments: None,
        lambda _arguments: "no:such",
        lambda _arguments: [None],
        lambda _arguments: [["mcp:admin"]],
        lambda _arguments: 7,
        lambda _arguments: 1 / 0,
    ],
)
async def test_an_undecidable_scope_is_rejected(decide: Callable[[Mapping[str, Any]], Any], arguments: object) -> None:
    requirements = ScopeRequirements(_access())
    requirements.add_tool("export", decide)
    with pytest.raises(ScopeResolutionError):
        requirements.for_message(_call("export", arguments))


@pytest.mark.requirement("scopes.every_primitive")
@pytest.mark.parametrize(
    ("method", "params", "required"),
    [
        ("resources/read", {"uri": "notes://all"}, "mcp:admin"),
        ("resources/subscribe", {"uri": "notes://all"}, "mcp:admin"),
        ("resources/unsubscribe", {"uri": "notes://all"}, "mcp:admin"),
        ("resources/read", {"uri": "notes://of/ada"}, "mcp:notes.write"),
        ("resources/read", {"uri": "notes://of/%61da"}, "mcp:notes.write"),
        ("resources/read", {"uri": "notes://none"}, None),
        ("resources/read", {"uri": 7}, None),
        ("prompts/get", {"name": "summary"}, "mcp:notes.read"),
        ("prompts/get", {"name": "other"}, None),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "summary"}}, "mcp:notes.read"),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "notes://of/{user}"}}, "mcp:notes.write"),
        ("completion/complete", {"ref": 7}, None),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["notes://all"]}}, "mcp:admin"),
        ("subscriptions/listen", {"notifications": {"resource_subscriptions": ["x", "notes://all"]}}, "mcp:admin"),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, None),
        ("subscriptions/listen", {"notifications": 7}, None),
        ("tools/call", {"name": ["summary"]}, None),
        ("tools/call", [], None),
        (["tools/call"], {}, None),
        ("initialize", {}, None),
    ],
)
async def test_every_resource_and_prompt_requires_its_scope(method: Any, params: Any, required: str | None) -> None:
    requirements = ScopeRequirements(_access())
    requirements.add_resource("notes://all", "mcp:admin")
    requirements.add_resource("notes://of/{user}", "mcp:notes.write")
    requirements.add_prompt("summary", ("mcp:notes.read",))
    expected = ("mcp:tools",) if required is None else ("mcp:tools", required)
    assert requirements.for_message({"method": method, "params": params}) == expected


@pytest.mark.requirement("scopes.undecided", "scopes.every_primitive")
async def test_a_subscription_to_more_uris_than_are_checked_is_rejected() -> None:
    requirements = ScopeRequirements(_access())
    requirements.add_resource("notes://of/{user}", "mcp:notes.read")
    many = [f"notes://of/{number}" for number in range(MAX_SUBSCRIPTION_URIS + 1)]
    for uris in (many, many[:-1]):
        subscriptions = {"resourceSubscriptions": uris[1:], "resource_subscriptions": uris[:1]}
        message = {"method": "subscriptions/listen", "params": {"notifications": subscriptions}}
        if uris is many:
            with pytest.raises(ScopeResolutionError):
                requirements.for_message(message)
        else:
            assert requirements.for_message(message) == ("mcp:tools", "mcp:notes.read")


@pytest.mark.requirement("scopes.checked_again")
async def test_the_scope_check_inside_the_tool_uses_the_final_arguments() -> None:
    ran = []

    async def export(all_users: bool = True) -> str:  # noqa: FBT001, FBT002 - a tool's parameter
        ran.append(all_users)
        return "done"

    requirement = ScopeRequirements(_access()).add_tool("export", lambda a: "mcp:admin" if a["all_users"] else ())
    run = scope_checked(export, requirement)
    principal = _principal("mcp:tools")
    with request_context(AuthenticatedCaller(principal, frozenset({"mcp:tools"}))):
        with pytest.raises(MCPError, match="mcp:admin"), capture_logs() as lines:
            await run(all_users=True)
        assert [(line["event"], line["name"], line["code"]) for line in lines] == [
            ("tool_call_denied", "export", "insufficient_scope")
        ]
        assert await run(all_users=False) == "done"
    assert ran == [False]


@pytest.mark.requirement("scopes.checked_again")
def test_a_plain_function_is_scope_checked_too_without_its_context_argument() -> None:
    seen: list[Mapping[str, Any]] = []

    def decide(arguments: Mapping[str, Any]) -> str:
        seen.append(arguments)
        return "mcp:notes.write"

    def write(text: str, ctx: Context) -> str:
        assert ctx is not None
        return text

    run = scope_checked(write, ScopeRequirements(_access()).add_tool("write", decide))
    with request_context(AuthenticatedCaller(_principal("mcp:notes.write"), frozenset())):
        assert run(text="x", ctx=Context()) == "x"
    assert seen == [{"text": "x"}]


@pytest.mark.requirement("scopes.checked_again")
async def test_a_session_is_authorized_by_the_token_of_each_call() -> None:
    # The session was opened with a broad token and is used with a narrow one of the same user and client.
    async with running() as server:
        broad = server.issuer.token(scope="mcp:admin", mcp_roles=["mcp-admin"])
        narrow = server.issuer.token(scope="mcp:tools", mcp_roles=["mcp-admin"], sid="session-2")
        headers = await initialized(server, broad)
        seen = await legacy_call(server, {**headers, "authorization": f"Bearer {narrow}"}, "whoami")
        rejected = await legacy_call(server, {**headers, "authorization": f"Bearer {narrow}"}, "note_count")
        listed = await _listed(server, {**headers, "authorization": f"Bearer {narrow}"})
        counted = await legacy_call(server, headers, "note_count")
    assert events(seen)[-1]["result"]["structuredContent"]["scopes"] == ["mcp:tools"]
    assert (rejected.status_code, counted.status_code) == (403, 200)
    assert "note_count" in listed  # obtainable


async def _listed(server: Any, headers: dict[str, str]) -> list[str]:
    message = {"jsonrpc": "2.0", "id": "list", "method": "tools/list"}
    response = await server.client.post("/mcp", json=message, headers=headers)
    return [entry["name"] for entry in events(response)[-1]["result"]["tools"]]


@pytest.mark.requirement("scopes.lists")
@pytest.mark.parametrize(
    ("show", "claims", "displayed"),
    [
        ("granted", READER, {"note_list"}),
        ("obtainable", READER, {"note_list"}),
        ("obtainable", COULD_WRITE, {"note_list", "note_add"}),
        ("obtainable", {**READER, "mcp_roles": ...}, {"note_list", "note_add", "note_count"}),
        ("granted", {"scope": "mcp:tools"}, set()),
        ("granted", {"scope": "mcp:admin"}, {"note_list", "note_add", "note_count"}),
        ("all", READER, {"note_list", "note_add", "note_count"}),
    ],
)
async def test_lists_show_what_the_setting_says(show: str, claims: dict[str, Any], displayed: set[str]) -> None:
    async with running(tools_list=show) as server:
        token = server.issuer.token(**claims)
        legacy = await _listed(server, await initialized(server, token))
        meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
        modern = await server.client.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}},
            headers={
                "authorization": f"Bearer {token}",
                "accept": BOTH,
                "mcp-protocol-version": MODERN,
                "mcp-method": "tools/list",
            },
        )
    result = events(modern)[-1]["result"]
    for names in (legacy, [entry["name"] for entry in result["tools"]]):
        assert {name for name in names if name.startswith("note")} == displayed
        assert {"greet", "whoami"} <= set(names)
    assert result["cacheScope"] == "private"


@pytest.mark.requirement("scopes.lists", "scopes.every_primitive")
async def test_resources_and_prompts_are_registered_with_their_scopes_and_listed_by_them() -> None:
    @resource("notes://all", title="All", scope="mcp:admin")
    def everything() -> str:
        return "all"

    @resource("notes://of/{user}", title="One", scope="mcp:notes.write")
    async def of(user: str) -> str:
        return user

    @prompt(title="Sum up", scope="mcp:notes.read")
    async def summary() -> str:
        return "Sum up my notes."

    module = ModuleType("mine")
    vars(module).update(everything=everything, of=of, summary=summary)
    access = _access()
    requirements = ScopeRequirements(access)
    server = ScopeFilteredServer(
        "t", version="1", access=access, scope_requirements=requirements, state=None, visibility="granted"
    )
    register(server, module, requirements)
    with request_context(AuthenticatedCaller(_principal("mcp:notes.write"), frozenset())):
        assert [entry.name for entry in await server.list_prompts()] == ["summary"]
        assert [entry.uri_template for entry in await server.list_resource_templates()] == ["notes://of/{user}"]
        assert await server.list_resources() == []
        read = await server.read_resource("notes://of/ada")
        assert [getattr(part, "content", None) for part in read] == ["ada"]
        with pytest.raises(MCPError, match="mcp:admin"):
            await server.read_resource("notes://all")
    with (
        request_context(AuthenticatedCaller(_principal("mcp:tools"), frozenset())),
        pytest.raises(MCPError, match=r"notes\.read"),
    ):
        await server.get_prompt("summary")


def test_a_tool_with_an_unknown_scope_stops_the_start() -> None:
    @tool(title="Typo", scope="mcp:notes.wirte")
    async def typo() -> str:
        return ""

    module = ModuleType("mine")
    vars(module).update(typo=typo)
    requirements = ScopeRequirements(_access())
    server = ScopeFilteredServer(
        "t", version="1", access=_access(), scope_requirements=requirements, state=None, visibility="all"
    )
    with pytest.raises(AccessFileError, match=r"typo: needs the scope 'mcp:notes\.wirte', which is not one of"):
        register(server, module, requirements)


@pytest.mark.parametrize("kind", ["tool", "prompt", "resource"])
def test_two_primitives_of_one_name_stop_the_start(kind: str) -> None:
    # The SDK would serve the first one, with a warning; the middleware would require the scope of the second.
    requirements = ScopeRequirements(_access())
    for add in (requirements.add_tool, requirements.add_prompt, requirements.add_resource):
        add("notes", "mcp:admin")
    with pytest.raises(AccessFileError, match=f"notes: a {kind} of this name already exists"):
        getattr(requirements, f"add_{kind}")("notes", None)


def test_the_access_file_adds_scopes_and_removes_none() -> None:
    requirements = ScopeRequirements(
        _access(tools={"greet": ["mcp:notes.read"], "note_add": ["mcp:admin"], "foreign": ["mcp:admin"]})
    )
    requirements.add_tool("greet", None)
    requirements.add_tool("note_add", "mcp:notes.write")
    assert requirements.for_message(_call("greet")) == ("mcp:tools", "mcp:notes.read")
    assert requirements.for_message(_call("note_add")) == ("mcp:tools", "mcp:notes.write", "mcp:admin")
    assert requirements.for_message(_call("foreign")) == ("mcp:tools", "mcp:admin")


@pytest.mark.parametrize(
    ("tools", "fault"),
    [
        ({"note_ad": ["mcp:admin"]}, "tools.note_ad: there is no such tool; the tools are: greet, "),
        ({"note_add": ["mcp:amdin"]}, "tools.note_add: 'mcp:amdin' is not one of the scopes"),
    ],
)
def test_a_misspelt_tool_or_scope_in_the_access_file_is_reported(
    tools: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "access.yaml"
    text = Settings().access_file.read_text(encoding="utf-8")
    path.write_text(text + f"\ntools: {json.dumps(tools)}\n", encoding="utf-8")
    with pytest.raises(AccessFileError, match=fault):
        create_app(Settings(access_file=path))
