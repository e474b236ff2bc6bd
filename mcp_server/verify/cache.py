"""Verified tokens, remembered so that the second use costs a hash.

An entry is void when its token ends, when the key set changes, and when it is pushed out by others. The token itself is
not kept: its SHA-256 is the key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_server.principal import Principal

MAX_ENTRIES = 10_000
MAX_BYTES = 16 * 1024 * 1024


class TokenCache:
    """Bounded by entries and by the bytes of the tokens they stand for; the least recently used goes first."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, tuple[Principal, int, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, generation: int, now: float) -> Principal | None:
        """The principal of `token`, if it was verified under this `generation` of the keys and has not ended.

        Args:
            token: as it was sent.
            generation: of the key set that is valid now.
            now: seconds since the epoch.
        """
        name = hashlib.sha256(token.encode()).digest()
        entry = self._entries.get(name)
        if entry is None:
            return None
        principal, verified_under, _ = entry
        if verified_under != generation or principal.expires_at <= now:
            self._drop(name)
            return None
        self._entries.move_to_end(name)
        return principal

    def put(self, token: str, generation: int, principal: Principal) -> None:
        """Remember that `token` stands for `principal`."""
        name = hashlib.sha256(token.encode()).digest()
        self._drop(name)
        self._entries[name] = (principal, generation, len(token))
        self._bytes += len(token)
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: bytes) -> None:
        if (entry := self._entries.pop(name, None)) is not None:
            self._bytes -= entry[2]
