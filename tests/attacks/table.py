"""Writes docs/attacks.md: `python -m tests.attacks.table`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.attacks.checks import CHECKS
from tests.attacks.corpus import CORPUS, FAMILIES

if TYPE_CHECKING:
    from tests.attacks.attack import Attack

TABLE = Path(__file__).parents[2] / "docs" / "attacks.md"
_HEAD = """\
# Attacks

What is tried against this server on every run of its tests, what it answers, and the check that stops it: {rows} rows,
{checks} checks. Written by `python -m tests.attacks.table`; the rows are in `tests/attacks/`. `python -m
tests.attacks.prove` takes each check away in turn and shows that a row turns red.

An answer reads *status, error of the challenge (logged reason)*; 0 is a connection that ends without an answer.
"""
_COLUMNS = "| what is tried | source | answer | check |\n|---|---|---|---|\n"


def _answer(attack: Attack) -> str:
    challenge = {None: "no challenge", "": "challenge without error"}.get(attack.challenge, attack.challenge)
    challenge = "" if attack.status in {0, 200} or not isinstance(challenge, str) else f", {challenge}"
    says = f" ({attack.says})" if attack.says and attack.says != attack.challenge else ""
    return f"{attack.status}{challenge}{says}"


def _row(attack: Attack) -> str:
    cells = (attack.name, attack.source, _answer(attack), f"`{attack.check}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def table() -> str:
    """The whole document."""
    parts = [_HEAD.format(rows=len(CORPUS), checks=len(CHECKS))]
    for family, attacks in FAMILIES.items():
        parts.append(f"## {family}\n\n{_COLUMNS}{''.join(map(_row, attacks))}")
    return "\n".join(parts)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
