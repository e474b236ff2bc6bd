"""An apply whose connection breaks: registration is never wider than the profile, and the next apply completes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.bootstrap.failures import Failure, ProviderUnreachable
from tests.integration.keycloak import REDIRECT, Realm
from tests.integration.recording_proxy import recording
from tests.integration.verbs import check, plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.keycloak import Keycloak

pytestmark = pytest.mark.containers

VENDOR = "https://vscode.dev/redirect"
TIGHTENING = 8  # writes
FOREIGN = "https://evil.example/callback"


def _some(few: tuple[int, ...], most: int) -> list[object]:
    """Every number up to `most`, all but a few in the full tier only."""
    return [n if n in few else pytest.param(n, marks=pytest.mark.full) for n in range(1, most + 1)]


def _break_after(realm: Realm, writes: int) -> Failure:
    with recording(realm.server.url) as proxy:
        proxy.breaks_after = writes
        with pytest.raises(Failure) as broken:
            realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}")
    assert len(proxy.writes) == writes
    return broken.value


def _admitted(realm: Realm) -> set[str]:
    """Which of three redirects somebody can register now."""
    return {uri for uri in (REDIRECT, VENDOR, FOREIGN) if realm.register(redirect_uris=[uri])["status"] == 201}


@pytest.mark.requirement("interrupted.completes", "interrupted.shut")
@pytest.mark.parametrize("writes", _some((2, 40), 60))
def test_a_new_realm_that_broke_off_lets_nobody_in_and_is_completed(
    keycloak: Keycloak, tmp_path: Path, writes: int
) -> None:
    realm = Realm(keycloak, tmp_path, f"test-broke-off-{writes}")
    realm.write_access(registration={"profile": "loopback-only"})
    broken = _break_after(realm, writes)
    assert isinstance(broken, ProviderUnreachable)
    assert "\n" not in str(broken)
    assert _admitted(realm) == set()
    back = realm.authorize("reader", client_id="mcp-native", redirect_uri="http://127.0.0.1:5555/callback")
    assert "code" not in back
    assert realm.apply() > 0
    assert check(realm).clean
    assert _admitted(realm) == {REDIRECT}


@pytest.mark.requirement("interrupted.completes", "interrupted.shut")
@pytest.mark.parametrize("writes", _some((3,), TIGHTENING))
def test_a_realm_that_broke_off_while_it_was_tightened_is_never_wider_than_before(realm: Realm, writes: int) -> None:
    realm.write_access(registration={"profile": "loopback-only", "max_clients": 300}, clients={})
    assert len(plan(realm)) == TIGHTENING
    _break_after(realm, writes)
    assert _admitted(realm) == ({REDIRECT} if writes == TIGHTENING else set())
    realm.apply()
    assert check(realm).clean
    assert _admitted(realm) == {REDIRECT}
