"""Several servers on one real Keycloak: applied in any order, removed, and no token that two of them accept."""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mcp_idp.access.policy import load_access
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.planner import apply, read_state
from mcp_idp.cli.bootstrap.keycloak.planner import plan as plan_changes
from mcp_idp.cli.bootstrap.keycloak.removal import read_for_removal, removal_changes, remove_resource
from mcp_idp.cli.bootstrap.keycloak.state.managed import (
    FORMER_OWNER,
    MANAGED_MARKER,
    MARKER,
    STATE_ATTRIBUTE,
    Records,
)
from mcp_idp.errors import InvalidToken
from mcp_idp.tokens.issuers import TokenVerifierRegistry
from mcp_idp.util.clock import Clock
from tests.support.in_process import settings_for
from tests.support.keycloak.bootstrap_commands import check, command_line, plan
from tests.support.keycloak.realm import REDIRECT, Realm, Visit, claims
from tests.support.several_servers import (
    NAMES,
    STEPS,
    RealView,
    access_members,
    require_no_more_than,
    state_of,
    url,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from mcp_idp.cli.bootstrap.keycloak.desired import DesiredState
    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers


@pytest.fixture
def server_of(keycloak: Keycloak, tmp_path: Path) -> Iterator[Callable[[str], Realm]]:
    """Yields a function that returns the realm as one of its servers is configured for it; none is applied yet."""
    realm_name = f"test-{secrets.token_hex(4)}"
    servers: dict[str, Realm] = {}

    def server(name: str) -> Realm:
        if name not in servers:
            (tmp_path / name).mkdir()
            servers[name] = Realm(keycloak, tmp_path / name, realm_name, public_url=url(name))
            servers[name].write_access(**access_members(name))
        return servers[name]

    yield server
    for realm in list(servers.values())[:1]:
        realm.delete()


@asynccontextmanager
async def verifying(realm: Realm) -> AsyncIterator[TokenVerifierRegistry]:
    """Yields the token verification of a server."""
    settings = settings_for(realm)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        registry = TokenVerifierRegistry(settings, load_access(settings.access_file), Clock(), http)
        yield registry
        await registry.close()


async def accepts(realm: Realm, token: str) -> bool:
    async with verifying(realm) as registry:
        try:
            await registry.verify(token)
        except InvalidToken:
            return False
    return True


def token_of(realm: Realm, user: Any, client: str, scope: str) -> str:
    response = realm.log_in(user, client, scope=scope)
    assert response["status"] == 200, response
    token: str = response["access_token"]
    return token


@pytest.mark.requirement("several_servers.ownership")
def test_servers_are_applied_in_any_order_and_twice_and_one_is_removed(
    server_of: Callable[[str], Realm],
) -> None:
    orders, notes, crm = map(server_of, NAMES)
    orders.apply()
    early = orders.register(redirect_uris=[REDIRECT])
    assert "orders" in _client(orders, early["client_id"])["defaultClientScopes"]
    notes.apply()
    held = _client(orders, early["client_id"])
    assert "orders" not in held["defaultClientScopes"]
    assert "orders" in held["optionalClientScopes"]
    assert [check(orders).clean, check(notes).clean] == [True, True]
    crm.apply()
    assert orders.register(redirect_uris=[REDIRECT])["status"] == 201  # a client that may request all scopes
    for realm in (crm, notes, orders):
        assert realm.apply() == 0, realm.message
        report = check(realm)
        assert report.clean, list(report.lines())
        assert report.warnings == (), report.warnings
    # What an apply of one changes, the others do not see.
    notes.write_access(**access_members("notes", 1))
    assert {change.owner for change in plan(notes)} <= {notes.public_url, "shared"}
    notes.apply()
    assert [check(realm).names for realm in (orders, notes, crm)] == [[], [], []]
    code, out, error = command_line(orders, "remove", notes.public_url)
    assert (code, "confirm with --yes" in error) == (2, True)
    assert f"- client {notes.public_url}: remove" in out
    assert "notes" in {scope["name"] for scope in orders.admin().get("client-scopes")}
    code, out, error = command_line(orders, "remove", notes.public_url, "--yes")
    assert (code, error) == (0, "")
    assert command_line(orders, "remove", notes.public_url, "--yes")[1].startswith("no changes")
    for realm in (orders, crm):
        assert realm.apply() == 0, realm.message
        assert check(realm).clean
    assert not {name for name in _names(orders) if name.startswith("notes")}
    token = claims(token_of(orders, "grace", "orders-native", "orders"))
    assert token["aud"] == orders.public_url


def _client(realm: Realm, client_id: str) -> dict[str, Any]:
    (found,) = realm.admin().get("clients", clientId=client_id)
    return dict(found)


def _names(realm: Realm) -> set[str]:
    """Returns the names of the realm's clients, scopes, roles, groups and users."""
    admin = realm.admin()
    kinds = (("clients", "clientId"), ("client-scopes", "name"), ("roles", "name"), ("users", "username"))
    found = {str(entry[member]) for path, member in kinds for entry in admin.get(path)}
    return found | {group["name"] for group in admin.get("groups")}


@pytest.mark.requirement("several_servers.one_login", "jwt.one_resource")
@pytest.mark.anyio
async def test_one_login_and_one_registration_serve_both_and_no_token_is_valid_at_two(
    server_of: Callable[[str], Realm],
) -> None:
    orders, notes = server_of("orders"), server_of("notes")
    orders.apply()
    notes.apply()
    client = orders.register(redirect_uris=[REDIRECT])["client_id"]
    asked: list[str] = []

    def request(method: str, address: str, **members: Any) -> httpx.Response:
        asked.extend(member for member in members.get("data") or {} if member == "password")
        return orders.server.request(method, address, **members)

    browser = Visit("ada", request)
    for_orders = token_of(orders, browser, client, "orders")
    assert asked == ["password"]
    for_notes = token_of(notes, browser, client, "notes")
    assert asked == ["password"]  # the same browser is logged in
    assert [claims(token)["aud"] for token in (for_orders, for_notes)] == [orders.public_url, notes.public_url]
    assert [await accepts(orders, for_orders), await accepts(notes, for_notes)] == [True, True]
    assert [await accepts(orders, for_notes), await accepts(notes, for_orders)] == [False, False]
    for scope in (
        "orders notes",
        "notes orders",
        "orders.write notes",
        "orders notes.write",
        "notes orders offline_access",
    ):
        both = token_of(orders, "grace", client, scope)
        assert sorted(claims(both)["aud"]) == sorted([orders.public_url, notes.public_url])
        assert [await accepts(orders, both), await accepts(notes, both)] == [False, False], scope


def to_earlier_release(realm: Realm) -> None:
    """Rewrites the record and the marks of a realm as the release before this one wrote them."""
    admin = realm.admin()
    found = admin.get()
    records = Records.of(found)
    own = records.resources[realm.public_url]
    names = {"clients": own.clients, "groups": own.groups, **records.realm.names}
    text = json.dumps({kind: sorted(value) for kind, value in names.items() if kind != "grants"})
    admin.write("PUT", (), {"attributes": {**found["attributes"], STATE_ATTRIBUTE: text}})
    for name in sorted(own.clients):
        (client,) = admin.get("clients", clientId=name)
        marked = {**client, "attributes": {**client["attributes"], **MANAGED_MARKER}}
        admin.write("PUT", ("clients", client["id"]), marked)
    for scope in admin.get("client-scopes"):
        if scope["name"] in own.scopes:
            marked = {**scope, "attributes": {**scope["attributes"], **MANAGED_MARKER}}
            admin.write("PUT", ("client-scopes", scope["id"]), marked)
    for name in sorted(own.roles):
        marked = {"name": name, "attributes": {MARKER: [FORMER_OWNER]}}
        admin.write("PUT", ("roles", name), marked)
    for name in sorted(own.groups):
        group = admin.get("group-by-path", name)
        admin.write("PUT", ("groups", group["id"]), {"name": name, "attributes": {MARKER: [FORMER_OWNER]}})


@pytest.mark.requirement("several_servers.migration")
@pytest.mark.parametrize("first", ["orders", "notes"])
def test_a_realm_of_an_earlier_release_is_converted_and_nobody_logs_in_again(
    server_of: Callable[[str], Realm], first: str
) -> None:
    orders, notes = server_of("orders"), server_of("notes")
    orders.apply()
    client = orders.register(redirect_uris=[REDIRECT])["client_id"]
    login = orders.log_in("grace", client, scope="orders orders.write")
    to_earlier_release(orders)
    names = _names(orders)
    (orders if first == "orders" else notes).apply()
    assert names <= _names(orders)
    refreshed = orders.token(grant_type="refresh_token", refresh_token=login["refresh_token"], client_id=client)
    assert (refreshed["status"], claims(refreshed["access_token"])["aud"]) == (200, orders.public_url)
    for realm in (orders, notes):
        realm.apply()
    for realm in (orders, notes):
        assert realm.apply() == 0, realm.message
        assert check(realm).clean
    again = orders.token(grant_type="refresh_token", refresh_token=refreshed["refresh_token"], client_id=client)
    assert again["status"] == 200


class Broken(Exception):
    """The connection broke before a write."""


class Interleaving:
    """Applies and removals on a real realm, some of them interrupted, and the files that are in effect."""

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self.admin = realm.admin()
        self.files: dict[str, list[int]] = {}

    def state(self, name: str) -> DesiredState:
        return replace(state_of(name, self.files[name][-1]), realm=self.realm.name)

    def step(self, kind: str, name: str, variant: int, stop: int | None) -> None:
        exists = self.admin.find() is not None
        if kind == "apply":
            self.files.setdefault(name, []).append(variant)
            self.apply(name, stop)
        elif kind == "remove" and exists:
            actual = read_for_removal(self.admin, url(name))
            changes = removal_changes(url(name), actual)
            if self._completed(lambda before: remove_resource(self.admin, changes, actual, before), stop):
                self.files.pop(name, None)
        elif exists:
            self.realm.register(redirect_uris=[REDIRECT], **({"scope": name} if name else {}))
        if exists or kind == "apply":
            require_no_more_than(RealView(self.admin), self.files)

    def apply(self, name: str, stop: int | None = None) -> None:
        if self._completed(lambda before: apply(self.admin, self.state(name), before, lambda _: None), stop):
            self.files[name] = self.files[name][-1:]
            assert self.planned(name) == []

    def planned(self, name: str) -> list[str]:
        state = self.state(name)
        return [change.text for change in plan_changes(state, read_state(self.admin, state))]

    @staticmethod
    def _completed(run: Callable[[Callable[[object], None]], object], stop: int | None) -> bool:
        left = count() if stop is None else iter(range(stop))

        def before(_: object) -> None:
            if next(left, None) is None:
                raise Broken

        try:
            run(before)
        except Broken:
            return False
        return True


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.requirement("several_servers.ownership")
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(STEPS, min_size=2, max_size=6))
def test_at_no_moment_of_an_interleaving_does_a_real_realm_allow_more_than_the_files(
    keycloak: Keycloak, tmp_path: Path, steps: list[Any]
) -> None:
    """The same as in memory, which checks after each write; here after each step."""
    realm = Realm(keycloak, tmp_path, f"test-{secrets.token_hex(4)}", public_url=url("orders"))
    realm.write_access(**access_members("orders"))
    run = Interleaving(realm)
    for kind, name, variant, stop in steps:
        run.step(kind, name, variant, stop)
    for name in [*run.files, *run.files]:
        run.apply(name)
    assert {name: run.planned(name) for name in run.files} == {name: [] for name in run.files}
    realm.delete()


