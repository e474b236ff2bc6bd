"""Counts requests by key in a sliding window, in a table of bounded size.

The number of requests in the last `window` seconds is estimated from two counters: that of the current window, and that
of the previous one weighted by the part of it that still lies within the last `window` seconds. All keys share the
boundaries of the windows, which are multiples of `window` of the system clock, so a whole window is dropped at once and
replicas count in the same windows.

Attackers choose some of the keys, such as their addresses, so the number of keys is bounded. When there are too many,
the half with the fewest requests is dropped, so a key that has used up its limit remains.
"""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

MAX_KEYS = 10_000


def _ignore() -> None:
    pass


class RateWindows:
    """Admits at most `limit` requests of each key in any `window` seconds.

    Args:
        limit: the number of requests; 0 admits all and counts none.
        window: the length of a window in seconds.
        now: returns the time in seconds since the epoch.
        max_keys: the number of keys to count, in each of the two windows.

    Attributes:
        limit: as passed.
        window: as passed.
    """

    def __init__(self, limit: int, window: float, now: Callable[[], float], *, max_keys: int = MAX_KEYS) -> None:
        self.limit = limit
        self.window = window
        self._now = now
        self._max_keys = max_keys
        self._index = -1
        self._begin = self._end = 0.0
        self._current: dict[Hashable, int] = {}
        self._previous: dict[Hashable, int] = {}
        self._unshared: dict[Hashable, int] | None = None
        self._minimum = 0
        self._notify: Callable[[], None] = _ignore

    def __len__(self) -> int:
        return len(self._current) + len(self._previous)

    def hit(self, key: Hashable) -> float:
        """Counts one request of `key` if it is admitted.

        A rejected request is not counted, so a client that retries too early does not have to wait longer.

        Returns:
            0.0 if the request is admitted, otherwise the seconds until one would be.
        """
        if not self.limit:
            return 0.0
        now = self._now()
        if not self._begin <= now < self._end:
            self._turn(now)
        current = self._current.get(key, 0) + 1
        previous = self._previous.get(key, 0) if self._previous else 0
        if current + previous > self.limit:
            elapsed = (now - self._begin) / self.window
            if current + previous * (1.0 - elapsed) > self.limit:
                return self._seconds_to_wait(current - 1, previous, elapsed)
        self._current[key] = current
        if self._unshared is not None:
            self._unshared[key] = self._unshared.get(key, 0) + 1
            if current == self._minimum:
                self._notify()
        if current == 1 and len(self._current) > self._max_keys:
            self._drop_smallest()
        return 0.0

    def undo(self, key: Hashable) -> None:
        """Undoes the last `hit` of a key, which was admitted just now."""
        for counts in (self._current, self._unshared):
            if counts and counts.get(key):
                counts[key] -= 1

    def share(self, minimum: int, notify: Callable[[], None]) -> None:
        """Begins to collect what `take_unshared` returns.

        Args:
            minimum: the number of requests in a window from which on a key is returned.
            notify: called when a key reaches that number.
        """
        self._unshared = {}
        self._minimum = minimum
        self._notify = notify

    def take_unshared(self, max_keys: int) -> tuple[int, Mapping[Hashable, int]]:
        """Returns the requests that have not been returned by an earlier call.

        Args:
            max_keys: maximum number of keys to return; those with most requests are returned first.

        Returns:
            The index of the current window, and the number of requests by key.
        """
        self._turn(self._now())
        unshared = self._unshared or {}
        ready = [key for key in unshared if self._current.get(key, 0) >= self._minimum]
        if len(ready) > max_keys:
            ready = nlargest(max_keys, ready, key=unshared.__getitem__)
        return self._index, {key: unshared.pop(key) for key in ready}

    def merge(self, key: Hashable, index: int, total: int) -> None:
        """Raises a counter to the number of requests that all replicas together counted.

        Args:
            key: the key.
            index: the index of the window; any but the current and the previous one is ignored.
            total: the requests of all replicas in that window, including those of this one.
        """
        self._turn(self._now())
        if index == self._index:
            unshared = self._unshared.get(key, 0) if self._unshared else 0
            self._current[key] = max(self._current.get(key, 0), total + unshared)
        elif index == self._index - 1:
            self._previous[key] = max(self._previous.get(key, 0), total)

    def _turn(self, now: float) -> None:
        """Begins a new window if the current one has ended."""
        index = int(now // self.window)
        if index != self._index:
            # After a gap, or if the clock was set back, the counters of the window before are unknown.
            self._previous = self._current if index == self._index + 1 else {}
            self._current = {}
            self._index = index
            self._begin, self._end = index * self.window, (index + 1) * self.window
            if self._unshared is not None:
                self._unshared = {}

    def _seconds_to_wait(self, current: int, previous: int, elapsed: float) -> float:
        remaining = self.limit - 1 - current
        if remaining >= 0:  # until the weight of the previous window has fallen so far
            return (1.0 - remaining / previous - elapsed) * self.window
        return (1.0 - elapsed + 1.0 - (self.limit - 1) / current) * self.window

    def _drop_smallest(self) -> None:
        """Drops the half of the keys with the fewest requests."""
        by_count = sorted(self._current, key=self._current.__getitem__)
        for key in by_count[: len(by_count) // 2]:
            del self._current[key]
            if self._unshared is not None:
                self._unshared.pop(key, None)
