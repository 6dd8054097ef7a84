"""What a report says of a study, before anyone decides how it looks: rows that text, HTML and JSON share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from mrsim.errors import ResultsError
from mrsim.scenario.budgets import column_name
from mrsim.study.columns import columns_of
from mrsim.study.statistics import Estimate, Sample, estimate
from mrsim.trace import PHASES

if TYPE_CHECKING:
    import pandas as pd

    from mrsim.scenario.model import Assumption
    from mrsim.study.results import Results
    from mrsim.study.verdict import Check

QUANTILES = ("p50", "p95", "p99")
"""Quantiles over trials that every table shows."""

TAIL, TAIL_CLIENTS = "p95", "95%"
"""The quantile over trials, and over clients, whose phases are shown beside the mean."""

_FLAGS = (
    ("promoted", "promoted", ""),
    ("", "without redundancy after it", "time_without_redundancy_s"),
    ("split_brain", "split-brain", "split_brain_s"),
    ("", "exposed, nobody routed there", "exposed_s"),
    ("", "dual belief", "dual_belief_s"),
    ("false_failover", "false failover", ""),
    ("premature_failover", "premature failover", ""),
)


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Latency of the writes of a cohort, or of ``all``: means over trials of its mean and quantiles over writes."""

    service: str
    cohort: str
    when: str
    """``before`` anything is wrong, or ``after``: at the end of the trial."""
    trials: int
    over_writes: dict[str, Estimate]
    """By ``mean`` or a quantile such as ``99%``; a trial in which no write gets through at the end does not count."""


@dataclass(frozen=True, slots=True)
class QuantileRow:
    """Estimates over trials of one column: of one client quantile, or of one store's loss."""

    label: str
    column: str
    estimates: dict[str, Estimate]

    @property
    def n(self) -> int:
        """Trials with something to measure."""
        return next(iter(self.estimates.values())).n

    @property
    def unfinished(self) -> float:
        """Share of those trials that had not finished."""
        return next(iter(self.estimates.values())).unfinished


@dataclass(frozen=True, slots=True)
class RecoveryTable:
    """Recovery of one service and operation."""

    service: str
    op: str
    affected: Estimate | None
    unavailability: Estimate | None
    rows: list[QuantileRow]
    durable: list[QuantileRow] = field(default_factory=list)
    """Counting a write only if it survives; empty where that is the same in every trial."""
    durable_differs: float = 0.0
    """Share of trials in which it is not the same."""


@dataclass(frozen=True, slots=True)
class PhaseTable:
    """Mean seconds per phase over some trials; they add up to ``total_s``."""

    outage: str
    whose: str
    parts: dict[str, float]
    total_s: float
    trials: int
    unfinished: float
    """Share of these trials with an unresolved part: somebody had not recovered."""

    @property
    def label(self) -> str:
        """Which outage, and whose."""
        return f"{self.outage}, {self.whose}"


@dataclass(frozen=True, slots=True)
class FlagRow:
    """How often something happened to a store, and how long it lasted where it did."""

    label: str
    rate: Estimate
    events: int
    length: dict[str, Estimate]
    """p50 and p95 over the trials in which it happened; empty if it has no length or never happened."""


def quantile_row(results: Results, column: str, label: str) -> QuantileRow:
    """Return the quantiles that tables show of one column."""
    sample = results.sample(column)
    return QuantileRow(label, column, {quantile: estimate(sample, quantile) for quantile in QUANTILES})


def recovery_tables(results: Results) -> list[RecoveryTable]:
    """Return recovery by service and operation, in the order of the scenario; reads before writes."""
    tables = []
    for service, op in sorted(_services(results), key=lambda pair: _order(results, pair)):
        rows = _client_rows(results, "rto_s", service, op)
        durable = _client_rows(results, "rto_durable_s", service, op)
        differs = _differing(results, rows, durable)
        labels = {"service": service, "op": op}
        table = RecoveryTable(
            service,
            op,
            _maybe(results, column_name("affected_share", labels), "mean"),
            _maybe(results, column_name("unavailability", labels), "mean"),
            rows,
            durable if differs else [],
            differs,
        )
        tables.append(table)
    return tables


