"""A clock that can be moved."""

from __future__ import annotations

import time

from mcp_idp.util.clock import Clock


class FakeClock:
    """A clock that can be moved forward and stands still unless `running`."""

    def __init__(self, *, running: bool) -> None:
        self._running = running
        self._ahead = 1000.0
        self.clock = Clock(monotonic=self._read)

    def forward(self, seconds: float) -> None:
        """Moves the clock forward."""
        self._ahead += seconds

    def _read(self) -> float:
        return self._ahead + (time.monotonic() if self._running else 0.0)
