"""A bounded cache of the results of token verification, so that repeated use of a token costs one hash.

An entry is dropped when it expires, when the key set under which it was verified changes, or when other entries evict
it. The token itself is not stored; the cache key is its SHA-256 hash.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from mcp_idp.util.memory_plan import TOKEN_BYTES

MAX_BYTES = 16 * 1024 * 1024


class Expiring(Protocol):
    """A value that expires, such as a principal or a response of the provider."""

    @property
    def expires_at(self) -> float:
        """When the value expires, in seconds on the clock whose time is passed to `TokenCache.get`."""


Entry = TypeVar("Entry", bound=Expiring)


class TokenCache(Generic[Entry]):
    """An LRU cache of values by token.

    Args:
        max_bytes: the maximum total size of the entries in bytes; see `put`.

    Attributes:
        max_bytes: as above.
        used: the total size of the entries in bytes.
        hits: how often `get` returned a value.
        misses: how often it returned None.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[bytes, tuple[Entry, int, int]] = OrderedDict()
        self.used = 0
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, generation: int, now: float) -> Entry | None:
        """Returns the cached value; None if there is none, it has expired or it is of another generation.

        Args:
            token: the token as it was sent.
            generation: the current generation of the key set.
            now: the time in seconds, on the same clock as `expires_at`.
        """
        name = hashlib.sha256(token.encode()).digest()
        entry = self._entries.get(name)
        if entry is None:
            self.misses += 1
            return None
        value, key_version, _ = entry
        if key_version != generation or value.expires_at <= now:
            self._drop(name)
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(name)
        return value

    def put(self, token: str, generation: int, value: Entry, *, size: int | None = None) -> None:
        """Caches a value and evicts the least recently used entries if the bound is exceeded.

        Args:
            token: the token as it was sent.
            generation: the generation of the key set under which it was verified.
            value: the value that `get` returns.
            size: the size in bytes of the data that `value` was parsed from, as an estimate of its memory in addition
                to `TOKEN_BYTES`; by default the length of the token.
        """
        name = hashlib.sha256(token.encode()).digest()
        self._drop(name)
        weight = TOKEN_BYTES + (len(token) if size is None else size)
        self._entries[name] = (value, generation, weight)
        self.used += weight
        while self.used > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: bytes) -> None:
        if (entry := self._entries.pop(name, None)) is not None:
            self.used -= entry[2]
