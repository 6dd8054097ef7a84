"""Commits that wait for standbys: which one counts while it catches up, when it has gone, and how long that takes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from scipy import stats

from mrsim.measure.latency import commit_wait_s
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.sim.wal import Load
from mrsim.trace import INF, AckSpan, Trace
from tests.happened import events, kinds, only, when

WRITTEN = 200 * 2000.0
NEAR_S, FAR_S = 0.035, 0.1
"""One way from the primary to its two standbys."""
FLUSHES_S = 0.002

SCENARIO = """\
name: synchronous
horizon: 2h
regions: [us-east, eu-west, ap-southeast]
network:
  rtt: {us-east/eu-west: 70ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}
  wal_bandwidth: {'*/*': 6Mbit/s}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    commit: RULE
    endpoint: {moved_by: controller, takes: 0s, reconnect: 0s}
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    replication: {sender_timeout: 60s, local_flush: 1ms, remote_flush: 1ms}
    failover: {detect: {from: operations}, decide: automatic, promote: {fails: 0%, order: [eu-west, ap-southeast]}}
services: {orders: {writes: db}}
faults:
"""
LINE = 6 * 125e3


def _traces(rule: str, faults: str, count: int = 1) -> list[Trace]:
    return Simulator(loads(SCENARIO.replace("RULE", rule) + faults)).run_chunk(42, 0, count)


def _spans(trace: Trace) -> list[AckSpan]:
    return trace.stores["db"].acks["db@us-east"]


# Catching up ---------------------------------------------------------------------------------------------------------

STALL = "  - {kind: replication-stall, store: db, region: eu-west, at: 300.37s, lasts: 30min}\n"
LOSS = "  - {kind: region-loss, region: us-east, at: LOSSs, lasts: permanent, connections: hang, in_flight: lost}\n"


@pytest.mark.parametrize(("rule", "stalls_s"), [("any", 0.0), ("first", 60.0)])
def test_a_standby_that_catches_up_answers_for_nothing(rule: str, stalls_s: float) -> None:
    """Half an hour behind, the near one needs W·D / (B − W) to be level; until then the far one answers."""
    text = STALL + LOSS.replace("LOSS", "7000.5")
    (trace,) = _traces(f"{{{rule}: 1, of: [eu-west, ap-southeast]}}", text)
    resumed_s, level_s = when(trace, "stream-resumed", "db@eu-west"), when(trace, "standby-caught-up", "db@eu-west")
    executed = resumed_s - (300.37 - NEAR_S)
    if stalls_s:
        # While the first member was silent, nothing was written but what 100 connections hold.
        before, after, *_ = _spans(trace)
        assert after.start_s - 300.37 == pytest.approx(stalls_s, abs=1e-6)
        executed -= after.start_s - before.end_s
    assert level_s - resumed_s == pytest.approx(WRITTEN * executed / (LINE - WRITTEN), rel=1e-6)
    for at_s, wait_s in (
        (0.5 * (resumed_s + level_s), 2 * FAR_S),
        (level_s - 0.01, 2 * FAR_S),
        (level_s + 5.0, 2 * NEAR_S),
    ):
        (trace,) = _traces(f"{{{rule}: 1, of: [eu-west, ap-southeast]}}", STALL + LOSS.replace("LOSS", f"{at_s:.6f}"))
        last = _spans(trace)[-1]
        assert last.acked_until_s == pytest.approx(at_s - wait_s - FLUSHES_S, abs=2e-6)
        # No acknowledged write is missing where it was answered for.
        nearest = {2 * FAR_S: "ap-southeast", 2 * NEAR_S: "eu-west"}[wait_s]
        (history,) = [item for item in trace.stores["db"].histories if item.parent == 0]
        if history.node.endswith(nearest):
            assert history.forked_at_s >= last.acked_until_s


def test_a_first_member_whose_connection_survives_is_waited_for_until_it_is_level() -> None:
    """Five seconds end within the timeouts: TCP goes on, the walsender stays in *streaming*, and commits wait for it.

    Meanwhile only as many commits as there are connections are executed; sending them takes their size by the rate.
    """
    cut = "  - {kind: partition, between: us-east, and: eu-west, at: 300.37s, lasts: 5s, in_flight: lost}\n"
    for trace in _traces("{first: 1, of: [eu-west, ap-southeast]}", cut, 20):
        resumed_s = when(trace, "stream-resumed", "db@eu-west")
        before, after = _spans(trace)
        lacking = before.end_s - (300.37 - NEAR_S)
        assert after.start_s == pytest.approx(resumed_s + WRITTEN * lacking / LINE, abs=1e-6)


@pytest.mark.parametrize("rule", ["any", "first"])
def test_nobody_waits_for_a_standby_whose_new_connection_catches_up(rule: str) -> None:
    """A required standby alone: commits stay blocked until it is level, which takes what 100 connections hold."""
    for trace in _traces(f"{{{rule}: 1, of: [eu-west]}}", STALL, 5):
        resumed_s, level_s = when(trace, "stream-resumed"), when(trace, "standby-caught-up")
        before, after = _spans(trace)
        assert after.start_s == level_s
        assert level_s - resumed_s == pytest.approx(WRITTEN * (before.end_s - 300.37 + NEAR_S) / LINE, abs=1e-6)


# Gone ----------------------------------------------------------------------------------------------------------------


def test_a_crashed_standby_closes_its_connection() -> None:
    """The kernel of a host that lives ends the connection: one latency, and not the sender's timeout."""
    crash = "  - {kind: process-crash, store: db, region: eu-west, at: 300.37s, lasts: 10min}\n"
    (trace,) = _traces("{first: 1, of: [eu-west, ap-southeast]}", crash)
    before, after, *_ = _spans(trace)
    assert before.acked_until_s == pytest.approx(300.37 - 2 * NEAR_S - FLUSHES_S, abs=1e-6)
    assert after.start_s == pytest.approx(300.37 + NEAR_S, abs=1e-6)


