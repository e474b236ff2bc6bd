"""What plan and check report for a realm, and that an apply fixes it."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
import yaml

from mcp_idp.cli.bootstrap.errors import ConfigError, PermissionDenied
from tests.support.keycloak.bootstrap_commands import account, check, command_line, plan
from tests.support.keycloak.manual_changes import IN_A_GROUP, TAMPERED_GROUPS, TAMPERINGS, client_members
from tests.support.keycloak.realm import PUBLIC_URL, REPOSITORY, Realm, bootstrapped
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 7))]


@pytest.fixture
def whole(keycloak: Keycloak, tmp_path: Path) -> Realm:
    """Creates a realm with everything that the changes affect, including groups."""
    source = yaml.safe_load((REPOSITORY / "idp-config" / "access.yaml").read_text(encoding="utf-8"))
    return bootstrapped(keycloak, tmp_path, groups=TAMPERED_GROUPS, demo_users={**source["demo_users"], **IN_A_GROUP})


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_manual_changes_are_all_reported_and_all_fixed(whole: Realm, seed: int) -> None:
    realm = whole
    chosen = random.Random(seed).sample(sorted(TAMPERINGS), 10)  # noqa: S311 - the same ten in every run
    admin = realm.admin()
    for name in chosen:
        TAMPERINGS[name](admin)
    found = check(realm)
    assert set(chosen) - set(found.names) == set()
    realm.apply()
    fixed = check(realm)
    assert (fixed.names, [weakness.id for weakness in fixed.weaknesses]) == ([], [])


@pytest.mark.full
def test_every_change_by_hand_is_named_by_itself(whole: Realm) -> None:
    realm = whole
    unnamed = {}
    for name, tamper in TAMPERINGS.items():
        tamper(realm.admin())
        found = check(realm).names
        if name not in found:
            unnamed[name] = found
        realm.apply()
        assert check(realm).clean, name
    assert unnamed == {}


def test_plan_and_check_write_nothing_and_print_no_secret(realm: Realm) -> None:
    realm.admin().write("PUT", (), {"accessTokenLifespan": 86400})
    TAMPERINGS[f"client {PUBLIC_URL}.secret"](realm.admin())
    with recording(realm.server.url) as proxy:
        through = {"OAUTH_INTERNAL_URL": f"{proxy.url}/realms/{realm.name}"}
        planned = command_line(realm, "plan", **through)
        planned_json = command_line(realm, "plan", "--json", **through)
        checked = command_line(realm, "check", **through)
        checked_json = command_line(realm, "check", "--json", **through)
    assert proxy.writes == []
    assert [planned[0], planned_json[0], checked[0], checked_json[0]] == [0, 0, 1, 1]
    assert "~ realm: set accessTokenLifespan\n    accessTokenLifespan: 86400 → 300\n" in planned[1]
    assert planned[1].endswith("plan: 0 to create, 2 to change, 0 to remove\n")
    assert "drift: realm.accessTokenLifespan is 86400, not 300\n" in checked[1]
    assert f"drift: client {PUBLIC_URL}.secret is (secret), not (secret)\n" in checked[1]
    changed = json.loads(planned_json[1])["changes"]
    assert {"name": "accessTokenLifespan", "old": 86400, "new": 300} in [f for c in changed for f in c["fields"]]
    assert json.loads(checked_json[1])["clean"] is False
    for _, out, error in (planned, planned_json, checked, checked_json):
        assert realm.client_secret not in out + error
        assert "known" not in out + error


def test_an_apply_does_exactly_what_plan_shows(realm: Realm) -> None:
    realm.write_access(resource={"name": "Renamed"}, registration={"profile": "loopback-only"}, clients={})
    planned = [change.text for change in plan(realm)]
    realm.apply()
    output = [line[2:] for line in realm.message if line[:2] in {"+ ", "~ ", "- ", "· "}]
    assert output == planned
    assert plan(realm) == []
    code, out, error = command_line(realm, "check")
    assert (code, out, error) == (0, "no changes, no weaknesses\n", "")


def test_a_realm_that_is_not_there_is_planned_and_named_and_not_made(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = Realm(keycloak, tmp_path, "test-not-there")
    realm.write_access()
    assert plan(realm)[0].text == "realm test-not-there: create, disabled until the apply is complete"
    assert check(realm).names[0] == "realm test-not-there"
    assert not (tmp_path / "client-secret").exists()
    assert Realm(keycloak, tmp_path, "test-not-there").admin().find() is None


def test_an_account_that_may_only_read_is_enough_for_a_check(realm: Realm) -> None:
    reader = account(realm, "view-realm", "view-clients", "view-users")
    assert check(realm, **reader).clean
    realm.admin().write("PUT", (), {"accessTokenLifespan": 86400})
    assert check(realm, **reader).names == ["realm.accessTokenLifespan"]
    code, _, error = command_line(realm, "apply", **reader)
    assert code == PermissionDenied.exit_code
    assert "manage-realm, manage-clients" in error
    assert error.count("\n") == 1
    # Without the right to view users the rest is still compared, and the report says what was not.
    blind = account(realm, "view-realm", "view-clients")
    found = check(realm, **blind)
    assert found.names == ["realm.accessTokenLifespan"]
    assert "demo users were not compared" in found.warnings[0]
    # A service account that somebody enabled is not checked either: the access file names no service clients.
    client_members("mcp-native", publicClient=False, serviceAccountsEnabled=True)(realm.admin())
    found = check(realm, **blind)
    assert "client mcp-native.serviceAccountsEnabled" in found.names
    assert [warning for warning in found.warnings if "machine clients" in warning] == []
    realm.write_access(demo_users={})
    code, out, error = command_line(realm, "plan", **blind)
    assert (code, error) == (0, "")
    assert "serviceAccountsEnabled: true → false" in out


def test_an_account_of_this_realm_only_is_enough_for_an_apply(realm: Realm) -> None:
    writer = account(realm, "manage-realm", "manage-clients", "manage-users")
    realm.admin().write("PUT", (), {"accessTokenLifespan": 86400})
    code, out, error = command_line(realm, "apply", **writer)
    assert (code, error) == (0, "")
    assert "accessTokenLifespan: 86400 → 300" in out
    assert check(realm).clean


def test_an_account_that_the_rules_would_lock_out_is_rejected(standing_realm: Realm) -> None:
    with pytest.raises(ConfigError, match="client_credentials"):
        check(standing_realm, KEYCLOAK_ADMIN_REALM=standing_realm.name)
