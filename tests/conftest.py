from __future__ import annotations

import gc
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.compose_stack import Stack
from tests.support.scheduling import EnvironmentScheduling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

# Deterministic examples, without deadlines that depend on the machine's speed.
settings.register_profile(
    "here", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")


def pytest_configure() -> None:
    """Lets the programs that tests start receive SIGINT and SIGHUP, also under `nohup` or as a background job.

    A program inherits an ignored signal, but not a handler.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Makes a test module that leaves a connection or file open fail, instead of a later module."""
    yield
    gc.collect()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> EnvironmentScheduling:
    return EnvironmentScheduling(config, log)


# The first test that requests a container includes its start.
_CONTAINER_TIMEOUT = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("containers") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_CONTAINER_TIMEOUT))


@pytest.fixture(scope="session")
def engine() -> None:
    """Requires a running Docker engine: without one the test is skipped, or fails if REQUIRE_CONTAINERS=1."""
    try:
        subprocess.run(["docker", "version"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        reason = "NO DOCKER ENGINE: nothing that needs a real identity provider was tested"
        if os.environ.get("REQUIRE_CONTAINERS") == "1":
            pytest.fail(f"{reason} (REQUIRE_CONTAINERS=1)", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def stack(engine: None) -> Iterator[Stack]:
    """Builds and starts the compose stack with empty volumes; removes everything at the end."""
    stack = Stack(variables={"REGISTRAR_RATE_LIMIT": "0"})  # the tests register more than one address may
    try:
        stack.compose("build")
        stack.compose("up", "--wait", "--no-build")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", check=False)