@pytest.mark.requirement("several_servers.ownership")
def test_a_clash_and_another_s_settings_are_reported_with_the_owner_s_name(
    server_of: Callable[[str], Realm],
) -> None:
    orders, notes = server_of("orders"), server_of("notes")
    orders.apply()
    members = access_members("notes")
    notes.write_access(**{**members, "scopes": {**members["scopes"], "orders.write": members["scopes"]["notes.write"]}})
    for command in ("apply", "plan", "check"):
        code, out, error = command_line(notes, command)
        assert (code, out) == (2, ""), (command, out, error)
        assert f"scope orders.write: belongs to {orders.public_url}" in error
    with pytest.raises(ConfigError, match="belongs to"):
        notes.apply()
    notes.write_access(**members)
    notes.apply()
    orders.admin().write("PUT", (), {"accessTokenLifespan": 600})
    code, out, _ = command_line(notes, "check")
    assert code == 1
    assert f"drift: realm.accessTokenLifespan is 600, not 300 [{orders.public_url}]\n" in out
    code, out, _ = command_line(notes, "plan")
    assert f"realm.accessTokenLifespan is 600, not 300; {orders.public_url} owns it" in out
    assert f"  {orders.public_url} (owns the realm's settings)" in out
    assert notes.apply() == 0
    assert orders.apply() > 0
    assert check(notes).clean
