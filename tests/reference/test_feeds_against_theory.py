"""Consumers of changes at a failover: what they skip, what they hold that is lost, what they are sent again.

Commits come at 1000 per second, and the primary's region is lost at 501 s. The standby is 2 s behind (half a round trip
of 4 s), the consumer 20 ms and whatever it takes to read.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from mrsim.errors import ScenarioError
from mrsim.measure import Measures, Status, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace
from tests.happened import events

TEXT = """
name: feeds
horizon: 2h
regions: [a, b, c]
network: {rtt: {a/b: 4s, a/c: 40ms, b/c: 60ms}, last_mile: 0s}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 0s, reconnect: 0s}
    wal: {commits: 1000/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 5s, fails: 2, timeout: 2s}
      decide: automatic
      promote: {takes: 5s}
      old_primary: {on_return: stays-down}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 1s, regions: [b]}}
clients: {users: {near: c, share: 100%, resolvers: honest, class: app, points: 1}}
feeds:
  index:
    of: db
    region: c
    reads_after: 480ms
    shows_after: 3s
    confirms_every: 0s
    reconnects: 0s
    recreates: 100s
faults: [{kind: region-loss, region: a, at: 501s, connections: hang, in_flight: lost}]
"""
RATE, FAULT_S, BEHIND_S, READ_S, SHOWS_S, RECREATES_S = 1000.0, 501.0, 2.0, 0.5, 3.0, 100.0
COPIED = {"synced_every": "10s"}
CUT = "{kind: partition, between: [c], and: [a], at: 501s, lasts: %s, in_flight: lost}"
TRIALS = 100


def run(
    changes: dict[str, Any] | None = None, *, fault: str = "", trials: int = TRIALS
) -> tuple[list[Trace], Measures]:
    text = TEXT if not fault else TEXT[: TEXT.index("faults:")] + f"faults: [{fault}]\n"
    scenario = loads(text).with_(changes or {})
    traces = Simulator(scenario).run_chunk(7, 0, trials)
    return traces, measure(scenario, Population(scenario), traces, Draws(7, 0, trials))


def index(**keys: Any) -> dict[str, Any]:
    return {f"feeds.index.{key}": value for key, value in keys.items()}


def column(found: Measures, metric: str) -> np.ndarray:
    return found.values[f"{metric}{{feed=index}}"]


def status(found: Measures, metric: str) -> set[int]:
    return set(found.status[f"{metric}{{feed=index}}"].tolist())


def poisson(mean: float) -> object:
    """A mean over trials of a Poisson variable, give or take five standard errors."""
    return pytest.approx(mean, abs=5.0 * sqrt(mean / TRIALS) + 0.001 * RATE)


def uniform(most: float) -> object:
    """A mean over trials of a count spread evenly from 0, give or take five standard errors."""
    return pytest.approx(most / 2.0, abs=5.0 * (most / sqrt(12.0) + sqrt(most)) / sqrt(TRIALS))


def test_while_nothing_is_wrong_it_is_as_far_behind_as_it_takes() -> None:
    elsewhere = "{kind: process-crash, store: db, region: b, at: 100min, lasts: 1min}"
    for found in (run(fault=elsewhere, trials=5)[1], run({"faults": []}, trials=5)[1]):
        check_level(found)


def check_level(found: Measures) -> None:
    np.testing.assert_allclose(column(found, "feed_lag_s"), READ_S + SHOWS_S, rtol=0, atol=1e-6)
    np.testing.assert_allclose(column(found, "longest_feed_lag_s"), READ_S + SHOWS_S, rtol=0, atol=1e-6)
    assert status(found, "feed_recovery_s") == {Status.NO_EFFECT}
    for metric in ("skipped_changes", "phantom_changes", "repeated_changes"):
        assert not column(found, metric).any()


def test_without_a_slot_it_skips_what_is_written_until_there_is_a_new_one() -> None:
    """It is ahead of the standby, so that all it misses is what the new primary takes until the slot is made."""
    traces, found = run()
    (created,) = events(traces[0], "feed-slot-created")
    (promoted,) = events(traces[0], "promoted")
    assert created.at_s == pytest.approx(promoted.at_s + RECREATES_S, abs=0.01)
    assert column(found, "skipped_changes").mean() == poisson(RATE * RECREATES_S)
    assert status(found, "feed_recovery_s") == {Status.NEVER}


def test_a_consumer_behind_the_standby_skips_what_it_had_not_read_too() -> None:
    _, found = run(index(reads_after="4980ms"))
    assert not column(found, "phantom_changes").any()
    assert column(found, "skipped_changes").mean() == poisson(RATE * (RECREATES_S + 5.0 - BEHIND_S))


@pytest.mark.parametrize("reads", [0.48, 1.23, 2.5])
def test_a_consumer_ahead_of_the_standby_holds_what_is_lost(reads: float) -> None:
    _, found = run(index(reads_after=f"{reads}s", slot=COPIED, keeps_position=False))
    assert column(found, "phantom_changes").mean() == poisson(RATE * max(0.0, BEHIND_S - reads - 0.02))
    assert not column(found, "skipped_changes").any()
    assert status(found, "feed_recovery_s") == {Status.OBSERVED}


def test_a_note_ahead_of_the_new_primary_skips_as_much_of_what_it_writes() -> None:
    """It asks for what follows a position in WAL that is gone; as many bytes of other WAL are not sent."""
    _, found = run(index(slot=COPIED))
    ahead = RATE * (BEHIND_S - READ_S)
    assert column(found, "phantom_changes").mean() == poisson(ahead)
    assert column(found, "skipped_changes").mean() == poisson(ahead)
    assert status(found, "feed_recovery_s") == {Status.NEVER}


def test_a_primary_that_waits_for_its_standby_leaves_none_ahead() -> None:
    """Every change is a round trip later: it is sent once the standby has confirmed it."""
    _, found = run(index(slot=COPIED | {"waits_for": ["b"]}))
    np.testing.assert_allclose(column(found, "feed_lag_s"), READ_S + SHOWS_S + 2.0 * BEHIND_S, rtol=0, atol=1e-6)
    assert not column(found, "phantom_changes").any()
    assert not column(found, "skipped_changes").any()


def test_it_is_sent_again_what_the_slot_was_not_known_to_have_sent() -> None:
    """A standby that fetches every 10 s knows, on average, a position that is 5 s old."""
    _, found = run(index(reads_after="2.5s", slot=COPIED, keeps_position=False))
    assert column(found, "repeated_changes").mean() == uniform(RATE * 10.0)
    assert column(found, "repeated_changes").max() > 0.9 * RATE * 10.0


def test_who_keeps_its_position_is_sent_again_what_it_had_not_noted() -> None:
    """However old the standby's copy is."""
    _, found = run(index(reads_after="2.5s", slot=COPIED, confirms_every="4s"))
    assert column(found, "repeated_changes").mean() == uniform(RATE * 4.0)
    assert column(found, "repeated_changes").max() < RATE * 4.0 + 5.0 * sqrt(RATE * 4.0)


