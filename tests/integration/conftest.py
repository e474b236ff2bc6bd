from __future__ import annotations

import os
import shutil
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.support.keycloak.realm import bootstrapped, running_keycloak
from tests.support.typescript_client import install_typescript_clients

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keycloak.realm import Keycloak, Realm


@pytest.fixture(scope="session")
def keycloak(engine: None) -> Iterator[Keycloak]:
    """Starts one Keycloak for all tests, configured as in docker-compose.yml; each test uses its own realm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of testcontainers at import
        with running_keycloak() as server:
            yield server


@pytest.fixture
def realm(keycloak: Keycloak, tmp_path: Path) -> Iterator[Realm]:
    """Creates a realm for tests that change it. It is deleted at the end, because an admin token lists every realm."""
    realm = bootstrapped(keycloak, tmp_path)
    yield realm
    realm.delete()


@pytest.fixture(scope="session")
def standing_realm(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """Creates one realm for all tests that do not change its configuration."""
    return bootstrapped(keycloak, tmp_path_factory.mktemp("standing"))


@pytest.fixture(scope="session")
def node() -> str:
    """Requires Node with the locked clients: without it the test is skipped, or fails if REQUIRE_CONTAINERS=1."""
    found, installer = shutil.which("node"), shutil.which("npm")
    if found is None or installer is None:
        reason = "NO NODE: the official TypeScript clients were not tested"
        if os.environ.get("REQUIRE_CONTAINERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    install_typescript_clients(installer)
    return found
