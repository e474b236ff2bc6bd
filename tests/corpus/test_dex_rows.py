"""The data about Dex fit the corpus: no row is left out without a reason."""

from __future__ import annotations

from mcp_idp.testing.corpus.families import CORPUS
from tests.support.dex_rows import NO_PLACE, OTHERWISE, OWN, rows_at_dex


def test_every_row_is_sent_at_dex_or_says_why_it_is_not() -> None:
    sent = {attack.name for attack in rows_at_dex(CORPUS)}
    left_out = [attack for attack in CORPUS if attack.name not in sent]
    assert {attack.stage.name for attack in left_out} == set(NO_PLACE)
    assert not {attack.stage.name for attack in CORPUS if attack.name in sent} & set(NO_PLACE)
    assert len(sent) > 2 * len(left_out)


def test_what_is_answered_otherwise_are_rows_that_are_sent() -> None:
    assert set(OTHERWISE) <= {attack.name for attack in rows_at_dex(CORPUS)}
    for attack in CORPUS:
        if attack.name in OTHERWISE:
            changed, why = OTHERWISE[attack.name]
            assert any(getattr(attack, member) != value for member, value in changed.items()), attack.name
            assert why


def test_rows_of_dex_itself_have_a_check_and_no_other_row_s_name() -> None:
    assert {attack.check for attack in OWN} <= {attack.check for attack in CORPUS}
    assert not {attack.name for attack in OWN} & {attack.name for attack in CORPUS}
