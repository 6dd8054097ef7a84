"""Every metric on hand-made trials whose answer can be worked out on paper."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.measure import Status, measure
from mrsim.measure.chains import chain
from mrsim.measure.latency import commit_wait_s
from mrsim.measure.splitbrain import decided_s, dual_s
from mrsim.metrics import METRICS
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.trace import INF, NO_EVENT, PHASES, AckSpan, Change, History, Span, Trace
from tests.measure.traces import (
    EAST,
    FAULT_S,
    HORIZON_S,
    TEXT,
    WEST,
    event,
    lost_west,
    measured,
    scenario,
    store,
    trace,
)

READ, WRITE = "service=front,op=read", "service=api,op=write"
GONE = [Span(-INF, 100.0, NO_EVENT, 0)]


def value(found: Any, column: str) -> float:
    return float(found.values[column][0])


def rto(labels: str, clients: str = "50%") -> str:
    return f"rto_s{{{labels},clients={clients},of=affected}}"


def outage(start: float, end: float) -> dict[str, list[Span]]:
    return {node: [Span(-INF, start), Span(end, INF, 1)] for node in (WEST, EAST)}


def split(start: float, end: float, **more: Any) -> Trace:
    """East is promoted at ``start`` while the west goes on until ``end``; the record has long sent nobody elsewhere."""
    db = store(
        acks={WEST: [AckSpan(-INF, end, end, 0)], EAST: [AckSpan(start, INF, INF, 1, 0)]},
        histories=[History(EAST, 0, start - 0.05, start, 0)],
        surviving=1,
    )
    db.endpoint["east"].append(Change(start, EAST))
    return trace(db, **more)


def test_every_metric_has_its_column() -> None:
    names = {column.partition("{")[0] for column in measured([lost_west()]).values}
    assert names >= {metric.name for metric in METRICS if not metric.needs and metric.labels[0].name != "feed"}


def test_a_trial_without_effect_says_so() -> None:
    found = measured([trace(store())])
    for labels in (READ, WRITE):
        assert np.isnan(value(found, rto(labels)))
        assert found.status[rto(labels)][0] == Status.NO_EFFECT
        assert value(found, f"affected_share{{{labels}}}") == 0.0
        assert value(found, f"unavailability{{{labels}}}") == 0.0
        assert np.isnan(found.curves[f"restored{{{labels}}}"]).all()
    assert value(found, "acknowledged_writes{store=db}") == 10 * HORIZON_S
    assert value(found, "data_loss_s{store=db}") == 0.0
    assert value(found, "promoted{store=db}") == 0.0
    assert found.status["time_without_redundancy_s{store=db}"][0] == Status.NO_EFFECT


def test_readers_of_a_lost_region_follow_the_record_and_writers_the_promotion() -> None:
    found = measured([lost_west()])
    assert value(found, f"affected_share{{{READ}}}") == pytest.approx(0.6)
    assert value(found, f"affected_share{{{WRITE}}}") == pytest.approx(1.0)
    # the record moves at 130 s and is cached for up to 60 s; the endpoint at 210 s, for up to 30 s, then a reconnect
    assert 30.0 <= value(found, rto(READ, "50%")) <= value(found, rto(READ, "99%")) <= 90.0
    assert 112.0 <= value(found, rto(WRITE, "50%")) <= value(found, rto(WRITE, "99%")) <= 142.0
    parts = {part: value(found, f"phase_s{{{WRITE},part={part}}}") for part in PHASES}
    assert parts["detection"] == pytest.approx(40.0)
    assert parts["decision"] == pytest.approx(40.0)
    assert parts["promotion"] == pytest.approx(20.0)
    assert parts["reconnect"] == pytest.approx(2.0)
    assert 10.0 <= parts["propagation"] <= 40.0
    assert sum(parts.values()) == pytest.approx(value(found, f"rto_mean_s{{{WRITE}}}"), abs=1e-9)
    read = {part: value(found, f"phase_s{{{READ},part={part}}}") for part in PHASES}
    assert read["detection"] == pytest.approx(25.0)
    assert read["decision"] == read["promotion"] == 0.0


def counted(trials: Trace, metric: str, expected: float, model: Any = None) -> None:
    """A count over many trials of the same trace is a Poisson variable: mean and variance, at a risk of 1e-6 each."""
    found = measured([trials] * 256, model).values[f"{metric}{{store=db}}"]
    assert found.sum() == pytest.approx(256 * expected, abs=5 * np.sqrt(256 * expected))
    low, high = stats.chi2(256).ppf([5e-7, 1 - 5e-7])
    assert low <= np.sum((found - expected) ** 2 / expected) <= high


def test_the_loss_reaches_from_the_first_absent_commit_to_the_last_that_was_possible_against_theory() -> None:
    """Ten commits a second for a second: P(loss ≤ x) = exp(-10 (1 - x)), and so exp(-10) that nothing is lost."""
    counted(lost_west(), "lost_writes", 10.0)
    found = measured([lost_west()] * 256).values
    assert not found["divergent_writes{store=db}"].any()
    np.testing.assert_array_equal(found["data_loss_at_fault_s{store=db}"], found["data_loss_s{store=db}"])
    np.testing.assert_array_equal(found["data_loss_s{store=db}"] > 0.0, found["lost_writes{store=db}"] > 0.0)
    assert (
        stats.kstest(found["data_loss_s{store=db}"], lambda x: np.exp(-10.0 * (1.0 - np.clip(x, 0, 1)))).pvalue > 1e-6
    )


def given_up(*histories: History) -> Trace:
    """The west is lost at 100 s, the east takes over from 150 s to 500 s, and the west again from 600 s on."""
    db = store(
        acks={
            WEST: [AckSpan(-INF, 100.0, 100.0, 0), AckSpan(600.0, INF, INF, 2)],
            EAST: [AckSpan(150.0, 500.0, 500.0, 1)],
        },
        histories=histories,
        surviving=2,
        endpoint=[Change(150.0, EAST), Change(600.0, WEST)],
    )
    return trace(db)


def test_the_loss_of_a_primary_that_went_on_from_what_is_lost_too_is_one_loss() -> None:
    """The surviving history leaves the first at 90 s: all that the east acknowledged, up to 500 s, is lost as well."""
    found = measured([given_up(History(EAST, 0, 100.0, 150.0), History(WEST, 0, 90.0, 600.0))] * 64).values
    assert np.all((found["data_loss_s{store=db}"] > 408.0) & (found["data_loss_s{store=db}"] <= 410.0))
    assert np.all((found["data_loss_at_fault_s{store=db}"] > 8.0) & (found["data_loss_at_fault_s{store=db}"] <= 10.0))


def test_a_promoted_standby_that_is_older_than_the_history_it_follows_loses_both_at_once() -> None:
    """It followed the east but had not reached the fork: the same loss, on the surviving history's own parents."""
    found = measured([given_up(History(EAST, 0, 100.0, 150.0), History(WEST, 1, 90.0, 600.0))] * 64).values
    assert np.all((found["data_loss_s{store=db}"] > 408.0) & (found["data_loss_s{store=db}"] <= 410.0))


