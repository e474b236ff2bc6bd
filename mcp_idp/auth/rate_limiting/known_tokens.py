"""Remembers which tokens were verified before, so that their requests are not limited by address.

This cache decides nothing about access: every request's token is still verified. So a token stays known until it
expires or is rejected, also while its introspection result or the key set is out of date. For the same reason a keyed
hash of 64 bits (SipHash, as `hash` computes it with a secret of this process) is enough; no token is stored.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from mcp_idp.principal import user_key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from mcp_idp.principal import Principal

MAX_TOKENS = 10_000


class KnownTokens:
    """The tokens that were verified before.

    Args:
        now: returns the time in seconds since the epoch.
        max_tokens: the number of tokens; above it, the least recently used one is forgotten.
    """

    def __init__(self, now: Callable[[], float], max_tokens: int = MAX_TOKENS) -> None:
        self._now = now
        self._max_tokens = max_tokens
        # By hash of the Authorization header: when the token expires, and whose it is. Least recently used first.
        self._known: OrderedDict[int, tuple[float, Hashable]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> Hashable | None:
        """Returns the user whose token a request has, if it was verified before; costs one hash.

        Args:
            headers: the headers of the request. With several Authorization headers, which are rejected later, no token
                is known.
        """
        found: bytes | None = None
        for name, value in headers:
            if name == b"authorization":
                if found is not None:
                    return None
                found = value
        if found is None:
            return None
        key = hash(found)
        entry = self._known.get(key)
        if entry is None:
            return None
        if entry[0] <= self._now():
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return entry[1]

    def add(self, authorization: bytes, principal: Principal) -> None:
        """Remembers the Authorization header of a request whose token was just verified."""
        self._known[hash(authorization)] = principal.expires_at, user_key(principal)
        if len(self._known) > self._max_tokens:
            self._known.popitem(last=False)

    def forget(self, authorization: bytes) -> None:
        """Forgets a token that was rejected, for example because it was revoked."""
        self._known.pop(hash(authorization), None)
