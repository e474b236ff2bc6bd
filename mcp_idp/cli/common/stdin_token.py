"""Reads an access token from standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.launcher import as_launched
from mcp_idp.util import strict_json

if TYPE_CHECKING:
    from typing import TextIO

MAX_CHARACTERS = 64 * 1024
_TOKEN_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F)))


class TokenInputError(ValueError):
    """Standard input contains no token; the message says what to do."""


def is_token(text: str) -> bool:
    """Returns whether `text` can be an access token: visible ASCII characters only (RFC 6749 appendix A.12)."""
    return 0 < len(text) <= MAX_CHARACTERS and _TOKEN_CHARACTERS.issuperset(text)


def read_token(stream: TextIO) -> str:
    """Reads a token: bare, preceded by "Bearer ", or as `access_token` in a JSON token response.

    Args:
        stream: Read up to `MAX_CHARACTERS` characters.

    Raises:
        TokenInputError: There is no token.
    """
    text = stream.read(MAX_CHARACTERS + 1).strip()
    if len(text) > MAX_CHARACTERS:
        raise TokenInputError(f"more than {MAX_CHARACTERS} characters on standard input: that is not a token")
    if text.startswith("{"):
        text = _from_token_response(text)
    scheme, _, rest = text.partition(" ")
    if scheme.lower() == "bearer":
        text = rest.strip()
    if not text:
        raise TokenInputError(as_launched("no token on standard input: mcp-idp token | mcp-idp inspect"))
    return text


def _from_token_response(text: str) -> str:
    try:
        response = strict_json.loads(text.encode("utf-8", "surrogateescape"))
    except strict_json.StrictJsonError as error:
        raise TokenInputError(f"standard input begins like JSON but is not valid JSON: {error}") from None
    token = response.get("access_token") if isinstance(response, dict) else None
    if not isinstance(token, str):
        raise TokenInputError("the JSON on standard input has no access_token")
    return token
