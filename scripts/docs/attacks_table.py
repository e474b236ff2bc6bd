"""Writes docs/attacks.md: `python -m scripts.docs.attacks_table`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.testing.corpus import peers
from mcp_idp.testing.corpus.all_attacks import CORPUS, FAMILIES
from tests.support.dex_rows import DEX_TOKENS, DIFFERENT_AT_DEX, NOT_SENT, rows_at_dex

if TYPE_CHECKING:
    from mcp_idp.testing.corpus.model import Attack

TABLE = Path(__file__).parents[2] / "docs" / "attacks.md"
_HEAD = """\
# Attacks

What the tests send to this server on every run, its response, and the check that rejects it: {rows} rows, {checks}
checks. Written by `python -m scripts.docs.attacks_table`; the rows are in `mcp_idp/testing/corpus/`.
`./scripts/mutate` removes each check in turn and shows that a test fails: see [mutation testing](mutation-testing.md).
`./scripts/fuzz` mutates the rows, guided by coverage, and reports a 5xx, a hang or growing memory.

A response reads *status, error of the challenge (logged reason)*; 0 is a connection that ends without a response.
"""
_COLUMNS = "| what is tried | source | response | check |\n|---|---|---|---|\n"

_PEERS = """\
## Hostile servers and providers

What the commands `login`, `token`, `doctor`, `inspect` and `bootstrap` meet: {rows} rows
(`mcp_idp/testing/corpus/peers.py`), each a response of one endpoint. Whatever it is, no password, secret, code or token
goes to a host that the user did not name, the output is bounded and has no control characters, and the command ends by
itself, with a message. Any endpoint may send these:

{anywhere}
In each document, each member in turn is {values}. Further rows of single endpoints:

| endpoint | what is tried |
|---|---|
{single}"""
_AT_DEX = """\
## At Dex

{sent} rows of the corpus are also sent to a server whose provider is a real Dex behind its registration proxy
(`tests/integration/test_dex_attacks.py`). Tokens with changed claims are signed there with Dex's own key, which no
attacker has, so that each is rejected for its claims. All responses are as above, except for these:

| what is tried | response with Dex | why |
|---|---|---|
{otherwise}
Tokens that Dex issued, in logins through the registration proxy or, where stated, without it:

{columns}{own}
Rows that are not sent at Dex, by the stage that they require:

| stage | rows | why |
|---|---|---|
{no_place}"""


def _response(attack: Attack) -> str:
    challenge = {None: "no challenge", "": "challenge without error"}.get(attack.challenge, attack.challenge)
    challenge = "" if attack.status in {0, 200} or not isinstance(challenge, str) else f", {challenge}"
    message = f" ({attack.message})" if attack.message and attack.message != attack.challenge else ""
    return f"{attack.status}{challenge}{message}"


def _row(attack: Attack) -> str:
    return _line(attack.name, attack.source, _response(attack), f"`{attack.check}`")


def table() -> str:
    """Returns the whole page."""
    parts = [_HEAD.format(rows=len(CORPUS), checks=len({attack.check for attack in CORPUS}))]
    for family, attacks in FAMILIES.items():
        parts.append(f"## {family}\n\n{_COLUMNS}{''.join(map(_row, attacks))}")
    return "\n".join([*parts, _peers(), _at_dex()])


def _peers() -> str:
    """Returns the section about hostile servers and providers."""
    names = dict.fromkeys(peer.name for peer in peers.RESPONSES)
    values = list(dict.fromkeys(peer.name.partition(" is ")[2] for peer in peers.MEMBERS))
    single = (*peers.CHALLENGES, *peers.PAGES, *peers.SERVERS)
    return _PEERS.format(
        rows=len(peers.PEERS),
        anywhere="".join(f"- {name}\n" for name in names),
        values=f"{', '.join(values[:-1])} or {values[-1]}",
        single="".join(_line(f"`{peer.path}`", peer.name) for peer in single),
    )


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _at_dex() -> str:
    """Returns the section about Dex."""
    sent = {attack.name: attack for attack in rows_at_dex(CORPUS)}
    rows = Counter(attack.stage.name for attack in CORPUS if attack.name not in sent)
    return _AT_DEX.format(
        sent=len(sent),
        columns=_COLUMNS,
        otherwise="".join(_line(name, _response(sent[name]), why) for name, (_, why) in DIFFERENT_AT_DEX.items()),
        own="".join(map(_row, DEX_TOKENS)),
        no_place="".join(_line(name, str(rows[name]), why) for name, why in NOT_SENT.items()),
    )


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
