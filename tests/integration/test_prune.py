"""Unused self-registered clients: which are listed and removed, and which are kept."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.stale_clients import StalenessRule, remove, self_registered, stale_clients
from tests.support.keycloak.bootstrap_commands import check, command_line
from tests.support.keycloak.realm import REDIRECT, Realm

if TYPE_CHECKING:
    from mcp_idp.cli.bootstrap.keycloak.stale_clients import StaleClient

pytestmark = pytest.mark.containers

DAY = 86400.0
NATIVE = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}


def _stale(realm: Realm, *, days_later: float, older_than: float = 30, unused: bool = False) -> dict[str, StaleClient]:
    """Returns the clients that will be stale `days_later` days from now if nothing else happens."""
    now = time.time() + days_later * DAY
    admin = realm.admin()
    found = stale_clients(admin, list(self_registered(admin)), StalenessRule(now, older_than * DAY, unused=unused))
    return {stale.client_id: stale for stale in found}


def test_only_old_clients_without_a_session_are_stale(realm: Realm) -> None:
    forgotten, used, busy = (str(realm.register(**NATIVE)["client_id"]) for _ in range(3))
    for client_id in (used, busy):
        assert realm.log_in("reader", client_id, scope="mcp:tools")["status"] == 200
    admin = realm.admin()
    (user,) = admin.get("users", username="reader", exact="true")
    sessions = {s["id"]: s["clients"] for s in admin.get("users", user["id"], "sessions")}
    ended = next(session for session, clients in sessions.items() if used in clients)
    admin.write("DELETE", ("sessions", ended))
    assert _stale(realm, days_later=1) == {}
    assert set(_stale(realm, days_later=31)) == {forgotten, used}
    assert set(_stale(realm, days_later=31, unused=True)) == {forgotten}
    found = _stale(realm, days_later=31)[forgotten]
    assert found.registered == pytest.approx(time.time(), abs=600)
    # A session that began after the list was computed protects its client.
    assert remove(admin, found)
    assert not remove(admin, _as_if_stale(busy, found))
    assert remove(admin, found)  # already removed
    assert realm.authorize("reader", client_id=forgotten, scope="mcp:tools")["status"] == 400
    assert set(_stale(realm, days_later=31)) == {used}


def test_a_client_of_unknown_age_is_kept_until_the_events_reach_far_enough(realm: Realm) -> None:
    old = realm.register(**NATIVE)["client_id"]
    admin = realm.admin()
    admin.write("DELETE", ("events",))
    assert _stale(realm, days_later=31) == {}
    newer = realm.register(**NATIVE)["client_id"]  # events are recorded from now on
    assert set(_stale(realm, days_later=31)) == {old, newer}
    assert _stale(realm, days_later=31)[str(old)].registered is None
    admin.write("PUT", (), {"eventsEnabled": False})
    with pytest.raises(ConfigError, match="eventsEnabled"):
        _stale(realm, days_later=31)


def test_nothing_is_removed_without_confirmation(realm: Realm) -> None:
    evil = realm.register(**NATIVE, client_name="\x1b[2Jgone")
    admin = realm.admin()
    other_clients = {client["clientId"] for client in admin.get("clients")} - {evil["client_id"]}
    listing = ("prune", "--older-than", "1s", "--unused")
    code, out, _ = command_line(realm, *listing)
    while "1 stale" not in out:  # a second must pass on the server's clock
        code, out, _ = command_line(realm, *listing)
    assert code == 0
    assert str(evil["client_id"]) in out
    assert "\x1b" not in out
    assert out.startswith("looking for clients that registered themselves, more than 1 second ago, that were never ")
    assert "1 stale of 1 that registered themselves; nothing was removed: add --delete" in out
    assert len(admin.get("clients", clientId=str(evil["client_id"]))) == 1
    code, out, _ = command_line(realm, *listing, "--json")
    document = json.loads(out)
    (stale,) = document["stale"]
    assert (code, document["realm"], document["registered"]) == (0, realm.name, 1)
    assert (stale["client_id"], stale["last_login"], stale["removed"]) == (evil["client_id"], None, False)
    code, out, _ = command_line(realm, *listing, "--delete")
    assert (code, out.splitlines()[-1]) == (0, "1 removed of 1 that registered themselves, 0 kept")
    assert {client["clientId"] for client in admin.get("clients")} == other_clients


def test_check_warns_before_a_realm_is_full_and_a_new_client_gets_the_limit(realm: Realm) -> None:
    there = len(realm.admin().get("clients"))
    maximum = there + 3
    realm.write_access(registration={"max_clients": maximum})
    realm.apply()
    while len(realm.admin().get("clients")) < maximum:
        assert realm.register(**NATIVE)["status"] == 201
    (warning,) = check(realm).warnings
    assert f"registration stops at {maximum}" in warning
    assert check(realm).clean  # a warning is no drift
    rejected = realm.register(**NATIVE)
    assert rejected["status"] == 403
    assert f"max {maximum} clients" in rejected["error_description"].lower() or "Max" in rejected["error_description"]


def _as_if_stale(client_id: str, found: StaleClient) -> StaleClient:
    return type(found)(client_id=client_id, name=found.name, registered=found.registered, used=None)
