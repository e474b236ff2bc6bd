"""The data about Dex fit the corpus: no row is left out without a reason."""

from __future__ import annotations

from mcp_idp.testing.corpus.all_attacks import CORPUS
from tests.support.dex_rows import DEX_TOKENS, DIFFERENT_AT_DEX, NOT_SENT, rows_at_dex


def test_every_row_is_sent_at_dex_or_says_why_it_is_not() -> None:
    sent = {attack.name for attack in rows_at_dex(CORPUS)}
    left_out = [attack for attack in CORPUS if attack.name not in sent]
    assert {attack.stage.name for attack in left_out} == set(NOT_SENT)
    assert not {attack.stage.name for attack in CORPUS if attack.name in sent} & set(NOT_SENT)
    assert len(sent) > 2 * len(left_out)


def test_what_is_answered_otherwise_are_rows_that_are_sent() -> None:
    assert set(DIFFERENT_AT_DEX) <= {attack.name for attack in rows_at_dex(CORPUS)}
    for attack in CORPUS:
        if attack.name in DIFFERENT_AT_DEX:
            changed, why = DIFFERENT_AT_DEX[attack.name]
            assert any(getattr(attack, member) != value for member, value in changed.items()), attack.name
            assert why


def test_rows_of_dex_itself_have_a_check_and_no_other_row_s_name() -> None:
    assert {attack.check for attack in DEX_TOKENS} <= {attack.check for attack in CORPUS}
    assert not {attack.name for attack in DEX_TOKENS} & {attack.name for attack in CORPUS}
