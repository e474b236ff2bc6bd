"""Escapes text from outside before a terminal or a log shows it.

A control character can move the cursor of a terminal, a line break can forge a line of a log, and bidirectional
controls reorder what is shown. `cli/common/console.py` and `observability/log_escaping.py` bound the text as well.
"""

from __future__ import annotations


def escape_unprintable(text: str) -> str:
    """Returns `text` with every character that is not printable (`str.isprintable`) as a Python escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
