"""Metrics as text: what may be put into a budget, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mrsim.errors import MrsimError
from mrsim.metrics import METRICS, Metric
from mrsim.report.layout import DEFAULT_WIDTH, Page
from mrsim.scenario.document import nearest, shortened


def metric_cells(metric: Metric) -> tuple[str, str, str, str, str]:
    """Return a metric's names, kind, labels with their defaults, aggregations, and what it is."""
    labels = ", ".join(f"{x.name} ({x.default})" if x.default is not None else x.name for x in metric.labels)
    notes = [" Can be unfinished."] * metric.unfinished + [" Needs a horizon."] * metric.needs_horizon
    aggregations = ", ".join("pN" if name == "p" else name for name in metric.aggregations)
    return ", ".join((metric.name, *metric.aliases)), metric.kind, labels, aggregations, metric.summary + "".join(notes)


def metrics_found(pattern: str) -> tuple[Metric, ...]:
    """Return the metrics in whose row of the table a text occurs, in capitals or not.

    Raises
    ------
    MrsimError
        If it occurs in none.
    """
    wanted = pattern.casefold()
    found = tuple(metric for metric in METRICS if any(wanted in cell.casefold() for cell in metric_cells(metric)))
    if not found:
        names = [name for metric in METRICS for name in (metric.name, *metric.aliases)]
        message = f"no metric has {shortened(pattern)!r} in its name or description"
        hint = nearest(pattern, names)
        raise MrsimError(f"{message} ({hint})" if hint.startswith("did you mean") else message)
    return found


def metrics_page(metrics: Sequence[Metric], *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return an entry per metric: how it is named with its labels, what may be asked of it, and what it is.

    Parameters
    ----------
    metrics
        Those to show.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    for metric in metrics:
        names, kind, _, aggregations, said = metric_cells(metric)
        labels = ", ".join(
            label.name if label.default is None else f"{label.name}={label.default}" for label in metric.labels
        )
        page.line(Text(names, style="bold"), f"{{{labels}}}: {kind}; {aggregations}", indent=0)
        page.line(said, indent=4)
    page.line()
    page.line(
        "In a budget: metric{label=value, ...}: [aggregation op value], such as "
        "rto{service=orders, op=write, clients=90%}: [p95 < 10min]. A label that has a value here may be left out."
    )
    return page.text()
