"""Tokens as they come: read from standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.util import strict_json

if TYPE_CHECKING:
    from typing import TextIO

MAX_CHARACTERS = 64 * 1024


class NoToken(ValueError):
    """Nothing on standard input that could be a token; the text says what to do."""


def read_token(stream: TextIO) -> str:
    """The token on `stream`, also where it stands behind "Bearer " or as the access_token of a token answer.

    Raises:
        NoToken: there is none.
    """
    text = stream.read(MAX_CHARACTERS + 1).strip()
    if len(text) > MAX_CHARACTERS:
        raise NoToken(f"more than {MAX_CHARACTERS} characters on standard input: that is no token")
    if text.startswith("{"):
        text = _from_answer(text)
    scheme, _, rest = text.partition(" ")
    if scheme.lower() == "bearer":
        text = rest.strip()
    if not text:
        raise NoToken("no token on standard input: scripts/token | scripts/inspect")
    return text


def _from_answer(text: str) -> str:
    try:
        answer = strict_json.loads(text.encode("utf-8", "surrogateescape"))
    except strict_json.NotStrictJson as error:
        raise NoToken(f"what is on standard input begins like JSON and is none: {error}") from None
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str):
        raise NoToken("the JSON on standard input has no access_token")
    return token
