"""What must never be shown, and how it is taken out of what is.

Two kinds of secret. Codes, verifiers, tokens and client secrets are long and random: they are hidden wherever they
stand. A person's password may be any word, `mcp` or `x`: hiding it everywhere would garble the story and hide nothing,
so it is hidden only in what a provider or a tool says, only as a whole word, and never where that word is public.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "<hidden>"


class Redactor:
    """Everything that must never be shown."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._password = ""
        self._public: set[str] = set()

    def add_secret(self, *values: object) -> None:
        """Hide these everywhere from now on. What is no string or empty is passed over."""
        self._values.update(value for value in values if isinstance(value, str) and value)

    def add_password(self, password: str) -> None:
        """Hide this from now on in what others say."""
        self._password = password

    def add_public(self, *values: object) -> None:
        """These are public by nature: user name, scopes, roles, our own URLs. A password in one of them stays."""
        self._public.update(word for word in values if isinstance(word, str) and word)

    def redact(self, text: str) -> str:
        """`text` without what is hidden everywhere; the longest first, so that no rest of one stays."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text

    def redact_remote_text(self, text: str) -> str:
        """`text` of a provider or a tool, without the password where it stands as a whole word."""
        if not self._password or self._password in self._public:
            return text
        spellings = {
            self._password,
            json.dumps(self._password)[1:-1],
            json.dumps(self._password, ensure_ascii=False)[1:-1],
        }
        # The longest first: a public word keeps the password it contains, and a password the public word it contains.
        known = sorted(spellings | self._public, key=len, reverse=True)
        pattern = "|".join(f"(?P<p{i}>{_whole(w)})" if w in spellings else _whole(w) for i, w in enumerate(known))
        return re.sub(pattern, lambda found: HIDDEN if found.lastgroup else found.group(), text)

    def hide_in(self, value: Any) -> Any:
        """Redacts the strings of a JSON value, however deep. Keys stay: programs read them."""
        return _in_strings(self.redact, value)

    def redact_remote(self, value: Any) -> Any:
        """`redact_remote_text` for the strings of a JSON value, however deep. Keys stay what they are."""
        return _in_strings(self.redact_remote_text, value)


def _in_strings(change: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _in_strings(change, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_in_strings(change, part) for part in value]
    return value


def _whole(word: str) -> str:
    """A pattern for `word` with no letter or digit running on at either end; any white space stands for any other."""
    pattern = r"\s+".join(re.escape(part) for part in re.split(r"\s+", word))
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", word) else ""
    return f"{before}{pattern}{after}"
