"""The checks are where they are said to be, each is needed, and the table in the documentation is current."""

from __future__ import annotations

import pytest

from mcp_idp.testing.corpus.families import CORPUS
from scripts.docs.attacks_table import TABLE, table
from tests.corpus.checks import CHECKS
from tests.corpus.prove import ROOT, main


def test_every_row_has_a_check_and_every_check_a_row() -> None:
    assert {attack.check for attack in CORPUS} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_the_source_of_a_check_is_there_exactly_once(name: str) -> None:
    check = CHECKS[name]
    assert (ROOT / check.file).read_text(encoding="utf-8").count(check.text) == 1, check.text


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_no_check_can_be_taken_away_unnoticed() -> None:
    assert main() == 0


def test_the_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "write it anew: python -m scripts.docs.attacks_table"
