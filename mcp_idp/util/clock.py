"""The time source that is passed to everything that needs the time, so that tests can control it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """A wall clock and a monotonic clock, both in seconds.

    Attributes:
        now: returns the seconds since the epoch, like `exp` and `iat`; the system's clock may be set back.
        monotonic: returns the seconds since an arbitrary moment and never goes back; for ages and cool-downs.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
