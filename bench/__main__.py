"""`./scripts/bench`: measures everything, prints it and writes `bench/RESULTS.md`."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from bench.flood_latency import flooded
from bench.latency import under_load
from bench.quick import PARTS
from bench.report import markdown, text_table
from bench.results import SampleSize
from bench.run import run
from bench.scaling import by_keys, by_tokens
from bench.sockets import over_http
from bench.streams import many_streams

if TYPE_CHECKING:
    from bench.results import Figure

_HERE = Path(__file__).parent
_ROUNDS = 200


async def calls_of_references(sample_size: SampleSize) -> list[Figure]:
    """See `bench.references.costs`."""
    from bench.references import costs  # noqa: PLC0415 - FastMCP changes the SDK's classes when it is imported

    return await costs.calls(sample_size) + await costs.rejections(sample_size)


async def keys_of_references(sample_size: SampleSize) -> list[Figure]:
    """See `bench.references.keys`."""
    from bench.references import keys  # noqa: PLC0415 - as above

    return await keys.renewing(sample_size)


_PARTS = (
    over_http,
    under_load,
    flooded,
    *PARTS,
    many_streams,
    by_tokens,
    by_keys,
    calls_of_references,
    keys_of_references,
)


def main() -> None:
    """Measures, then writes. Parts with server processes run first, because they fail most often; references last."""
    parser = ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"at most this many of each figure [{_ROUNDS}]")
    rounds = max(1, parser.parse_args().rounds)
    load = os.getloadavg()
    figures = run(_PARTS, SampleSize(rounds=rounds, renewals=max(2, rounds // 20), streams=max(3, rounds // 40)))
    figures.sort(key=lambda figure: figure.name.startswith("HTTP"))  # stable: other figures keep their order
    print(text_table(figures))
    written = markdown(figures, _conditions(rounds, load, os.getloadavg()))
    (_HERE / "RESULTS.md").write_text(written, encoding="utf-8")


def _conditions(rounds: int, before: tuple[float, ...], after: tuple[float, ...]) -> str:
    """Describes how long was measured and how busy the machine was; the benchmark itself uses about one processor."""
    processors = os.cpu_count() or 1
    busy = f"{before[0]:.1f} at the start and {after[0]:.1f} at the end, on {processors} processors"
    text = f"At most {rounds} rounds. Load average {busy}."
    if max(before[0], after[0]) > processors:
        text = f"**Measured on a busy machine: the columns goal and met are unreliable.** {text}"
    return text


if __name__ == "__main__":
    main()
