"""Claims that tools may read: only those of the access file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.auth.context import current_principal
from mcp_idp.mcp_protocol.registry import tool
from mcp_idp.principal import Principal
from mcp_idp.testing.introspecting_issuer import MODE, always_active
from mcp_idp.tokens.claims import select_exposed_claims
from mcp_server import tools
from tests.support.access_files import access_file
from tests.support.app import running
from tests.support.mcp_calls import events

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from mcp_idp.testing.issuer import Issuer

pytestmark = pytest.mark.anyio
NAMES = ("email", "department", "teams", "level", "on_call")


@pytest.fixture(autouse=True)
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    @tool(title="Report")
    async def report() -> str:
        """Tell all that there is of the claims."""
        return repr(current_principal().claims)

    monkeypatch.setattr(tools, "report", report, raising=False)


def _tool_text(response: httpx.Response) -> str:
    return str(events(response)[-1]["result"]["content"][0]["text"])


async def _call_whoami(folder: Path, issuer: Issuer | None, claims: dict[str, Any], **settings: Any) -> str:
    path = access_file(folder, claims=list(NAMES))
    async with running(*([issuer] if issuer else []), access_file=path, **settings) as server:
        return _tool_text(await server.call("report", server.issuer.token(**claims)))


async def test_a_tool_reads_the_claims_that_the_access_file_names_and_no_others(tmp_path: Path) -> None:
    claims = {"email": "ada@example.com", "teams": ["a", "b"], "level": 3, "on_call": True, "salary": 7, "phone": "1"}
    output = await _call_whoami(tmp_path, None, claims)
    assert output == "(('email', 'ada@example.com'), ('teams', ('a', 'b')), ('level', 3), ('on_call', True))"


async def test_without_the_list_there_are_none() -> None:
    async with running() as server:
        output = _tool_text(await server.call("report", server.issuer.token(email="ada@example.com")))
    assert output == "()"


async def test_with_introspection_the_response_counts_and_omitted_members_come_from_the_token(tmp_path: Path) -> None:
    provider = always_active(department="new", salary=7)
    output = await _call_whoami(tmp_path, provider, {"email": "ada@example.com", "department": "old"}, **MODE)
    assert output == "(('email', 'ada@example.com'), ('department', 'new'))"


async def test_two_tokens_that_differ_in_a_claim_only_are_two_callers(tmp_path: Path) -> None:
    path = access_file(tmp_path, claims=["department"])
    async with running(access_file=path) as server:
        output = [
            _tool_text(await server.call("report", server.issuer.token(department=name))) for name in ("a", "b", "a")
        ]
    assert output == ["(('department', 'a'),)", "(('department', 'b'),)", "(('department', 'a'),)"]


@pytest.mark.parametrize("odd", [None, {"nested": "x"}, ["a", 1], [["a"]], "x" * 2047, ["x" * 300] * 7])
def test_what_is_too_long_or_no_plain_value_is_left_out(odd: object) -> None:
    assert select_exposed_claims({"email": odd, "department": "d"}, NAMES) == (("department", "d"),)


def test_all_claims_together_have_a_bound() -> None:
    claims = {"email": "e" * 1500, "department": "d" * 1500, "level": 3}
    assert [name for name, _ in select_exposed_claims(claims, NAMES)] == ["email", "level"]


def test_claims_of_exactly_the_bound_pass() -> None:
    claims = {"email": "e" * 1000, "department": "d" * 1044}  # each is two characters longer as JSON
    assert [name for name, _ in select_exposed_claims(claims, NAMES)] == ["email", "department"]


def test_a_claim_is_found_by_its_name() -> None:
    principal = Principal("i", "s", "c", frozenset(), 2e9, claims=(("email", "ada@example.com"),))
    assert principal.claim("email") == "ada@example.com"
    assert principal.claim("sub") is None
