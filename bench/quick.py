"""`./scripts/bench --quick`: what guards against a loss; writes nothing.

Exit codes: 0 every goal is met, or missed by no more than its slack; 1 one is not.
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
    """Measure. What to exit with."""
    figures = run(PARTS, _SAMPLE_SIZE)
    print(text_table(figures))
    for name in (missed := lost(figures)):
        print(f"bench: {name}: worse than its goal by more than the slack", file=sys.stderr)
    return 1 if missed else 0


def lost(figures: Sequence[Figure]) -> list[str]:
    """The names of those that miss their goal by more than its slack."""
    return [f.name for f in figures if f.goal is not None and not f.goal.tolerates(f.value.median)]


if __name__ == "__main__":
    sys.exit(main())
