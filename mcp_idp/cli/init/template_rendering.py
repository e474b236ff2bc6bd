"""Renders the text templates of `mcp-idp init`.

A line `#% NAME !NAME …` starts a part that is included if each name is true, or false after `!`. It ends at the next
such line; `#% end` starts a part that is always included. `@NAME@` stands for a value.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPLATES = Path(__file__).with_name("templates")
_CONDITION_PREFIX = "#% "
_VALUE = re.compile(r"@([A-Z_]+)@")


def render(name: str, conditions: Mapping[str, bool], values: Mapping[str, str]) -> str:
    """Returns the text of a template.

    Args:
        name: The template's file, without ".txt".
        conditions: Name to truth value.
        values: Name to value.

    Raises:
        KeyError: The template uses an unknown condition or value.
    """
    lines, is_included = [], True
    for line in (_TEMPLATES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(_CONDITION_PREFIX):
            is_included = _holds(line.removeprefix(_CONDITION_PREFIX).split(), conditions)
        elif is_included:
            lines.append(line)
    return _VALUE.sub(lambda found: values[found[1]], "\n".join(lines)) + "\n"


def _holds(words: list[str], conditions: Mapping[str, bool]) -> bool:
    if words == ["end"]:
        return True
    return all(conditions[word.lstrip("!")] is not word.startswith("!") for word in words)
