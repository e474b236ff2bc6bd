"""What a message needs, where a little less would let somebody through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.policy import Access, load_access
from mcp_idp.auth.scopes import Needs
from mcp_idp.config.settings import Settings
from mcp_idp.errors import ScopeUndecided

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture
def access() -> Access:
    return load_access(Settings().access_file)


@pytest.fixture
def needs(access: Access) -> Needs:
    return Needs(access)


def _read(uri: str) -> dict[str, Any]:
    return {"method": "resources/read", "params": {"uri": uri}}


@pytest.mark.requirement("scopes.everything_named")
@pytest.mark.parametrize("narrow_first", [True, False])
def test_where_two_templates_fit_what_either_needs_is_needed(needs: Needs, narrow_first: bool) -> None:  # noqa: FBT001 - a parameter
    written = [("notes://of/{person}", "mcp:notes.read"), ("notes://{kind}/ada", "mcp:admin")]
    for uri, scope in written if narrow_first else reversed(written):
        needs.add_resource(uri, scope)
    assert set(needs.of(_read("notes://of/ada"))) == {"mcp:tools", "mcp:notes.read", "mcp:admin"}


@pytest.mark.requirement("scopes.by_arguments")
def test_the_scope_of_a_template_may_follow_from_what_the_uri_says(needs: Needs) -> None:
    needs.add_resource("notes://of/{person}", lambda a: "mcp:admin" if a["person"] == "ada" else ())
    assert needs.of(_read("notes://of/ada")) == ("mcp:tools", "mcp:admin")
    assert needs.of(_read("notes://of/bob")) == ("mcp:tools",)


@pytest.mark.requirement("scopes.by_arguments")
@pytest.mark.parametrize("arguments", [None, [], ["everybody"], "everybody", 7])
def test_what_decides_is_given_an_object_whatever_was_sent(needs: Needs, arguments: object) -> None:
    seen: list[Mapping[str, Any]] = []

    def decide(given: Mapping[str, Any]) -> tuple[str, ...]:
        seen.append(given)
        return ()

    needs.add_tool("export", decide)
    needs.add_resource("notes://all", decide)
    needs.of({"method": "tools/call", "params": {"name": "export", "arguments": arguments}})
    needs.of(_read("notes://all"))
    assert seen == [{}, {}]


@pytest.mark.requirement("scopes.by_arguments")
def test_what_decides_may_name_every_scope_there_is(needs: Needs, access: Access) -> None:
    needs.add_tool("export", lambda _: list(access.scopes))
    assert set(needs.of({"method": "tools/call", "params": {"name": "export"}})) == set(access.scopes)


@pytest.mark.requirement("scopes.undecided")
def test_what_cannot_be_decided_is_told_by_its_name(needs: Needs) -> None:
    needs.add_prompt("summary", lambda _: "no:such")
    needs.add_resource("notes://all", lambda _: "no:such")
    with pytest.raises(ScopeUndecided, match="summary"):
        needs.of({"method": "prompts/get", "params": {"name": "summary"}})
    with pytest.raises(ScopeUndecided, match="notes://all"):
        needs.of(_read("notes://all"))


@pytest.mark.requirement("scopes.everything_named")
@pytest.mark.parametrize("ref", [{"name": ["summary"]}, {"uri": {"notes://all": 1}}, {"name": None}])
def test_a_reference_to_no_text_refers_to_nothing(needs: Needs, ref: dict[str, Any]) -> None:
    needs.add_prompt("summary", "mcp:notes.read")
    assert needs.of({"method": "completion/complete", "params": {"ref": ref}}) == ("mcp:tools",)


@pytest.mark.requirement("scopes.file")
def test_a_tool_of_the_access_file_is_unclaimed_until_it_is_added(access: Access) -> None:
    needs = Needs(access.model_copy(update={"tools": {"export": ("mcp:admin",), "import": ("mcp:admin",)}}))
    needs.add_tool("export", None)
    assert needs.unclaimed == {"import"}
