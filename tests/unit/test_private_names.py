"""Private names of dependencies that our code uses: each exists, and the dependency has an upper version bound."""

from __future__ import annotations

import ast
import asyncio
import tomllib
from itertools import chain
from typing import TYPE_CHECKING

import pytest
import uvicorn
from fastmcp.server.providers.fastmcp_provider import (
    FastMCPProviderPrompt,
    FastMCPProviderResource,
    FastMCPProviderTool,
)
from mcp.server.mcpserver import MCPServer
from packaging.requirements import Requirement
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.support.locks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

# The code that uses them. `HttpToolsProtocol` and its attributes are undocumented, so all its names count as private.
PROTOCOL = ("mcp_idp/http_server/graceful_protocol.py", "mcp_idp/http_server/protocol.py")
BOUNDED = {
    "uvicorn": {"_start_asgi_task", "_unset_keepalive_if_required", "_types"},
    "python-keycloak": {"_s"},
    "mcp": {"_tool_manager", "_prompt_manager"},
}
# The adapter of FastMCP uses this one. Names that our own code defines too are not found by reading.
MOUNTED = {"_server": (FastMCPProviderTool, FastMCPProviderResource, FastMCPProviderPrompt)}
# Standard library: os._exit and a documented method of named tuples.
STANDARD = {"_exit", "_replace"}
CODE = [
    path for top in ("mcp_idp", "mcp_server", "scripts", "bench", "docs") for path in sorted((ROOT / top).rglob("*.py"))
]


def nodes(path: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))


def own_names(tree: list[ast.AST]) -> set[str]:
    """Returns the names that the code itself defines: functions, classes and assigned names."""
    names = {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    names |= {node.id for node in tree if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in tree if isinstance(node, ast.arg)}
    return names | {node.attr for node in tree if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}


def private_names() -> dict[str, str]:
    """Returns each private name that our code uses but does not define, with a file that uses it."""
    found: dict[str, str] = {}
    for path in CODE:
        tree = list(nodes(str(path)))
        used = {node.attr for node in tree if isinstance(node, ast.Attribute)}
        imports = [node for node in tree if isinstance(node, ast.ImportFrom)]
        used |= set(chain.from_iterable((node.module or "").split(".") for node in imports))
        used |= {alias.name for node in imports for alias in node.names}
        found |= {
            name: str(path.relative_to(ROOT)) for name in used if name.startswith("_") and not name.startswith("__")
        }
    own = set().union(*(own_names(list(nodes(str(path)))) for path in CODE))
    # A method that ours overrides and calls with super() belongs to the dependency too.
    called = {
        node.attr
        for path in CODE
        for node in nodes(str(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "super()"
    }
    return {name: path for name, path in found.items() if name not in own or name in called}


def names_of_the_protocol() -> set[str]:
    """Returns the attributes of uvicorn's protocol that our classes use: `name`, or `name.name` of its attributes."""
    trees = [list(nodes(path)) for path in PROTOCOL]
    # Attributes that the protocol's own code sets are not ours, even if our methods set them too.
    own = set().union(*map(own_names, trees)) - {"parser", "headers", "url", "keep_alive", "disconnected"}
    found = set()
    for node in chain.from_iterable(trees):
        if not isinstance(node, ast.Attribute):
            continue
        match ast.unparse(node.value):
            case "super()":
                found.add(node.attr)
            case "self" if node.attr not in own:
                found.add(node.attr)
            case "running" | "cycle" | "self.cycle":
                found.add(f"cycle.{node.attr}")
            case "self.flow" | "self.server_state" | "self.parser" as who:
                found.add(f"{who.removeprefix('self.')}.{node.attr}")
    return {name for name in found if not name.startswith("__")}


def gone(names: set[str], thing: object) -> list[str]:
    """Returns the `names` that `thing` does not have."""
    missing = []
    for name in sorted(names):
        here = thing
        for part in name.split("."):
            if not hasattr(here, part):
                missing.append(name)
                break
            here = getattr(here, part)
    return missing


class NullTransport(asyncio.Transport):
    """A transport that sends nothing."""


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.anyio
async def test_uvicorn_s_protocol_has_each_name_that_ours_uses() -> None:
    names = names_of_the_protocol()
    protocol = HttpToolsProtocol(uvicorn.Config(waits, log_config=None), ServerState(), {})
    protocol.connection_made(NullTransport())
    protocol.data_received(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n")

    missing = gone(names, protocol)
    protocol.connection_lost(ConnectionResetError())
    await asyncio.gather(*protocol.tasks)

    assert missing == [], f"uvicorn {uvicorn.__version__} has no longer what {' and '.join(PROTOCOL)} use"
    # The search finds known examples.
    assert {"_start_asgi_task", "_unset_keepalive_if_required", "cycle.message_event", "flow.read_paused"} <= names


@pytest.mark.parametrize("name", ["_gone", "server_state._gone", "_gone.flow"])
def test_a_name_that_is_gone_is_named(name: str) -> None:
    protocol = HttpToolsProtocol(uvicorn.Config(waits, log_config=None), ServerState(), {}, asyncio.new_event_loop())
    protocol.loop.close()
    assert gone({"server_state.default_headers", name}, protocol) == [name]


def test_each_private_name_is_known_and_its_dependency_has_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    requirements = {requirement.name: requirement for requirement in map(Requirement, lines)}

    known = STANDARD.union(*BOUNDED.values())
    assert {name: path for name, path in private_names().items() if name not in known} == {}
    assert known <= private_names().keys()
    for dependency in (*BOUNDED, "fastmcp"):
        operators = {part.operator for part in requirements[dependency].specifier}
        assert operators & {"<", "<=", "==", "~="}, dependency


def test_the_sdk_and_fastmcp_have_each_name_that_the_adapters_use() -> None:
    server: MCPServer[object] = MCPServer("any")
    assert gone({"_tool_manager.get_tool", "_prompt_manager.get_prompt"}, server) == []
    for name, components in MOUNTED.items():
        assert [component for component in components if name not in component.__private_attributes__] == []
