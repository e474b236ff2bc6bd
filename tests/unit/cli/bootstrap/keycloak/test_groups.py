"""Groups in Keycloak, from data: order of changes, valid names, weaknesses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mcp_idp.access.models import DemoUser
from mcp_idp.access.policy import AccessPolicy, load_access
from mcp_idp.cli.bootstrap.access_lint import lint
from mcp_idp.cli.bootstrap.errors import ConfigError, PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.compliance.weaknesses import find_weaknesses
from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
from mcp_idp.cli.bootstrap.keycloak.planner import plan, require_writable
from mcp_idp.cli.bootstrap.keycloak.resources.groups import check_groups, unreadable_warnings
from mcp_idp.cli.bootstrap.keycloak.state.current import CurrentState
from mcp_idp.cli.bootstrap.keycloak.state.groups import (
    MAX_MEMBERS,
    DefaultGroup,
    EffectiveRoles,
    GroupQuery,
    Groups,
    read_groups,
)
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARKER
from mcp_idp.cli.bootstrap.keycloak.state.roles import ScopeRoleBinding
from mcp_idp.cli.bootstrap.keycloak.templates import load_client_policies_file, load_realm_file
from tests.support.desired_state import recorded

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient

CONFIG = Path(__file__).parents[5] / "idp-config"
RESOURCE = "http://localhost:3000/mcp"
MARKED = {MARKER: [RESOURCE]}


def access_with(groups: dict[str, tuple[str, ...]]) -> AccessPolicy:
    return load_access(CONFIG / "access.yaml").model_copy(update={"groups": groups, "demo_users": {}})


def desired(groups: dict[str, tuple[str, ...]]) -> DesiredState:
    folder = CONFIG / "keycloak"
    return DesiredState(
        realm="mcp",
        resource=RESOURCE,
        access=access_with(groups),
        realm_file=load_realm_file(folder),
        client_policies_file=load_client_policies_file(folder),
        credentials=ClientAuthentication(secret="s" * 43),
    )


def group(name: str, *roles: str, **members: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "attributes": MARKED, "realmRoles": list(roles), **members}


def realm(*groups: str) -> dict[str, Any]:
    return {"enabled": True, "attributes": recorded(groups=groups)}


def about_groups(changes: list[Change]) -> list[str]:
    return [change.text for change in changes if change.object_label.startswith("group")]


def test_revoking_changes_come_before_scopes_are_bound_and_granting_ones_after() -> None:
    expected = desired({"staff": ("mcp-reader",), "new": ("mcp-writer",)})
    there = {"staff": group("staff", "mcp-writer"), "old": group("old", "mcp-admin")}
    default_groups = (DefaultGroup("id-all", "/all", frozenset({"mcp-reader", "theirs"})),)
    groups = Groups(by_name=there, default_groups=default_groups, members={"old": 3})
    changes = plan(expected, CurrentState(realm=realm("staff", "old"), groups=groups))
    texts = [change.text for change in changes]
    bound = [i for i, text in enumerate(texts) if re.match(r"scope .*: bind", text)]
    open_index = next(i for i, text in enumerate(texts) if text.startswith("registration: allowed redirect hosts"))
    record, forget = (
        texts.index(f"realm: {command} which objects are kept from here") for command in ("record", "forget")
    )
    revoking = [
        "realm: new users no longer join /all, which grants mcp-reader (existing members stay in it)",
        "group staff: remove mcp-writer",
        "group old: remove with 3 members, the access file no longer names it",
    ]
    granting = ["group staff: add mcp-reader", "group new: create", "group new: add mcp-writer"]
    order = [
        record,
        *map(texts.index, revoking),
        min(bound),
        max(bound),
        *map(texts.index, granting),
        forget,
        open_index,
    ]
    assert order == sorted(order)
    made = changes[texts.index("group new: create")]
    assert made.body == {"name": "new", "attributes": MARKED}
    assert changes[texts.index(revoking[0])].path == ("default-groups", "id-all")


def test_a_group_in_its_desired_state_is_left_alone() -> None:
    there = {"staff": group("staff", "mcp-reader", "theirs", description="Ours", subGroupCount=2)}
    changes = plan(
        desired({"staff": ("mcp-reader",)}), CurrentState(realm=realm("staff"), groups=Groups(by_name=there))
    )
    assert about_groups(changes) == []


def test_a_removed_managed_by_marker_is_restored_beside_other_attributes() -> None:
    unmarked = group("staff", "mcp-reader", description="Ours") | {"attributes": {"theirs": ["1"]}}
    actual = CurrentState(realm=realm("staff"), groups=Groups(by_name={"staff": unmarked}))
    (change,) = [c for c in plan(desired({"staff": ("mcp-reader",)}), actual) if c.object_label == "group staff"]
    assert change.body == {"name": "staff", "description": "Ours", "attributes": {"theirs": ["1"], **MARKED}}
    assert [field.name for field in change.fields] == ["attributes.kept.by"]


def test_only_a_group_with_neither_marker_nor_state_is_unmanaged() -> None:
    state = desired({"staff": ("mcp-reader",)})
    unmarked = group("staff") | {"attributes": {"kept.by": ["somebody"]}}
    theirs = Groups(by_name={"staff": unmarked})
    how_to_adopt = (
        r"groups.staff: .*the attribute kept.by with the value http://localhost:3000/mcp: .*removes it with its members"
    )
    with pytest.raises(ConfigError, match=how_to_adopt):
        require_writable(state, CurrentState(realm=realm(), groups=theirs))
    require_writable(state, CurrentState(realm=realm("staff"), groups=theirs))
    require_writable(state, CurrentState(realm=realm(), groups=Groups(by_name={"staff": group("staff")})))


@pytest.mark.parametrize(
    ("named", "known", "rejected"), [(("staff",), (), True), ((), ("staff",), True), ((), (), False)]
)
def test_groups_that_may_not_be_read_are_not_planned(
    named: tuple[str, ...], known: tuple[str, ...], *, rejected: bool
) -> None:
    expected = desired(dict.fromkeys(named, ("mcp-reader",)))
    actual = CurrentState(realm=realm(*known), groups=Groups(known=False))
    assert about_groups(plan(expected, actual)) == []
    if rejected:
        with pytest.raises(PermissionDenied, match="may not read groups"):
            require_writable(expected, actual)
    else:
        require_writable(expected, actual)


class Blind:
    """An admin client without view-users, with Keycloak 26.7.5's responses; it records the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ...]] = []

    def find(self, *path: str, **_: str) -> None:
        self.requests.append(path)

    def get(self, *path: str, **_: str) -> Any:
        self.requests.append(path)
        if path == ("default-groups",):
            return []
        raise PermissionDenied("no")


