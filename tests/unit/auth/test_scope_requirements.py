"""The scopes that a message requires, in cases where a small omission would bypass a check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.errors import ScopeResolutionError

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture
def access() -> AccessPolicy:
    return load_access(Settings().access_file)


@pytest.fixture
def requirements(access: AccessPolicy) -> ScopeRequirements:
    return ScopeRequirements(access)


def _read(uri: str) -> dict[str, Any]:
    return {"method": "resources/read", "params": {"uri": uri}}


@pytest.mark.requirement("scopes.every_primitive")
@pytest.mark.parametrize("narrow_first", [True, False])
def test_where_two_templates_match_the_scopes_of_both_are_required(
    requirements: ScopeRequirements,
    narrow_first: bool,  # noqa: FBT001 - a case
) -> None:
    written = [("notes://of/{person}", "mcp:notes.read"), ("notes://{kind}/ada", "mcp:admin")]
    for uri, scope in written if narrow_first else reversed(written):
        requirements.add_resource(uri, scope)
    assert set(requirements.for_message(_read("notes://of/ada"))) == {"mcp:tools", "mcp:notes.read", "mcp:admin"}


@pytest.mark.requirement("scopes.by_arguments")
def test_the_scope_of_a_template_may_depend_on_the_uri(requirements: ScopeRequirements) -> None:
    requirements.add_resource("notes://of/{person}", lambda a: "mcp:admin" if a["person"] == "ada" else ())
    assert requirements.for_message(_read("notes://of/ada")) == ("mcp:tools", "mcp:admin")
    assert requirements.for_message(_read("notes://of/bob")) == ("mcp:tools",)


@pytest.mark.requirement("scopes.by_arguments")
@pytest.mark.parametrize("arguments", [None, [], ["everybody"], "everybody", 7])
def test_a_scope_function_gets_an_object_whatever_was_sent(requirements: ScopeRequirements, arguments: object) -> None:
    seen: list[Mapping[str, Any]] = []

    def decide(arguments: Mapping[str, Any]) -> tuple[str, ...]:
        seen.append(arguments)
        return ()

    requirements.add_tool("export", decide)
    requirements.add_resource("notes://all", decide)
    requirements.for_message({"method": "tools/call", "params": {"name": "export", "arguments": arguments}})
    requirements.for_message(_read("notes://all"))
    assert seen == [{}, {}]


@pytest.mark.requirement("scopes.by_arguments")
def test_a_scope_function_may_name_every_scope(requirements: ScopeRequirements, access: AccessPolicy) -> None:
    requirements.add_tool("export", lambda _: list(access.scopes))
    assert set(requirements.for_message({"method": "tools/call", "params": {"name": "export"}})) == set(access.scopes)


@pytest.mark.requirement("scopes.undecided")
def test_an_undecidable_scope_is_reported_by_the_name_of_its_prompt_or_resource(
    requirements: ScopeRequirements,
) -> None:
    requirements.add_prompt("summary", lambda _: "no:such")
    requirements.add_resource("notes://all", lambda _: "no:such")
    with pytest.raises(ScopeResolutionError, match="summary"):
        requirements.for_message({"method": "prompts/get", "params": {"name": "summary"}})
    with pytest.raises(ScopeResolutionError, match="notes://all"):
        requirements.for_message(_read("notes://all"))


@pytest.mark.requirement("scopes.every_primitive")
@pytest.mark.parametrize("ref", [{"name": ["summary"]}, {"uri": {"notes://all": 1}}, {"name": None}])
def test_a_reference_to_no_text_refers_to_nothing(requirements: ScopeRequirements, ref: dict[str, Any]) -> None:
    requirements.add_prompt("summary", "mcp:notes.read")
    assert requirements.for_message({"method": "completion/complete", "params": {"ref": ref}}) == ("mcp:tools",)


def test_a_tool_of_the_access_file_is_unclaimed_until_it_is_added(access: AccessPolicy) -> None:
    requirements = ScopeRequirements(
        access.model_copy(update={"tools": {"export": ("mcp:admin",), "import": ("mcp:admin",)}})
    )
    requirements.add_tool("export", None)
    assert requirements.unmatched == {("tools", "import")}
