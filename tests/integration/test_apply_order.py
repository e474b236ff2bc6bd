"""Registration during an apply: at no time can a client register that could not before or after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.realm import Realm, bootstrapped
from tests.support.keycloak.registration_probe import OWN, VENDOR, accepted_redirects
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers


def test_no_client_can_register_while_a_realm_is_being_created(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = Realm(keycloak, tmp_path, "test-in-the-making")
    realm.write_access()
    changes, allowed = _watched(realm)
    # One entry before each change, and before each of the test registration's three requests.
    assert allowed == [set()] * changes + [{OWN, VENDOR}] * 3


def test_no_client_can_register_while_the_rules_of_a_realm_change(realm: Realm) -> None:
    realm.write_access(resource={"name": "Renamed"}, registration={"max_clients": 500, "profile": "loopback-only"})
    changes, allowed = _watched(realm)
    assert changes >= 5
    # Before the first write the old rules apply, after the last those of the profile.
    assert allowed == [{OWN, VENDOR}, *[set()] * (changes - 1), *[{OWN}] * 3]


def test_a_realm_that_is_opened_accepts_new_registrations_only_at_the_end(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = bootstrapped(keycloak, tmp_path, registration={"profile": "closed"})
    realm.write_access()
    changes, allowed = _watched(realm)
    assert allowed == [set()] * changes + [{OWN, VENDOR}] * 3


def _watched(realm: Realm) -> tuple[int, list[set[str]]]:
    """Applies, and tries to register before each write; returns the number of changes and the accepted redirects."""
    allowed: list[set[str]] = []
    with recording(realm.server.url) as proxy:
        proxy.before_write = lambda _method, _path: allowed.append(accepted_redirects(realm))
        changes = realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}")
    return changes, allowed


def test_no_user_logs_in_at_an_unfinished_realm(realm: Realm) -> None:
    realm.admin().write("PUT", (), {"enabled": False})
    back = realm.authorize("reader", client_id="mcp-native", redirect_uri="http://127.0.0.1:5555/callback")
    assert "code" not in back
    assert realm.apply() > 0
    response = realm.log_in("reader", "mcp-native", scope="mcp:tools", redirect_uri="http://127.0.0.1:5555/callback")
    assert response["status"] == 200
