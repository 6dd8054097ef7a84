"""Pictures of a sweep: lines over one axis, a heat map over two."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from mrsim.errors import ResultsError
from mrsim.report import plots
from mrsim.report.cells import alone_text
from mrsim.report.comparison import kind_of
from mrsim.report.comparison_plots import png_of, short
from mrsim.report.sweep import heading, short_names, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mrsim.study.sweep import Quantity, Sweep

MOST_LINES = len(plots.COLOURS)
"""Lines of a picture that can be told apart."""


def sweep_lines(sweep: Sweep, quantity: Quantity | None = None, ax: Axes | None = None) -> Axes:
    """Draw a quantity over the first axis: one line for each combination of the others, with its 90 % interval.

    Parameters
    ----------
    sweep
        The studies.
    quantity
        One of :attr:`~mrsim.study.sweep.Sweep.quantities`; the first if not given.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If there are more combinations than lines can be told apart.
    """
    quantity = quantity or sweep.quantities[0]
    rest = list(dict.fromkeys(point.levels[1:] for point in sweep.points))
    if len(rest) > MOST_LINES:
        message = f"{len(rest)} lines are more than can be told apart: {MOST_LINES}"
        raise ResultsError(message)
    ax = plots.axes_or_new(ax)
    first = sweep.axes[0]
    numbers = first.numbers()
    steps = numbers if numbers is not None else [float(i) for i in range(len(first.levels))]
    scale, unit = _scale(sweep, quantity)
    for before, (others, colour) in enumerate(zip(rest, plots.COLOURS, strict=False)):
        ends = np.array([_ends(sweep, (level, *others), quantity) for level in first.levels]) / scale
        x, middle, low, high = np.array(steps), ends[:, 0], ends[:, 1], ends[:, 2]
        order = np.argsort(x)
        name = ", ".join(map(str, others)) or None
        ax.plot(x[order], middle[order], marker="o", color=colour, label=name, linewidth=max(1.0, 2.6 - 0.6 * before))
        ax.fill_between(x[order], low[order], high[order], color=colour, alpha=0.18, linewidth=0)
    _budget(ax, sweep, quantity, scale)
    if numbers is not None and min(steps) > 0 and max(steps) / min(steps) > 20:
        ax.set_xscale("log")
    ax.set_xticks(steps, [str(level) for level in first.levels], minor=False)
    ax.minorticks_off()
    ax.set_xlabel(short_names(sweep.axes)[0])
    ax.set_ylabel(f"{quantity.aggregation}{f' ({unit})' if unit else ''}")
    ax.set_title(heading(sweep, quantity), loc="right", fontsize="small")
    ax.grid(visible=True, alpha=0.25)
    if len(rest) > 1:
        ax.legend(title=", ".join(short_names(sweep.axes)[1:]), framealpha=0.9, edgecolor="none", fontsize="small")
    return ax


def sweep_map(sweep: Sweep, quantity: Quantity | None = None, ax: Axes | None = None) -> Axes:
    """Draw a quantity over two axes as a heat map; every field names its value, and a failed budget is crossed out.

    Parameters
    ----------
    sweep
        The studies, over two axes.
    quantity
        One of :attr:`~mrsim.study.sweep.Sweep.quantities`; the first if not given.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If the sweep has not two axes.
    """
    if len(sweep.axes) != 2:
        message = f"a map needs two axes, this sweep has {len(sweep.axes)}"
        raise ResultsError(message)
    quantity = quantity or sweep.quantities[0]
    ax = plots.axes_or_new(ax)
    scale, unit = _scale(sweep, quantity)
    down, across = sweep.axes
    places = [[_point(sweep, (y, x)) for x in across.levels] for y in down.levels]
    shown = np.array([[_ends(sweep, point.levels, quantity)[0] / scale for point in row] for row in places])
    image = ax.imshow(np.ma.masked_invalid(shown), cmap="cividis", aspect="auto")
    middle = (np.nanmin(shown) + np.nanmax(shown)) / 2.0
    for i, row in enumerate(places):
        for j, point in enumerate(row):
            seen = point.results.estimate(quantity.column, quantity.aggregation, sweep.confidence)
            check = sweep.check(point, quantity)
            word = {"failed": "\nfails", "inconclusive": "\nundecided"}.get(check.verdict if check else "", "")
            colour = "black" if shown[i, j] > middle else "white"
            text = f"{alone_text(kind_of(quantity.column), seen)}{word}"
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize="small")
    names = short_names(sweep.axes)
    ax.set_xticks(range(len(across.levels)), [str(level) for level in across.levels])
    ax.set_yticks(range(len(down.levels)), [str(level) for level in down.levels])
    ax.set_ylabel(names[0])
    ax.set_xlabel(names[1])
    ax.set_title(heading(sweep, quantity), loc="right", fontsize="small")
    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.colorbar(image, ax=ax, label=f"{quantity.aggregation}{f' ({unit})' if unit else ''}")
    return ax


def sweep_pictures(sweep: Sweep) -> Iterator[tuple[str, bytes]]:
    """Draw what a sweep can show, each picture as a file's name and its PNG; what cannot be drawn is left out."""
    for quantity in sweep.quantities:
        name = plots.file_name(f"{quantity.column} {quantity.aggregation}")
        for kind, draw in (("map", sweep_map), ("lines", sweep_lines)):
            try:
                png = png_of(partial(draw, sweep, quantity))
            except ResultsError:
                continue
            yield f"{kind}-{name}.png", png


def _point(sweep: Sweep, values: tuple[Any, ...]) -> Any:
    return next(point for point in sweep.points if point.levels == values)


def _ends(sweep: Sweep, values: tuple[Any, ...], quantity: Quantity) -> tuple[float, float, float]:
    """Return value, low and high at a point; what is infinite leaves a gap."""
    seen = _point(sweep, values).results.estimate(quantity.column, quantity.aggregation, sweep.confidence)
    value = seen.value_low if isfinite(seen.value_high) else np.nan
    low, high = (end if isfinite(end) and isfinite(value) else value for end in (seen.low, seen.high))
    return value, low, high


def _scale(sweep: Sweep, quantity: Quantity) -> tuple[float, str]:
    """Return the factor and the unit in which a quantity is drawn."""
    kind = unit_of(quantity)
    if kind == "share":
        return 0.01, "%"
    if kind != "duration":
        return 1.0, ""
    values: NDArray[np.float64] = np.array([_ends(sweep, point.levels, quantity)[0] for point in sweep.points])
    largest = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    return (60.0, "min") if largest >= 180.0 else (1.0, "s") if largest >= 1.0 else (1e-3, "ms")


def _budget(ax: Axes, sweep: Sweep, quantity: Quantity, scale: float) -> None:
    check = sweep.check(sweep.points[0], quantity)
    if check is not None:
        ax.axhline(check.budget.limit / scale, color=plots.BLACK, linestyle="--", linewidth=1)
        ax.annotate(
            short(check.budget.text),
            (0.0, check.budget.limit / scale),
            xycoords=("axes fraction", "data"),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize="small",
        )
