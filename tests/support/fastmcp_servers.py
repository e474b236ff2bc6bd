"""FastMCP servers on which something dangerous can be reached by another way than by its name.

Each has a tool `wipe`, a resource `notes://all`, a template `notes://of/{person}` and a prompt `confess`, for
administrators only, and `who` for everybody. What ran is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastmcp import FastMCP
from fastmcp.experimental.transforms.code_mode import CodeMode
from fastmcp.experimental.transforms.jev_search import JevSearchTransform
from fastmcp.server import create_proxy
from fastmcp.server.middleware import Middleware, MiddlewareContext
from fastmcp.server.middleware.tool_injection import ToolInjectionMiddleware
from fastmcp.server.providers import FastMCPProvider
from fastmcp.server.transforms import (
    Namespace,
    PromptsAsTools,
    ResourcesAsTools,
    ToolTransform,
    VersionFilter,
    Visibility,
)
from fastmcp.server.transforms.search import BM25SearchTransform, RegexSearchTransform
from fastmcp.tools import Tool
from fastmcp.tools.tool_transform import ToolTransformConfig, forward

from mcp_idp.auth.context import current_principal

if TYPE_CHECKING:
    from collections.abc import Callable

ADMIN = ["mcp:admin"]
LISTED: dict[str, dict[str, list[str]]] = {
    "tools": {"wipe": ADMIN, "who": []},
    "resources": {"notes://all": ADMIN, "notes://of/{person}": ADMIN},
    "prompts": {"confess": ADMIN},
}
CALL, READ, GET = "tools/call", "resources/read", "prompts/get"
_WIPE = {"name": "wipe", "arguments": {}}


def server(ran: list[str], name: str = "theirs", **options: Any) -> FastMCP[Any]:
    """A server with the dangerous components."""
    made: FastMCP[Any] = FastMCP(name, **options)

    @made.tool
    async def who() -> str:
        return str(current_principal().subject)

    @made.tool
    async def wipe() -> str:
        ran.append("wipe")
        return "all is gone"

    @made.resource("notes://all")
    async def everything() -> str:
        ran.append("notes://all")
        return "all is said"

    @made.resource("notes://of/{person}")
    async def of(person: str) -> str:
        ran.append("notes://of")
        return f"all is said of {person}"

    @made.prompt
    async def confess() -> str:
        ran.append("confess")
        return "all is told"

    return made


@dataclass(frozen=True)
class Case:
    """A way to something dangerous.

    Attributes:
        name: the way.
        build: makes the server, given a list to which what runs is added.
        params: the request, of `method`.
        listed: what the access file lists besides `LISTED`: the names on the way, for everybody.
        method: the method of the request.
        target: what runs in the end, as the audit log names it; None for a resource.
        transform: the transform that the case is about.
    """

    name: str
    build: Callable[[list[str]], FastMCP[Any]]
    params: dict[str, Any]
    listed: tuple[str, ...] = ()
    method: str = CALL
    target: str | None = "wipe"
    transform: type | None = None

    def access(self) -> dict[str, dict[str, list[str]]]:
        """The blocks of the access file."""
        block = {CALL: "tools", READ: "resources", GET: "prompts"}[self.method]
        return {**LISTED, block: {**LISTED[block], **{name: [] for name in self.listed}}}


def _mounting(ran: list[str], **how: Any) -> FastMCP[Any]:
    main: FastMCP[Any] = FastMCP("main")
    main.mount(server(ran, "mounted"), **how)
    return main


def _mounted_twice(ran: list[str]) -> FastMCP[Any]:
    outer: FastMCP[Any] = FastMCP("outer")
    outer.mount(_mounting(ran, namespace="b"), namespace="a")
    return outer


def _provided(ran: list[str]) -> FastMCP[Any]:
    provider = FastMCPProvider(server(ran))
    provider.add_transform(Namespace("x"))
    return FastMCP("main", providers=[provider])


def _transforming(*transforms: Any) -> Callable[[list[str]], FastMCP[Any]]:
    return lambda ran: server(ran, transforms=list(transforms))


def _renamed() -> ToolTransform:
    return ToolTransform({"wipe": ToolTransformConfig(name="tidy")})


def _copied(ran: list[str]) -> FastMCP[Any]:
    made = server(ran)

    async def wipe() -> str:
        ran.append("wipe")
        return "all is gone"

    async def tidied() -> Any:
        return await forward()

    made.add_tool(Tool.from_tool(Tool.from_function(wipe), name="tidy", transform_fn=tidied))
    return made


def _aliased(ran: list[str]) -> FastMCP[Any]:
    made = server(ran)

    @made.tool(name="tidy")
    async def wipe() -> str:
        ran.append("wipe")
        return "all is gone"

    return made


def _injecting(ran: list[str]) -> FastMCP[Any]:
    async def wipe() -> str:
        ran.append("wipe")
        return "all is gone"

    made = server(ran)
    made.add_middleware(ToolInjectionMiddleware([Tool.from_function(wipe, name="tidy")]))
    return made


class Renaming(Middleware):
    """Takes `who` for `wipe`."""

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: Any) -> Any:
        return await call_next(context.copy(message=context.message.model_copy(update={"name": "wipe"})))


def _redirected(ran: list[str]) -> FastMCP[Any]:
    return server(ran, middleware=[Renaming()])


def _with(transform: Callable[[FastMCP[Any]], Any]) -> Callable[[list[str]], FastMCP[Any]]:
    def build(ran: list[str]) -> FastMCP[Any]:
        made = server(ran)
        made.add_transform(transform(made))
        return made

    return build


def _searching_inside(ran: list[str]) -> FastMCP[Any]:
    main: FastMCP[Any] = FastMCP("main")
    main.mount(server(ran, transforms=[RegexSearchTransform()]), namespace="sub")
    return main


def _proxying(ran: list[str]) -> FastMCP[Any]:
    main: FastMCP[Any] = FastMCP("main")
    main.mount(create_proxy(server(ran)), namespace="far")
    return main


def two_versions(ran: list[str]) -> FastMCP[Any]:
    """A server whose tool `tidy` was `wipe` in its first version."""
    made = server(ran)

    @made.tool(name="tidy", version="2")
    async def tidy() -> str:
        return "tidied"

    @made.tool(name="tidy", version="1")
    async def wipe() -> str:
        ran.append("wipe")
        return "all is gone"

    return made


def _filtered(ran: list[str]) -> FastMCP[Any]:
    made = two_versions(ran)
    made.add_transform(VersionFilter(version_lt="2"))
    return made


def _meta_tool(ran: list[str]) -> FastMCP[Any]:
    made = server(ran)

    @made.tool
    async def run(name: str) -> str:
        return str((await made.call_tool(name)).content)

    return made


class Sandbox:
    """Runs the code of code mode as it stands, in a test."""

    async def run(self, code: str, *, inputs: Any = None, external_functions: Any = None) -> Any:
        del inputs
        return await external_functions["call_tool"](code, {})


class NoSearch:
    """In place of the service that one search transform asks."""

    async def system_one(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("a search")


CASES = (
    Case("a mounted server", _mounting, _WIPE),
    Case("a prefix", lambda ran: _mounting(ran, namespace="sub"), {**_WIPE, "name": "sub_wipe"}, ("sub_wipe",)),
    Case(
        "a mounted server's tool by a name of the mount",
        lambda ran: _mounting(ran, tool_names={"wipe": "tidy"}),
        {**_WIPE, "name": "tidy"},
        ("tidy",),
    ),
    Case("a server mounted on a mounted one", _mounted_twice, {**_WIPE, "name": "a_b_wipe"}, ("a_b_wipe",)),
    Case("a provider with a transform", _provided, {**_WIPE, "name": "x_wipe"}, ("x_wipe",), transform=Namespace),
    Case("a namespace", _transforming(Namespace("x")), {**_WIPE, "name": "x_wipe"}, ("x_wipe",), transform=Namespace),
    Case("a renamed tool", _transforming(_renamed()), {**_WIPE, "name": "tidy"}, ("tidy",), transform=ToolTransform),
    Case("a tool made from another", _copied, {**_WIPE, "name": "tidy"}, ("tidy",)),
    Case("a second name of a function", _aliased, {**_WIPE, "name": "tidy"}, ("tidy",)),
    Case("a tool that a middleware adds", _injecting, {**_WIPE, "name": "tidy"}, ("tidy",)),
    Case("a middleware that calls another tool", _redirected, {"name": "who", "arguments": {}}),
    Case("a proxy", _proxying, {**_WIPE, "name": "far_wipe"}, ("far_wipe",)),
    Case(
        "an older version",
        two_versions,
        {"name": "tidy", "arguments": {}, "_meta": {"fastmcp": {"version": "1"}}},
        ("tidy",),
    ),
    Case(
        "a version filter",
        _filtered,
        {"name": "tidy", "arguments": {}},
        ("tidy",),
        transform=VersionFilter,
    ),
    Case("a visible tool", _transforming(Visibility(True, names={"wipe"})), _WIPE, transform=Visibility),
    Case("a tool that calls another", _meta_tool, {"name": "run", "arguments": {"name": "wipe"}}, ("run",)),
    Case(
        "search by pattern",
        _transforming(RegexSearchTransform()),
        {"name": "call_tool", "arguments": _WIPE},
        ("call_tool", "search_tools"),
        transform=RegexSearchTransform,
    ),
    Case(
        "search by words",
        _transforming(BM25SearchTransform(call_tool_name="do")),
        {"name": "do", "arguments": _WIPE},
        ("do",),
        transform=BM25SearchTransform,
    ),
    Case(
        "search by a service",
        _transforming(JevSearchTransform(client=NoSearch())),
        {"name": "call_tool", "arguments": _WIPE},
        ("call_tool",),
        transform=JevSearchTransform,
    ),
    Case(
        "search on a mounted server",
        _searching_inside,
        {"name": "sub_call_tool", "arguments": _WIPE},
        ("sub_call_tool",),
    ),
    Case(
        "code mode",
        _transforming(CodeMode(sandbox_provider=Sandbox())),
        {"name": "execute", "arguments": {"code": "wipe"}},
        ("execute",),
        transform=CodeMode,
    ),
    Case(
        "a resource as a tool",
        _with(ResourcesAsTools),
        {"name": "read_resource", "arguments": {"uri": "notes://all"}},
        ("read_resource",),
        target=None,
        transform=ResourcesAsTools,
    ),
    Case(
        "a resource of a template as a tool",
        _with(ResourcesAsTools),
        {"name": "read_resource", "arguments": {"uri": "notes://of/ada"}},
        ("read_resource",),
        target=None,
    ),
    Case(
        "a prompt as a tool",
        _with(PromptsAsTools),
        {"name": "get_prompt", "arguments": {"name": "confess"}},
        ("get_prompt",),
        target="confess",
        transform=PromptsAsTools,
    ),
    Case("a resource", server, {"uri": "notes://all"}, method=READ, target=None),
    Case(
        "a mounted resource",
        lambda ran: _mounting(ran, namespace="sub"),
        {"uri": "notes://sub/all"},
        ("notes://sub/all",),
        READ,
        None,
    ),
    Case(
        "a mounted template",
        lambda ran: _mounting(ran, namespace="sub"),
        {"uri": "notes://sub/of/ada"},
        ("notes://sub/of/{person}",),
        READ,
        None,
    ),
    Case(
        "a mounted prompt",
        lambda ran: _mounting(ran, namespace="sub"),
        {"name": "sub_confess"},
        ("sub_confess",),
        GET,
        "confess",
    ),
    Case("a prompt of a proxy", _proxying, {"name": "far_confess"}, ("far_confess",), GET, "confess"),
    Case("a resource of a proxy", _proxying, {"uri": "notes://far/all"}, ("notes://far/all",), READ, None),
)
