"""Interleaved rounds, and what may be concluded from them.

On a machine that others use too, two figures taken one after the other differ by what happened in between. So every
round takes one short sample of every case, the order turns from round to round, and a ratio is formed inside a round,
where its two halves are neighbours. Reported is the median of those ratios, with the middle half of them as the spread.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    Work = Callable[[], Awaitable[None]]
    Sample = Callable[[], Awaitable[float]]

Value = TypeVar("Value")
_ENOUGH_FOR_QUARTERS = 2


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between which values the middle half of all rounds lies."""

    median: float
    low: float
    high: float


async def measure(cases: Mapping[str, Callable[[], Awaitable[Value]]], rounds: int) -> dict[str, list[Value]]:
    """For each case one value a round, in the order of the rounds; a round before the first does not count.

    The order of the cases moves on by one each round, so that none always follows the same neighbour. A full garbage
    collection would hit some case, by chance.
    """
    names = list(cases)
    samples: dict[str, list[Value]] = {name: [] for name in names}
    with settled():
        for turn in range(rounds + 1):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                value = await cases[name]()
                if turn:
                    samples[name].append(value)
    return samples


@contextmanager
def settled() -> Iterator[None]:
    """Keep what exists from the garbage collector, as our server does when it has started."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles. One value alone is all three."""
    if len(values) < _ENOUGH_FOR_QUARTERS:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


def ratio(above: Sequence[float], below: Sequence[float]) -> Spread:
    """How many times `below` goes into `above`, taken round by round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def cpu(work: Work, times: int) -> Sample:
    """A sample: the CPU seconds of this process for one `work`, as the mean of `times`."""

    async def sample() -> float:
        start = time.process_time()
        for _ in range(times):
            await work()
        return (time.process_time() - start) / times

    return sample
