"""Which requirements the tests of a file show, read from its text: nothing is imported or run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def ids_in(path: Path) -> dict[str, set[str]]:
    """For each test function, the ids it shows; the module's `pytestmark` counts for all of its tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_all = set().union(*(_ids(n) for n in tree.body if isinstance(n, ast.Assign)))
    tests = (n for n in tree.body if isinstance(n, Function) and n.name.startswith("test_"))
    return {test.name: for_all.union(*(_ids(decorator) for decorator in test.decorator_list)) for test in tests}


def _ids(node: ast.AST) -> set[str]:
    """The ids in `pytest.mark.requirement("…")` marks anywhere under `node`."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func) == "pytest.mark.requirement")
    return {str(arg.value) for call in calls for arg in call.args if isinstance(arg, ast.Constant)}
