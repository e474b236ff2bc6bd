from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.realm import bootstrapped, running_keycloak
from tests.support.typescript_client import TYPESCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak, Realm


@pytest.fixture(scope="session")
def keycloak(engine: None) -> Iterator[Keycloak]:
    """One Keycloak for all tests, as docker-compose.yml configures it; each test takes a realm of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the container library's own, at import
        with running_keycloak() as server:
            yield server


@pytest.fixture
def realm(keycloak: Keycloak, tmp_path: Path) -> Iterator[Realm]:
    """A fresh realm, for tests that change it; deleted afterwards: an administrator's token names every realm."""
    realm = bootstrapped(keycloak, tmp_path)
    yield realm
    realm.delete()


@pytest.fixture(scope="session")
def standing_realm(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """One realm for all tests that leave its configuration alone."""
    return bootstrapped(keycloak, tmp_path_factory.mktemp("standing"))


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the clients of the lock. Without it the test is skipped, or fails under REQUIRE_CONTAINERS=1."""
    found, installer = shutil.which("node"), shutil.which("npm")
    if found is None or installer is None:
        reason = "NO NODE: the official TypeScript clients were not tested"
        if os.environ.get("REQUIRE_CONTAINERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    subprocess.run([installer, "ci"], cwd=TYPESCRIPT, check=True, capture_output=True, timeout=300)
    return found
