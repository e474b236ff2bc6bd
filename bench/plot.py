"""Draws the figures that have a `Point`: bars for comparisons with references, lines for scaling."""

from __future__ import annotations

from collections import defaultdict
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.results import Figure

_COLUMNS = 2
_PANEL_INCHES = (5.2, 2.3)
_COLORS = ("#2a6f97", "#b5651d", "#6a994e", "#8d99ae", "#5e548e", "#bc4749", "#40916c")
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 8, "axes.spines.top": False}
_FAR_APART = 20.0  # from this ratio on, the axis is logarithmic


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Writes the plot to `path` as a reproducible SVG."""
    panels: dict[str, list[Figure]] = defaultdict(list)
    for figure in figures:
        if figure.point is not None:
            panels[figure.point.panel].append(figure)
    colors = dict(zip(_by_series(figures), cycle(_COLORS), strict=False))
    rows = -(-len(panels) // _COLUMNS)
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(_PANEL_INCHES[0] * _COLUMNS, _PANEL_INCHES[1] * rows), layout="constrained")
        axes = list(canvas.subplots(rows, _COLUMNS, squeeze=False).flat)
        for axis, (title, members) in zip(axes, panels.items(), strict=False):
            axis.set_title(title, loc="left")
            series = _by_series(members)
            (_bars if all(one.point and one.point.at is None for one in members) else _lines)(axis, series, colors)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        canvas.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _by_series(members: Sequence[Figure]) -> Mapping[str, list[Figure]]:
    series: dict[str, list[Figure]] = defaultdict(list)
    for figure in members:
        if figure.point is not None:
            series[figure.point.series].append(figure)
    return series


def _bars(axis: Any, series: Mapping[str, list[Figure]], colors: Mapping[str, str]) -> None:
    values = [members[0].value for members in series.values()]
    medians = [value.median for value in values]
    spread = [[v.median - v.low for v in values], [v.high - v.median for v in values]]
    bars = axis.barh(list(series), medians, xerr=spread, color=[colors[name] for name in series], height=0.6)
    axis.bar_label(bars, [f"{median:.3g}" for median in medians], padding=4)
    axis.invert_yaxis()
    if max(medians) > _FAR_APART * min(medians):
        axis.set_xscale("log")
    axis.margins(x=0.15)


def _lines(axis: Any, series: Mapping[str, list[Figure]], colors: Mapping[str, str]) -> None:
    for name, members in series.items():
        color = colors[name]
        across = [one.point.at for one in members if one.point is not None]
        axis.fill_between(
            across, [m.value.low for m in members], [m.value.high for m in members], color=color, alpha=0.2
        )
        axis.plot(across, [m.value.median for m in members], marker="o", color=color, label=name)
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
