"""Removes secrets from output.

There are two kinds of secret. Codes, verifiers, tokens and client secrets are long and random, so they are hidden
wherever they occur. A user's password may be any word, even `mcp` or `x`: hiding it everywhere would garble the output
and protect nothing. It is therefore hidden only in text from a provider or a tool, only as a whole word, and not where
it is part of a public word.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "<hidden>"
_PLACEHOLDER = "\ue000"  # of the private use area
# Public words and secrets also come from a server's responses, which may hold any number of words of any length.
_MAX_WORDS = 200
_MAX_WORD_CHARACTERS = 300


class Redactor:
    """The secrets of one run, and the functions that remove them from text."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._password = ""
        self._public: set[str] = set()

    def add_secret(self, *values: object) -> None:
        """Registers values to hide everywhere. Empty values and values that are not strings are ignored."""
        self._values.update(value for value in values if isinstance(value, str) and value)

    def add_password(self, password: str) -> None:
        """Registers the password to hide in text from providers, servers and tools."""
        self._password = password

    def add_public(self, *values: object) -> None:
        """Registers public words: the user name, scopes, roles, our own URLs. A password inside them stays visible.

        Empty values, values that are not strings, long words and words over a bound of their number are ignored.
        """
        for word in values:
            if isinstance(word, str) and word and len(word) <= _MAX_WORD_CHARACTERS and len(self._public) < _MAX_WORDS:
                self._public.add(word)

    def redact(self, text: str) -> str:
        """Returns `text` without the secrets of `add_secret`.

        Longer secrets are replaced first: if one secret contains another, no part of the longer one remains. They are
        replaced by one character: a provider chooses its tokens, and "<hidden>" with tokens such as "d" would grow.
        """
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, _PLACEHOLDER)
        return text.replace(_PLACEHOLDER, HIDDEN)

    def redact_remote_text(self, text: str) -> str:
        """Returns text from a provider, server or tool without the password where that is a whole word.

        A password that is also a public word stays visible.
        """
        if not self._password or self._password in self._public:
            return text
        spellings = {
            self._password,
            json.dumps(self._password)[1:-1],
            json.dumps(self._password, ensure_ascii=False)[1:-1],
        }
        # Longest first: a public word that contains the password stays visible, and a password that contains a public
        # word is hidden as a whole.
        known = sorted(spellings | self._public, key=len, reverse=True)
        pattern = "|".join(
            f"(?P<p{i}>{_whole_word_pattern(w)})" if w in spellings else _whole_word_pattern(w)
            for i, w in enumerate(known)
        )
        return re.sub(pattern, lambda found: HIDDEN if found.lastgroup else found.group(), text)

    def hide_in(self, value: Any) -> Any:
        """Applies `redact` to all string values in a JSON value, at any depth; keys stay unchanged."""
        return _map_strings(self.redact, value)

    def redact_remote(self, value: Any) -> Any:
        """Applies `redact_remote_text` to all string values in a JSON value, at any depth; keys stay unchanged."""
        return _map_strings(self.redact_remote_text, value)


def _map_strings(change: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_strings(change, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(change, part) for part in value]
    return value


def _whole_word_pattern(word: str) -> str:
    """Returns a pattern for `word` as a whole word, in which any white space matches any other."""
    pattern = r"\s+".join(re.escape(part) for part in re.split(r"\s+", word))
    before = r"(?<!\w)" if re.match(r"\w", word) else r"(?<!\s)" if re.match(r"\s", word) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", word) else ""
    return f"{before}{pattern}{after}"
