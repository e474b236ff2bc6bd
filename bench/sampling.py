"""Measures cases in interleaved rounds, and computes ratios and spreads.

On a shared machine, the load may change between two measurements. So each round takes one short sample of every case,
the order rotates from round to round, and ratios are computed within a round. The result is the median of these ratios,
with the middle half of them as the spread.
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
    """A median with its quartiles."""

    median: float
    low: float
    high: float


async def measure(cases: Mapping[str, Callable[[], Awaitable[Value]]], rounds: int) -> dict[str, list[Value]]:
    """Returns for each case one value per round, in order. A warm-up round is not counted.

    The order of the cases rotates by one each round, so that none always follows the same other case. Existing
    objects are excluded from garbage collection, because a full collection would hit a random case.
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
    """Freezes existing objects for the garbage collector, as our server does after its start."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def spread(values: Sequence[float]) -> Spread:
    """Returns median and quartiles. A single value is all three."""
    if len(values) < _ENOUGH_FOR_QUARTERS:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


def ratio(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Returns the ratio of `above` to `below`, computed round by round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def cpu(work: Work, times: int) -> Sample:
    """Returns a sample: the mean CPU seconds of this process for one `work`, over `times` calls."""

    async def sample() -> float:
        start = time.process_time()
        for _ in range(times):
            await work()
        return (time.process_time() - start) / times

    return sample
