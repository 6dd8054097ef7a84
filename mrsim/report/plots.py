"""Pictures of a study: the distribution of a metric, the curve of recovery, and where the time went.

Every function draws on the axes it is given, or on new ones, and returns them; none shows or saves anything, and none
changes a global style. Times go along the axis in the unit that suits their size.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mrsim.errors import ResultsError
from mrsim.metrics import BY_NAME
from mrsim.report import marks
from mrsim.report.naming import default_column, pretty_column
from mrsim.report.numbers import duration
from mrsim.report.tables import phase_tables
from mrsim.study.columns import split_column
from mrsim.study.statistics import clopper_pearson
from mrsim.trace import PHASES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from mrsim.study.results import Results

__all__ = ["ecdf", "phases", "restored"]

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#999999",
    "#000000",
)
"""Colours that people with any kind of colour vision tell apart (M. Okabe, K. Ito, *Color Universal Design*, 2008)."""

COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
"""In the order in which lines, postures and histories take them."""

_PHASE_STYLE: dict[str, tuple[str, str]] = {
    "detection": (BLUE, ""),
    "decision": (ORANGE, ""),
    "runbook": (ORANGE, "//"),
    "fencing": (RED, ""),
    "drain": (RED, "//"),
    "data_wait": (SKY, "//"),
    "promotion": (GREEN, ""),
    "restore": (GREEN, "//"),
    "relocation": (PURPLE, "//"),
    "verification": (BLUE, "//"),
    "propagation": (SKY, ""),
    "reconnect": (PURPLE, ""),
    "repair": (YELLOW, ""),
    "unresolved": (GREY, "xx"),
}
"""Colour and hatching of each phase."""

MOST_STEPS = 1000
"""Steps of a distribution that are drawn at most; more cannot be told apart."""

SHORTEST_PART = 0.003
"""Parts of an outage shorter than this share of the longest bar are not drawn: they could not be seen."""

_SOME = 0.005
"""Share of what is served again at the end that counts as some, and that may be missing from nearly all."""

_UNITS = (("h", 3600.0, 3 * 3600.0), ("min", 60.0, 180.0), ("s", 1.0, 1.0), ("ms", 1e-3, 0.0))


def ecdf(results: Results, metric: str = "rto", ax: Axes | None = None, *, label: str | None = None) -> Axes:
    """Draw the share of trials that were at or below each value of a metric.

    Parameters
    ----------
    results
        The study.
    metric
        A column such as ``rto_s{service=orders,op=write,clients=95%,of=affected}``, or a metric's name or alias such as
        ``rto``, which stands for the column that a budget names first.
    ax
        Axes to draw on; new ones if not given. Several studies can share them.
    label
        Name in the legend; the scenario's name if not given.

    Returns
    -------
    matplotlib.axes.Axes
        With the step line, its pointwise 90 % band (Clopper-Pearson), budgets of that column as dashed lines, and a
        mark at the right edge for trials that had not finished. The axis is logarithmic, with a linear piece for zero,
        where half of the trials would else be a vertical line at its beginning.

    Raises
    ------
    ResultsError
        If the study has no such column, or no trial had anything to measure.
    """
    column = default_column(results, metric)
    sample = results.sample(column)
    if sample.n == 0:
        message = f"nothing to draw: {column} had no effect in any trial"
        raise ResultsError(message)
    ax = axes_or_new(ax)
    finite = sample.upper[np.isfinite(sample.upper)]
    limits = [budget.limit for budget in results.scenario.budgets if budget.column == column and budget.level != "off"]
    kind = BY_NAME[split_column(column)[0]].kind
    unit, scale = _unit_of(ax, kind, max([*finite[-1:], *limits, 0.0]))
    ranks = np.unique(np.linspace(0, len(finite), min(len(finite), MOST_STEPS) + 1).round().astype(int))
    before = marks.studies(ax)
    right = max(1.05 * max([*finite[-1:], *limits, 0.0]) / scale or 1.0, ax.get_xlim()[1] if before else 0.0)
    # The last step goes on far beyond the edge, so that it still reaches it if another study widens the axes.
    steps = np.append(np.concatenate([[0.0], finite])[ranks] / scale, 1000.0 * right)
    ranks = np.append(ranks, ranks[-1])
    colour = _next_colour(ax)
    shares, name = ranks / sample.n, label or results.scenario.name
    if marks.skewed(finite / scale, right) or ax.get_xscale() == "symlog":
        marks.spread_axis(ax, finite / scale, right)
    ax.step(steps, shares, where="post", color=colour, label=name, linewidth=_line_width(before), gid=marks.STUDY)
    low, high = np.transpose([clopper_pearson(int(rank), sample.n) for rank in ranks])
    ax.fill_between(steps, low, high, step="post", color=colour, alpha=0.18, linewidth=0)
    ax.set_ylim(0, 1.02)
    ax.set_xlim(0, right)
    for budget in results.scenario.budgets:
        if budget.column == column and budget.level != "off":
            marks.budget_line(ax, budget.limit / scale, budget.text, name)
    if len(finite) == 0:
        marks.nothing_finished(ax, _nothing_finished(results, column), colour)
    elif sample.unfinished:
        marks.unfinished_mark(ax, sample.unfinished, sample.n, colour)
    ax.set_xlabel(f"{pretty_column(column)}{f' ({unit})' if unit else ''}")
    ax.set_ylabel("share of trials")
    ax.yaxis.set_major_formatter(percent())
    ax.grid(visible=True, alpha=0.25)
    ax.legend(loc="best", framealpha=0.9, edgecolor="none")
    return ax


def restored(
    results: Results,
    service: str | None = None,
    op: str | None = None,
    ax: Axes | None = None,
    *,
    label: str | None = None,
) -> Axes:
    """Draw the share of affected traffic that is served again, against the time since the fault.

    Parameters
    ----------
    results
        The study.
    service, op
        Whose traffic; the first that was measured if not given, writes before reads.
    ax
        Axes to draw on; new ones if not given. Several studies can share them.
    label
        Name in the legend; the scenario's name if not given.

    Returns
    -------
    matplotlib.axes.Axes
        With the mean over trials and the band that holds 90 % of them (5 % to 95 %) at each time, which goes along a
        logarithmic axis until the mean has nearly reached its last value: the last clients come back late.

    Raises
    ------
    ResultsError
        If the study has no such curve, or nobody was affected in any trial.
    """
    name = _curve_name(results, service, op)
    curves = results.curves[name]
    kept = curves[~np.isnan(curves).any(axis=1)]
    if len(kept) == 0:
        message = f"nothing to draw: nobody was affected in any trial ({name})"
        raise ResultsError(message)
    ax = axes_or_new(ax)
    mean = kept.mean(axis=0, dtype=np.float64)
    low, high = np.quantile(kept, [0.05, 0.95], axis=0, method="inverted_cdf")
    first, last = _interesting(results.curve_times_s, mean)
    unit, scale = _unit_of(ax, "duration", last)
    times = results.curve_times_s / scale
    colour = _next_colour(ax)
    labels = split_column(name)[1]
    shown = f"{label or results.scenario.name}: {labels['service']} {labels['op']}"
    before = marks.studies(ax)
    held = ax.get_xlim() if before else (math.inf, 0.0)
    marks.time_axis(ax, min(first / scale, held[0]), max(last / scale, held[1]))
    ax.plot(times, mean, color=colour, label=shown, linewidth=_line_width(before), gid=marks.STUDY)
    ax.fill_between(times, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(f"time since the fault ({unit})")
    ax.set_ylabel("affected traffic served again")
    ax.set_title("mean, and the band of 5 % to 95 % of trials", loc="right", fontsize="small")
    ax.yaxis.set_major_formatter(percent())
    ax.grid(visible=True, alpha=0.25)
    ax.legend(loc="lower right", framealpha=0.9, edgecolor="none")
    return ax


def phases(results: Results, ax: Axes | None = None) -> Axes:
    """Draw where the recovery time went: one bar per service and operation, its phases side by side.

    Parameters
    ----------
    results
        The study.
    ax
        Axes to draw on; new ones if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Horizontal bars: mean parts over trials, and mean parts of the trials around the 95 % quantile. All axes of a
        figure share one legend above them.

    Raises
    ------
    ResultsError
        If no trial had an outage.
    """
    tables = [table for table in phase_tables(results) if table.total_s > 0]
    if not tables:
        message = "nothing to draw: there was no outage in any trial"
        raise ResultsError(message)
    ax = axes_or_new(ax, height=1.6 + 0.55 * len(tables))
    unit, scale = _unit_of(ax, "duration", max(table.total_s for table in tables))
    names = [f"{table.outage}\n{table.whose}" for table in tables]
    left = np.zeros(len(tables))
    for part in PHASES:
        lengths = np.array([table.parts.get(part, 0.0) for table in tables]) / scale
        if lengths.max() > SHORTEST_PART * max(table.total_s for table in tables) / scale:
            colour, hatch = phase_style(part)
            shown = part.replace("_", " ")
            bars = ax.barh(names, lengths, left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
            bars.set_label(shown)
            for bar in bars:
                bar.set_gid(marks.PHASE)
            left += lengths
    ax.invert_yaxis()
    ax.set_xlim(0, 1.04 * left.max())
    ax.set_xlabel(f"recovery time ({unit})")
    ax.grid(visible=True, axis="x", alpha=0.25)
    ax.set_axisbelow(True)
    marks.phase_legend(ax, PHASES)
    return ax


def phase_style(phase: str) -> tuple[str, str]:
    """Return colour and hatching of a phase (one of :data:`mrsim.trace.PHASES`), the same in every picture."""
    return _PHASE_STYLE[phase]


def axes_or_new(ax: Axes | None, height: float = 4.0) -> Axes:
    """Return the axes given, or new ones of a figure that belongs to nobody else (pyplot would keep it for ever)."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(7.2, height), layout="constrained")[1]


