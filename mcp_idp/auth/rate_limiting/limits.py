"""Limits whose violation is answered with 429, and the header fields of that response.

The response has Retry-After (RFC 9110 section 10.2.3) and the fields RateLimit-Policy and RateLimit of
draft-ietf-httpapi-ratelimit-headers-10. Other responses do not have these fields.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

from mcp_idp.errors import RateLimited
from mcp_idp.util.rate_windows import MAX_KEYS, RateWindows

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

WINDOW_SECONDS = 10


class RequestLimit:
    """Limits the requests of each key in any `seconds`.

    Args:
        name: the name of the limit, for the log and for sharing.
        quota: the number of requests; 0 switches the limit off.
        description: the error text for the client.
        now: returns the time in seconds since the epoch.
        seconds: the length of the window.
        label: the name of the limit in the response, by default `name`. ASCII without quotes and backslashes.
        max_keys: the number of keys to count.

    Attributes:
        name: as passed.
        windows: the counters.
    """

    def __init__(  # noqa: PLR0913 - the last three by name
        self,
        name: str,
        quota: int,
        description: str,
        now: Callable[[], float],
        *,
        seconds: int = WINDOW_SECONDS,
        label: str | None = None,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self.name = name
        self._label = label or name
        self.windows = RateWindows(quota, seconds, now, max_keys=max_keys)
        self._description = description
        self._policy = f'"{self._label}";q={quota};w={seconds}'.encode("ascii")

    def take(self, key: Hashable) -> None:
        """Counts one request.

        Raises:
            RateLimited: the key has used up its quota; the request is not counted.
        """
        wait = self.windows.hit(key)
        if wait:
            raise self.error(wait)

    def error(self, wait: float) -> RateLimited:
        """Returns the error for a key that must wait for `wait` seconds."""
        seconds = max(1, ceil(wait))
        current = f'"{self._label}";r=0;t={seconds}'.encode("ascii")
        fields = ((b"ratelimit-policy", self._policy), (b"ratelimit", current))
        return RateLimited(self._description, retry_after=seconds, fields=fields, limit=self.name)


class ConcurrencyLimit:
    """Limits what each key has at the same time.

    Args:
        name: the name of the limit, for the response and the log. ASCII without quotes and backslashes.
        quota: the number; 0 switches the limit off.
        description: the error text for the client.

    Attributes:
        quota: as passed.
    """

    def __init__(self, name: str, quota: int, description: str) -> None:
        self.quota = quota
        self._name = name
        self._description = description
        self._fields = (
            (b"ratelimit-policy", f'"{name}";q={quota};qu="concurrent-requests"'.encode("ascii")),
            (b"ratelimit", f'"{name}";r=0'.encode("ascii")),
        )
        self._counts: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def acquire(self, key: Hashable) -> None:
        """Counts one; each needs a call of `release`.

        Raises:
            RateLimited: the key has reached its quota.
        """
        count = self._counts[key]
        if count >= self.quota:
            raise RateLimited(self._description, fields=self._fields, limit=self._name)
        self._counts[key] = count + 1

    def release(self, key: Hashable) -> None:
        """Ends one. A key without any is removed."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
