"""The report of a study as JSON, for other programs: strict JSON, times in seconds, nothing rounded.

JSON has no infinity: a bound that is infinite is ``null``, and every estimate says in words what stands there:
``value`` is a number, ``"never"``, ``"beyond horizon"``, or ``null`` where there is none (``reason`` says why);
``upper`` says the same of the upper bound, with ``"unknown"`` where there are too few trials for one.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite, isinf, isnan
from typing import TYPE_CHECKING, Any

from mrsim.metrics import BY_NAME
from mrsim.report.tables import QUANTILES, assumption_rows, phase_tables, replay_trial
from mrsim.report.verdicts import asks_for_at_least
from mrsim.study.columns import metric_of, split_column

if TYPE_CHECKING:
    from mrsim.study.results import Results
    from mrsim.study.statistics import Estimate
    from mrsim.study.verdict import Check

FORMAT = 1
"""Goes up when a reader of the older form would misread the newer one."""


def json_text(results: Results) -> str:
    """Return the report as a JSON text."""
    return json.dumps(document(results), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(results: Results) -> dict[str, Any]:
    """Return the report as JSON data.

    Returns
    -------
    dict
        ``format``, ``provenance``, ``checks`` (budgets with verdicts), ``metrics`` (one entry per column, with
        estimates and bounds), ``phases``, ``faults``, ``assumptions`` and ``replay``.
    """
    trial, why = replay_trial(results)
    scenario = results.scenario
    faults = results.faults.to_dict(orient="records")
    return {
        "format": FORMAT,
        "scenario": {"name": scenario.name, "summary": scenario.summary, "path": scenario.path},
        "provenance": results.provenance,
        "horizon_s": scenario.horizon,
        "checks": [check_json(check) for check in results.checks],
        "metrics": [_metric(results, column) for column in results.columns if metric_of(column)],
        "phases": [finite(asdict(table)) for table in phase_tables(results)],
        "faults": faults,
        "assumptions": [entry.model_dump() for entry in assumption_rows(scenario.assumptions)],
        "replay": {"seed": results.seed, "trial": trial, "why": why},
    }


def _metric(results: Results, column: str) -> dict[str, Any]:
    metric, labels = split_column(column)
    aggregations = ("trials",) if BY_NAME[metric].kind == "flag" else ("mean", *QUANTILES)
    estimates = {aggregation: estimate_json(results.estimate(column, aggregation)) for aggregation in aggregations}
    first = results.estimate(column, aggregations[-1])
    return {
        "column": column,
        "metric": metric,
        "labels": labels,
        "n": first.n,
        "no_effect": first.no_effect,
        "unfinished": first.unfinished,
        "estimates": estimates,
    }


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as JSON data: every number as it is, and words where there is none."""
    names = ("value_low", "value_high", "low", "high", "unfinished", "confidence", "reason")
    entry: dict[str, Any] = finite({name: getattr(estimate, name) for name in names})
    return {"value": _value(estimate), "upper": _upper(estimate), **entry}


def _value(estimate: Estimate) -> float | str | None:
    """Return the point estimate, or the word for what it is instead of a number."""
    if isnan(estimate.value_low):
        return None
    if isinf(estimate.value_low):
        return "never"
    return "beyond horizon" if isinf(estimate.value_high) else estimate.value_low


def _upper(estimate: Estimate) -> float | str:
    """Return the upper bound, or the word for what it is instead of a number."""
    if isfinite(estimate.high):
        return estimate.high
    if estimate.reason or not estimate.unfinished:
        return "unknown"
    return "never" if isinf(estimate.value_low) else "beyond horizon"


def check_json(check: Check) -> dict[str, Any]:
    """Return a verdict as JSON data."""
    budget = check.budget
    return {
        "budget": budget.key,
        "limit": budget.text,
        "asks_for": "at least" if asks_for_at_least(budget) else "at most",
        "column": budget.column,
        "level": budget.level,
        "line": budget.line,
        "verdict": check.verdict,
        "n": check.estimate.n,
        "estimate": estimate_json(check.estimate),
        "needed_trials": check.needed_trials,
        "reason": check.reason,
        "worst_trials": list(check.worst_trials),
    }


def finite(value: Any) -> Any:
    """Return JSON data without infinities and NaN: they become ``null``."""
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
