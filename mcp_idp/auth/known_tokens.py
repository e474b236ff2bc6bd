"""Remembers which tokens were verified before, so that their requests are not limited by address.

This cache decides nothing about access: every request's token is still verified. So a token stays known until it
expires or is rejected, also while its introspection result or the key set is out of date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.util.token_cache import TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_idp.principal import Principal

_NO_KEYS = 0  # a known token does not depend on a key generation
_SCHEME = b"bearer "


class KnownTokens:
    """The tokens that were verified before.

    Args:
        now: returns the time in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._principals: TokenCache[Principal] = TokenCache()

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | None:
        """Returns the caller whose token a request has, if it was verified before; costs one hash.

        Args:
            headers: the headers of the request. With several Authorization headers, which are rejected later, no token
                is known.
        """
        values = [value for name, value in headers if name == b"authorization"]
        if len(values) != 1 or values[0][: len(_SCHEME)].lower() != _SCHEME:
            return None
        token = values[0][len(_SCHEME) :].strip(b" ").decode("latin-1")
        return self._principals.get(token, _NO_KEYS, self._now())

    def add(self, token: str, principal: Principal) -> None:
        """Remembers a token that was just verified."""
        self._principals.put(token, _NO_KEYS, principal)

    def forget(self, token: str) -> None:
        """Forgets a token that was rejected, for example because it was revoked."""
        self._principals.drop(token)
