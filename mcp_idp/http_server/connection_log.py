"""Logs what happens to connections: the first event of each kind in full, the others as numbers, once a minute.

Any client can cause these events, so they must not fill the log.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from mcp_idp.util.repeated_events import PERIOD_SECONDS, RepeatedEvents

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class ConnectionLog:
    """The log of the connections of one server.

    Args:
        monotonic: returns the time in seconds, on a monotonic clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._repeated = RepeatedEvents(monotonic)
        self._reported_at = monotonic()

    def record(self, event: str, kind: str = "", **fields: object) -> None:
        """Logs an event.

        Args:
            event: its name.
            kind: distinguishes events of this name: a constant of the code.
            fields: the details.
        """
        is_first = self._repeated.is_first(f"{event}:{kind}" if kind else event)
        (log.info if is_first else log.debug)(event, **fields)

    def report_repeated(self, *, is_last: bool = False) -> None:
        """Logs the numbers of the events that were not logged in full, at most once a minute.

        Args:
            is_last: whether no connection is left, so that nothing would be reported later.
        """
        now = self._monotonic()
        if not is_last and now - self._reported_at < PERIOD_SECONDS:
            return
        self._reported_at = now
        counts = self._repeated.take_counts()
        if counts:
            log.info("connections_closed", counts=dict(counts), hint="each kind was logged once; debug logs each event")
