"""Counts events that any client can cause at will, so that a log has the first one in full, and then numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

PERIOD_SECONDS = 60.0
MAX_KINDS = 256
MAX_CAUSES = 1000


class RepeatedEvents:
    """Selects the events that are logged in full, and counts the others.

    The first event of a kind is written in full, and so is the next one after a whole period without any.

    Args:
        monotonic: returns the time in seconds, on a monotonic clock.
        period: seconds between two calls of `take_counts`.
    """

    def __init__(self, monotonic: Callable[[], float], period: float = PERIOD_SECONDS) -> None:
        self._monotonic = monotonic
        self._period = period
        self._last: dict[str, float] = {}
        # By kind and cause, least recently seen first.
        self._last_by_cause: dict[tuple[str, Hashable], float] = {}
        self._counts: Counter[str] = Counter()

    def is_first(self, kind: str, cause: Hashable = None) -> bool:
        """Records one event; returns whether to write it in full.

        Args:
            kind: the kind of event: a constant of the code or of a file of the operator, never text of a request. Those
                beyond `MAX_KINDS` are counted as one.
            cause: its cause, such as a user: the first event of each is written in full. Beyond `MAX_CAUSES` in one
                period, the causes of a kind count as one.
        """
        if kind not in self._last and len(self._last) >= MAX_KINDS:
            kind = "others"
        now = self._monotonic()
        last = self._record(kind, now) if cause is None else self._record_cause((kind, cause), now)
        if last is None or now - last >= self._period:
            return True
        self._counts[kind] += 1
        return False

    def _record(self, kind: str, now: float) -> float | None:
        last, self._last[kind] = self._last.get(kind), now
        return last

    def _record_cause(self, key: tuple[str, Hashable], now: float) -> float | None:
        seen = self._last_by_cause
        last = seen.pop(key, None)
        if last is None:
            while seen and now - next(iter(seen.values())) >= self._period:
                del seen[next(iter(seen))]
            if len(seen) >= MAX_CAUSES:
                return self._record(key[0], now)
        seen[key] = now
        return last

    def take_counts(self) -> Mapping[str, int]:
        """Returns how many events of each kind were not written in full since the last call."""
        counts, self._counts = self._counts, Counter()
        return dict(sorted(counts.items()))