def loss_rows(results: Results) -> list[tuple[str, QuantileRow]]:
    """Return data loss by store: in all, the part acknowledged before the fault, and until it was brought back."""
    rows = []
    metrics = (
        ("data_loss_s", "in all"),
        ("data_loss_at_fault_s", "acknowledged before the fault"),
        ("reconciliation_s", "brought back, after the fault"),
    )
    for store in results.scenario.stores:
        for metric, label in metrics:
            column = column_name(metric, {"store": store})
            if column in results.columns:
                rows.append((store, quantile_row(results, column, label)))
    return rows


def feed_lag_rows(results: Results) -> list[tuple[str, QuantileRow]]:
    """Return by change feed how old what its consumer shows is, at worst too, and until when it is complete again."""
    metrics = (
        ("feed_lag_s", "lag at the fault"),
        ("longest_feed_lag_s", "longest lag"),
        ("feed_recovery_s", "complete for good, after the first fault"),
    )
    return [
        (feed, quantile_row(results, column, label))
        for feed in results.scenario.feeds
        for metric, label in metrics
        if (column := column_name(metric, {"feed": feed})) in results.columns
    ]


def flag_rows(results: Results) -> list[tuple[str, list[FlagRow]]]:
    """Return by store how often it was promoted, split, exposed, or failed over without need."""
    tables = []
    for store in results.scenario.stores:
        rows = list(_flags(results, store))
        if rows:
            tables.append((store, rows))
    return tables


def latency_rows(results: Results) -> list[LatencyRow]:
    """Return the latency of writes by service and cohort, before anything is wrong and at the end."""
    rows: dict[tuple[str, str, str], LatencyRow] = {}
    for column, labels in columns_of(results.columns, "write_latency_s"):
        key = (labels["service"], labels["from"], labels["when"])
        row = rows.setdefault(key, LatencyRow(*key, results.n, {}))
        row.over_writes[labels["writes"]] = estimate(results.sample(column), "mean")
    cohorts = ["all", *results.scenario.clients]
    services = list(results.scenario.services)
    return sorted(rows.values(), key=lambda row: (services.index(row.service), cohorts.index(row.cohort)))


def idle_faults(results: Results) -> list[tuple[int, float]]:
    """Return the faults that had no effect in some trials: index and share of trials, the idlest first."""
    if not results.n:
        return []
    effects = results.faults["with_effect"].to_numpy(dtype=np.float64)
    idle = [(index, 1.0 - float(effect) / results.n) for index, effect in enumerate(effects)]
    return sorted(((index, share) for index, share in idle if share > 0), key=lambda pair: -pair[1])


def phase_tables(results: Results) -> list[PhaseTable]:
    """Return where recovery time went: for each service and operation the mean, and the trials around their p95."""
    means = results.phases()
    rows = []
    for service, op in sorted(means.index, key=lambda pair: _order(results, pair)):
        rows.append(_phase_table(means.loc[(service, op)], f"{service} {op}", "mean"))
        try:
            tail = results.phases(TAIL, TAIL_CLIENTS).loc[(service, op)]
        except (ResultsError, KeyError):
            continue
        whose = f"{TAIL_CLIENTS.removesuffix('%')} % client, mean of {int(tail['trials'])} trials near {TAIL}"
        rows.append(_phase_table(tail, f"{service} {op}", whose))
    return [row for row in rows if row.trials]


def _phase_table(row: pd.Series[float], outage: str, whose: str) -> PhaseTable:
    parts = {part: float(row[part]) for part in PHASES}
    return PhaseTable(outage, whose, parts, float(row["total"]), int(row["trials"]), float(row["unfinished"]))


def replay_trial(results: Results) -> tuple[int, str]:
    """Return the trial that is most worth replaying, and why: the worst of a budget, or the slowest to recover."""
    for check in sorted(results.checks, key=_comfort):
        if check.worst_trials:
            return check.worst_trials[0], f"the worst trial for {check.budget.key}"
    for table in reversed(recovery_tables(results)):
        for row in reversed(table.rows):
            values = results.values_of(row.column)
            if np.isfinite(values).any():
                worst = int(np.nanargmax(np.where(np.isinf(values), np.nan, values)))
                return int(results.numbers[worst]), f"the slowest trial of {table.service} {table.op}"
    return int(results.numbers[0]), "the first trial"


