from __future__ import annotations

import os
import subprocess
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.integration.keycloak import bootstrapped, running_keycloak

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.keycloak import Keycloak, Realm

# A container's first start is part of the first test that wants it.
_CONTAINER_TIMEOUT = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("containers") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_CONTAINER_TIMEOUT))


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine that answers. Without one the test is skipped; REQUIRE_CONTAINERS=1 makes that a failure."""
    try:
        subprocess.run(["docker", "version"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        reason = "NO DOCKER ENGINE: nothing that needs a real identity provider was tested"
        if os.environ.get("REQUIRE_CONTAINERS") == "1":
            pytest.fail(f"{reason} (REQUIRE_CONTAINERS=1)", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def keycloak(engine: None) -> Iterator[Keycloak]:
    """One Keycloak for all tests, as docker-compose.yml configures it; each test takes a realm of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the container library's own, at import
        with running_keycloak() as server:
            yield server


@pytest.fixture
def realm(keycloak: Keycloak, tmp_path: Path) -> Realm:
    """A fresh realm, for tests that change it."""
    return bootstrapped(keycloak, tmp_path)


@pytest.fixture(scope="session")
def standing_realm(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """One realm for all tests that leave its configuration alone."""
    return bootstrapped(keycloak, tmp_path_factory.mktemp("standing"))
