"""Distributes the test files over the workers of pytest-xdist."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).parents[2]
_ENVIRONMENTS = {
    "stack": "compose stack",
    "keycloak": "keycloak",
    "realm": "keycloak",
    "standing_realm": "keycloak",
}
"""Session fixtures that start containers, and the environment that each belongs to."""


class EnvironmentScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """Keeps a file on one worker, and all files that share a session's containers too.

    A session fixture is set up once for each worker. Without this, two workers would each build the compose stack.
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


@cache
def scope_of(file: str) -> str:
    """Returns the environment whose fixtures `file` requests, or `file` itself if it requests none.

    Args:
        file: a path relative to the repository.
    """
    tree = ast.parse((_ROOT / file).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    requested = {argument.arg for function in functions for argument in function.args.args}
    return next((scope for fixture, scope in _ENVIRONMENTS.items() if fixture in requested), file)