@pytest.mark.parametrize("later_s", [2.0, 100.0])
def test_of_two_losses_hours_apart_the_longer_counts(later_s: float) -> None:
    """The first failover loses 10 s of the west's, the second ``later_s`` of the east's; 340 s between are kept."""
    found = measured([given_up(History(EAST, 0, 90.0, 150.0), History(WEST, 1, 500.0 - later_s, 600.0))] * 64).values
    longest_s = max(10.0, later_s)
    loss, at_fault = found["data_loss_s{store=db}"], found["data_loss_at_fault_s{store=db}"]
    assert np.all((loss > longest_s - 2.0) & (loss <= longest_s))
    assert np.all((at_fault > 8.0) & (at_fault <= 10.0))


def test_a_stretch_shorter_than_the_time_between_commits_often_loses_none_against_theory() -> None:
    lost = lost_west()
    lost.stores["db"].histories[1].forked_at_s = 99.95
    nothing = int((measured([lost] * 256).values["data_loss_s{store=db}"] == 0.0).sum())
    assert stats.binomtest(nothing, 256, np.exp(-0.5)).pvalue > 1e-6


def test_loss_during_a_burst_is_counted_by_the_burst_rate_against_theory() -> None:
    model = scenario(bursts=", bursts: {every: 10min, last: 2min, rate: 20x, phase: random}")
    burst, calm = lost_west(burst_phase_s={"db": 0.0}), lost_west(burst_phase_s={"db": 300.0})
    counted(burst, "lost_writes", 200.0, model)
    counted(calm, "lost_writes", 10.0, model)
    counted(calm, "attempted_writes", 10 * (HORIZON_S + 19 * 12 * 120), model)


