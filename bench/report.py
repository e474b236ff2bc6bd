"""Formats the figures as a table for a terminal and as `bench/RESULTS.md`."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.results import Figure

_PACKAGES = ("mcp", "starlette", "uvicorn", "uvloop", "httptools", "pyjwt", "cryptography", "fastmcp")
_HEAD = ("figure", "median", "middle half", "goal", "met", "CPU µs, each half")
_METHOD = Path(__file__).with_name("method.md")


def text_table(figures: Sequence[Figure]) -> str:
    """Returns the table for a terminal."""
    rows = [_HEAD, *map(_cells, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def markdown(figures: Sequence[Figure], conditions: str) -> str:
    """Returns the content of RESULTS.md; `conditions` describes the duration and the load of the machine."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_cells, figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    method = _METHOD.read_text(encoding="utf-8")
    return method.format(table=table, versions=versions(), conditions=conditions)


def versions() -> str:
    """Returns the versions of the measured software."""
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # not every environment has the references
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


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
