"""Time, passed in so that a test can hold it still."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks, both in seconds.

    Attributes:
        now: since the epoch, as `exp` and `iat` count; may be set back.
        monotonic: since any moment, never set back: ages and cool-downs.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