def _comfort(check: Check) -> tuple[int, float]:
    """Return how little a check worries: its verdict, then how far from its limit it is."""
    used = check.estimate.value_low / check.budget.limit if check.budget.limit > 0 else 0.0
    share = 0.0 if isnan(used) else -used if check.budget.op in ("<", "<=") else used
    return ("failed", "inconclusive", "passed").index(check.verdict), share


def assumption_rows(assumptions: Sequence[Assumption]) -> list[Assumption]:
    """Return assumptions, mere ones first; those that several cohorts (or stores …) share become one with a ``*``."""
    rows: dict[tuple[str, ...], list[Assumption]] = {}
    for entry in assumptions:
        group, _, rest = entry.where.partition(".")
        pattern = f"{group}.*.{rest.partition('.')[2]}" if "." in rest else entry.where
        rows.setdefault((pattern, entry.value, entry.kind, entry.source, entry.preset), []).append(entry)
    merged = []
    for (pattern, *_), entries in rows.items():
        merged.append(entries[0].model_copy(update={"where": pattern}) if len(entries) > 1 else entries[0])
    return sorted(merged, key=lambda entry: entry.kind != "assumption")


def _flags(results: Results, store: str) -> Iterator[FlagRow]:
    for flag, label, length in _FLAGS:
        lengths = column_name(length, {"store": store}) if length else ""
        column = column_name(flag, {"store": store}) if flag else lengths
        if column not in results.columns:
            continue
        sample = results.sample(column)
        if sample.n == 0:
            continue
        happened = results.values_of(column) > 0
        quantiles = {}
        if lengths in results.columns and happened.any():
            some = Sample.of(results.values_of(lengths)[happened], results.status_of(lengths)[happened])
            quantiles = {quantile: estimate(some, quantile) for quantile in ("p50", "p95")}
        yield FlagRow(label, estimate(whether(sample), "trials"), int(happened.sum()), quantiles)


def whether(sample: Sample) -> Sample:
    """Return a sample of whether each value is not zero."""
    flags = (sample.lower > 0).astype(np.float64)
    return Sample(flags, flags, 0, sample.no_effect, (0.0, 1.0))


def _services(results: Results) -> set[tuple[str, str]]:
    return {(labels["service"], labels["op"]) for _, labels in columns_of(results.columns, "rto_s")}


def _order(results: Results, pair: tuple[str, str]) -> tuple[int, str]:
    names = list(results.scenario.services)
    return (names.index(pair[0]) if pair[0] in names else len(names)), pair[1]


def _client_rows(results: Results, metric: str, service: str, op: str) -> list[QuantileRow]:
    """Return one row per client quantile that was measured: those of every table and those that budgets name."""
    found = []
    for column, labels in columns_of(results.columns, metric):
        if labels["service"] == service and labels["op"] == op:
            found.append((labels["of"] != "affected", float(labels["clients"].removesuffix("%")), column, labels))
    rows = []
    for everyone, _, column, labels in sorted(found, key=lambda row: row[:3]):
        label = f"{labels['clients'].removesuffix('%')} %" + (" of all" if everyone else "")
        rows.append(quantile_row(results, column, label))
    return rows


def _differing(results: Results, rows: list[QuantileRow], durable: list[QuantileRow]) -> float:
    """Return the share of trials in which recovery and durable recovery are not the same for some client quantile."""
    names = {row.label: row.column for row in rows}
    differs = np.zeros(results.n, dtype=bool)
    for row in durable:
        if row.label in names:
            one, other = (results.values_of(column) for column in (names[row.label], row.column))
            differs |= ~((one == other) | (np.isnan(one) & np.isnan(other)))
    return float(np.mean(differs)) if len(differs) else 0.0


def _maybe(results: Results, column: str, aggregation: str) -> Estimate | None:
    return estimate(results.sample(column), aggregation) if column in results.columns else None
