"""What a report says of writes and of who reads them: ledgers, what was brought back, outcomes, own writes missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.report.tables import whether
from mrsim.scenario.budgets import column_name
from mrsim.study.columns import split_column
from mrsim.study.statistics import Estimate, estimate

if TYPE_CHECKING:
    from mrsim.study.results import Results

LEDGER = (
    "attempted_writes",
    "acknowledged_writes",
    "kept_writes",
    "lost_writes",
    "divergent_writes",
    "pending_writes",
    "in_doubt_survived",
    "in_doubt_gone",
    "refused_writes",
)
"""Columns of the write ledger, in the order in which they add up."""

OUTCOMES = (
    "unanswered_writes",
    "double_effects",
    "recognised_retries",
    "redone_writes",
    "late_answers",
    "unknown_outcomes",
)
"""Columns on writes whose clients were not told in time: answers that died, then what became of all of them."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of a store's write ledger."""

    column: str
    label: str
    mean: Estimate
    any_trials: Estimate
    """Share of trials in which it is not zero."""


def ledger_rows(results: Results) -> list[tuple[str, list[LedgerRow]]]:
    """Return the write ledger by store."""
    return _count_rows(results, "store", results.scenario.stores, LEDGER)


def recovered_rows(results: Results) -> list[tuple[str, list[LedgerRow]]]:
    """Return by store how many lost writes were brought back from former primaries, and how many were not."""
    return _count_rows(results, "store", results.scenario.stores, ("recovered_writes", "missing_writes"))


def outcome_rows(results: Results) -> list[tuple[str, list[LedgerRow]]]:
    """Return by service with retries what became of writes whose clients were not told in time."""
    return _count_rows(results, "service", results.scenario.services, OUTCOMES)


def _count_rows(
    results: Results, label: str, names: Iterable[str], metrics: Sequence[str]
) -> list[tuple[str, list[LedgerRow]]]:
    tables = []
    for name in names:
        rows = []
        for metric in metrics:
            column = column_name(metric, {label: name})
            if column in results.columns:
                sample = results.sample(column)
                words = metric.removesuffix("_writes").replace("_", " ").replace("in doubt", "in doubt,")
                rows.append(LedgerRow(column, words, estimate(sample, "mean"), estimate(whether(sample), "trials")))
        if rows:
            tables.append((name, rows))
    return tables


def reading_rows(results: Results) -> list[tuple[str, str, Estimate, Estimate]]:
    """Return service, cohort, the mean age of what is read, and the mean share of own writes missed."""
    rows = []
    for column in results.columns:
        metric, labels = split_column(str(column))
        if metric == "staleness_s":
            missed = results.sample(column_name("ryow_violations", labels))
            rows.append(
                (
                    labels["service"],
                    labels["from"],
                    estimate(results.sample(str(column)), "mean"),
                    estimate(missed, "mean"),
                )
            )
    return rows


def run_rows(results: Results) -> list[tuple[str, list[LedgerRow]]]:
    """Return by service with a batch job how many of its runs were due, missed, late and doubled."""
    metrics = ("due_runs", "missed_runs", "late_runs", "doubled_runs")
    return _count_rows(results, "service", results.scenario.services, metrics)


def state_rows(results: Results) -> list[tuple[str, str, Estimate, Estimate]]:
    """Return service, cohort, and the mean time read-only and down, of services with a read-only state."""
    rows = []
    for column in results.columns:
        metric, labels = split_column(str(column))
        if metric == "read_only_s":
            part = estimate(results.sample(str(column)), "mean")
            down = estimate(results.sample(column_name("down_s", labels)), "mean")
            rows.append((labels["service"], labels["from"], part, down))
    return rows
