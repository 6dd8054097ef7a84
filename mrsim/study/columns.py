"""Per-trial columns by name: which metric they belong to, and the values a metric can take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from mrsim.metrics import BY_NAME, Metric


def split_column(column: str) -> tuple[str, dict[str, str]]:
    """Return metric name and labels of a column such as ``rto_s{service=orders,op=write,clients=95%,of=affected}``."""
    name, _, inside = column.partition("{")
    pairs = (pair.partition("=") for pair in inside.removesuffix("}").split(",") if pair)
    return name, {label: value for label, _, value in pairs}


def columns_of(columns: Iterable[object], metric: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield those of some columns that belong to a metric, each with its labels."""
    for column in map(str, columns):
        name, labels = split_column(column)
        if name == metric:
            yield column, labels


def metric_of(column: str) -> Metric | None:
    """Return the registry row of a column; None for helper columns such as the parts of an outage."""
    return BY_NAME.get(split_column(column)[0])


def support_of(column: str) -> tuple[float, float]:
    """Return the smallest and largest value that a column can take: every metric is non-negative, a share at most 1."""
    metric = metric_of(column)
    return (0.0, 1.0) if metric is not None and metric.kind in ("share", "flag") else (0.0, math.inf)