def test_a_store_that_nobody_chose_a_history_for_is_censored_never_zero() -> None:
    db = store(acks={WEST: [AckSpan(-INF, 100.0, 100.0, 0)]}, decided=False, replicated_until_s=97.0)
    found = measured([trace(db)])
    assert found.status["data_loss_s{store=db}"][0] == Status.CENSORED
    assert value(found, "data_loss_s{store=db}") == HORIZON_S - 97.0
    assert value(found, "data_loss_at_fault_s{store=db}") == 3.0
    counted(trace(db), "pending_writes", 30.0)
    assert value(found, "lost_writes{store=db}") == 0.0


def in_doubt_since(start_s: float) -> Trace:
    histories = [History(EAST, 0, 96.0, 7000.0)]
    acks = {WEST: [AckSpan(-INF, start_s, 100.0, 0)], EAST: []}
    return trace(store(acks=acks, histories=histories, surviving=1))


def test_commits_in_doubt_survive_or_are_gone_against_theory() -> None:
    counted(in_doubt_since(94.0), "in_doubt_survived", 20.0)
    counted(in_doubt_since(94.0), "in_doubt_gone", 40.0)
    assert not measured([in_doubt_since(94.0)] * 256).values["lost_writes{store=db}"].any()


def test_no_more_are_in_doubt_than_there_are_connections_against_theory() -> None:
    """A hundred by default, which fill up in ten seconds; each is from before the fork with probability 0.6."""
    values = measured([in_doubt_since(90.0)] * 256).values
    survived, gone = (values[f"in_doubt_{fate}{{store=db}}"] for fate in ("survived", "gone"))
    np.testing.assert_array_equal(survived + gone, 100.0)
    assert survived.mean() == pytest.approx(60.0, abs=5 * np.sqrt(24.0 / 256))
    assert survived.var() == pytest.approx(24.0, abs=5 * 24.0 * np.sqrt(2.0 / 255))


@pytest.mark.parametrize(
    ("early", "status", "expected"), [(False, Status.CENSORED, HORIZON_S - FAULT_S), (True, Status.NEVER, np.inf)]
)
def test_what_never_comes_back_is_censored_or_never(early: bool, status: Status, expected: float) -> None:
    db = store(acks={WEST: [AckSpan(-INF, 100.0, 100.0, 0)]}, reads={WEST: GONE, EAST: GONE})
    found = measured([trace(db, stopped_early=early, end_s=200.0 if early else HORIZON_S)])
    for labels in (READ, WRITE):
        assert found.status[rto(labels)][0] == status
        assert value(found, rto(labels)) == expected
        assert found.status[f"longest_outage_s{{{labels},clients=50%}}"][0] == status
        assert value(found, f"phase_at_s{{{labels},clients=50%,part=unresolved}}") == expected
        assert value(found, f"phase_s{{{labels},part=unresolved}}") == pytest.approx(HORIZON_S - FAULT_S)
        assert found.status[f"rto_mean_s{{{labels}}}"][0] == status


def test_caches_that_outlast_the_horizon_are_censored_not_never() -> None:
    late = lost_west()
    late.answers["shop"]["west-users"][1].at_s = HORIZON_S - 1e-3
    found = measured([late])
    assert found.status[rto(READ, "99%")][0] == Status.CENSORED
    assert value(found, rto(READ, "99%")) == HORIZON_S - FAULT_S


