"""Several servers on one real Keycloak: applied in any order, removed, and no token that two of them accept."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mcp_idp.access.policy import load_access
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.errors import InvalidToken
from mcp_idp.tokens.issuers import TokenVerifierRegistry
from mcp_idp.util.clock import Clock
from tests.support.in_process import settings_for
from tests.support.keycloak.bootstrap_commands import check, command_line, plan
from tests.support.keycloak.realm import REDIRECT, Realm, Visit, claims
from tests.support.several_servers import NAMES, access_members, url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

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
