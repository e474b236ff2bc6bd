"""`./scripts/bench --quick`: checks the performance goals; writes nothing.

Exit codes: 0 every goal is met or missed by no more than its tolerance, 1 otherwise.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.cpu_time import rejections, throughput
from bench.flood_counts import floods
from bench.key_refresh import stalls
from bench.key_rotation import rotation_and_outage
from bench.report import text_table
from bench.results import SampleSize
from bench.run import run
from bench.streams import one_stream
from bench.verification import verification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.results import Figure

PARTS = (throughput, rejections, verification, stalls, floods, rotation_and_outage, one_stream)
_SAMPLE_SIZE = SampleSize(rounds=40, renewals=3, streams=1)


def main() -> int:
    """Measures and returns the exit code."""
    figures = run(PARTS, _SAMPLE_SIZE)
    print(text_table(figures))
    for name in (missed := lost(figures)):
        print(f"bench: {name}: misses its goal by more than the tolerance", file=sys.stderr)
    return 1 if missed else 0


def lost(figures: Sequence[Figure]) -> list[str]:
    """Returns the names of the figures that miss their goal by more than its tolerance."""
    return [f.name for f in figures if f.goal is not None and not f.goal.tolerates(f.value.median)]


if __name__ == "__main__":
    sys.exit(main())