def test_a_recovery_that_does_not_last_is_none() -> None:
    spans = [Span(-INF, 100.0), Span(150.0, 190.0, 1), Span(300.0, INF, 1)]
    events = [event(100.0, "fault-starts"), event(150.0, "node-up", 0, "restore")]
    found = measured([trace(store(reads={WEST: spans, EAST: spans}), events=events)])
    assert value(found, rto(READ)) == 200.0
    assert value(found, f"longest_outage_s{{{READ},clients=50%}}") == 110.0
    assert value(found, f"downtime_s{{{READ},from=all}}") == pytest.approx(160.0)
    assert value(found, f"unavailability{{{READ}}}") == pytest.approx(160.0 / HORIZON_S)
    curve = found.curves[f"restored{{{READ}}}"][0]
    served = {at: curve[np.argmax(found.curve_times_s >= at)] for at in (0.0, 49.0, 205.0)}
    assert served == {0.0: 0.0, 49.0: pytest.approx(1.0), 205.0: pytest.approx(1.0)}


def test_what_failed_only_before_the_fault_is_not_an_outage_of_it() -> None:
    found = measured([trace(store(reads=outage(20.0, 30.0)))])
    assert found.status[rto(READ)][0] == Status.NO_EFFECT
    assert value(found, f"downtime_s{{{READ},from=all}}") == pytest.approx(10.0)


def test_an_outage_that_ends_because_the_fault_does_is_repair() -> None:
    events = [event(100.0, "fault-starts"), event(400.0, "fault-ends", 0, "repair")]
    found = measured([trace(store(reads=outage(100.0, 400.0)), events=events)])
    assert value(found, rto(READ)) == 300.0
    assert value(found, f"phase_s{{{READ},part=repair}}") == pytest.approx(300.0)


def test_a_brownout_fails_the_share_of_requests_it_names() -> None:
    events = [event(100.0, "fault-starts"), event(160.0, "fault-ends", 0, "repair")]
    found = measured([trace(store(), events=events, error_rate={"west": [(100.0, 160.0, 0.25)], "east": []})])
    assert value(found, f"affected_share{{{READ}}}") == pytest.approx(0.6 * 0.25, abs=0.6 / 8)
    assert value(found, rto(READ)) == 60.0
    assert value(found, f"phase_s{{{READ},part=repair}}") == pytest.approx(60.0)


def test_budgets_get_the_client_quantiles_they_name_over_affected_or_all() -> None:
    budgets = """
budgets:
  rto{service=front, op=read, clients=90%}: [p95 < 5min]
  rto{service=front, op=read, clients=30%, of=all}: [p95 < 5min]
"""
    model = scenario(budgets=budgets)
    found = measured([lost_west()], model)
    assert all(budget.column in found.values for budget in model.budgets)
    assert value(found, f"rto_s{{{READ},clients=30%,of=all}}") == 0.0, "40 % are not affected"


def test_a_client_quantile_that_a_budget_names_has_its_phases_too() -> None:
    model = scenario(budgets="budgets: {'rto{service=front, op=read, clients=73%}': [p95 < 5min]}")
    found = measured([lost_west()], model)
    parts = [value(found, f"phase_at_s{{{READ},clients=73%,part={phase}}}") for phase in PHASES]
    assert sum(parts) == pytest.approx(value(found, rto(READ, "73%")))


def test_durable_recovery_waits_for_writes_that_are_kept() -> None:
    """The old primary accepts writes again from 200 s, all of which are lost when the east is promoted at 1000 s."""
    db = store(
        acks={
            WEST: [AckSpan(-INF, 100.0, 100.0, 0), AckSpan(200.0, 1000.0, 1000.0, 0, 1)],
            EAST: [AckSpan(1000.0, INF, INF, 1, 2)],
        },
        histories=[History(EAST, 0, 100.0, 1000.0, 2)],
        endpoint=[Change(1000.0, EAST, 2)],
        surviving=1,
    )
    events = [
        event(100.0, "fault-starts"),
        event(200.0, "node-up", 0, "restore"),
        event(1000.0, "promoted", 0, "promotion"),
    ]
    found = measured([trace(db, events=events)])
    assert value(found, rto(WRITE)) == 100.0
    durable = value(found, f"rto_durable_s{{{WRITE},clients=50%,of=affected}}")
    assert 902.0 <= durable <= 932.0