@pytest.mark.parametrize(("healed_s", "most_s"), [(None, 60.0), (20.0, 60.0)])
def test_a_standby_that_crashes_behind_a_cut_is_silent(healed_s: float | None, most_s: float) -> None:
    """Nothing tells the primary, until its timeout or until it sends again over a whole path."""
    lasts = "permanent" if healed_s is None else f"{healed_s}s"
    faults = (
        f"  - {{kind: partition, between: us-east, and: eu-west, at: 300.37s, lasts: {lasts}, in_flight: lost}}\n"
        "  - {kind: process-crash, store: db, region: eu-west, at: 301.37s, lasts: 10min}\n"
    )
    (trace,) = _traces("{first: 1, of: [eu-west, ap-southeast]}", faults)
    before, after, *_ = _spans(trace)
    silent_s = after.start_s - 300.37
    if healed_s is None:
        assert silent_s == pytest.approx(most_s, abs=1e-6)
    else:
        # RFC 6298: the retransmission after the heal comes within the length of the cut.
        assert healed_s < silent_s < 2 * healed_s + 1.0
    assert before.acked_until_s < 300.37


AWAY = "  - {kind: partition, between: us-east, and: OTHERS, at: 300.37s, lasts: permanent, in_flight: lost}\n"


@pytest.mark.parametrize("whole", [True, False])
def test_a_standby_promoted_elsewhere_leaves_a_connection_behind(whole: bool) -> None:
    """The old primary hears of its end after a latency where the path is whole, and otherwise waits for its timeout."""
    others = "[operations]" if whole else "[operations, eu-west]"
    rule = "{any: 1, of: [eu-west], when_short: degrade}"
    (trace,) = _traces(rule, AWAY.replace("OTHERS", others))
    before, after, *_ = _spans(trace)
    promoted = only(trace, "promotion-commanded")
    assert promoted.subject == "db@eu-west"
    if whole:
        assert when(trace, "standby-dropped", "db@eu-west") == after.start_s
        arrived_s = after.start_s - NEAR_S
        assert before.acked_until_s == pytest.approx(arrived_s - 2 * NEAR_S - FLUSHES_S, abs=1e-6)
        assert arrived_s == pytest.approx(promoted.at_s, abs=0.2)
    else:
        assert when(trace, "promoted") < 360.0
        assert after.start_s == pytest.approx(300.37 + 60.0, abs=1e-6)
    assert all(one.end_s <= other.start_s for one, other in pairwise(_spans(trace)))


# In doubt ------------------------------------------------------------------------------------------------------------

