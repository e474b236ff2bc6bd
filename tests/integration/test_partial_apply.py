"""An apply whose connection breaks: registration is never wider than the profile, and the next apply completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_idp.cli.bootstrap.errors import BootstrapError, ProviderUnreachable
from tests.support.keycloak.bootstrap_commands import check, plan
from tests.support.keycloak.realm import REPOSITORY, Realm
from tests.support.keycloak.registration_probe import OWN, accepted_redirects
from tests.support.recording_proxy import recording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak

pytestmark = pytest.mark.containers

CREATING, TIGHTENING = 67, 8  # writes; the last one opens registration, and the test registration follows


def _some(few: tuple[int, ...], maximum: int) -> list[object]:
    """Returns every number up to `maximum`; all but a few run in the full tier only."""
    return [n if n in few else pytest.param(n, marks=pytest.mark.full) for n in range(1, maximum + 1)]


def _break_after(realm: Realm, writes: int) -> BootstrapError:
    with recording(realm.server.url) as proxy:
        proxy.fails_after = writes
        with pytest.raises(BootstrapError) as broken:
            realm.apply(internal_url=f"{proxy.url}/realms/{realm.name}")
    assert len(proxy.writes) == writes
    return broken.value


def _killed_at(realm: Realm, write: int) -> None:
    """Runs the apply command, and kills it before its write number `write`."""
    with recording(realm.server.url) as proxy:

        def kill(_method: str, _path: str) -> None:
            if len(proxy.writes) == write:
                process.send_signal(signal.SIGKILL)
                process.wait(timeout=60)

        proxy.before_write = kill
        process = subprocess.Popen(
            [sys.executable, REPOSITORY / "scripts" / "bootstrap_idp.py", "apply"],
            env={
                "PATH": os.environ["PATH"],
                **realm.environment,
                "OAUTH_INTERNAL_URL": f"{proxy.url}/realms/{realm.name}",
            },
            stdout=subprocess.DEVNULL,
        )
        assert process.wait(timeout=120) == -signal.SIGKILL
    assert len(proxy.writes) == write


def _new(keycloak: Keycloak, folder: Path, name: str) -> Realm:
    """Returns a realm that does not exist yet."""
    realm = Realm(keycloak, folder, name)
    realm.write_access(registration={"profile": "loopback-only"})
    return realm


def _tighten(realm: Realm) -> None:
    """Changes the access file to a narrower profile and removes other things."""
    realm.write_access(registration={"profile": "loopback-only", "max_clients": 300}, clients={})


def _is_completed(realm: Realm) -> None:
    realm.apply()
    assert check(realm).clean
    assert accepted_redirects(realm) == {OWN}


def test_the_numbers_here_are_all_the_writes_there_are(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = _new(keycloak, tmp_path, "test-counted")
    assert realm.apply() == CREATING
    realm.write_access()
    realm.apply()
    _tighten(realm)
    assert len(plan(realm)) == TIGHTENING


@pytest.mark.parametrize("writes", _some((2, 40), CREATING))
def test_an_interrupted_new_realm_accepts_no_registration_and_is_completed(
    keycloak: Keycloak, tmp_path: Path, writes: int
) -> None:
    realm = _new(keycloak, tmp_path, f"test-broke-off-{writes}")
    broken = _break_after(realm, writes)
    assert isinstance(broken, ProviderUnreachable)
    assert "\n" not in str(broken)
    assert accepted_redirects(realm) == ({OWN} if writes == CREATING else set())
    if writes < CREATING - 1:  # the last but one enables the realm
        back = realm.authorize("reader", client_id="mcp-native", redirect_uri="http://127.0.0.1:5555/callback")
        assert "code" not in back
    _is_completed(realm)


@pytest.mark.parametrize("writes", _some((3,), TIGHTENING))
def test_a_realm_interrupted_while_it_was_tightened_is_never_wider_than_before(realm: Realm, writes: int) -> None:
    _tighten(realm)
    _break_after(realm, writes)
    assert accepted_redirects(realm) == ({OWN} if writes == TIGHTENING else set())
    _is_completed(realm)


def test_a_killed_apply_accepts_no_registration_and_is_completed(keycloak: Keycloak, tmp_path: Path) -> None:
    realm = _new(keycloak, tmp_path, "test-killed")
    _killed_at(realm, 30)
    assert accepted_redirects(realm) == set()
    _is_completed(realm)


def test_a_killed_tightening_accepts_no_registration_and_is_completed(realm: Realm) -> None:
    _tighten(realm)
    _killed_at(realm, 4)
    assert accepted_redirects(realm) == set()
    _is_completed(realm)
