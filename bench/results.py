"""What a figure is, and how much is done for one."""

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
        rounds: of what takes milliseconds.
        renewals: of the key set, two seconds each.
        streams: rounds of streams, some six seconds each.
    """

    rounds: int
    renewals: int
    streams: int


@dataclass(frozen=True, slots=True)
class Point:
    """Where a figure stands in the plot.

    Attributes:
        panel: the title of the panel.
        series: whose value it is.
        at: the position on the axis across, or None for a bar.
    """

    panel: str
    series: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One row.

    Attributes:
        name: what is compared with what.
        value: the ratio, or in `unit`.
        goal: None where the figure is there to compare with.
        costs: what the two halves of a ratio took, in microseconds of CPU.
        point: None where the plot leaves it out.
    """

    name: str
    value: Spread
    goal: Goal | None = None
    unit: str = ""
    costs: tuple[float, float] | None = None
    point: Point | None = None


def compared(
    name: str, above: Sequence[float], below: Sequence[float], goal: Goal | None = None, point: Point | None = None
) -> Figure:
    """The row of a ratio, from the seconds that each half took in each round."""
    costs = (spread(above).median * 1e6, spread(below).median * 1e6)
    return Figure(name, ratio(above, below), goal, costs=costs, point=point)


def counted(name: str, value: int, goal: Goal | None = None, point: Point | None = None) -> Figure:
    """The row of a count."""
    return Figure(name, spread([float(value)]), goal, point=point)
