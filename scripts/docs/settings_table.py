"""Writes docs/settings.md from .env.example: `python -m scripts.docs.settings_table`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.config import load_settings
from mcp_idp.config.env import SettingsError
from mcp_idp.config.settings import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "settings.md"
_SECTION = re.compile(r"# --- (.+?) -+")
_SETTING = re.compile(r"# ([A-Z][A-Z_]+)=(.*)")
_HEAD = """\
# Settings

Environment variables; compose reads them from `.env` too. All are optional. The server does not start with an invalid
value, or with a name that looks like a misspelled setting; one line on standard error says what to change.

Values marked *e.g.* are examples; the other values are the defaults. Scopes, roles and clients are not settings: they
are in `idp-config/access.yaml`. Written by `python -m scripts.docs.settings_table` from `.env.example`.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Settings with a common description, each with its value."""

    values: dict[str, str]
    text: str


def sections() -> dict[str, list[Group]]:
    """Returns the groups of .env.example by section title."""
    found: dict[str, list[Group]] = {}
    groups: list[Group] = []
    for paragraph in (ROOT / ".env.example").read_text(encoding="utf-8").split("\n\n"):
        words: list[str] = []
        values: dict[str, str] = {}
        for line in paragraph.splitlines():
            if titled := _SECTION.fullmatch(line):
                groups = found.setdefault(titled[1].partition(" (")[0], [])
                words = []
            elif setting := _SETTING.fullmatch(line):
                values[setting[1]] = setting[2]
            else:
                words.append(line.removeprefix("#").strip())
        if values:
            groups.append(Group(values, " ".join(words).strip()))
    return found


def table() -> str:
    """Returns the whole document."""
    return _HEAD + "".join(
        f"\n## {title[0].upper()}{title[1:]}\n\n| setting | what it does |\n|---|---|\n{''.join(map(_row, groups))}"
        for title, groups in sections().items()
    )


def _row(group: Group) -> str:
    return f"| {'<br>'.join(_format_default(*pair) for pair in group.values.items())} | {_cell(group.text)} |\n"


def _format_default(name: str, value: str) -> str:
    if not value:
        return f"`{name}`"
    return f"`{name}={value}`" if _is_default(name, value) else f"`{name}`, e.g. `{value}`"


def _is_default(name: str, value: str) -> bool:
    """Whether setting it changes nothing."""
    if name not in NAMES:  # what only compose reads stands there with its default
        return True
    if value.startswith("/"):  # a file, which may be there or not
        return False
    try:
        return load_settings({name: value}) == load_settings({})
    except SettingsError:
        return False


def _cell(text: str) -> str:
    """A text as it can stand in a table; pages that it names become links."""
    linked = re.sub(r"\bdocs/([\w/-]+\.md)", r"[\1](\1)", text)
    return "".join(_pieces(linked))


def _pieces(text: str) -> Iterator[str]:
    """Outside of code, signs that mean something in Markdown are escaped; a bar everywhere."""
    for index, piece in enumerate(text.replace("|", "\\|").split("`")):
        yield f"`{piece}`" if index % 2 else piece.replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