BURSTS = "wal: {commits: 200/s, bytes_per_commit: 2KB, bursts: {every: 30min, last: 2min, rate: 8x, phase: 0%}}"
STEADY = "wal: {commits: 200/s, bytes_per_commit: 2KB}"


@pytest.mark.parametrize("at_s", [1500.37, 1830.37, 1860.37, 1919.37, 2100.37])
def test_no_more_commits_are_in_doubt_than_there_are_connections(at_s: float) -> None:
    """A burst of 3.2 MB/s on a line of 0.75 MB/s: those that wait are clients that queue, and 100 connections."""
    loss = LOSS.replace("LOSS", f"{at_s}")
    text = (SCENARIO + loss).replace("RULE", "{any: 1, of: [eu-west]}").replace(STEADY, BURSTS)
    scenario = loads(text)
    (trace,) = Simulator(scenario).run_chunk(42, 0, 1)
    (span,) = _spans(trace)
    load = Load(scenario.stores["db"].wal, 0.0)
    doubt = load.bytes_between(span.acked_until_s, span.end_s) / 2000.0
    queued = load.bytes_between(span.acked_until_s, at_s) / 2000.0
    assert doubt == pytest.approx(min(queued, 100.0), abs=1e-6)
    # Served at the line's rate since the burst began: what has been acknowledged follows from the rates alone.
    served = (
        min(LINE * (at_s - 1800.0), 8 * WRITTEN * (at_s - 1800.0)) / (8 * WRITTEN) if 1800.0 < at_s < 1920.0 else 0.0
    )
    if served:
        assert span.acked_until_s == pytest.approx(1800.0 + served, abs=0.1)
        assert queued > 100.0


@pytest.mark.parametrize(("at_s", "factor"), [(600.37, 1.0), (1830.37, 8.0)])
def test_commits_that_are_blocked_fill_the_connections_at_the_rate_of_the_moment(at_s: float, factor: float) -> None:
    cut = f"  - {{kind: partition, between: us-east, and: eu-west, at: {at_s}s, lasts: permanent, in_flight: lost}}\n"
    text = (
        (SCENARIO + cut).replace("RULE", "{any: 1, of: [eu-west]}").replace(STEADY, BURSTS).replace("6Mbit", "60Mbit")
    )
    (trace,) = Simulator(loads(text)).run_chunk(42, 0, 1)
    (span,) = _spans(trace)
    assert span.acked_until_s == pytest.approx(at_s - 2 * NEAR_S - FLUSHES_S, abs=1e-6)
    assert span.end_s - span.acked_until_s == pytest.approx(100 / (200 * factor), abs=1e-6)


# Levels --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "wait_s"), [("remote_write", 0.07), ("on", 0.07 + 0.03), ("remote_apply", 0.07 + 0.03 + 2000 / 1e6)]
)
def test_what_a_commit_waits_for_depends_on_its_level(level: str, wait_s: float) -> None:
    """A round trip; the standby's flush; its replay of the commit. The engine and the reported latency agree."""
    rule = f"{{any: 1, of: [eu-west], level: {level}}}"
    text = (SCENARIO + LOSS.replace("LOSS", "600.5")).replace("RULE", rule).replace("remote_flush: 1ms", WORK)
    scenario = loads(text)
    (trace,) = Simulator(scenario).run_chunk(42, 0, 1)
    (span,) = _spans(trace)
    assert 600.5 - span.acked_until_s == pytest.approx(wait_s + 0.001, abs=1e-6)
    assert commit_wait_s(scenario, scenario.stores["db"], "us-east") == pytest.approx(wait_s + 0.001, abs=1e-9)


WORK = "remote_flush: 30ms, apply_rate: 1MB/s"


def test_commits_that_wait_for_replay_wait_for_its_backlog() -> None:
    """A burst of 3.2 MB/s comes through whole and is replayed at 1 MB/s: x seconds in, x / 3.2 of it count."""
    rule = "{any: 1, of: [eu-west], level: remote_apply}"
    text = (SCENARIO + LOSS.replace("LOSS", "1860.37")).replace("RULE", rule).replace("remote_flush: 1ms", WORK)
    (trace,) = Simulator(loads(text.replace(STEADY, BURSTS).replace("6Mbit", "60Mbit"))).run_chunk(42, 0, 1)
    (span,) = _spans(trace)
    assert span.acked_until_s == pytest.approx(1800.0 + (60.37 - NEAR_S) / 3.2, abs=1e-6)