class Seeing(Blind):
    """An admin client with view-users, in a realm without default groups."""

    def get(self, *path: str, **_: str) -> Any:
        self.requests.append(path)
        return {"count": 0}


@pytest.mark.requirement("weaknesses.default_group")
@pytest.mark.parametrize(("session", "known"), [(Blind(), False), (Seeing(), True)], ids=["blind", "seeing"])
@pytest.mark.parametrize("expected", [(), ("staff",)])
def test_an_account_that_cannot_see_groups_assumes_that_there_may_be_some(
    session: Blind, expected: tuple[str, ...], *, known: bool
) -> None:
    session.requests.clear()
    query = GroupQuery(desired=expected, recorded=(), users={}, roles={})
    assert read_groups(cast("AdminClient", session), {"realm": "mcp"}, query).known == known
    assert session.requests == [*(("group-by-path", name) for name in expected), ("groups", "count")]


@pytest.mark.requirement("weaknesses.default_group")
@pytest.mark.parametrize("known", [True, False])
def test_what_an_apply_could_not_see_is_reported(*, known: bool) -> None:
    actual = CurrentState(realm=realm(), groups=Groups(known=known))
    message = list(unreadable_warnings(actual))
    assert len(message) == (not known)
    assert known or "default groups were not checked" in message[0]


@pytest.mark.parametrize(
    ("unread", "named"), [({}, True), ({"users": None}, False), ({"groups": Groups(known=False)}, False)]
)
def test_a_demo_user_s_groups_are_compared_only_if_they_may_be_read(unread: dict[str, Any], *, named: bool) -> None:
    expected = desired({"staff": ("mcp-reader",)})
    users = {"reader": DemoUser(password="p", groups=("staff",))}
    access = expected.access.model_copy(update={"demo_users": users})
    actual = CurrentState(realm=realm("staff"), groups=Groups(by_name={"staff": group("staff", "mcp-reader")}))
    changes = plan(replace(expected, access=access), replace(actual, **unread))
    assert ("user reader: add to the group staff" in [change.text for change in changes]) == named


