"""The shape of the code, held by reading it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mcp_server"
# Each layer may import itself and what stands below it.
LAYERS = (
    {"__main__", "serving", "wire", "parting"},
    {"app"},
    {"protect", "front", "trust", "provider", "health", "page", "metadata", "legacy_discovery", "mirror"},
    {"gate", "eras", "tools", "upstream_tools"},
    {
        "verify",
        "scopes",
        "challenge",
        "credentials",
        "borders",
        "body",
        "caller",
        "outliving",
        "sessions",
        "open_sessions",
        "single",
        "registry",
        "notes",
        "needs",
        "listing",
        "decisions",
        "audit",
        "exchange",
        "exchanged",
        "connect",
    },
    {
        "settings",
        "settings_checks",
        "provider_checks",
        "providers",
        "access",
        "access_checks",
        "access_parts",
        "access_faults",
        "issuers",
        "upstreams",
        "machine_client",
        "client_key",
        "own_client",
        "logs",
        "framing",
        "budget",
        "connections",
    },
    {
        "principal",
        "errors",
        "environment",
        "authorities",
        "compose_names",
        "addresses",
        "answer",
        "clock",
        "strict_json",
        "strict_yaml",
        "__init__",
    },
)


def _imports(path: Path) -> set[str]:
    """The parts of the package that a module imports, for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "mcp_server":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mcp_server."):
            found.add((node.module or "").split(".")[1])
    return found - {"__version__"}


def _layer(part: str) -> int:
    (index,) = (i for i, layer in enumerate(LAYERS) if part in layer)
    return index


@pytest.mark.requirement("code.one_direction")
def test_imports_go_down_only() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        wrong += [f"{part} imports {other}" for other in _imports(path) if _layer(other) < _layer(part)]
    assert wrong == []


@pytest.mark.requirement("code.one_reader")
def test_the_environment_is_read_where_the_process_starts_only() -> None:
    readers = {
        path.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == {"__main__.py"}


@pytest.mark.requirement("code.one_direction")
def test_no_module_outgrows_its_room() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
