"""Each requirement is tested with Dex, or the page has the reason why not."""

from __future__ import annotations

from mcp_idp.testing.corpus.all_attacks import CORPUS
from scripts.docs.dex_conformance import LIMITS, NOT_APPLICABLE, ROWS, TABLE, by_tests, requirements, table
from tests.support.dex_rows import rows_at_dex


def test_each_requirement_is_shown_at_dex_or_says_why_it_is_not() -> None:
    tested = ROWS.keys() | by_tests().keys()
    assert requirements().keys() - tested - LIMITS.keys() - NOT_APPLICABLE.keys() == set()
    assert (LIMITS.keys() | NOT_APPLICABLE.keys() | ROWS.keys()) - requirements().keys() == set()
    assert not LIMITS.keys() & NOT_APPLICABLE.keys()
    assert not (LIMITS.keys() | NOT_APPLICABLE.keys()) & tested


def test_the_rows_that_show_a_requirement_are_sent_at_dex_and_rejected() -> None:
    rejected = {row.check for row in rows_at_dex(CORPUS) if row.status != 200}
    assert {check for checks in ROWS.values() for check in checks} <= rejected


def test_the_page_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it anew: python -m scripts.docs.dex_conformance"