# A standby that receives nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasts", ["permanent", "2000s"])
def test_a_primary_that_received_nothing_as_a_standby_sends_all_the_same(lasts: str) -> None:
    """Its receiver stands still, and is gone once it is promoted: the other standby follows, and commits go on."""
    stall = STALL.replace("lasts: 30min", f"lasts: {lasts}")
    text = (SCENARIO + stall + LOSS.replace("LOSS", "400.5")).replace("RULE", "{any: 1, of: [ap-southeast]}")
    text = text.replace("order: [eu-west, ap-southeast]", "order: [eu-west]")
    for trace in Simulator(loads(text)).run_chunk(42, 0, 20):
        promoted_s = when(trace, "promoted", "db@eu-west")
        attached_s = when(trace, "standby-attached", "db@ap-southeast")
        last = trace.stores["db"].acks["db@eu-west"][-1]
        assert promoted_s < attached_s <= last.start_s < promoted_s + 1810.0
        assert last.acked_until_s == INF


# The lag gate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gate_s", "passes"), [(60.0, False), (1685.0, False), (1705.0, True)])
def test_a_lag_gate_sees_how_far_the_primary_was_and_not_when_the_standby_stopped(gate_s: float, passes: bool) -> None:
    """Stalled from 300.37 s on, the primary lost at 2000.5 s: 1700.2 s behind, less a report's age of 0 to 10 s."""
    stall = "  - {kind: replication-stall, store: db, region: eu-west, at: 300.37s, lasts: permanent}\n"
    away = "  - {kind: replication-stall, store: db, region: ap-southeast, at: 300.37s, lasts: permanent}\n"
    text = (SCENARIO + stall + away + LOSS.replace("LOSS", "2000.5")).replace("RULE", "async")
    text = text.replace("decide: automatic", f"decide: {{by: automatic, max_lag: {gate_s}s}}")
    for trace in Simulator(loads(text)).run_chunk(42, 0, 20):
        assert ("promoted" in kinds(trace)) == passes
        told = [event.note for event in events(trace, "no-candidate")]
        assert bool(told) != passes


def test_a_report_is_up_to_ten_seconds_old_when_a_lag_gate_is_asked() -> None:
    """A standby seven seconds behind passes a gate of four if the last report is three to ten seconds old: 70 %.

    The stall begins 7 s before the loss and one way's time later than what the standby holds; wal_receiver_status_
    interval is 10 s. A binomial test at 1e-5.
    """
    stall = "  - {kind: replication-stall, store: db, region: eu-west, at: 300.37s, lasts: permanent}\n"
    away = stall.replace("eu-west", "ap-southeast")
    text = (SCENARIO + stall + away + LOSS.replace("LOSS", "307.37")).replace("RULE", "async")
    text = text.replace("decide: automatic", f"decide: {{by: automatic, max_lag: {4.0 + NEAR_S}s}}")
    text = text.replace("order: [eu-west, ap-southeast]", "order: [eu-west]")
    found = Simulator(loads(text)).run_chunk(42, 0, 600)
    passed = sum("promoted" in kinds(trace) for trace in found)
    assert stats.binomtest(passed, len(found), 0.7).pvalue > 1e-5


# What the trace says -------------------------------------------------------------------------------------------------


def test_the_trace_says_why_commits_wait() -> None:
    cut = "  - {kind: partition, between: us-east, and: eu-west, at: 300.37s, lasts: 10min, in_flight: lost}\n"
    (trace,) = _traces("{any: 1, of: [eu-west]}", cut)
    event = only(trace, "commits-blocked")
    assert (event.at_s, event.subject, event.note) == (300.37, "db@us-east", "0 of 1 synchronous standbys answer")


def test_a_promoted_primary_says_why_it_cannot_commit() -> None:
    """Two regions with a synchronous standby: after the failover nobody is left to answer."""
    text = SCENARIO.replace("RULE", "{any: 1, of: [eu-west]}").replace("[eu-west, ap-southeast]", "[eu-west]")
    (trace,) = Simulator(loads(text + LOSS.replace("LOSS", "300.37"))).run_chunk(42, 0, 1)
    event = only(trace, "commits-blocked")
    assert (event.at_s, event.subject) == (when(trace, "promoted"), "db@eu-west")
    assert event.note == "0 of 1 synchronous standbys answer"
