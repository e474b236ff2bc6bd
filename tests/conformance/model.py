"""The clauses that the stack is tested against: an id, the clause, and the behaviour in one sentence.

A test that shows a requirement carries its id in `@pytest.mark.requirement(...)`. `tests/conformance/test_matrix.py`
fails when an id has no test, or a test names an id that is not here. A test without a clause needs no mark.

Rows live in one module per area under `tests/conformance/requirements/`; this one gathers them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement.

    Attributes:
        id: dotted, `area.name`.
        source: the clause that requires it: "RFC 6750 section 3.1", a section of the MCP specification, a weakness or
            a table of the HTTP contract in `docs/`.
        behaviour: one sentence, in the present tense.
    """

    id: str
    source: str
    behaviour: str


def manifest() -> dict[str, Requirement]:
    """All requirements, by id.

    Raises:
        ValueError: two rows have the same id.
    """
    rows: dict[str, Requirement] = {}
    for path in sorted(Path(__file__).with_name("requirements").glob("*.py")):
        module = importlib.import_module(f"tests.conformance.requirements.{path.stem}")
        for row in module.REQUIREMENTS:
            if row.id in rows:
                raise ValueError(f"two rows have the id {row.id}")
            rows[row.id] = row
    return rows