@pytest.mark.parametrize(
    ("members", "below", "message"),
    [
        (0, 0, "remove with no members,"),
        (1, 1, "remove with 1 member and 1 subgroup,"),
        (MAX_MEMBERS, 0, "remove with 100 members,"),
        (MAX_MEMBERS + 1, 2, "remove with more than 100 members and 2 subgroups,"),
    ],
)
def test_the_members_of_a_removed_group_are_reported(members: int, below: int, message: str) -> None:
    there = Groups(by_name={"old": group("old", subGroupCount=below)}, members={"old": members})
    (text,) = about_groups(plan(desired({}), CurrentState(realm=realm("old"), groups=there)))
    assert text.startswith(f"group old: {message}")


def test_a_group_without_the_managed_by_marker_or_without_state_is_not_removed() -> None:
    unmarked = Groups(by_name={"old": group("old") | {"attributes": {}}})
    assert about_groups(plan(desired({}), CurrentState(realm=realm("old"), groups=unmarked))) == []
    unrecorded = Groups(by_name={"old": group("old")})
    assert about_groups(plan(desired({}), CurrentState(realm=realm(), groups=unrecorded))) == []


@pytest.mark.parametrize(
    "name", ["a/b", "/a", "", ".", "..", " a", "a ", "a\tb", "a\nb", "a\u200bb", "x" * 256, "a/\x1b[2J"]
)
def test_a_name_that_keycloak_would_read_otherwise_is_rejected(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^groups\.") as rejected:
        check_groups(access_with({"fine": (), name: ()}))
    assert str(rejected.value).isprintable()


def test_any_other_name_may_be() -> None:
    check_groups(access_with(dict.fromkeys(["acme:platform", "a b", "ünï", "a~b", "a%2Fb", "...", "x" * 255], ())))


TOOLS = {"name": "mcp:tools", "protocolMappers": [{"config": {"included.custom.audience": RESOURCE}}]}
OPEN = CurrentState(
    realm={}, scopes={"mcp:tools": TOOLS}, bindings={"mcp:tools": ScopeRoleBinding(realm=frozenset({"mcp-reader"}))}
)


@pytest.mark.requirement("weaknesses.default_group")
@pytest.mark.parametrize(("roles", "there"), [({"mcp-reader"}, True), ({"theirs"}, False)])
def test_a_scope_that_all_users_get_by_a_group_is_a_weakness(roles: set[str], *, there: bool) -> None:
    groups = Groups(default_groups=(DefaultGroup("id", "/all", frozenset(roles)),))
    found = {weakness.id for weakness in find_weaknesses(replace(OPEN, groups=groups), RESOURCE, [])}
    assert ("S1" in found) == there


def test_a_group_that_grants_realm_administration_is_a_weakness() -> None:
    rights = frozenset({"a", "b", "c", "d", "e", "realm-admin"})
    composed = {"staff": EffectiveRoles(frozenset({"theirs"}), rights), "other": EffectiveRoles(frozenset())}
    groups = Groups(by_name={"staff": group("staff"), "other": group("other")}, composed=composed)
    (weakness,) = [
        weakness for weakness in find_weaknesses(replace(OPEN, groups=groups), RESOURCE, []) if weakness.id[0] == "G"
    ]
    assert "members of the group staff administer the realm (a, b, c, d, e …): apply cannot" in weakness.text


def test_a_group_that_grants_a_scope_by_a_composite_role_is_a_weakness_unless_it_has_that_scope_anyway() -> None:
    composed = {"staff": EffectiveRoles(frozenset({"mcp-reader", "theirs"}))}
    open_realm = replace(OPEN, bindings={"mcp:tools": ScopeRoleBinding(realm=frozenset({"mcp-reader", "mcp-admin"}))})

    def found(*granted: str) -> list[str]:
        groups = Groups(by_name={"staff": group("staff", *granted)}, composed=composed)
        return [
            weakness.what
            for weakness in find_weaknesses(replace(open_realm, groups=groups), RESOURCE, [])
            if weakness.id == "G2"
        ]

    assert found("theirs") == ["members of the group staff also get mcp:tools, through a composite role"]
    assert found("theirs", "mcp-admin") == []


def test_groups_that_grant_nothing_or_look_alike_are_warnings() -> None:
    message = list(lint(access_with({"Staff": ("mcp-reader",), "staff": ("mcp-writer",), "empty": ()})))
    assert message == [
        "groups.staff: differs from 'Staff' only in upper and lower case",
        "groups.empty: has no roles, so its members get nothing",
    ]
