"""What a picture says beside its lines: budgets, trials that did not finish, the legend of phases, uneven axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

STUDY = "study"
"""Marks the line of a study on its axes."""

PHASE = "phase"
"""Marks the bars of a phase on their axes."""

SKEWED = 50.0
"""From this multiple of the median on, a largest value leaves it no room on a linear axis."""

_BLACK = "#000000"
_ENTRY_IN = 1.2
_ROUND = (1.0, 2.0, 5.0)
_OVER = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}


LONGEST_NAMES = 30
"""Letters of studies' names that a budget's line has room for."""


def studies(ax: Axes) -> int:
    """Return how many studies these axes show already."""
    return sum(line.get_gid() == STUDY for line in ax.lines)


def skewed(values: NDArray[np.float64], right: float) -> bool:
    """Whether half of what is more than nothing would be a vertical line at the edge of a linear axis."""
    some = values[values > 0]
    return len(some) > 0 and right > SKEWED * float(np.median(some))


def spread_axis(ax: Axes, values: NDArray[np.float64], right: float) -> None:
    """Make the axis of values logarithmic, with a short linear piece for zero.

    Parameters
    ----------
    ax
        With a linear axis, or one that this made before.
    values
        Of the study that is drawn, in the unit of the axis.
    right
        End of the axis.
    """
    some = values[values > 0]
    least = 10.0 ** math.floor(math.log10(float(np.quantile(some, 0.01)) if len(some) else right / SKEWED))
    held = [tick for tick in ax.get_xticks() if tick > 0] if ax.get_xscale() == "symlog" else []
    least = min([least, *held])
    ax.set_xscale("symlog", linthresh=least, linscale=0.4)
    decades = range(round(math.log10(least)), math.floor(math.log10(right)) + 1)
    _ticks(ax, [0.0, *(10.0**decade for decade in decades)])


def time_axis(ax: Axes, left: float, right: float) -> None:
    """Make the axis of time logarithmic between two times, with round numbers at its ticks."""
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    decades = range(math.floor(math.log10(left)), math.ceil(math.log10(right)) + 1)
    _ticks(ax, [x for decade in decades for digit in _ROUND if left <= (x := digit * 10.0**decade) <= right])


def _ticks(ax: Axes, at: list[float]) -> None:
    ax.set_xticks(at, [f"{tick:g}" for tick in at])
    ax.set_xticks([], minor=True)


def budget_line(ax: Axes, at: float, text: str, whose: str) -> None:
    """Draw a budget's limit with its text along it, once for all studies; of several, the text says whose it is.

    Parameters
    ----------
    ax
        With the line of the study, and its limits set.
    at
        The limit, in the unit of the axis.
    text
        The limit as it is written.
    whose
        Name of the study in the legend.
    """
    drawn = {note.get_gid(): note for note in ax.texts if str(note.get_gid()).startswith("budget ")}
    known = drawn.get(f"budget {text}")
    if known is not None:
        known.set_label(f"{known.get_label()}\n{whose}")
    for gid, note in drawn.items():
        note.set_text(_whose(str(note.get_label())[1:].split("\n"), studies(ax)) + str(gid).removeprefix("budget "))
    if known is not None:
        return
    places = [_place(ax, float(np.asarray(line.get_xdata())[0])) for line in ax.lines if _is_budget(line)]
    place = _place(ax, at)
    near = sum(abs(other - place) < 0.05 for other in places)
    before_it = (place > 0.08) != (near % 2 == 1)
    ax.axvline(at, color=_BLACK, linestyle="--", linewidth=1, gid=f"budget {text}")
    note = ax.annotate(
        _whose([whose], studies(ax)) + text,
        (at, 0.5 if near < 2 else 0.2),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if before_it else 3, 0),
        textcoords="offset points",
        rotation=90,
        ha="right" if before_it else "left",
        va="center",
        fontsize="small",
    )
    note.set_gid(f"budget {text}")
    # An underscore keeps it out of the legend.
    note.set_label(f"_{whose}")


def _whose(names: list[str], studies_drawn: int) -> str:
    """Return whose a budget is, to be written before it: nothing if it is everybody's, a number if names are long."""
    if len(names) == studies_drawn:
        return ""
    joined = ", ".join(names)
    return f"{joined if len(joined) <= LONGEST_NAMES else f'{len(names)} of {studies_drawn}'}: "


def _is_budget(line: Any) -> bool:
    return str(line.get_gid()).startswith("budget ")


def _place(ax: Axes, at: float) -> float:
    """Return where a value lies along the axis, from 0 to 1."""
    return float(ax.transAxes.inverted().transform(ax.transData.transform((at, 0.0)))[0])


def unfinished_mark(ax: Axes, unfinished: int, trials: int, colour: str) -> None:
    """Mark at the right edge the share of trials that had finished, and say below it how many had not."""
    reached = 1 - unfinished / trials
    ax.plot([1.0], [reached], marker=">", color=colour, clip_on=False, transform=ax.get_yaxis_transform(), linestyle="")
    ax.annotate(
        f"{unfinished} of {trials} unfinished",
        (1.0, reached),
        xycoords=ax.get_yaxis_transform(),
        xytext=(-8, 6 if reached < 0.1 else -14),
        textcoords="offset points",
        ha="right",
        color=colour,
        fontsize="small",
        bbox=_OVER,
    )


def nothing_finished(ax: Axes, text: str, colour: str) -> None:
    """Say across the axes what a line at zero does not: that no trial of this study had finished."""
    before = sum(note.get_gid() == "nothing" for note in ax.texts)
    at = (0.5, 0.5 - 0.12 * before)
    note = ax.annotate(
        text, at, xycoords="axes fraction", ha="center", va="center", color=colour, fontsize="large", bbox=_OVER
    )
    note.set_gid("nothing")


def phase_legend(ax: Axes, order: tuple[str, ...]) -> None:
    """Write one legend above all axes of a figure that show phases, in causal order line by line.

    Parameters
    ----------
    ax
        Axes of the figure; bars carry their phase in their ``gid``.
    order
        Every phase, earliest first.
    """
    figure = ax.get_figure()
    if figure is None:
        return
    drawn = [box for one in figure.axes for box in one.containers if one.patches and one.patches[0].get_gid() == PHASE]
    bars: dict[str, Any] = {str(box.get_label()): box for box in drawn}
    labels = [name for part in order if (name := part.replace("_", " ")) in bars]
    for legend in [one for one in figure.legends if one.get_gid() == PHASE]:
        legend.remove()
    columns = min(len(labels), max(1, int(figure.bbox.width / figure.dpi / _ENTRY_IN)))
    rows = math.ceil(len(labels) / columns)
    # matplotlib fills columns first; every place of the grid is filled, so that lines are read in order.
    grid = [row * columns + column for column in range(columns) for row in range(rows)]
    places = [place for place in grid if place < len(labels)]
    legend = figure.legend(
        [bars[labels[place]] for place in places],
        [labels[place] for place in places],
        loc="outside upper center",
        ncols=columns,
        columnspacing=1.0,
        handlelength=1.2,
        frameon=False,
        fontsize="small",
    )
    legend.set_gid(PHASE)
