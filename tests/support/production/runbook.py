"""The commands of docs/production.md, to be run as they stand there."""

from __future__ import annotations

import re
from textwrap import dedent

from tests.support.compose_stack import REPOSITORY

_PAGE = (REPOSITORY / "docs" / "production.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[str]:
    """The blocks of commands under a heading, in order, without those under headings below it."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    return [dedent(block).strip() for block in re.findall(r"(?:^ {4,}\S.*\n?|^\n(?= {4}))+", section, re.MULTILINE)]


def rotation(what: str) -> list[str]:
    """The commands in the row of the table of rotations that begins with `what`."""
    (row,) = re.findall(rf"^\| {re.escape(what)} \|(.*)\|$", _PAGE, re.MULTILINE)
    return re.findall("`([^`]+)`", row)


DB = commands("Backup")[0]
