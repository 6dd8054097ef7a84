"""What a report says of writes and of who reads them: ledgers, outcomes, consumers of changes, own writes missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.report.tables import whether
from mrsim.scenario.budgets import column_name
from mrsim.study.columns import columns_of
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
class CountRow:
    """How often something happened: one line of a store's write ledger, of a batch job's runs, of a feed's changes."""

    column: str
    label: str
    mean: Estimate
    any_trials: Estimate
    """Share of trials in which it is not zero."""


def ledger_rows(results: Results) -> list[tuple[str, list[CountRow]]]:
    """Return the write ledger by store."""
    return _count_rows(results, "store", results.scenario.stores, LEDGER)


def recovered_rows(results: Results) -> list[tuple[str, list[CountRow]]]:
    """Return by store how many lost writes were brought back from former primaries, and how many were not."""
    return _count_rows(results, "store", results.scenario.stores, ("recovered_writes", "missing_writes"))


def outcome_rows(results: Results) -> list[tuple[str, list[CountRow]]]:
    """Return by service with retries what became of writes whose clients were not told in time."""
    return _count_rows(results, "service", results.scenario.services, OUTCOMES)


def _count_rows(
    results: Results, label: str, names: Iterable[str], metrics: Sequence[str]
) -> list[tuple[str, list[CountRow]]]:
    tables = []
    for name in names:
        rows = []
        for metric in metrics:
            column = column_name(metric, {label: name})
            if column in results.columns:
                sample = results.sample(column)
                words = (
                    metric.removesuffix("_writes")
                    .removesuffix("_changes")
                    .replace("_", " ")
                    .replace("in doubt", "in doubt,")
                )
                rows.append(CountRow(column, words, estimate(sample, "mean"), estimate(whether(sample), "trials")))
        if rows:
            tables.append((name, rows))
    return tables


def reading_rows(results: Results) -> list[tuple[str, str, Estimate, Estimate]]:
    """Return service, cohort, the mean age of what is read, and the mean share of own writes missed."""
    return [
        (labels["service"], labels["from"], _mean(results, age), _mean(results, column_name("ryow_violations", labels)))
        for age, labels in columns_of(results.columns, "staleness_s")
    ]


def run_rows(results: Results) -> list[tuple[str, list[CountRow]]]:
    """Return by service with a batch job how many of its runs were due, missed, late and doubled."""
    metrics = ("due_runs", "missed_runs", "late_runs", "doubled_runs")
    return _count_rows(results, "service", results.scenario.services, metrics)


def retried_rows(results: Results) -> list[tuple[str, str, Estimate]]:
    """Return service, operation, and the mean time of second tries, of services behind a proxy."""
    return [
        (labels["service"], labels["op"], _mean(results, column))
        for column, labels in columns_of(results.columns, "retried_s")
    ]


def feed_rows(results: Results) -> list[tuple[str, list[CountRow]]]:
    """Return by change feed how many changes its consumer skipped, holds though they are gone, and was sent again."""
    metrics = ("skipped_changes", "phantom_changes", "repeated_changes")
    return _count_rows(results, "feed", results.scenario.feeds, metrics)


def state_rows(results: Results) -> list[tuple[str, str, Estimate, Estimate]]:
    """Return service, cohort, and the mean time read-only and down, of services with a read-only state."""
    return [
        (labels["service"], labels["from"], _mean(results, part), _mean(results, column_name("down_s", labels)))
        for part, labels in columns_of(results.columns, "read_only_s")
    ]


def _mean(results: Results, column: str) -> Estimate:
    return estimate(results.sample(column), "mean")
