"""The picture of what an answer depends on: a tornado, the longest bar on top."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from mrsim.errors import ResultsError
from mrsim.report import plots
from mrsim.report.comparison_plots import png_of, short
from mrsim.report.numbers import BEYOND_HORIZON
from mrsim.report.sensitivity import quantity, short_ends
from mrsim.report.sweep import unit_of
from mrsim.study.sweep import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mrsim.study.sensitivity import Bar, Sensitivity
    from mrsim.study.statistics import Estimate

MOST_BARS = 12
"""Bars of a picture; those that swing less are counted below it."""


def tornado(found: Sensitivity, ax: Axes | None = None) -> Axes:
    """Draw how far the answer swings with each number: blue where the number is at its lower end, red at its upper.

    Parameters
    ----------
    found
        The analysis.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If no number changes the answer, or the answer as it is lies beyond the horizon.
    """
    bars = [bar for bar in found.bars if bar.swing > 0.0][:MOST_BARS]
    if not bars or not isfinite(found.base.value_high):
        message = "nothing to draw: no number changes the answer, or it lies beyond the horizon"
        raise ResultsError(message)
    ax = plots.axes_or_new(ax, 1.2 + 0.34 * len(bars))
    scale, unit = _scale(found, bars)
    base = found.base.value_low / scale
    finite = [end.value_high / scale for bar in bars for end in (bar.low, bar.high) if isfinite(end.value_high)]
    edge = max([*finite, base]) + 0.12 * (max([*finite, base]) - min([*finite, base]) or 1.0)
    for place, bar in enumerate(bars):
        for end, text, colour in ((bar.low, bar.low_text, plots.BLUE), (bar.high, bar.high_text, plots.RED)):
            _half(ax, place, base, end, (text, colour), (scale, edge))
    ax.axvline(base, color=plots.BLACK, linewidth=1)
    ax.set_yticks(range(len(bars)), [short(name) for name in short_ends([bar.parameter.name for bar in bars])])
    ax.invert_yaxis()
    ax.margins(x=0.16)
    ax.set_xlabel(f"{found.asked.aggregation}{f' ({unit})' if unit else ''}; the line: as it is")
    ax.set_title(quantity(found), loc="right", fontsize="small")
    ax.grid(visible=True, axis="x", alpha=0.25)
    left = len(found.bars) - len(bars)
    if left:
        ax.annotate(f"{left} more swing less", (1.0, 0.02), xycoords="axes fraction", ha="right", fontsize="small")
    return ax


def sensitivity_pictures(found: Sensitivity) -> Iterator[tuple[str, bytes]]:
    """Draw what can be drawn, each picture as a file's name and its PNG."""
    bars = min(MOST_BARS, sum(bar.swing > 0.0 for bar in found.bars))
    try:
        png = png_of(partial(tornado, found), 1.2 + 0.34 * max(bars, 3))
    except ResultsError:
        return
    yield f"tornado-{plots.file_name(f'{found.asked.column} {found.asked.aggregation}')}.png", png


def _half(ax: Axes, place: int, base: float, end: Estimate, label: tuple[str, str], frame: tuple[float, float]) -> None:
    """Draw one side of a bar, and beside it the value that it stands for."""
    (text, colour), (scale, edge) = label, frame
    reached = isfinite(end.value_high)
    at = end.value_high / scale if reached else edge
    ax.barh(place, at - base, left=base, height=0.62, color=colour, alpha=0.8, hatch="" if reached else "xx")
    if at != base:
        shown = text if reached else f"{text}: {BEYOND_HORIZON}"
        side = "left" if at > base else "right"
        offset = (3 if at > base else -3, 0)
        ax.annotate(shown, (at, place), offset, textcoords="offset points", ha=side, va="center", fontsize="x-small")


def _scale(found: Sensitivity, bars: list[Bar]) -> tuple[float, str]:
    kind = unit_of(Quantity(found.asked.column, found.asked.aggregation))
    if kind == "share":
        return 0.01, "%"
    if kind != "duration":
        return 1.0, ""
    ends = [end.value_high for bar in bars for end in (bar.low, bar.high) if isfinite(end.value_high)]
    largest = max([*ends, found.base.value_high])
    return (60.0, "min") if largest >= 180.0 else (1.0, "s") if largest >= 1.0 else (1e-3, "ms")
