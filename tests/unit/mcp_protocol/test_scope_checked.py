"""A scope that follows from the arguments is evaluated twice, on one shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field

from mcp_idp.access.policy import load_access
from mcp_idp.auth.context import AuthenticatedCaller, request_context
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.mcp_protocol.registry import scope_checked
from mcp_idp.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio


class Kind(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Filter(BaseModel):
    everybody: bool = False
    of: str = Field(default="", alias="from")
    day: date | None = None
    kind: Kind = Kind.SMALL
    inner: list[Filter] = Field(default_factory=list)


@dataclass
class Range:
    first: int
    last: int


def _all_of(arguments: Mapping[str, Any]) -> str:
    """The scope of whatever the arguments say, in the shape in which they are sent."""
    f = arguments["f"]
    requirements = [f["everybody"], f["from"] == "all", f["day"] == "2026-11-30", f["kind"] == "large"]
    requirements += [each["everybody"] for each in f["inner"]]
    requirements += [arguments["r"]["last"] > 10, arguments["k"] == "large", "x" in arguments["s"]]
    return "mcp:admin" if any(requirements) else "mcp:tools"


PLAIN = {"everybody": False, "from": "", "day": None, "kind": "small", "inner": []}
ARGUMENTS: dict[str, Any] = {"f": PLAIN, "r": {"first": 1, "last": 2}, "k": "small", "s": []}


def _principal(scope: str) -> Principal:
    return Principal(issuer="i", subject="s", client="c", scopes=frozenset({scope}), expires_at=2e9)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"f": {**PLAIN, "everybody": True}},
        {"f": {**PLAIN, "from": "all"}},
        {"f": {**PLAIN, "day": "2026-11-30"}},
        {"f": {**PLAIN, "kind": "large"}},
        {"f": {**PLAIN, "inner": [{**PLAIN, "everybody": True}]}},
        {"r": {"first": 1, "last": 11}},
        {"k": "large"},
        {"s": ["x"]},
    ],
    ids=str,
)
async def test_both_checks_see_the_arguments_in_one_shape(change: dict[str, Any]) -> None:
    async def export(f: Filter, r: Range, k: Kind, s: set[str]) -> str:
        return f"{type(f).__name__} {type(r).__name__} {type(k).__name__} {type(s).__name__}"

    sent = {**ARGUMENTS, **change}
    requirements = ScopeRequirements(load_access(Settings().access_file))
    requirement = requirements.add_tool("export", _all_of)
    first = requirements.for_message({"method": "tools/call", "params": {"name": "export", "arguments": sent}})
    server: MCPServer[Any] = MCPServer("any")
    server.add_tool(scope_checked(export, requirement))
    for scope in ("mcp:tools", "mcp:admin"):
        with request_context(AuthenticatedCaller(_principal(scope), frozenset({scope, "mcp:tools"}))):
            if scope == "mcp:admin" or not change:
                result = await server.call_tool("export", sent)
                assert "Filter Range Kind set" in str(result)
            else:
                with pytest.raises(MCPError, match="mcp:admin"):
                    await server.call_tool("export", sent)
    assert ("mcp:admin" in first) == bool(change)
