"""Columns by name: the one that a short name stands for, and what people call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.metrics import BY_NAME
from mrsim.study.columns import split_column

if TYPE_CHECKING:
    from mrsim.study.results import Results


def default_column(results: Results, metric: str) -> str:
    """Return the column that a name stands for: itself, or of a metric the one that a budget names first.

    Parameters
    ----------
    results
        The study.
    metric
        A column, or a metric's name or alias such as ``rto``.

    Raises
    ------
    ResultsError
        If there is none; the message names what there is.
    """
    if metric in results.columns:
        return metric
    row = BY_NAME.get(metric)
    if row is not None:
        budgeted = [budget.column for budget in results.scenario.budgets if budget.metric == row.name]
        measured = [column for column in results.columns if split_column(column)[0] == row.name]
        middle = [column for column in measured if split_column(column)[1].get("clients") in (None, "95%")]
        for column in (*budgeted, *middle, *measured):
            if column in results.columns:
                return column
    return results.column_of(metric)


def pretty_column(column: str) -> str:
    """Return a column for people: ``recovery time, orders write, 95 % of affected clients``."""
    metric, labels = split_column(column)
    words = [_TITLES.get(metric, metric.removesuffix("_s").replace("_", " "))]
    if "service" in labels:
        words.append(" ".join(labels[name] for name in ("service", "op") if name in labels))
    if "store" in labels:
        words.append(labels["store"])
    if "feed" in labels:
        words.append(labels["feed"])
    if "clients" in labels:
        whose = "affected clients" if labels.get("of", "affected") == "affected" else "all clients"
        words.append(f"{labels['clients'].removesuffix('%')} % of {whose}")
    if labels.get("from", "all") != "all":
        words.append(f"from {labels['from']}")
    if labels.get("writes", "mean") != "mean":
        words.append(f"{labels['writes'].removesuffix('%')} % of writes")
    if labels.get("when", "before") != "before":
        words.append("at the end")
    return ", ".join(words)


_TITLES = {"rto_s": "recovery time", "rto_durable_s": "durable recovery time", "data_loss_s": "data loss"}
