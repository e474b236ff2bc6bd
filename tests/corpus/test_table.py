"""The table in the documentation is current."""

from __future__ import annotations

import pytest

from scripts.docs.attacks_table import TABLE, table


@pytest.mark.requirement("corpus.table")
def test_the_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it anew: python -m scripts.docs.attacks_table"
