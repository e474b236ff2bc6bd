"""The scopes that a message requires, in cases where a small omission would bypass a check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.access.policy import AccessFileError, AccessPolicy, load_access
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.errors import NotListed, ScopeResolutionError

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


def _completion(**reference: str) -> dict[str, Any]:
    return {"method": "completion/complete", "params": {"ref": reference}}


@pytest.mark.requirement("scopes.every_primitive")
@pytest.mark.parametrize(
    ("message", "scopes"),
    [
        ({"method": "tools/call", "params": {"name": "other"}}, ("mcp:admin",)),
        ({"method": "tools/call", "params": {"name": "listed"}}, ()),
        ({"method": "prompts/get", "params": {"name": "other"}}, ("mcp:notes.read",)),
        ({"method": "prompts/get", "params": {"name": "listed"}}, ()),
        (_read("notes://other"), ("mcp:notes.write",)),
        (_read("notes://listed"), ()),
        ({"method": "resources/subscribe", "params": {"uri": "notes://other"}}, ("mcp:notes.write",)),
        ({"method": "their/method"}, ("mcp:admin",)),
        ({"method": "their/listed"}, ()),
        (_completion(name="other"), ("mcp:notes.read",)),
        (_completion(uri="notes://other"), ("mcp:notes.write",)),
        (_completion(name="other", uri="notes://other"), ("mcp:notes.read", "mcp:notes.write")),
        (_completion(name="listed", uri="notes://other"), ("mcp:notes.write",)),
    ],
    ids=str,
)
def test_the_asterisk_stands_for_all_names_that_are_not_listed(
    access: AccessPolicy, message: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    blocks = {
        "tools": {"*": ("mcp:admin",), "listed": ()},
        "prompts": {"*": ("mcp:notes.read",), "listed": ()},
        "resources": {"*": ("mcp:notes.write",), "notes://listed": ()},
        "methods": {"*": ("mcp:admin",), "their/listed": ()},
    }
    requirements = ScopeRequirements(access.model_copy(update=blocks))
    assert set(requirements.for_message(message)) == {"mcp:tools", *scopes}


@pytest.mark.requirement("scopes.every_primitive")
@pytest.mark.parametrize(
    ("message", "block", "name"),
    [
        ({"method": "tools/call", "params": {"name": "other"}}, "tools", "other"),
        ({"method": "tools/call", "params": {"name": ["listed"]}}, "tools", ["listed"]),
        ({"method": "prompts/get", "params": {"name": "other"}}, "prompts", "other"),
        (_read("notes://other"), "resources", "notes://other"),
        ({"method": "their/method"}, "methods", "their/method"),
        (_completion(name="other"), "prompts or resources", "other"),
        (_completion(uri="notes://other"), "prompts or resources", "notes://other"),
        (_completion(name="other", uri="notes://other"), "prompts or resources", "other"),
    ],
    ids=str,
)
def test_what_is_not_listed_is_rejected_with_its_block_and_its_name(
    access: AccessPolicy, message: dict[str, Any], block: str, name: object
) -> None:
    requirements = ScopeRequirements(access.model_copy(update={"tools": {"listed": ()}}))
    with pytest.raises(NotListed) as rejected:
        requirements.for_message(message)
    assert (rejected.value.block, rejected.value.name) == (block, name)


def test_a_tool_of_the_access_file_is_unclaimed_until_it_is_added(access: AccessPolicy) -> None:
    requirements = ScopeRequirements(
        access.model_copy(update={"tools": {"export": ("mcp:admin",), "import": ("mcp:admin",)}})
    )
    requirements.add_tool("export", None)
    assert requirements.unmatched == {("tools", "import")}


def test_a_resource_that_is_no_uri_template_is_an_error_that_names_it(access: AccessPolicy) -> None:
    with pytest.raises(AccessFileError, match=r"resources\.notes://\{: is not a URI template"):
        ScopeRequirements(access.model_copy(update={"resources": {"notes://{": ()}}))


def test_what_the_access_file_lists_is_unmatched_until_it_is_added(access: AccessPolicy) -> None:
    listed = {"tools": {"export": (), "*": ()}, "prompts": {"sum": ()}, "resources": {"notes://all": ()}}
    requirements = ScopeRequirements(access.model_copy(update=listed))
    assert requirements.unmatched == {("tools", "export"), ("prompts", "sum"), ("resources", "notes://all")}
    requirements.add_tool("export", ())
    requirements.add_prompt("sum", ())
    requirements.add_resource("notes://all", ())
    assert requirements.unmatched == set()


def test_what_a_message_runs_besides_its_name_is_required_too(requirements: ScopeRequirements) -> None:
    requirements.add_tool("export", "mcp:admin")
    requirements.add_resource("notes://all", "mcp:notes.write")
    message = {"method": "tools/call", "params": {"name": "alias"}}
    assert requirements.for_message(message, [("tools/call", "alias")]) == ("mcp:tools",)
    also = [("tools/call", "export"), ("resources/read", "notes://all")]
    assert requirements.for_message(message, also) == ("mcp:tools", "mcp:admin", "mcp:notes.write")
