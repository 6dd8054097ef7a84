"""Laws of what was measured: the ledger is a partition, phases add up, more clients are never back sooner."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure import Measures, Status, measure
from mrsim.metrics import CLIENT_QUANTILES
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.trace import PHASES, Trace

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

KEPT_OR_NOT = ("kept_writes", "lost_writes", "divergent_writes", "pending_writes")
IN_DOUBT = ("in_doubt_survived", "in_doubt_gone")
OUTCOMES = ("double_effects", "recognised_retries", "redone_writes", "late_answers", "unknown_outcomes")


def check_measured(scenario: Scenario, traces: list[Trace], seed: int) -> None:
    """Measure the first trials of a study and check laws 1 and 2, and what follows from the definitions."""
    found = measure(scenario, Population(scenario), traces, Draws(seed, 0, len(traces)))
    check_ledger(traces, found)
    check_outcomes(scenario, found)
    check_reconciled(traces, found)
    check_readings(scenario, traces, found)
    check_states(scenario, found)
    check_batches(scenario, found)
    check_latency(scenario, found)
    check_feeds(scenario, traces, found)
    ways = [(service, op) for service in scenario.services for op in ("read", "write")]
    ways = [(service, op) for service, op in ways if op == "write" or scenario.services[service].reads]
    check_phases(found, ways)
    check_recovery(scenario, traces, found)


def check_alone(scenario: Scenario, traces: list[Trace], seed: int, found: Measures, first: int, end: int) -> None:
    """Law 6: trials ``first`` to ``end`` of a study that began at 0 mean, to the last bit, what they did among all."""
    alone = measure(scenario, Population(scenario), traces[first:end], Draws(seed, first, end - first))
    for whole, part in ((found.values, alone.values), (found.status, alone.status), (found.curves, alone.curves)):
        assert whole.keys() == part.keys()
        for column in whole:
            np.testing.assert_array_equal(whole[column][first:end], part[column], err_msg=column)  # type: ignore[index]
    theirs = (found.episodes["trial"] >= first) & (found.episodes["trial"] < end)
    for column, rows in found.episodes.items():
        np.testing.assert_array_equal(rows[theirs], alone.episodes[column], err_msg=column)


def check_ledger(traces: list[Trace], found: Measures) -> None:
    """Law 1: every attempt is exactly one thing, and a loss has a length if and only if something is absent."""
    count = {
        name: found.values[f"{name}{{store=db}}"]
        for name in (*KEPT_OR_NOT, *IN_DOUBT, "acknowledged_writes", "attempted_writes", "refused_writes")
    }
    for column in count.values():
        assert np.all(column >= 0)
        np.testing.assert_array_equal(column, np.floor(column))
    acknowledged = np.sum([count[name] for name in KEPT_OR_NOT], axis=0)
    np.testing.assert_array_equal(acknowledged, count["acknowledged_writes"])
    in_doubt = np.sum([count[name] for name in IN_DOUBT], axis=0)
    np.testing.assert_array_equal(acknowledged + in_doubt + count["refused_writes"], count["attempted_writes"])
    absent = count["lost_writes"] + count["divergent_writes"] > 0
    loss = found.values["data_loss_s{store=db}"]
    status = found.status["data_loss_s{store=db}"]
    known = status == Status.OBSERVED
    assert np.all((loss > 0)[known] == absent[known])
    # Nothing is undecided once a history has been chosen, and nothing that was acknowledged is pending then.
    decided = np.array([trace.stores["db"].decided for trace in traces])
    assert np.all(known[decided])
    assert np.all(count["pending_writes"][decided] == 0)


def check_latency(scenario: Scenario, found: Measures) -> None:
    """No write is faster than light and a flush; quantiles do not fall; a cohort has all of them or none."""
    for service in (name for name, body in scenario.services.items() if body.writes):
        least_s = 0.0 if scenario.services[service].is_worker else scenario.network.last_mile_s
        for cohort in ("all", *scenario.clients):
            for when in ("before", "after"):
                column = f"write_latency_s{{{{service={service},from={cohort},writes={{}},when={when}}}}}".format
                mean, median, tail = (found.values[column(writes)] for writes in ("mean", "50%", "99%"))
                known = ~np.isnan(mean)
                assert np.all((least_s < median)[known] & (median <= tail)[known] & (mean > least_s)[known])
                np.testing.assert_array_equal(known, ~np.isnan(median) & ~np.isnan(tail))
                status = found.status[column("mean")]
                np.testing.assert_array_equal(known, status == Status.OBSERVED)


def check_outcomes(scenario: Scenario, found: Measures) -> None:
    """Law 1, of clients: every write whose client was not told in time has one outcome; keys leave none done twice."""
    rule = scenario.services["orders"].retries
    if rule is None:
        assert not any(column.startswith(OUTCOMES) for column in found.values)
        return
    outcomes = {name: found.values[f"{name}{{service=orders}}"] for name in OUTCOMES}
    for column in outcomes.values():
        assert np.all(column >= 0)
        np.testing.assert_array_equal(column, np.floor(column))
    unanswered = found.values["unanswered_writes{service=orders}"]
    in_doubt = np.sum([found.values[f"{name}{{store=db}}"] for name in IN_DOUBT], axis=0)
    told_late = np.sum([*outcomes.values()], axis=0)
    if [service.writes for service in scenario.services.values()] == ["db"]:
        np.testing.assert_array_equal(told_late, in_doubt + unanswered)
    # Others' commits are in doubt too, and nobody asks after them.
    assert np.all(told_late <= in_doubt + unanswered)
    assert not np.any(outcomes["double_effects" if rule.idempotent else "recognised_retries"])
    if rule.gives_up_after == 0.0:
        assert not any(np.any(outcomes[name]) for name in ("double_effects", "recognised_retries", "redone_writes"))


def check_reconciled(traces: list[Trace], found: Measures) -> None:
    """What was brought back had been lost, by somebody who is no primary any more, and takes its time."""
    recovered = found.values.get("recovered_writes{store=db}")
    if recovered is None:
        assert not any(trace.stores["db"].reconciled for trace in traces)
        return
    missing, took = (found.values[f"{name}{{store=db}}"] for name in ("missing_writes", "reconciliation_s"))
    status = found.status["reconciliation_s{store=db}"]
    absent = found.values["lost_writes{store=db}"] + found.values["divergent_writes{store=db}"]
    np.testing.assert_array_equal(recovered + missing, absent)
    assert np.all(recovered >= 0)
    assert np.all(missing >= 0)
    np.testing.assert_array_equal(status == Status.NO_EFFECT, absent == 0)
    assert np.all((took > 0)[absent > 0])
    for trace in traces:
        for done in trace.stores["db"].reconciled:
            begun = trace.events[trace.events[done.event].cause]
            assert (begun.kind, begun.subject) == ("reconciling", done.node)
            assert done.until_s <= begun.at_s <= done.at_s


def check_readings(scenario: Scenario, traces: list[Trace], found: Measures) -> None:
    """Nothing that is read is younger than now; who reads from the primary misses nothing."""
    read = scenario.services["orders"].reads["db"]
    if read.primary_for is None:
        assert not any(trace.stores["db"].readings for trace in traces)
        return
    age, missed = (found.values[f"{name}{{service=orders,from=all}}"] for name in ("staleness_s", "ryow_violations"))
    assert np.all((age >= 0) | np.isnan(age))
    assert np.all(((missed >= 0) & (missed <= 1)) | np.isnan(missed))
    if read.route == "primary":
        assert not np.any(np.nan_to_num(age))
        assert not np.any(np.nan_to_num(missed))
    for trace in traces:
        taken = trace.stores["db"].readings
        assert all(a.at_s <= b.at_s < scenario.horizon for a, b in pairwise(taken))
        # A standby is never ahead of the clock.
        assert all(sees <= r.at_s or sees == np.inf for r in taken for sees in r.sees_s.values())


def check_states(scenario: Scenario, found: Measures) -> None:
    """Down is at most as long as reads or writes are; read-only is at most what writes are down for longer."""
    if not scenario.services["orders"].read_only:
        return
    for cohort in ("all", *scenario.clients):
        part, down = (found.values[f"{name}{{service=orders,from={cohort}}}"] for name in ("read_only_s", "down_s"))
        reads, writes = (
            found.values[f"downtime_s{{service=orders,op={op},from={cohort}}}"] for op in ("read", "write")
        )
        assert np.all((part >= -1e-6) & (down >= -1e-6))
        assert np.all(down <= np.minimum(reads, writes) + 1e-6)
        # Writes are not served in what is read-only and in what is down, and nowhere else.
        np.testing.assert_allclose(part + down, writes, rtol=0, atol=1e-6)


def check_batches(scenario: Scenario, found: Measures) -> None:
    """A run is missed, or late, or neither; none is done late by who does not make up for it."""
    rule = scenario.services["orders"].batch
    if rule is None:
        return
    due, missed, late, doubled = (
        found.values[f"{name}_runs{{service=orders}}"] for name in ("due", "missed", "late", "doubled")
    )
    np.testing.assert_array_equal(due, round(scenario.horizon / rule.every))
    assert np.all(missed + late <= due)
    assert np.all(doubled <= due)
    assert rule.catches_up or not late.any()


def check_feeds(scenario: Scenario, traces: list[Trace], found: Measures) -> None:
    """A consumer holds of what is gone no more than is; who is complete has skipped nothing."""
    gone = sum(found.values[f"{name}{{store=db}}"] for name in ("lost_writes", "divergent_writes", "in_doubt_gone"))
    there = found.values["kept_writes{store=db}"] + found.values["in_doubt_survived{store=db}"]
    for feed in scenario.feeds:
        labels = f"{{feed={feed}}}"
        skipped, phantom, repeated = (
            found.values[f"{name}_changes{labels}"] for name in ("skipped", "phantom", "repeated")
        )
        for column in (skipped, phantom, repeated):
            assert np.all(column >= 0)
            np.testing.assert_array_equal(column, np.floor(column))
        assert np.all(phantom <= gone)
        assert np.all(skipped <= there)
        lag, longest = found.values[f"feed_lag_s{labels}"], found.values[f"longest_feed_lag_s{labels}"]
        assert np.all((lag >= 0) & (longest >= lag))
        done = np.isin(found.status[f"feed_recovery_s{labels}"], (Status.OBSERVED, Status.NO_EFFECT))
        assert not skipped[done].any()
        waits = np.array([trace.feeds[feed].waiting for trace in traces])
        assert not np.any(waits & done)
        for trace in traces:
            delivered = trace.feeds[feed].delivered
            assert all(one.from_s <= one.to_s for one in delivered)
            assert not any(one.open for one in delivered[:-1])
            complete = trace.feeds[feed].complete
            assert all(a.end_s <= b.start_s for a, b in pairwise(complete))


def check_phases(found: Measures, ways: list[tuple[str, str]]) -> None:
    """Law 2: the parts of an outage add up to it, for the mean and for the client at each quantile."""
    for service, op in ways:
        labels = f"service={service},op={op}"
        parts = np.array([found.values[f"phase_s{{{labels},part={part}}}"] for part in PHASES])
        some = ~np.isnan(parts).any(axis=0)
        assert np.all(parts[:, some] >= 0)
        mean = found.values[f"rto_mean_s{{{labels}}}"]
        np.testing.assert_array_equal(some, ~np.isnan(mean))
        np.testing.assert_allclose(parts[:, some].sum(axis=0), mean[some], rtol=0, atol=1e-6)
        for clients in CLIENT_QUANTILES:
            at = np.array([found.values[f"phase_at_s{{{labels},clients={clients},part={part}}}"] for part in PHASES])
            rto = found.values[f"rto_s{{{labels},clients={clients},of=affected}}"]
            np.testing.assert_allclose(at.sum(axis=0), rto, rtol=0, atol=1e-6)


def check_recovery(scenario: Scenario, traces: list[Trace], found: Measures) -> None:
    """More clients are never back sooner; nobody recovers, and nothing splits, beyond the horizon."""
    for op in ("read", "write"):
        labels = f"service=orders,op={op}"
        rows = np.array([found.values[f"rto_s{{{labels},clients={c},of=affected}}"] for c in CLIENT_QUANTILES])
        for fewer, more in pairwise(rows):
            assert np.all((more >= fewer) | np.isnan(fewer))
        share = found.values[f"affected_share{{{labels}}}"]
        assert np.all((share >= 0) & (share <= 1 + 1e-9))
        np.testing.assert_array_equal(np.isnan(rows[0]), share == 0)
    horizon = scenario.horizon
    for trial, trace in enumerate(traces):
        after = horizon - min(trace.fault_s, horizon)
        for name in ("split_brain_s", "exposed_s", "dual_belief_s"):
            assert 0 <= found.values[f"{name}{{store=db}}"][trial] <= after + 1e-6
        episodes = found.episodes
        here = (episodes["trial"] == trial) & (episodes["kind"] == "split-brain")
        assert here.sum() == found.values["split_brain_episodes{store=db}"][trial]
        assert bool(here.any()) == bool(found.values["split_brain{store=db}"][trial])
        lasted = (np.minimum(episodes["end_s"], horizon) - episodes["start_s"])[here].sum()
        np.testing.assert_allclose(lasted, found.values["split_brain_s{store=db}"][trial], rtol=0, atol=1e-6)
