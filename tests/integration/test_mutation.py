"""No check can be removed without a test that fails. Takes about 25 minutes: `./scripts/mutate --checks`."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.compose_stack import REPOSITORY

pytestmark = [pytest.mark.full, pytest.mark.timeout(7200)]


def test_no_check_can_be_removed_unnoticed() -> None:
    ended = subprocess.run(
        ["./scripts/mutate", "--checks"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout
