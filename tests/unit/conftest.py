"""What every unit test has in common."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_docker_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit test sees what runs in this machine's Docker engine: commands look there for the compose stack."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
