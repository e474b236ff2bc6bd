"""The manifest and the tests agree: no promise without a test, no test without a promise."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.requirements import manifest

TESTS = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _ids(node: ast.AST) -> set[str]:
    """The ids in `pytest.mark.requirement("…")` marks anywhere under `node`."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func) == "pytest.mark.requirement")
    return {str(arg.value) for call in calls for arg in call.args if isinstance(arg, ast.Constant)}


def _tests() -> dict[str, set[str]]:
    """For each test function, the ids it shows; a module's `pytestmark` counts for all of its tests."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_all = set().union(*(_ids(n) for n in tree.body if isinstance(n, ast.Assign)))
        for node in tree.body:
            if isinstance(node, Function) and node.name.startswith("test_"):
                marks = set().union(*(_ids(decorator) for decorator in node.decorator_list))
                found[f"{path.relative_to(TESTS)}::{node.name}"] = marks | for_all
    return found


@pytest.mark.requirement("tests.every_promise_is_shown")
def test_every_promise_has_a_test() -> None:
    shown = set().union(*_tests().values())
    assert sorted(manifest().keys() - shown) == []


@pytest.mark.requirement("tests.every_promise_is_shown")
def test_every_test_names_a_promise_that_exists() -> None:
    promised = manifest().keys()
    assert {name: ids for name, ids in _tests().items() if not ids or ids - promised} == {}
