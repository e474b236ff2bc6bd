"""Divides MAX_MEMORY, the memory that the process may use: every other bound on memory follows from it.

```
                               share   at 256 MiB
the idle server                        82 MiB
for the allocator and kernel    12 %   31 MiB   memory that is not returned, buffers of sockets
                                      143 MiB   what remains is divided:
  authenticated requests        50 %   72 MiB   bodies, JSON values, running calls, streams (`RequestMemory`)
  sessions                      10 %   14 MiB   333, if each begins with a small message (`SessionLimiter`)
  verified tokens               10 %   14 MiB   a quarter of it for tokens of other APIs (`TokenCache`)
  unauthenticated requests       9 %   13 MiB   received bytes (`Connections`)
  connections                   10 %   14 MiB   2,095, 7 kB each (`Connections`)
  unread responses               7 %   10 MiB   write buffers, of the kernel too (`Connections`)
  rate limits                    4 %    6 MiB   1,570 users and addresses (`RateWindows`, `UsageLimits`)
```
Log and audit log buffer nothing: each line is written before its request continues.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
DEFAULT_MAX_MEMORY = 256 * MIB
# With less memory, a request of half a megabyte would not fit.
MIN_MAX_MEMORY = 128 * MIB
_IDLE_BYTES = 82 * MIB
_UNPLANNED_PERCENT = 12
CONNECTION_BYTES = 7 * 1024
# A session without its `initialize` message: its tasks and streams (measured: 41 kB).
SESSION_BYTES = 44 * 1024
# A verified token: its principal, its caller, the cache entries and that of `KnownTokens` (measured: 3.9 kB).
TOKEN_BYTES = 4 * 1024
# A user in one limit, in its two windows (measured: 346 bytes each, the key included).
_LIMIT_BYTES = 2 * 346
# A user in all four limits, its two records of what is in progress (402 bytes each), and an address (127 in a window).
_LIMITS_BYTES = 4 * _LIMIT_BYTES + 2 * 402 + 2 * 127
_MAX_LIMIT_KEYS = 10_000
# The SDK's own limit.
_MAX_SESSIONS = 10_000
_MAX_CONNECTIONS = 65_536


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """The bounds for one process, in bytes if not stated otherwise.

    Attributes:
        total: the memory that the process may hold (MAX_MEMORY).
        requests: what authenticated requests, running calls and streams may hold.
        sessions: what sessions may hold.
        tokens: what the caches of verified tokens may hold.
        waiting: received bytes of unauthenticated requests.
        connections: the number of connections.
        unsent: bytes of responses that clients have not read.
        limits: what the tables of the rate limits may hold.
    """

    total: int
    requests: int
    sessions: int
    tokens: int
    waiting: int
    connections: int
    unsent: int
    limits: int

    def limit_keys(self, *, tools: int) -> int:
        """Returns how many users, and how many addresses, the rate limits may count.

        Args:
            tools: the number of tools that have a limit of their own.
        """
        return min(self.limits // (_LIMITS_BYTES + tools * _LIMIT_BYTES), _MAX_LIMIT_KEYS)

    @property
    def exchanged_tokens(self) -> int:
        """What the cache of tokens for other APIs may hold, in bytes; part of `tokens`."""
        return self.tokens // 4

    @property
    def own_tokens(self) -> int:
        """What the caches of tokens for this server may hold together, in bytes; part of `tokens`."""
        return self.tokens - self.exchanged_tokens

    @classmethod
    def for_total(cls, total: int) -> MemoryPlan:
        """Divides the memory of a process.

        Args:
            total: bytes, at least `MIN_MAX_MEMORY`.
        """
        percent = (total - total * _UNPLANNED_PERCENT // 100 - _IDLE_BYTES) // 100
        return cls(
            total=total,
            requests=50 * percent,
            sessions=min(10 * percent, _MAX_SESSIONS * SESSION_BYTES),
            tokens=10 * percent,
            waiting=9 * percent,
            connections=min(10 * percent // CONNECTION_BYTES, _MAX_CONNECTIONS),
            unsent=7 * percent,
            limits=4 * percent,
        )
