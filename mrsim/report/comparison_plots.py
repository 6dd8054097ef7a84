"""Pictures of a comparison: distributions, phases and curves of recovery of all postures side by side.

As in :mod:`mrsim.report.plots`, every function draws on the axes it is given, or on new ones, and returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from mrsim.errors import ResultsError
from mrsim.report import plots
from mrsim.report.naming import pretty_column
from mrsim.report.tables import phase_tables, recovery_tables
from mrsim.trace import PHASES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mrsim.study.compare import Comparison

LONGEST_NAME = 44
"""Characters of a posture's name that a legend has room for."""


def ecdfs(comparison: Comparison, column: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the distribution of one column for every posture.

    Parameters
    ----------
    comparison
        The studies.
    column
        One of :attr:`~mrsim.study.compare.Comparison.columns`; the first if not given.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If no posture has anything to draw.
    """
    drawn = None
    for label, results in zip(comparison.labels, comparison.studies, strict=True):
        if results.sample(column or comparison.columns[0]).n:
            drawn = ax = plots.ecdf(results, column or comparison.columns[0], ax, label=short(label))
    if drawn is None:
        message = f"nothing to draw: {column or comparison.columns[0]} had no effect in any trial of any posture"
        raise ResultsError(message)
    drawn.set_title(_shared(comparison), loc="right", fontsize="small")
    return drawn


def restored_curves(
    comparison: Comparison, service: str | None = None, op: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the share of affected traffic served again for every posture.

    Parameters
    ----------
    comparison
        The studies.
    service, op
        Whose traffic; the first that was measured if not given.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If nobody was affected in any posture.
    """
    drawn = None
    reason = ResultsError("nothing to draw: nobody was affected in any trial of any posture")
    for label, results in zip(comparison.labels, comparison.studies, strict=True):
        try:
            drawn = ax = plots.restored(results, service, op, ax, label=short(label))
        except ResultsError as error:
            reason = error
    if drawn is None:
        raise reason
    return drawn


def phase_bars(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw where the recovery time went on average: one bar per outage and posture, its phases side by side.

    Parameters
    ----------
    comparison
        The studies.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If no trial of any posture had an outage.
    """
    by_posture = [
        {table.outage: table for table in phase_tables(results) if table.whose == "mean" and table.total_s > 0}
        for results in comparison.studies
    ]
    outages = list(dict.fromkeys(outage for tables in by_posture for outage in tables))
    if not outages:
        message = "nothing to draw: there was no outage in any trial of any posture"
        raise ResultsError(message)
    ax = plots.axes_or_new(ax, height=1.7 + 0.35 * len(outages) * (len(comparison.labels) + 0.6))
    named = list(zip(comparison.labels, by_posture, strict=True))
    bars = [(outage, label, tables.get(outage)) for outage in outages for label, tables in named]
    places = np.array([i + 0.6 * (i // len(comparison.labels)) for i in range(len(bars))])
    longest = max(table.total_s for _, _, table in bars if table is not None)
    unit, scale = ("min", 60.0) if longest >= 180.0 else ("s", 1.0)
    left = np.zeros(len(bars))
    for part in PHASES:
        lengths = np.array([table.parts.get(part, 0.0) if table else 0.0 for _, _, table in bars]) / scale
        if lengths.max() > plots.SHORTEST_PART * longest / scale:
            colour, hatch = plots.phase_style(part)
            shown = part.replace("_", " ")
            ax.barh(places, lengths, 0.85, left, label=shown, color=colour, hatch=hatch, edgecolor="white", lw=0.5)
            left += lengths
    ax.set_yticks(places, [f"{outage}: {short(label)}" for outage, label, _ in bars])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.04 * float(left.max()))
    ax.set_xlabel(f"mean recovery time ({unit})")
    ax.grid(visible=True, axis="x", alpha=0.25)
    ax.set_axisbelow(True)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False, fontsize="small")
    return ax


def paired_differences(comparison: Comparison, column: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the distribution over trials of each posture's difference to the baseline.

    Parameters
    ----------
    comparison
        The studies.
    column
        One of :attr:`~mrsim.study.compare.Comparison.columns`; the first in which anything differs if not given.
    ax
        Axes to draw on; new ones if not given.

    Raises
    ------
    ResultsError
        If the column differs in no trial.
    """
    differing = [each for each in comparison.contrasts if each.differs and column in (None, each.column)]
    if not differing:
        message = f"nothing to draw: {column or 'nothing'} differs in any trial"
        raise ResultsError(message)
    ax = plots.axes_or_new(ax)
    chosen = [each for each in differing if each.column == differing[0].column]
    finite = []
    for each in chosen:
        with np.errstate(invalid="ignore"):
            difference = each.pairs.b[0] - each.pairs.a[0]
        settled = (each.pairs.a[0] == each.pairs.a[1]) & (each.pairs.b[0] == each.pairs.b[1])
        finite.append(np.sort(difference[settled & np.isfinite(difference)]))
    largest = max(float(np.abs(values).max()) for values in finite if len(values))
    unit, scale = ("min", 60.0) if largest >= 180.0 else ("s", 1.0) if largest >= 1.0 else ("ms", 1e-3)
    if not chosen[0].column.partition("{")[0].endswith("_s"):
        unit, scale = "", 1.0
    for each, values in zip(chosen, finite, strict=True):
        shares = np.arange(1, len(values) + 1) / each.pairs.n
        colour = plots.COLOURS[comparison.labels.index(each.label) % len(plots.COLOURS)]
        ax.step(values / scale, shares, where="post", color=colour, label=short(each.label))
    ax.axvline(0.0, color=plots.GREY, linewidth=1)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(f"difference to {short(comparison.labels[0])} in the same trial{f' ({unit})' if unit else ''}")
    ax.set_ylabel("share of trials")
    ax.yaxis.set_major_formatter(plots.percent())
    ax.set_title(pretty_column(chosen[0].column), loc="right", fontsize="small")
    ax.grid(visible=True, alpha=0.25)
    ax.legend(loc="best", framealpha=0.9, edgecolor="none")
    return ax


def comparison_pictures(comparison: Comparison) -> Iterator[tuple[str, bytes]]:
    """Draw what a comparison can show, each picture as a file's name and its PNG; empty pictures are left out."""
    durations = [column for column in comparison.columns if column.partition("{")[0].endswith("_s")]
    services = dict.fromkeys((t.service, t.op) for results in comparison.studies for t in recovery_tables(results))
    drawings: list[tuple[str, Callable[..., Axes], tuple[str, ...]]] = [("phases", phase_bars, ())]
    for column in durations:
        drawings += [("ecdf", ecdfs, (column,)), ("difference", paired_differences, (column,))]
    drawings += [("restored", restored_curves, pair) for pair in services]
    height = 1.7 + 0.35 * len(services) * (len(comparison.labels) + 0.6)
    for kind, draw, arguments in drawings:
        name = "-".join([kind, *([plots.file_name(" ".join(arguments))] if arguments else [])])
        try:
            png = png_of(partial(draw, comparison, *arguments), height if kind == "phases" else 4.0)
        except ResultsError:
            continue
        yield f"{name}.png", png


def png_of(draw: Callable[..., Axes], height: float = 4.0) -> bytes:
    """Return what a function draws on the axes ``ax``, as PNG."""
    figure, [ax] = plots.sheet(1, (7.2, height))
    draw(ax=ax)
    stream = BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": "mrsim"})
    return stream.getvalue()


def short(label: str) -> str:
    """Return a posture's name as far as a legend has room for it: its end says more than its beginning."""
    return label if len(label) <= LONGEST_NAME else "…" + label[-LONGEST_NAME + 1 :]


def _shared(comparison: Comparison) -> str:
    return f"the same {comparison.n} outages in all"
