"""Several servers on one realm: each apply changes its own objects only, whatever the order; in memory."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_idp.access.models import DownstreamApi, DownstreamScope, ServiceClient, SharedRealm
from mcp_idp.cli.bootstrap.errors import ConfigError, PermissionDenied
from mcp_idp.cli.bootstrap.keycloak.planner import (
    apply,
    full_plan,
    ownership_of,
    read_state,
    require_writable,
)
from mcp_idp.cli.bootstrap.keycloak.realm_ownership import realm_differences, require_no_clash
from mcp_idp.cli.bootstrap.keycloak.removal import read_for_removal, removal_changes, remove_resource
from mcp_idp.cli.bootstrap.keycloak.resources.groups import require_no_unmanaged_groups
from mcp_idp.cli.bootstrap.keycloak.state.current import demo_profile
from mcp_idp.cli.bootstrap.keycloak.state.groups import Groups
from mcp_idp.cli.bootstrap.keycloak.state.managed import MARKER, STATE_ATTRIBUTE, ManagedState, Records
from mcp_idp.cli.bootstrap.keycloak.state.ownership import Ownership
from mcp_idp.cli.bootstrap.output import change_json, change_lines, count_line, unbatched
from tests.support.keycloak.fake_realm import FakeRealm, Interrupted
from tests.support.several_servers import NAMES, STEPS, access_of, require_no_more_than, state_of, url

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.changes import Change
    from mcp_idp.cli.bootstrap.keycloak.admin_client import AdminClient
    from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState

pytestmark = pytest.mark.requirement("several_servers.ownership")


def session(realm: FakeRealm) -> AdminClient:
    return cast("AdminClient", realm)


def applied(realm: FakeRealm, state: DesiredState) -> list[Change]:
    changes: list[Change] = []
    apply(session(realm), state, changes.append, lambda _: None)
    return changes


def planned(realm: FakeRealm, state: DesiredState) -> list[Change]:
    actual = read_state(session(realm), state)
    require_writable(state, actual)
    return full_plan(state, actual)


def differences(realm: FakeRealm, state: DesiredState) -> list[Change]:
    actual = read_state(session(realm), state)
    return list(realm_differences(state, ownership_of(state, actual), actual))


def removed(realm: FakeRealm, name: str) -> list[Change]:
    actual = read_for_removal(session(realm), url(name))
    changes = removal_changes(url(name), actual)
    remove_resource(session(realm), changes, actual, lambda _: None)
    return changes


def several(*names: str) -> FakeRealm:
    realm = FakeRealm()
    for name in names:
        applied(realm, state_of(name))
    return realm


def snapshot(realm: FakeRealm, name: str) -> dict[str, Any]:
    """Returns what one server owns."""
    found = {
        "scopes": {n: (s, realm.bindings[n]) for n, s in realm.scopes.items() if n.startswith(name)},
        "roles": {n: r for n, r in realm.roles.items() if n.startswith(name)},
        "clients": {n: c for n, c in realm.clients.items() if n.startswith(name) or n == url(name)},
        "groups": {n: g for n, g in realm.groups.items() if n.startswith(name)},
        "users": {n: own for n, u in realm.users.items() if (own := {r for r in u["roles"] if r.startswith(name)})},
    }
    return deepcopy(found)


@pytest.mark.parametrize("order", list(permutations(NAMES)))
def test_servers_may_be_applied_in_any_order_and_a_second_time_changes_nothing(order: tuple[str, ...]) -> None:
    realm = several(*order)
    for name in order:
        applied(realm, state_of(name))  # the first ones see what the later ones added
    for name in reversed(order):
        assert [change.text for change in planned(realm, state_of(name))] == []
        assert differences(realm, state_of(name)) == []
    assert realm.realm["displayName"] == order[0].capitalize()
    assert Records.of(realm.realm).realm.owner == url(order[0])


@pytest.mark.parametrize("order", list(permutations(NAMES)))
def test_one_apply_of_each_is_enough(order: tuple[str, ...]) -> None:
    realm = several(*order)
    assert {name: len(planned(realm, state_of(name))) for name in order} == dict.fromkeys(order, 0)


@pytest.mark.parametrize("count", [2, 3])
def test_an_apply_leaves_what_others_own_as_it_is(count: int) -> None:
    realm = several(*NAMES[:count])
    for name in NAMES[:count]:
        others = [other for other in NAMES[:count] if other != name]
        before = [snapshot(realm, other) for other in others]
        assert applied(realm, state_of(name, 1))
        assert [snapshot(realm, other) for other in others] == before


def test_what_is_whose_is_marked_and_recorded() -> None:
    realm = several("orders", "notes")
    assert realm.scopes["notes"]["attributes"][MARKER] == url("notes")
    assert realm.roles["orders-reader"]["attributes"][MARKER] == [url("orders")]
    assert realm.groups["notes-team"]["attributes"][MARKER] == [url("notes")]
    assert realm.clients["orders-native"]["attributes"][MARKER] == url("orders")
    records = Records.of(realm.realm).resources
    assert records[url("notes")].names == {
        "clients": {url("notes"), "notes-native"},
        "scopes": {"notes", "notes.write", "notes.admin"},
        "upstream_scopes": set(),
        "roles": {"notes-reader", "notes-writer", "notes-admin"},
        "groups": {"notes-team"},
        "users": {"ada", "grace", "notes-user"},
    }
    assert [records[url(name)].base_scope for name in ("orders", "notes")] == ["orders", "notes"]


def test_a_plan_of_one_server_alone_names_no_owner_and_one_of_several_does() -> None:
    assert {
        change.owner for change in full_plan(state_of("orders"), read_state(session(FakeRealm()), state_of("orders")))
    } == {""}
    realm = several("orders")
    changes = planned(realm, state_of("notes"))
    owners = {change.object_label: change.owner for change in changes}
    assert owners["scope notes"] == owners["client notes-native"] == url("notes")
    assert owners["registration policy allowed-client-templates/anonymous"] == "shared"
    assert f"+ scope notes: create, with the audience {url('notes')} [{url('notes')}]" in [
        line for change in changes for line in change_lines(change)
    ]
    assert {entry.get("owner") for entry in change_json(changes)} == {"shared", url("notes")}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"scopes": "orders.write"}, "scope orders.write: belongs to"),
        ({"clients": "orders-native"}, "client orders-native: belongs to"),
        ({"machine_clients": "orders-native"}, "client orders-native: belongs to"),
        ({"roles": "orders-admin"}, "role orders-admin: belongs to"),
        ({"groups": "orders-team"}, "groups.orders-team: the realm has a group of this name that belongs to"),
        ({"upstreams": url("orders")}, f"client {url('orders')}: belongs to"),
    ],
)
def test_a_name_of_another_server_is_refused_with_the_owner_s_url(members: dict[str, str], message: str) -> None:
    realm = several("orders")
    ((kind, name),) = members.items()
    notes = access_of("notes")
    state = state_of("notes")
    changed: dict[str, Any] = {
        "scopes": {**notes.scopes, name: notes.scopes["notes.write"]},
        "clients": {name: notes.clients["notes-native"]},
        "machine_clients": {name: ServiceClient(name="x", roles=("notes-reader",), secret="X")},
        "roles": {**notes.scopes, "notes.x": notes.scopes["notes"].model_copy(update={"roles": (name,)})},
        "groups": {name: ("notes-reader",)},
        "upstreams": {name: _upstream()},
    }
    update = {"scopes" if kind == "roles" else kind: changed[kind]}
    if kind in {"machine_clients", "upstreams"}:
        update["realm"] = SharedRealm()
    state = replace(state, access=notes.model_copy(update=update))
    writes = realm.writes
    with pytest.raises(ConfigError) as refused:
        _require_without_grants(realm, state)
    assert message in str(refused.value)
    assert url("orders") in str(refused.value)
    assert refused.value.exit_code == 2
    with pytest.raises(ConfigError):
        applied(realm, state)
    assert realm.writes == writes


def _upstream() -> Any:
    return DownstreamApi(name="x", scopes={"x.read": DownstreamScope(description="x", roles=("notes-reader",))})


def _require_without_grants(realm: FakeRealm, state: DesiredState) -> None:
    actual = read_state(session(realm), state)
    require_no_clash(state, ownership_of(state, actual), actual)
    require_no_unmanaged_groups(state.access, ownership_of(state, actual), actual)


def test_the_realm_s_settings_have_one_owner_and_others_report_what_differs() -> None:
    realm = several("orders", "notes")
    realm.realm["accessTokenLifespan"] = 86400
    assert [change.text for change in planned(realm, state_of("notes"))] == []
    (found,) = differences(realm, state_of("notes"))
    assert (found.text, found.owner) == ("realm: set accessTokenLifespan", url("orders"))
    closed = state_of("notes", registration={"profile": "closed"})
    assert planned(realm, closed) == []
    names = {change.object_label for change in differences(realm, closed)}
    assert {"registration policy trusted-hosts/anonymous", "client profiles"} <= names
    writes = realm.writes
    lines: list[str] = []
    assert apply(session(realm), closed, lambda _: None, lines.append) == 0
    assert realm.writes == writes
    assert (
        f"note: realm.accessTokenLifespan is 86400, not 300; {url('orders')} owns it, so it is not changed here"
        in lines
    )
    assert [change.text for change in applied(realm, state_of("orders")) if change.action != "step"] == [
        "realm: set accessTokenLifespan"
    ]


def test_the_file_may_name_the_owner_which_must_be_applied_first_and_passes_the_settings_on() -> None:
    of_notes = state_of("orders", realm={"owner": url("notes")})
    realm = FakeRealm()
    with pytest.raises(ConfigError, match=f"realm.owner: {url('notes')} has not been applied"):
        applied(realm, of_notes)
    assert realm.realm == {}
    applied(realm, state_of("notes"))
    applied(realm, of_notes)
    assert Records.of(realm.realm).realm.owner == url("notes")
    # Nobody takes it: the owner passes it on.
    takes = state_of("orders", realm={"owner": url("orders")})
    with pytest.raises(ConfigError, match=f"{url('notes')} owns the settings of this realm"):
        applied(realm, takes)
    applied(realm, state_of("notes", realm={"owner": url("orders")}))
    applied(realm, takes)
    assert Records.of(realm.realm).realm.owner == url("orders")
    assert realm.realm["displayName"] == "Orders"
    assert planned(realm, takes) == planned(realm, state_of("notes", realm={"owner": url("orders")})) == []


def test_the_grant_of_service_clients_is_the_owner_s_to_open() -> None:
    client = {"robot": {"name": "x", "roles": ["notes-reader"], "secret": "ROBOT"}}
    realm = several("orders")
    with pytest.raises(ConfigError, match=r"machine_clients: the realm rejects the grant .* realm.grants"):
        applied(realm, state_of("notes", machine_clients=client))
    opened = state_of("orders", realm={"grants": ["client_credentials"]})
    applied(realm, opened)
    applied(realm, state_of("notes", machine_clients=client))
    for state in (opened, state_of("notes", machine_clients=client)):
        assert planned(realm, state) == []
        assert differences(realm, state) == []
    assert realm.users["service-account-robot"]["roles"] == {"notes-reader"}
    removed(realm, "notes")
    assert "robot" not in realm.clients


def test_only_the_owner_exchanges_tokens() -> None:
    state = state_of("notes")
    exchanging = replace(state, access=state.access.model_copy(update={"upstreams": {"x-api": _upstream()}}))
    with pytest.raises(ConfigError, match=f"upstreams: only {url('orders')} can exchange tokens"):
        applied(several("orders"), exchanging)


def test_a_group_is_shared_only_if_its_marker_names_both() -> None:
    realm = several("orders")
    state = state_of("notes", groups={"orders-team": ["notes-writer"]}, demo_users={})
    with pytest.raises(
        ConfigError, match=f"belongs to {url('orders')}: .*{MARKER} with the value {url('notes')} beside"
    ):
        applied(realm, state)
    realm.groups["orders-team"]["attributes"][MARKER].append(url("notes"))
    assert planned(realm, state_of("orders")) == []
    applied(realm, state)
    assert realm.groups["orders-team"]["realmRoles"] == {"orders-writer", "notes-writer"}
    assert planned(realm, state_of("orders")) == planned(realm, state) == []
    applied(realm, state_of("notes", groups={}, demo_users={}))
    assert realm.groups["orders-team"]["realmRoles"] == {"orders-writer"}
    assert realm.groups["orders-team"]["attributes"][MARKER] == [url("orders")]
    assert planned(realm, state_of("orders")) == []


@pytest.mark.parametrize("gone", ["orders", "notes"])
def test_a_shared_group_stays_with_the_other_server_s_roles_after_a_removal(gone: str) -> None:
    realm = several("orders")
    realm.groups["orders-team"]["attributes"][MARKER].append(url("notes"))
    members = {"orders-team": ["notes-writer"]}
    notes = state_of("notes", groups=members, demo_users={"ben": {"password": "ben", "groups": ["orders-team"]}})
    applied(realm, notes)
    assert realm.groups["orders-team"]["realmRoles"] == {"orders-writer", "notes-writer"}
    removed(realm, gone)
    left = "notes" if gone == "orders" else "orders"
    assert realm.groups["orders-team"]["realmRoles"] == {f"{left}-writer"}
    assert realm.groups["orders-team"]["attributes"][MARKER] == [url(left)]
    applied(realm, notes if left == "notes" else state_of("orders"))
    removed(realm, left)
    assert "orders-team" not in realm.groups


def test_a_demo_user_has_the_roles_of_all_files_and_goes_with_the_last_one() -> None:
    realm = several("orders", "notes")
    assert realm.users["ada"]["roles"] == {"orders-reader", "notes-reader"}
    assert realm.users["grace"]["groups"] == {"orders-team", "notes-team"}
    applied(realm, state_of("orders", 1))
    assert realm.users["ada"]["roles"] == {"orders-writer", "notes-reader"}
    assert (realm.users["grace"]["roles"], realm.users["grace"]["groups"]) == ({"notes-reader"}, {"notes-team"})
    without = state_of("orders", groups={"orders-team": ["orders-writer"]}, demo_users={})
    applied(several("orders", "notes"), without)
    applied(realm, state_of("notes", 1))
    assert "grace" not in realm.users


def test_a_second_server_makes_every_base_scope_optional_for_existing_clients_too() -> None:
    realm = several("orders")
    old = [realm.register() for _ in range(450)]  # more than two pages
    asked = realm.register("orders.write")
    assert all("orders" in realm.clients[str(client)]["defaultClientScopes"] for client in old)
    changes = applied(realm, state_of("notes"))
    for client in map(str, old):
        assert "orders" not in realm.clients[client]["defaultClientScopes"]
        assert "orders" in realm.clients[client]["optionalClientScopes"]
    assert realm.clients[str(asked)]["optionalClientScopes"] == ["orders.write"]
    assert realm.lists["default"] == {"basic"}
    assert sum(bool(change.batch) for change in changes) == 900
    new = realm.register()
    assert realm.clients[str(new)]["defaultClientScopes"] == ["basic"]
    assert {"orders", "notes"} <= set(realm.clients[str(new)]["optionalClientScopes"])
    assert removed(realm, "notes")
    again = realm.register()
    assert "orders" in realm.clients[str(again)]["defaultClientScopes"]
    assert planned(realm, state_of("orders")) == []


def test_many_requests_of_one_kind_are_counted_in_a_plan() -> None:
    realm = several("orders")
    for _ in range(3):
        realm.register()
    listed = [change.text for change in unbatched(planned(realm, state_of("notes")))]
    assert "clients: base scopes become optional for existing clients (6 requests)" in listed
    assert not any(text.startswith("client id-") for text in listed)


@pytest.mark.parametrize("gone", NAMES)
def test_a_removal_takes_what_the_server_owns_and_nothing_else(gone: str) -> None:
    realm = several(*NAMES)
    client = realm.register()
    others = [name for name in NAMES if name != gone]
    before = [snapshot(realm, name) for name in others]
    changes = removed(realm, gone)
    assert count_line(changes).startswith("plan: 0 to create")
    assert snapshot(realm, gone) == {"scopes": {}, "roles": {}, "clients": {}, "groups": {}, "users": {}}
    assert f"{gone}-user" not in realm.users
    assert [snapshot(realm, name) for name in others] == before
    assert url(gone) not in Records.of(realm.realm).resources
    assert not any(name.startswith(gone) for name in realm.clients[str(client)]["optionalClientScopes"])
    assert removed(realm, gone) == []
    applied(realm, state_of(others[0]))  # owns the realm's settings now, if they had no owner
    assert {name: planned(realm, state_of(name)) for name in others} == {name: [] for name in others}


def test_what_an_administrator_unmarked_or_made_stays() -> None:
    realm = several("orders", "notes")
    realm.clients["notes-native"]["attributes"][MARKER] = ""
    realm.scopes["notes.admin"]["attributes"][MARKER] = ""
    realm.groups["notes-team"]["attributes"][MARKER] = []
    realm.roles["auditor"] = {"id": "x", "name": "auditor"}
    removed(realm, "notes")
    assert {"notes-native"} <= realm.clients.keys()
    assert "notes.admin" in realm.scopes
    assert "notes-team" in realm.groups
    assert "auditor" in realm.roles
    assert "notes" not in realm.scopes


@pytest.mark.parametrize(
    ("mark", "recorded_by", "ours"),
    [
        ("orders", "orders", True),
        ("orders", None, True),
        ("orders", "notes", False),
        ("former", "orders", True),
        ("former", None, False),
        ("former", "notes", False),
        ("crm", "orders", True),
        ("notes", "orders", False),
        ("notes", None, False),
        (None, "orders", False),
    ],
)
def test_an_object_is_ours_by_its_marker_and_by_nobody_else_s_record(
    mark: str | None, recorded_by: str | None, *, ours: bool
) -> None:
    records = {url(name): ManagedState(roles=frozenset({"r"} if name == recorded_by else ())) for name in NAMES[:2]}
    value = "bootstrap_idp" if mark == "former" else url(mark) if mark else ""
    found = Records(resources=records)
    ownership = Ownership(resource=url("orders"), records=found, read=found)
    assert ownership.is_ours("roles", "r", {"attributes": {MARKER: [value]}}) is ours


def test_a_demo_user_that_no_record_names_stays() -> None:
    realm = several("orders")
    applied(realm, state_of("notes"))
    realm.users["visitor"] = {
        "id": "v",
        "username": "visitor",
        "roles": set(),
        "groups": set(),
        **demo_profile("visitor"),
    }
    applied(realm, state_of("orders", 1))
    removed(realm, "notes")
    assert "visitor" in realm.users


@pytest.mark.parametrize("unread", [{"users": None}, {"groups": Groups(known=False)}])
def test_what_may_not_be_read_is_not_forgotten(unread: dict[str, Any]) -> None:
    realm = several("orders", "notes")
    actual = replace(read_for_removal(session(realm), url("notes")), **unread)
    with pytest.raises(PermissionDenied, match="give it manage-users"):
        removal_changes(url("notes"), actual)


def test_users_that_may_not_be_read_stay_recorded() -> None:
    realm = several("orders", "notes")
    state = state_of("notes", groups={}, demo_users={})
    blind = replace(read_state(session(realm), state), users=None, user_roles={})
    (body,) = [c.body for c in full_plan(state, blind) if "forget" in c.what]
    users = Records.of(cast("dict[str, object]", body)).resources[url("notes")].users
    assert users == {"ada", "grace", "notes-user"}


def test_a_realm_that_its_owner_left_disabled_is_reported_to_the_others() -> None:
    realm = several("orders", "notes")
    realm.realm["enabled"] = False
    assert planned(realm, state_of("notes")) == []
    assert [change.text for change in differences(realm, state_of("notes"))] == ["realm: enable"]


def test_removal_of_an_unknown_resource_or_in_no_realm_changes_nothing() -> None:
    realm = several("orders")
    assert removed(realm, "notes") == []
    assert removal_changes(url("notes"), read_for_removal(session(FakeRealm()), url("notes"))) == []


def to_earlier_release(realm: FakeRealm, *owners: str) -> None:
    """Makes the marks and the record of a realm those of the release before."""
    records = Records.of(realm.realm)
    own = records.resources[url(owners[0])]
    former = {"clients": own.clients, "groups": own.groups, **records.realm.names}
    former.pop("grants")
    text = json.dumps({kind: sorted(names) for kind, names in former.items()})
    realm.realm["attributes"][STATE_ATTRIBUTE] = text
    for objects, value in (
        (realm.scopes, "bootstrap_idp"),
        (realm.clients, "bootstrap_idp"),
        (realm.roles, ["bootstrap_idp"]),
        (realm.groups, ["bootstrap_idp"]),
    ):
        for found in objects.values():
            if MARKER in found.get("attributes", {}):
                found["attributes"][MARKER] = value


def everything(realm: FakeRealm) -> dict[str, Any]:
    return {
        "ids": {
            n: o["id"]
            for objects in (realm.scopes, realm.clients, realm.roles, realm.users, realm.groups)
            for n, o in objects.items()
        },
        "roles": {n: set(u["roles"]) for n, u in realm.users.items()},
        "bindings": {n: set(b) for n, b in realm.bindings.items()},
    }


@pytest.mark.requirement("several_servers.migration")
def test_the_realm_of_an_earlier_release_is_marked_anew_and_nothing_is_made_again() -> None:
    realm = several("orders")
    to_earlier_release(realm, "orders")
    before = everything(realm)
    changes = applied(realm, state_of("orders"))
    assert {change.method for change in changes} == {"PUT"}
    assert everything(realm) == before
    assert planned(realm, state_of("orders")) == []
    assert realm.roles["orders-reader"]["attributes"][MARKER] == [url("orders")]
    assert realm.groups["orders-team"]["attributes"][MARKER] == [url("orders")]


@pytest.mark.requirement("several_servers.migration")
def test_the_first_apply_after_an_upgrade_may_be_that_of_the_second_server() -> None:
    realm = several("orders")
    to_earlier_release(realm, "orders")
    before = {name: snapshot(realm, "orders")[name] for name in ("scopes", "roles", "groups", "clients")}
    applied(realm, state_of("notes"))
    after = snapshot(realm, "orders")
    assert {name: after[name] for name in before} == before
    record = Records.of(realm.realm).resources[url("orders")]
    assert record.scopes == {"orders", "orders.write", "orders.admin"}
    assert record.roles == {"orders-reader", "orders-writer", "orders-admin"}
    assert record.base_scope == "orders"
    with pytest.raises(ConfigError, match=f"scope orders: belongs to {url('orders')}"):
        applied(realm, replace(state_of("orders"), resource=url("crm")))
    applied(realm, state_of("orders"))
    assert planned(realm, state_of("orders")) == planned(realm, state_of("notes")) == []
    removed(realm, "notes")
    assert planned(realm, state_of("orders")) == []


@pytest.mark.requirement("several_servers.migration")
def test_a_server_that_moved_keeps_what_it_owned() -> None:
    realm = several("orders", "notes")
    former = url("orders")
    moved = replace(state_of("orders"), resource=url("crm"))
    with pytest.raises(ConfigError, match=f"belongs to {former} in this realm: .* run apply --moved-from {former}"):
        applied(realm, moved)
    before = everything(realm)
    applied(realm, replace(moved, moved_from=former))
    after = everything(realm)
    assert after["roles"] == before["roles"]
    assert set(before["ids"]) - set(after["ids"]) == {former}
    assert set(after["ids"]) - set(before["ids"]) == {url("crm")}
    assert Records.of(realm.realm).realm.owner == url("crm")
    assert planned(realm, moved) == planned(realm, state_of("notes")) == []
    with pytest.raises(ConfigError, match="the realm has no such resource"):
        applied(realm, replace(state_of("orders"), moved_from="http://localhost:1/mcp"))


# Any interleaving ---------------------------------------------------------------------------------------------------


class Watched:
    """A realm, and what the files allow at each moment."""

    def __init__(self) -> None:
        self.realm = FakeRealm()
        self.files: dict[str, list[int]] = {}  # old and new variant during an apply
        self.realm.after_write = self.check

    def check(self) -> None:
        require_no_more_than(self.realm, self.files)

    def run(self, name: str, variant: int, stop: int | None) -> None:
        state = state_of(name, variant)
        self.files.setdefault(name, []).append(variant)
        if self._interrupted(stop, lambda: applied(self.realm, state)):
            return
        self.files[name] = [variant]
        assert planned(self.realm, state) == []
        self._check_defaults()

    def remove(self, name: str, stop: int | None) -> None:
        if not self._interrupted(stop, lambda: removed(self.realm, name)):
            self.files.pop(name, None)
            assert url(name) not in Records.of(self.realm.realm).resources
            self._check_defaults()
        self.check()

    def _interrupted(self, stop: int | None, run: Any) -> bool:
        end = None if stop is None else self.realm.writes + stop

        def before() -> None:
            if end is not None and self.realm.writes >= end:
                raise Interrupted

        self.realm.before_write = before
        try:
            run()
        except Interrupted:
            return True
        finally:
            self.realm.before_write = lambda: None
        return False

    def _check_defaults(self) -> None:
        """Checks that no client has a base scope by default while the realm has several servers."""
        resources = Records.of(self.realm.realm).resources
        if len(resources) > 1:
            bases = {record.base_scope for record in resources.values()}
            for holder in (
                self.realm.lists["default"],
                *(c["defaultClientScopes"] for c in self.realm.clients.values()),
            ):
                assert not bases & set(holder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=2, max_size=10))
def test_at_no_moment_of_any_interleaving_does_the_realm_allow_more_than_the_files(steps: list[Any]) -> None:
    watched = Watched()
    for kind, name, variant, stop in steps:
        if kind == "apply":
            watched.run(name, variant, stop)
        elif kind == "remove":
            watched.remove(name, stop)
        elif watched.realm.realm:
            watched.realm.register(name)
            watched.check()
    # Whatever was interrupted, one complete apply of each leaves the realm as the files say.
    for _ in range(2):
        for name in list(watched.files):
            watched.run(name, watched.files[name][-1], None)
    for name in watched.files:
        assert planned(watched.realm, state_of(name, watched.files[name][-1])) == []