def percent() -> Any:
    """Return the formatter of an axis of shares."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1, decimals=0)


def _line_width(before: int) -> float:
    """Return a width that leaves the lines drawn before visible where they coincide."""
    return max(1.2, 2.6 - 0.7 * before)


def _next_colour(ax: Axes) -> str:
    """Return the first colour that no line on these axes has."""
    used = {line.get_color() for line in ax.lines}
    return next((colour for colour in COLOURS if colour not in used), BLACK)


def _unit_of(ax: Axes, kind: str, largest: float) -> tuple[str, float]:
    """Return the unit of an axis and its factor; axes that hold a study already keep theirs."""
    if kind != "duration":
        return "", 1.0
    held = next((text for text in ax.get_xlabel().rsplit("(", 1)[1:]), "").removesuffix(")")
    for unit, scale, least in _UNITS:
        if unit == held or (not held and largest >= least):
            return unit, scale
    return "s", 1.0


def _nothing_finished(results: Results, column: str) -> str:
    """Return what a line at zero means."""
    what = "recovered" if split_column(column)[0].startswith(("rto", "recovery")) else "was decided"
    return f"no trial {what} before the horizon ({duration(results.scenario.horizon)})"


def _curve_name(results: Results, service: str | None, op: str | None) -> str:
    """Return the first curve that fits, writes before reads."""
    names = [name for name in results.curves if split_column(name)[0] == "restored"]
    for name in sorted(names, key=lambda one: split_column(one)[1]["op"] != "write"):
        labels = split_column(name)[1]
        if service in (None, labels["service"]) and op in (None, labels["op"]):
            return name
    message = f"no curve for service={service!r}, op={op!r}; there are: {', '.join(names) or 'none'}"
    raise ResultsError(message)


def _interesting(times_s: NDArray[np.float64], mean: NDArray[np.float64]) -> tuple[float, float]:
    """Return half the time at which the first are served again, and when all are that ever will be, with some room."""
    end = float(times_s[-1])
    if mean[-1] <= 0:
        return float(times_s[times_s > 0][0]), end
    early = int(np.argmax(mean > _SOME * mean[-1]))
    late = int(np.argmax(mean >= (1 - _SOME) * mean[-1]))
    first = max(0.5 * float(times_s[early]), float(times_s[times_s > 0][0]))
    return first, min(end, max(1.25 * float(times_s[late]), 4 * first))


def file_name(text: str) -> str:
    """Return a text as part of a file's name."""
    return "-".join(re.findall(r"[A-Za-z0-9_]+", text))


def sheet(columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Return a figure that belongs to nobody else, and its axes side by side, for pictures drawn elsewhere."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, [figure.add_subplot(1, columns, place + 1) for place in range(columns)]


def __dir__() -> list[str]:
    """Return the public names, for completion in a notebook."""
    return sorted(__all__)
