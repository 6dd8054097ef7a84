"""Recovery of service: quantiles over clients of their outages, time without service, phases, and restored curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.columns import Measures, Status, client_quantiles, level
from mrsim.measure.intervals import restored_curve, weighted_quantiles, weighted_sum
from mrsim.scenario.budgets import column_name
from mrsim.trace import PHASES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.measure.chains import Chains
    from mrsim.measure.intervals import Outages
    from mrsim.scenario.model import Scenario

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Codes = NDArray[np.int8]

_CENSORED = np.finfo(np.float64).max
"""Stands for an outage cut at the horizon while quantiles are sought: above every finished one, below *never*."""


def client_values(outages: Outages, lasted_s: Floats, unfinished: Bools, over: Bools) -> tuple[Floats, Floats]:
    """Return each point's duration as the upper and the lower bound know it, shape ``(trials, P)`` each.

    Above, an unfinished one counts as censored, or as infinite where nothing can change any more (``over``: the trial
    ended early and the client's way never opens); below, as the time until the horizon.
    """
    upper, lower = lasted_s.copy(), lasted_s.copy()
    # few clients are unfinished in most chunks: they are put in one by one
    cut = np.nonzero(unfinished)
    endless = over[cut]
    until = outages.horizon_s - np.minimum(outages.first_fail_s[cut], outages.horizon_s)
    upper[cut] = np.where(endless, np.inf, _CENSORED)
    lower[cut] = np.where(endless, np.inf, np.maximum(until, 0.0))
    return upper, lower


@dataclass(frozen=True)
class Durations:
    """A duration of every client, as the upper and the lower bound know it, and the weight of those it is about."""

    upper: Floats
    lower: Floats
    weights: Floats

    def of(self, rows: Ints) -> Durations:
        """Return those of some trials."""
        return Durations(self.upper[rows], self.lower[rows], self.weights[rows])

    def quantiles(self, levels: tuple[float, ...]) -> list[tuple[Floats, Codes]]:
        """Return the quantiles over clients with their status; a censored one holds its lower bound."""
        found = weighted_quantiles(self.upper, self.weights, levels)
        cut = np.flatnonzero((found == _CENSORED).any(axis=0))
        bounds = weighted_quantiles(self.lower[cut], self.weights[cut], levels) if len(cut) else found
        answers = []
        for index in range(len(levels)):
            values = found[index]
            status = np.zeros(len(values), dtype=np.int8)
            status[values == _CENSORED] = Status.CENSORED
            status[np.isinf(values)] = Status.NEVER
            status[np.isnan(values)] = Status.NO_EFFECT
            if len(cut):
                values[cut] = np.where(values[cut] == _CENSORED, bounds[index], values[cut])
            answers.append((values, status))
        return answers

    def differs(self, other: Durations) -> Ints:
        """Return the trials in which any client that counts differs from another duration's."""
        if self is other:
            return np.zeros(0, dtype=np.int64)
        apart = (self.upper != other.upper) | (self.lower != other.lower)
        apart &= self.weights > 0.0
        if self.weights is not other.weights:
            apart |= self.weights != other.weights
        return np.flatnonzero(apart.any(axis=1))


def put_recovery(
    measures: Measures,
    scenario: Scenario,
    service: str,
    op: str,
    outages: Outages,
    durable: Outages | None,
    early: Bools,
    chains: Chains,
) -> None:
    """Add every recovery column of one service and operation.

    Parameters
    ----------
    measures
        The table to fill.
    scenario, service, op
        Whose outages.
    outages
        Outages of the chunk's clients.
    durable
        The same, counting only writes that are kept; None if they are the same.
    early
        Which trials ended early, so that nothing can change any more, shape ``(trials,)``.
    chains
        Causes of the chunk's events.
    """
    labels = {"service": service, "op": op}
    recovery = durations(outages, early)
    _put_rto(measures, scenario, "rto_s", labels, recovery, outages.population.weight)
    kept = recovery if durable is None else durations(durable, early)
    _put_rto(measures, scenario, "rto_durable_s", labels, kept, outages.population.weight, recovery)
    _put_longest(measures, scenario, labels, outages, early, recovery)
    total = weighted_sum(outages.population, np.ones_like(outages.first_fail_s))
    affected = weighted_sum(outages.population, outages.affected.astype(np.float64))
    measures.put("affected_share", labels, np.minimum(affected / total, 1.0))
    downtime = weighted_sum(outages.population, outages.downtime_s) / total
    measures.put("downtime_s", {**labels, "from": "all"}, downtime)
    for name, cohort in outages.population.cohorts.items():
        weight = cohort.weight_within
        own = np.add.reduce(outages.downtime_s[:, cohort.columns] * weight, axis=1) / weight.sum()
        measures.put("downtime_s", {**labels, "from": name}, own)
    measures.put("unavailability", labels, np.clip(downtime / outages.horizon_s, 0.0, 1.0))
    measures.curves[column_name("restored", labels)] = restored_curve(outages, measures.curve_times_s)
    _put_mean_phases(measures, labels, outages, affected, early, chains)
    _put_phases_at(measures, scenario, labels, outages, recovery, chains)


def durations(outages: Outages, early: Bools) -> Durations:
    """Return every client's outage up to its recovery; only affected clients have weight."""
    affected = outages.affected
    with np.errstate(invalid="ignore"):
        lasted = np.where(affected, outages.recovered_s - outages.first_fail_s, 0.0)
    over = early[:, None] & np.isinf(outages.recovered_s)
    upper, lower = client_values(outages, lasted, affected & ~outages.finished, over)
    return Durations(upper, lower, np.where(affected, outages.population.weight, 0.0))


def _put_quantiles(
    measures: Measures,
    metric: str,
    labels: list[dict[str, str]],
    mine: Durations,
    other: Durations | None = None,
    twins: list[str] | None = None,
) -> None:
    """Add client quantiles; where a trial's clients do as those of ``other``, its columns ``twins`` say the same."""
    levels = tuple(level(label["clients"]) for label in labels)
    if other is None or twins is None or not all(twin in measures.values for twin in twins):
        answers = mine.quantiles(levels)
    else:
        answers = [(measures.values[twin].copy(), measures.status[twin].copy()) for twin in twins]
        rows = mine.differs(other)
        if len(rows):
            fresh = mine.of(rows).quantiles(levels)
            for (values, status), (new_values, new_status) in zip(answers, fresh, strict=True):
                values[rows], status[rows] = new_values, new_status
    for label, (values, status) in zip(labels, answers, strict=True):
        measures.put(metric, label, values, status)


def _put_rto(
    measures: Measures,
    scenario: Scenario,
    metric: str,
    labels: dict[str, str],
    recovery: Durations,
    weight: Floats,
    other: Durations | None = None,
) -> None:
    """Add a recovery time for every client quantile, over affected clients and, where asked for, over all."""
    for of in ("affected", "all"):
        names = client_quantiles(scenario, ("rto_s", "rto_durable_s"), labels["service"], labels["op"], of)
        full = [{**labels, "clients": name, "of": of} for name in names]
        twins = [column_name("rto_s", label) for label in full]
        if of == "affected":
            _put_quantiles(measures, metric, full, recovery, other, twins)
        elif names:
            everyone = np.broadcast_to(weight, recovery.weights.shape)
            _put_quantiles(measures, metric, full, Durations(recovery.upper, recovery.lower, everyone))


def _put_longest(
    measures: Measures,
    scenario: Scenario,
    labels: dict[str, str],
    outages: Outages,
    early: Bools,
    recovery: Durations,
) -> None:
    upper, lower = outages.longest_s.copy(), outages.longest_s.copy()
    cut = np.nonzero(outages.down_at_end)
    over = early[cut[0]] & np.isinf(outages.recovered_s[cut])
    upper[cut] = np.where(over, np.inf, _CENSORED)
    lower[cut] = np.where(over, np.inf, lower[cut])
    names = client_quantiles(scenario, ("longest_outage_s",), labels["service"], labels["op"], None)
    twins = [column_name("rto_s", {**labels, "clients": name, "of": "affected"}) for name in names]
    full = [{**labels, "clients": name} for name in names]
    _put_quantiles(measures, "longest_outage_s", full, Durations(upper, lower, recovery.weights), recovery, twins)


def _put_mean_phases(
    measures: Measures, labels: dict[str, str], outages: Outages, affected: Floats, early: Bools, chains: Chains
) -> None:
    """Add the weighted mean outage of affected clients and its phases; unfinished ones count up to the horizon."""
    sums = chains.weighted_sums_s(outages)
    count = len(affected)
    nobody = affected <= 0.0
    total = np.zeros(count)
    for index, phase in enumerate(PHASES):
        mean = np.divide(sums[:, index], affected, out=np.full(count, np.nan), where=~nobody)
        total += mean
        measures.put("phase_s", {**labels, "part": phase}, mean)
    unfinished = outages.affected & ~outages.finished
    never = early & (unfinished & np.isinf(outages.recovered_s)).any(axis=1)
    status = np.where(unfinished.any(axis=1), np.where(never, Status.NEVER, Status.CENSORED), Status.OBSERVED)
    measures.put("rto_mean_s", labels, total, np.where(nobody, Status.NO_EFFECT, status).astype(np.int8))


def _put_phases_at(
    measures: Measures,
    scenario: Scenario,
    labels: dict[str, str],
    outages: Outages,
    recovery: Durations,
    chains: Chains,
) -> None:
    """Add the phases of the client at each quantile (of clients with the same outage, the first)."""
    count = len(recovery.upper)
    for clients in client_quantiles(scenario, ("rto_s", "rto_durable_s"), labels["service"], labels["op"], "affected"):
        column = column_name("rto_s", {**labels, "clients": clients, "of": "affected"})
        values, status = measures.values[column], measures.status[column]
        sought = np.where(status == Status.CENSORED, _CENSORED, values)
        trial = np.flatnonzero(status != Status.NO_EFFECT)
        at = np.argmax((recovery.upper == sought[:, None]) & (recovery.weights > 0.0), axis=1)
        parts = np.full((count, len(PHASES)), np.nan)
        parts[trial] = chains.phases_s(outages, trial, at[trial])
        unfinished = (status == Status.CENSORED) | (status == Status.NEVER)
        parts[unfinished] = 0.0
        parts[unfinished, PHASES.index("unresolved")] = values[unfinished]
        for index, phase in enumerate(PHASES):
            measures.put("phase_at_s", {**labels, "clients": clients, "part": phase}, parts[:, index])
