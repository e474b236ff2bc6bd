"""What the provider answers to an exchange of tokens: RFC 8693 section 2.2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.exceptions import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind of token
_LOGGED_CHARACTERS = 200
_LONGEST_WORD = 20  # shorter than any token that nobody guesses
_LONGEST_SECONDS = 2**31  # 68 years: no token is good for longer


class ExchangeRefused(ToolError):
    """There is no token for the other API. The text is for the caller; `fault`, for the log, has the reason."""

    def __init__(self, text: str, fault: str = "") -> None:
        super().__init__(text)
        self.fault = (fault or text)[:_LOGGED_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Given:
    """A token for the other API, and until when it is good (seconds since the epoch)."""

    token: str = field(repr=False)
    expires_at: float


def read_answer(answer: Mapping[str, Any], sent: str, audience: str, now: float) -> Given:
    """What the answer gives: a bearer access token, which is not the one that was sent.

    Raises:
        ExchangeRefused: it gives none, or one of another kind.
    """
    if "error" in answer:
        fault = f"{answer['error']!r}: {answer.get('error_description')!r}"
        text = f"the identity provider gave no token for {audience}: your account may have no role there"
        raise ExchangeRefused(text, _without_tokens(fault))
    token, kind, issued = (answer.get(name) for name in ("access_token", "token_type", "issued_token_type"))
    if not isinstance(token, str) or not token or token == sent:
        raise ExchangeRefused("the identity provider gave no new token")
    if not isinstance(kind, str) or kind.lower() != "bearer" or issued not in (ACCESS_TOKEN, None):
        raise ExchangeRefused("the identity provider gave a token of another kind")
    seconds = answer.get("expires_in")
    ends = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds < _LONGEST_SECONDS
    # Without an end that could be true it is used once.
    return Given(token, now + (float(seconds) if ends else 0.0))  # type: ignore[arg-type]  # ends


def _without_tokens(text: str) -> str:
    """What a provider says of a fault, for the log: without long words, in case it repeats what it was sent."""
    return " ".join(word if len(word) <= _LONGEST_WORD else "…" for word in text.split())
