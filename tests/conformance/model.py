"""What the stack promises, one row a promise: an id, where it comes from, one sentence of behaviour.

A test carries the ids it shows in `@pytest.mark.requirement(...)`. `tests/conformance/test_matrix.py` fails when an id
has no test, when a test has no id, and when a test names an id that is not here.

Rows live in one module per area under `tests/conformance/requirements/`; this one gathers them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Requirement:
    """One promise.

    Attributes:
        id: dotted, `area.what`.
        source: the clause it comes from ("RFC 6750 section 3.1"), or "ours".
        behaviour: one sentence, in the present tense.
    """

    id: str
    source: str
    behaviour: str


def manifest() -> dict[str, Requirement]:
    """Every promise, by id.

    Raises:
        ValueError: an id is there twice.
    """
    rows: dict[str, Requirement] = {}
    for path in sorted(Path(__file__).with_name("requirements").glob("*.py")):
        module = importlib.import_module(f"tests.conformance.requirements.{path.stem}")
        for row in module.REQUIREMENTS:
            if row.id in rows:
                raise ValueError(f"{row.id} is promised twice")
            rows[row.id] = row
    return rows
