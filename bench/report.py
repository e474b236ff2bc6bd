"""The figures, as a table for a terminal and as `bench/RESULTS.md`."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Figure

_PACKAGES = ("mcp", "starlette", "uvicorn", "uvloop", "httptools", "pyjwt", "cryptography")
_HEAD = ("figure", "median", "middle half", "goal", "met", "CPU µs, each half")
_METHOD = """\
# Results

Ratios, measured in one run of `./scripts/bench` and written by it. Ratios carry over from one machine to another, more
or less; the microseconds do not, and stand here to show what is large and what is small.

{table}

Measured with {versions}.

## How

- In one process, without sockets: prepared ASGI requests go straight into the application. The event loop is the one
  that the server runs on. A log line is written in full, as JSON, to the null device.
- CPU time of the process, not time on the wall, so that other work on the machine counts less.
- Each round takes one short sample of every case, in an order that turns from round to round. A ratio is formed inside
  a round; the table has the median over the rounds and the values that enclose the middle half of them.
- *unauthenticated* is the same MCP application with the same tools and nothing in front: the session manager of the
  SDK, called directly. No route, no `Host` or `Origin` is looked at there, so it is less than anybody would serve.
  A throughput ratio is the CPU time of its call over that of ours.
- *modern* is one `tools/call` in the 2026-07-28 envelope; *legacy* the same in a session of 2025-11-25.
- *authenticated* sends a token that the server has seen before, of a length and shape that Keycloak's have. One token
  that is used again and again is always a hit of the cache; *a new token* is the other end.
- A stall is by how much a timer of one millisecond was late at worst in one second, while calls were served back to
  back. The provider answers after 300 ms, twice: its metadata, then its keys. Collector and machine are part of it:
  with the keys at rest one sees their share alone.
- From both halves of a refusal's ratio the share of the rig is taken off: what an application costs here that answers
  with nothing.
- The flood is 1,000 tokens at once while the clock stands still, one `kid` each.
- Rows that begin with HTTP are there after `--http` only: real server processes, four connections from one client. CPU
  is that of the server's event loop alone, as the kernel counts it.

## Again

    ./scripts/bench            # all of the above, writes this file
    ./scripts/bench --quick    # fewer rounds; writes nothing; exit status 1 if a goal is missed by more than its slack
    ./scripts/bench --http     # also over sockets: three server processes and a client on 127.0.0.1

The slack of each goal, and why it is as large as it is, stands in `bench/goals.py`.
"""


def text_table(figures: Sequence[Figure]) -> str:
    """Columns for a terminal."""
    rows = [_HEAD, *map(_cells, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def markdown(figures: Sequence[Figure]) -> str:
    """The whole of RESULTS.md."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_cells, figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return _METHOD.format(table=table, versions=versions())


def versions() -> str:
    """What the figures were measured with."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _PACKAGES)])


def _cells(figure: Figure) -> tuple[str, ...]:
    value, goal = figure.value, figure.goal
    unit = f" {figure.unit}" if figure.unit else ""
    return (
        figure.name,
        f"{value.median:.3g}{unit}",
        f"{value.low:.3g} to {value.high:.3g}",
        "" if goal is None else f"{goal}{unit}",
        "" if goal is None else "yes" if goal.met_by(value.median) else "no",
        "" if figure.costs is None else " / ".join(f"{cost:.1f}" for cost in figure.costs),
    )
