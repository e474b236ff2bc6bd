"""Writes docs/settings.md and .env.example from the declared settings: `python -m scripts.docs.settings_table`."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.config.stack_settings import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_idp.config.setting_declaration import Section, Setting

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / ".env.example"
_WIDTH = 120
_EXAMPLE_HEAD = """\
Every setting is optional. Copy this file to .env and uncomment the settings that you want to change. The values are the
defaults, except addresses of other services and files, which are examples. Written by
`python -m scripts.docs.settings_table` from the settings that mcp_idp/config declares.
"""
_HEAD = """\
# Settings

Environment variables; compose reads them from `.env` too. All are optional. The server does not start with an invalid
value, or with a name that looks like a misspelled setting; one line on standard error says what to change.

Values marked *e.g.* are examples; the other values are the defaults. Scopes, roles and clients are not settings: they
are in `idp-config/access.yaml`. Written by `python -m scripts.docs.settings_table` from the settings that
`mcp_idp/config` declares.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """A variable with the value that the documentation shows.

    Attributes:
        name: The variable.
        text: The value; "" if none is shown.
        is_example: Whether the value is an example; otherwise it is the default.
    """

    name: str
    text: str
    is_example: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Settings with a common description."""

    values: list[Value]
    text: str


def groups(section: Section) -> list[Group]:
    """Returns the settings of a section, each with those that its description covers."""
    found: list[Group] = []
    for declared in section.settings:
        if declared.text:
            found.append(Group([], declared.text))
        found[-1].values.extend(_values(declared))
    return found


def _values(declared: Setting) -> Iterator[Value]:
    yield Value(declared.name, declared.example or declared.default, is_example=bool(declared.example))
    if declared.file_example:
        yield Value(f"{declared.name}_FILE", declared.file_example, is_example=True)


def example_file(sections: Iterable[Section] = SECTIONS) -> str:
    """Returns the whole of .env.example."""
    parts = [_comment(_EXAMPLE_HEAD)]
    for section in sections:
        parts.append(f"# --- {section.title} ({section.readers}) ".ljust(_WIDTH, "-") + "\n")
        parts.extend(map(_paragraph, groups(section)))
    return "\n".join(parts)


def _paragraph(group: Group) -> str:
    return _comment(group.text) + "".join(f"# {value.name}={value.text}\n" for value in group.values)


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def table(sections: Iterable[Section] = SECTIONS) -> str:
    """Returns the whole of docs/settings.md."""
    return _HEAD + "".join(
        f"\n## {section.title[0].upper()}{section.title[1:]}\n\n| setting | what it does |\n|---|---|\n"
        + "".join(map(_row, groups(section)))
        for section in sections
    )


def _row(group: Group) -> str:
    return f"| {'<br>'.join(map(_format_value, group.values))} | {_cell(group.text)} |\n"


def _format_value(value: Value) -> str:
    if not value.text:
        return f"`{value.name}`"
    return f"`{value.name}`, e.g. `{value.text}`" if value.is_example else f"`{value.name}={value.text}`"


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
    EXAMPLE.write_text(example_file(), encoding="utf-8")
