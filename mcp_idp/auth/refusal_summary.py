"""Sums up repeated rejections: the first is recorded at once, then one record a minute says how many there were."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

SECONDS = 60.0
_MAX_KEYS = 1000
_OTHERS = object()  # counts the keys for which there is no room


class RefusalSummary:
    """Counts rejections by key.

    Args:
        monotonic: returns the time in seconds, on a monotonic clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        # By key: when it was last recorded, and the rejections since then. Least recently recorded first.
        self._since: dict[Hashable, tuple[float, int]] = {}

    def count(self, key: Hashable) -> int:
        """Counts one rejection.

        Args:
            key: what is summed up together, such as a limit and a user.

        Returns:
            The number of rejections to record now, this one included; 0 to record nothing.
        """
        now = self._monotonic()
        if key not in self._since:
            self._drop_old(now)
            key = key if len(self._since) < _MAX_KEYS else _OTHERS
        recorded_at, unrecorded = self._since.get(key, (now - SECONDS, 0))
        if now - recorded_at < SECONDS:
            self._since[key] = recorded_at, unrecorded + 1
            return 0
        self._since.pop(key, None)
        self._since[key] = now, 0
        return unrecorded + 1

    def _drop_old(self, now: float) -> None:
        while self._since:
            oldest, (recorded_at, _) = next(iter(self._since.items()))
            if now - recorded_at < SECONDS:
                return
            del self._since[oldest]
