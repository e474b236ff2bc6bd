"""Extracts the commands of docs/production.md."""

from __future__ import annotations

import re
from textwrap import dedent

from tests.support.compose_stack import REPOSITORY

_PAGE = (REPOSITORY / "docs" / "production.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[str]:
    """Returns the command blocks directly under a heading, in order."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    return [dedent(block).strip() for block in re.findall(r"(?:^ {4,}\S.*\n?|^\n(?= {4}))+", section, re.MULTILINE)]


def rotation(what: str) -> list[str]:
    """Returns the commands in the row of the rotation table that begins with `what`."""
    (row,) = re.findall(rf"^\| {re.escape(what)} \|(.*)\|$", _PAGE, re.MULTILINE)
    return re.findall("`([^`]+)`", row)


DB = commands("Backup")[0]
