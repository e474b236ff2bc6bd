"""The manifest and the tests agree: no promise without a test, no test without a promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.marks import ids_in
from tests.conformance.model import manifest

TESTS = Path(__file__).parents[1]


def _tests() -> dict[str, set[str]]:
    """For each test function, the ids it shows."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        found |= {f"{path.relative_to(TESTS)}::{name}": ids for name, ids in ids_in(path).items()}
    return found


@pytest.mark.requirement("tests.every_promise_is_shown")
def test_every_promise_has_a_test() -> None:
    shown = set().union(*_tests().values())
    assert sorted(manifest().keys() - shown) == []


@pytest.mark.requirement("tests.every_promise_is_shown")
def test_every_test_names_a_promise_that_exists() -> None:
    promised = manifest().keys()
    assert {name: ids for name, ids in _tests().items() if not ids or ids - promised} == {}