def test_it_is_complete_once_it_is_filled_anew() -> None:
    """After 10 min somebody notices; 1 GB at 10 MB/s; what was committed meanwhile follows, and shows."""
    traces, found = run(index(reseeds={"after": "10min", "size": "1GB", "throughput": "10MB/s"}), trials=20)
    for trace, took, longest in zip(
        traces, column(found, "feed_recovery_s"), column(found, "longest_feed_lag_s"), strict=True
    ):
        (created,) = events(trace, "feed-slot-created")
        (promoted,) = events(trace, "promoted")
        done_s = created.at_s + 600.0 + 100.0
        assert took == pytest.approx(done_s + 0.03 + 0.48 + SHOWS_S - FAULT_S, abs=1e-6)
        # The first that was skipped is the new primary's first.
        assert longest == pytest.approx(done_s + 0.03 + 0.48 + SHOWS_S - promoted.at_s, abs=0.01)
    assert not column(found, "skipped_changes").any()
    assert not column(found, "phantom_changes").any()
    assert status(found, "feed_recovery_s") == {Status.OBSERVED}


def test_a_short_cut_costs_time_alone_a_long_one_repeats() -> None:
    """A connection outlives a cut that is shorter than the sender's timeout, and nothing is sent twice over it."""
    _, short = run(index(confirms_every="40s"), fault=CUT % "20s")
    assert not column(short, "repeated_changes").any()
    assert column(short, "longest_feed_lag_s").min() > 20.0
    _, long = run(index(confirms_every="40s"), fault=CUT % "90s")
    assert column(long, "repeated_changes").mean() == uniform(RATE * 40.0)
    assert not column(long, "skipped_changes").any()
    np.testing.assert_allclose(column(long, "longest_feed_lag_s"), 90.0 + 2.0 * READ_S + SHOWS_S, rtol=0, atol=0.01)


