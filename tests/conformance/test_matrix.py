"""The manifest and the tests agree: each requirement has a test, and each id that a test names exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.marks import ids_in
from tests.conformance.model import manifest

TESTS = Path(__file__).parents[1]
_CLAUSE = re.compile(
    r"RFC \d|MCP |SEP-\d|OAuth 2\.1 section|OpenID Connect|CIMD draft|JSON-RPC 2\.0 section|User-Managed Access"
    r"|Fetch standard|OWASP|CVE-\d|HCL syntax|VS Code and Cursor documentation|the documents that each imitation cites"
    r"|Keycloak weakness(es)? S\d|HTTP contract, docs/|draft-ietf-"
)


def _tests() -> dict[str, set[str]]:
    """For each test function, the ids it shows."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        found |= {f"{path.relative_to(TESTS)}::{name}": ids for name, ids in ids_in(path).items()}
    return found


def test_every_requirement_has_a_test() -> None:
    marked = set().union(*_tests().values())
    assert sorted(manifest().keys() - marked) == []


def test_every_id_that_a_test_names_exists() -> None:
    known = manifest().keys()
    assert {name: ids - known for name, ids in _tests().items() if ids - known} == {}


def test_every_requirement_cites_a_clause() -> None:
    rows = manifest().values()
    assert [row.id for row in rows if not all(_CLAUSE.match(part) for part in row.source.split("; "))] == []


def test_every_page_that_a_requirement_cites_exists() -> None:
    pages = {page for row in manifest().values() for page in re.findall(r"docs/\S+\.md", row.source)}
    assert sorted(page for page in pages if not (TESTS.parent / page).is_file()) == []