def test_two_primaries_that_are_both_written_to_are_a_split_brain() -> None:
    """Users of the west write to the west, those of the east to the new primary, as soon as their instances see it."""
    found = measured([split(500.0, 800.0)])
    assert value(found, "split_brain{store=db}") == 1.0
    assert value(found, "split_brain_episodes{store=db}") == 1.0
    seconds = value(found, "split_brain_s{store=db}")
    assert 268.0 <= seconds <= 298.0
    assert value(found, "exposed_s{store=db}") == pytest.approx(300.0 - seconds)
    assert value(found, "dual_belief_s{store=db}") == 0.0
    # 60 % of 10 writes a second for 300 s, and the east's until its instances followed, are nowhere in the new history
    divergent = value(found, "divergent_writes{store=db}")
    assert 1800 <= divergent <= 1800 + 0.4 * 10 * 30
    kinds = dict(zip(found.episodes["kind"], found.episodes["end_s"] - found.episodes["start_s"], strict=True))
    assert kinds["split-brain"] == pytest.approx(seconds)
    assert set(found.episodes["nodes"]) == {f"{WEST} {EAST}"}
    assert set(found.episodes["trial"]) == {0}


@pytest.mark.parametrize(("one", "other"), [*combinations(range(5), 2)])
def test_any_two_nodes_of_many_on_histories_of_their_own_make_two_primaries(one: int, other: int) -> None:
    """Five nodes acknowledge one after the other, an hour apart, but for two, which do so at once for ten minutes."""
    starts = {node: 3600.0 * node for node in range(5)} | {other: 3600.0 * one + 900.0}
    acks = {f"db@{n}": [AckSpan(at, at + 1500.0, at + 1500.0, n)] for n, at in starts.items()}
    db = store(acks=acks, histories=[History(f"db@{n}", 0, 0.0, starts[n]) for n in range(1, 5)])
    db.acks[WEST] = []
    start_s = 3600.0 * one + 900.0
    assert dual_s(db, 1e6) == ((start_s, start_s + 600.0, NO_EVENT),)


def test_two_primaries_of_which_one_is_reached_by_nobody_are_dual_belief() -> None:
    cut = [Span(-INF, 450.0)]
    front = {("west-users", "east"): cut, ("east-users", "east"): cut}
    links = {("west", EAST): cut}
    found = measured([split(500.0, 800.0, front=front, links=links)])
    assert value(found, "split_brain_s{store=db}") == 0.0
    assert value(found, "exposed_s{store=db}") == 0.0
    assert value(found, "dual_belief_s{store=db}") == pytest.approx(300.0)


def test_short_gaps_between_episodes_merge_and_long_ones_do_not() -> None:
    def gap(seconds: float) -> Any:
        found = split(500.0, 2000.0)
        ends = AckSpan(-INF, 1000.0, 1000.0, 0), AckSpan(1000.0 + seconds, 2000.0, 2000.0, 0)
        found.stores["db"].acks[WEST] = list(ends)
        return measured([found])

    assert value(gap(59.0), "split_brain_episodes{store=db}") == 1.0
    assert value(gap(61.0), "split_brain_episodes{store=db}") == 2.0
    assert value(gap(59.0), "split_brain_s{store=db}") == pytest.approx(
        value(gap(61.0), "split_brain_s{store=db}") + 61.0
    )


def test_a_promotion_while_the_old_primary_served_most_writers_is_false() -> None:
    assert value(measured([split(500.0, 800.0)]), "false_failover{store=db}") == 1.0
    assert value(measured([lost_west()]), "false_failover{store=db}") == 0.0
    assert decided_s(lost_west(), "db") == 180.0
    assert np.isnan(decided_s(trace(store()), "db"))


def test_a_decision_counts_before_the_fencing_that_it_led_to() -> None:
    found = lost_west()
    found.events[5] = event(200.0, "promoted", 8, "promotion")
    found.events += [event(190.0, "fence-confirmed", 4, "fencing"), event(191.0, "promotion-commanded", 7, "decision")]
    assert decided_s(found, "db") == 180.0