def test_recovery_runs_from_the_first_fault_to_the_last_completion() -> None:
    """Of two cuts it holds the time between: complete as soon after the second as one alone would be."""
    second = (CUT % "90s").replace("501s", "3501s")
    _, one = run(fault=CUT % "90s", trials=5)
    _, two = run(fault=f"{CUT % '90s'}, {second}", trials=5)
    np.testing.assert_allclose(column(two, "feed_recovery_s") - column(one, "feed_recovery_s"), 3000.0, atol=0.01)


def test_a_primary_keeps_wal_for_a_consumer_that_is_away_until_it_may_no_more() -> None:
    """Of 2 MB per second 600 MB are kept, for 300 s; then the slot is invalid, and the rest of the cut is skipped."""
    changes = {"stores.db.slots": {"max_slot_wal_keep_size": "600MB"}} | index(recreates="0s")
    traces, found = run(changes, fault=CUT % "400s")
    (invalid,) = events(traces[0], "slot-invalidated")
    assert (invalid.subject, invalid.at_s) == ("index", pytest.approx(FAULT_S - READ_S + 300.0, abs=1e-3))
    assert column(found, "skipped_changes").mean() == poisson(RATE * (400.0 + READ_S))


def test_a_consumer_that_is_away_fills_the_disk() -> None:
    changes = {"stores.db.slots": {"disk": "600MB", "makes_room": "10min"}} | index(recreates="0s")
    traces, found = run(changes, fault=CUT % "400s")
    (full,) = events(traces[0], "disk-full")
    assert (full.subject, full.at_s) == ("db@a", pytest.approx(FAULT_S - READ_S + 300.0, abs=1e-3))
    assert "index" in full.note
    assert events(traces[0], "feed-slot-missing")
    # The disk's room of changes, less what the promoted standby lacks, and what is written until the slot is made.
    assert column(found, "skipped_changes").min() > RATE * (300.0 - BEHIND_S) * 0.99


def test_a_consumer_that_stays_with_a_primary_that_was_given_up_holds_what_only_that_writes() -> None:
    """Both sides of a cut have a primary, and the consumer is on the side of the old one."""
    cut = "{kind: partition, between: [a, c], and: [b, operations], at: 501s, lasts: 20min, in_flight: lost}"
    changes: dict[str, Any] = {
        "stores.db.endpoint.authority": "c",
        "dns.shop.regions": ["c"],
    }
    _, found = run(changes, fault=cut)
    gone = sum(found.values[f"{name}{{store=db}}"] for name in ("lost_writes", "divergent_writes", "in_doubt_gone"))
    phantom = column(found, "phantom_changes")
    assert np.all(phantom <= gone)
    # But for what was on its way as the old primary stopped.
    assert (gone - phantom).max() < RATE * READ_S + 5.0 * sqrt(RATE * READ_S)
    assert phantom.min() > RATE * 1000.0


def test_a_consumer_that_is_lost_with_its_region_shows_nothing_newer() -> None:
    traces, found = run(fault="{kind: region-loss, region: c, at: 501s, connections: hang, in_flight: lost}", trials=5)
    assert status(found, "feed_recovery_s") <= {Status.NEVER, Status.CENSORED}
    assert status(found, "longest_feed_lag_s") == {Status.CENSORED}
    assert not column(found, "skipped_changes").any()
    assert traces[0].feeds["index"].waiting


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("of: db", "of: dv", "unknown store 'dv'"),
        ("region: c\n    reads", "region: d\n    reads", "unknown region 'd'"),
        ("shows_after: 3s", "shows_after: 3", "has no unit"),
        ("shows_after: 3s", "slot: postgresql-17-slot", "unknown kind of slot.*did you mean 'postgresql-17-slots'"),
        ("shows_after: 3s", "slot: {synced_every: 1s, waits_for: a}", "no standby that streams"),
        ("shows_after: 3s", "slot: {waits_for: b}", "synced_every"),
        ("shows_after: 3s", "slot: 5", "not a mapping"),
        ("shows_after: 3s", "slto: primary-only", "did you mean 'slot'"),
        ("shows_after: 3s", "reseeds: {after: 1min}", "size"),
        ("[b]\n    endpoint", "[]\n    endpoint", "failover"),
    ],
)
def test_what_makes_no_sense_is_said(old: str, new: str, said: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(ScenarioError, match=said):
        loads(TEXT.replace(old, new))
