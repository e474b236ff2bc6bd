"""Figures and sample sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.sampling import Spread, ratio, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.thresholds import Goal


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How long to measure.

    Attributes:
        rounds: rounds of measurements that take milliseconds.
        renewals: refreshes of the key set, two seconds each.
        streams: rounds with streams, about six seconds each.
    """

    rounds: int
    renewals: int
    streams: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table.

    Attributes:
        name: what is compared.
        value: the ratio, or a value in `unit`.
        goal: the goal; None for a figure that only serves comparison.
        costs: the CPU microseconds of both sides of a ratio.
    """

    name: str
    value: Spread
    goal: Goal | None = None
    unit: str = ""
    costs: tuple[float, float] | None = None


def compared(name: str, above: Sequence[float], below: Sequence[float], goal: Goal | None = None) -> Figure:
    """Returns the row of a ratio from the seconds of both sides in each round."""
    costs = (spread(above).median * 1e6, spread(below).median * 1e6)
    return Figure(name, ratio(above, below), goal, costs=costs)


def counted(name: str, value: int, goal: Goal | None = None) -> Figure:
    """Returns the row of a count."""
    return Figure(name, spread([float(value)]), goal)
