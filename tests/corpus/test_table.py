"""The table in the documentation is current."""

from __future__ import annotations

from scripts.docs.attacks_table import TABLE, table


def test_the_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it again: python -m scripts.docs.attacks_table"