def test_a_promotion_for_a_fault_that_was_over_is_premature() -> None:
    early = lost_west()
    early.events.append(event(150.0, "fault-ends", 0, "repair"))
    assert value(measured([early]), "premature_failover{store=db}") == 1.0
    late = lost_west()
    late.events.append(event(250.0, "fault-ends", 0, "repair"))
    assert value(measured([late]), "premature_failover{store=db}") == 0.0


def test_redundancy_is_back_when_the_policy_is_met_again() -> None:
    column = "time_without_redundancy_s{store=db}"
    bare = lost_west()
    bare.stores["db"].redundant = [Span(-INF, 100.0)]
    assert measured([bare]).status[column][0] == Status.NEVER
    bare.stores["db"].redundant.append(Span(260.0, INF))
    assert value(measured([bare]), column) == pytest.approx(60.0)


def test_time_without_redundancy_adds_up_over_a_failover_and_the_failback() -> None:
    """From 200 s to 260 s, and from 900 s to 905 s; if none followed in between, one stretch."""
    column = "time_without_redundancy_s{store=db}"
    home = lost_west()
    home.stores["db"].redundant = [Span(-INF, 100.0), Span(260.0, 900.0), Span(905.0, INF)]
    home.stores["db"].histories.append(replace(home.stores["db"].histories[1], parent=1, began_s=900.0))
    assert value(measured([home]), column) == pytest.approx(65.0)
    home.stores["db"].redundant = [Span(-INF, 100.0), Span(905.0, INF)]
    assert value(measured([home]), column) == pytest.approx(705.0)


def test_the_latency_of_a_write_is_the_sum_of_its_ways() -> None:
    """Last mile 20 ms, 80 ms between the regions, mean local flush 0.55 ms, mean remote flush 1.35 ms.

    Service and database in one region are 0.5 ms apart, as in the engine; the service in the east writes to the west.
    """
    column = "write_latency_s{{service=api,from={},writes=mean,when=before}}".format
    plain = measured([trace(store())])
    assert value(plain, column("west-users")) == pytest.approx(0.020 + 0.0005 + 0.00055)
    assert value(plain, column("east-users")) == pytest.approx(0.020 + 0.080 + 0.00055)
    assert value(plain, column("all")) == pytest.approx(0.02055 + 0.6 * 0.0005 + 0.4 * 0.080)
    sync = measured([trace(store())], scenario(commit="{any: 1, of: [east], level: on, when_short: block}"))
    assert value(sync, column("west-users")) == pytest.approx(0.020 + 0.0005 + 0.00055 + 0.080 + 0.00135)


def test_the_draws_must_be_of_the_traces() -> None:
    with pytest.raises(ValueError, match="1 traces, but draws of 2 trials"):
        measure(scenario(), Population(scenario()), [lost_west()], Draws(1, 0, 2))


@pytest.mark.parametrize(
    ("rule", "wait_s"), [("any: 1", 0.030), ("any: 2", 0.080), ("first: 1", 0.080), ("first: 2", 0.080)]
)
def test_any_waits_for_the_fastest_and_first_for_its_first(rule: str, wait_s: float) -> None:
    text = TEXT.replace("regions: [west, east]", "regions: [west, east, south]").replace(
        "standbys: [east]", "standbys: [east, south]"
    )
    text = text.replace("west/east: 80ms", "west/east: 80ms, west/south: 30ms, east/south: 60ms")
    commit = f"{{{rule}, of: [east, south], level: on, when_short: block}}"
    model = loads(text.format(commit=commit, reconnect="2s", bursts="", more_clients="", budgets=""))
    assert commit_wait_s(model, model.stores["db"], "west") == pytest.approx(wait_s + 0.00135 + 0.00055)


def test_a_chain_of_causes_is_followed_to_its_root_however_long() -> None:
    """A command that is sent again every second for an hour is one chain; what came before its root is detection."""
    events = [event(100.0, "fault-starts")] + [event(101.0 + i, "fence-sent", i, "fencing") for i in range(3600)]
    links = chain(events, len(events) - 1)
    assert links[0] == (-INF, PHASES.index("detection"))
    assert len(links) == len(events)
