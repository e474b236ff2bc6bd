"""What was learnt about tokens, remembered so that the second use costs a hash.

An entry is void when its time ends, when the key set it was verified under changes, and when it is pushed out by
others. The token itself is not kept: its SHA-256 is the key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

MAX_ENTRIES = 10_000
MAX_BYTES = 16 * 1024 * 1024


class Expiring(Protocol):
    """Whatever counts until a moment and no longer: a principal, a provider's answer."""

    @property
    def expires_at(self) -> float:
        """Seconds, on the clock that `TokenCache.get` is told the time by."""


Entry = TypeVar("Entry", bound=Expiring)


class TokenCache(Generic[Entry]):
    """Bounded by entries and by the bytes they were read from; the least recently used goes first."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, tuple[Entry, int, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, generation: int, now: float) -> Entry | None:
        """What was learnt of `token`, if that was under this `generation` of the keys and has not ended.

        Args:
            token: as it was sent.
            generation: of the key set that is valid now.
            now: seconds, on the clock that `expires_at` is told by.
        """
        name = hashlib.sha256(token.encode()).digest()
        entry = self._entries.get(name)
        if entry is None:
            return None
        value, key_version, _ = entry
        if key_version != generation or value.expires_at <= now:
            self._drop(name)
            return None
        self._entries.move_to_end(name)
        return value

    def put(self, token: str, generation: int, value: Entry, *, size: int | None = None) -> None:
        """Remember `value` of `token`.

        Args:
            token: as it was sent.
            generation: of the key set it was verified under.
            value: what `get` gives back.
            size: bytes of what `value` was read from, if not from the token: what is kept of it is hardly more.
        """
        name = hashlib.sha256(token.encode()).digest()
        self._drop(name)
        weight = len(token) if size is None else size
        self._entries[name] = (value, generation, weight)
        self._bytes += weight
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: bytes) -> None:
        if (entry := self._entries.pop(name, None)) is not None:
            self._bytes -= entry[2]
