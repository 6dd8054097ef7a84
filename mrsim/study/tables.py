"""Tables of a study: one row per metric, per outage, per budget."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mrsim.errors import ResultsError
from mrsim.measure import Status
from mrsim.scenario.budgets import column_name
from mrsim.study.columns import metric_of, split_column
from mrsim.study.statistics import estimate, level_of
from mrsim.trace import PHASES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.study.results import Results
    from mrsim.study.verdict import Check

SHOWN_QUANTILES = ("p50", "p95", "p99")

AROUND = 0.025
"""Trials "around" a quantile over trials: those whose rank is within this share of it."""

AROUND_AT_LEAST = 10
"""Fewest trials on each side of a quantile to count as around it, where there are as many."""


def summary(results: Results, confidence: float) -> pd.DataFrame:
    """Return one row per metric column; see :meth:`mrsim.study.results.Results.summary`.

    Columns: ``metric``, ``kind``, ``n``, ``no_effect``, ``unfinished`` (share), ``trials``, ``trials_low``,
    ``trials_high`` (share of trials with an event; flags only), ``mean``, ``mean_low``, ``mean_high``, ``mean_reason``
    (why there is no mean), and for each quantile such as ``p95`` the point estimate ``p95``, its upper bound
    ``p95_high_value`` where unfinished trials reach it, and the interval ``p95_low``, ``p95_high``.
    """
    rows: dict[str, dict[str, Any]] = {}
    for column in results.columns:
        metric = metric_of(column)
        if metric is None:
            continue
        sample = results.sample(column)
        row: dict[str, Any] = {
            "metric": metric.name,
            "kind": metric.kind,
            "n": sample.n,
            "no_effect": sample.no_effect,
            "unfinished": sample.unfinished / sample.n if sample.n else 0.0,
        }
        for aggregation in ("trials",) if metric.kind == "flag" else ("mean", *SHOWN_QUANTILES):
            seen = estimate(sample, aggregation, confidence)
            row |= {aggregation: seen.value_low, f"{aggregation}_low": seen.low, f"{aggregation}_high": seen.high}
            if aggregation == "mean":
                row["mean_reason"] = seen.reason
            elif aggregation != "trials":
                row[f"{aggregation}_high_value"] = seen.value_high
        rows[column] = row
    return pd.DataFrame.from_dict(rows, orient="index", columns=_summary_columns()).rename_axis("column")


def _summary_columns() -> list[str]:
    columns = ["metric", "kind", "n", "no_effect", "unfinished", "trials", "trials_low", "trials_high"]
    columns += ["mean", "mean_low", "mean_high", "mean_reason"]
    for name in SHOWN_QUANTILES:
        columns += [name, f"{name}_high_value", f"{name}_low", f"{name}_high"]
    return columns


def phases(results: Results, around: str, clients: str) -> pd.DataFrame:
    """Return mean seconds per phase; see :meth:`mrsim.study.results.Results.phases`."""
    helper = "phase_s" if around == "mean" else "phase_at_s"
    outages: dict[tuple[str, str], list[str]] = {}
    for column in results.columns:
        name, labels = split_column(column)
        if name == helper and labels.get("clients", clients) == clients:
            outages.setdefault((labels["service"], labels["op"]), []).append(column)
    if not outages and around != "mean":
        message = f"the study did not measure the phases of the client at {clients}"
        raise ResultsError(message)
    rows = {key: _mean_phases(results, columns, key, around, clients) for key, columns in outages.items()}
    index = pd.MultiIndex.from_tuples(list(rows), names=["service", "op"]) if rows else None
    return pd.DataFrame(list(rows.values()), index=index, columns=[*PHASES, "total", "trials", "unfinished"])


def _mean_phases(
    results: Results, columns: list[str], key: tuple[str, str], around: str, clients: str
) -> dict[str, float]:
    """Return the mean of each phase over the trials that count, their sum, and how many trials that were."""
    parts = {split_column(column)[1]["part"]: results.values_of(column) for column in columns}
    seen = np.isfinite(np.sum(list(parts.values()), axis=0))
    if around != "mean":
        labels = {"service": key[0], "op": key[1], "clients": clients, "of": "affected"}
        seen &= _trials_around(results, column_name("rto_s", labels), level_of(around))
    row = {part: float(np.mean(values[seen])) if seen.any() else math.nan for part, values in parts.items()}
    row["total"] = math.fsum(row.values())
    row["trials"] = int(np.count_nonzero(seen))
    row["unfinished"] = float(np.mean(parts["unresolved"][seen] > 0.0)) if seen.any() else 0.0
    return {part: row.get(part, 0.0) for part in (*PHASES, "total", "trials", "unfinished")}


def _trials_around(results: Results, column: str, level: float) -> NDArray[np.bool_]:
    """Return which trials lie around a quantile of a column, shape ``(n,)``; the unfinished rank last."""
    codes, values = results.status_of(column), results.values_of(column)
    ranked = np.flatnonzero(codes != Status.NO_EFFECT)
    finished = codes[ranked] == Status.OBSERVED
    ranked = ranked[np.lexsort((ranked, values[ranked], ~finished))]
    centre = max(0, math.ceil(round(len(ranked) * level, 9)) - 1)
    reach = max(AROUND_AT_LEAST, round(AROUND * len(ranked)))
    # As far on both sides, so that the mean is not pulled towards the longer one.
    reach = min(reach, centre, len(ranked) - 1 - centre) if len(ranked) else 0
    chosen = np.zeros(results.n, dtype=bool)
    chosen[ranked[centre - reach : centre + reach + 1]] = True
    return chosen


def checks(verdicts: Iterable[Check]) -> pd.DataFrame:
    """Return verdicts as a table, one row per budget."""
    rows = []
    for check in verdicts:
        seen = asdict(check.estimate)
        rows.append(
            {
                "scenario": check.scenario,
                "budget": check.budget.key,
                "limit": check.budget.text,
                "level": check.budget.level,
                "verdict": check.verdict,
                **{name: seen[name] for name in ("value_low", "value_high", "low", "high", "n", "unfinished")},
                "needed_trials": check.needed_trials,
                "reason": check.reason,
                "worst_trials": check.worst_trials,
            }
        )
    return pd.DataFrame(rows)
