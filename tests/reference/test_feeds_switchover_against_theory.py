"""Consumers of changes in a planned switchover against theory: they read until the shutdown, and not a moment longer.

Commits come at 1000 per second. The switchover is ordered at 1000.37 s, where the order's way takes 0.5 ms.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from mrsim.measure import Measures, Status, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

TEXT = """
name: feeds
horizon: 3h
regions: [a, b, c]
network: {rtt: {a/b: 20ms, a/c: 40ms, b/c: 60ms}, last_mile: 0s}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 0s}
    wal: {commits: 1000/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 5s, fails: 2, timeout: 2s}
      decide: automatic
      promote: {takes: 11s}
      old_primary: {on_return: stays-down}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 1s, regions: [b]}}
clients: {users: {near: c, share: 100%, resolvers: honest, class: app, points: 1}}
feeds:
  index:
    of: db
    region: c
    slot: {synced_every: 20s}
    reads_after: 480ms
    shows_after: 3s
    confirms_every: 0s
    keeps_position: false
    reconnects: 9s
    recreates: 100s
faults:
  - {kind: switchover, store: db, to: b, at: 1000.37s, drain: 3s, checkpoint: 5s, hands_over: 60s}
"""
LOST = "  - {kind: region-loss, region: b, connections: hang, in_flight: lost, at: 1020s}\n"
ORDERED_S, RATE, SYNCED_S, SHUT_S = 1000.37, 1000.0, 20.0, 8.0
SHOWS_S = 0.03 + 0.48 + 3.0
"""From a commit of the new primary to its showing: the way there, its being read, and what follows."""
PROMOTED_S, MOVED_S, RECONNECTS_S = SHUT_S + 60.0 + 11.0, 7.0, 9.0
TRIALS = 200


def run(changes: dict[str, Any] | None = None, more: str = "", trials: int = TRIALS) -> tuple[list[Trace], Measures]:
    scenario = loads(TEXT + more).with_(changes or {})
    traces = Simulator(scenario).run_chunk(7, 0, trials)
    return traces, measure(scenario, Population(scenario), traces, Draws(7, 0, trials))


def column(found: Measures, metric: str) -> np.ndarray:
    return found.values[f"{metric}{{feed=index}}"]


def at_s(trace: Trace, kind: str) -> list[float]:
    return [event.at_s - ORDERED_S for event in trace.events if event.kind == kind]


def test_it_stops_as_the_old_primary_is_shut_down() -> None:
    """Drain 3 + checkpoint 5 s: what sends WAL ends last, and long before there is another primary."""
    for trace in run(trials=10)[0]:
        assert at_s(trace, "feed-stopped") == at_s(trace, "shut-down") == [pytest.approx(SHUT_S, abs=0.001)]
        assert at_s(trace, "promoted") == [pytest.approx(PROMOTED_S, abs=0.01)]


def test_it_is_complete_once_it_reads_the_new_primary() -> None:
    """Shutdown 8 + token 60 + promotion 11 + endpoint 7 + reconnection 9 s, and what it takes a change to show."""
    _, found = run()
    expected = PROMOTED_S + MOVED_S + RECONNECTS_S + SHOWS_S
    np.testing.assert_allclose(column(found, "feed_recovery_s"), expected, atol=0.02)
    # The oldest that waited is the new primary's first.
    np.testing.assert_allclose(column(found, "longest_feed_lag_s"), MOVED_S + RECONNECTS_S + SHOWS_S, atol=0.02)
    for metric in ("skipped_changes", "phantom_changes"):
        assert not column(found, metric).any()


def test_a_standby_copies_its_slot_no_more_once_the_primary_is_shut_down() -> None:
    """The last copy is x = U(0, 20) s older than the shutdown, and nothing is written from 8 s before that on.

    A change is confirmed as it is read, half a second after its commit, so that x - 7.5 s of changes are sent again if
    that is positive: 12.5² / 40 s on average. Five standard errors.
    """
    _, found = run()
    repeated = column(found, "repeated_changes")
    still_s = SHUT_S - 0.5
    ages = SYNCED_S - still_s
    mean, square = ages**2 / (2 * SYNCED_S), ages**3 / (3 * SYNCED_S)
    deviation = sqrt(square - mean**2)
    assert repeated.mean() == pytest.approx(RATE * mean, abs=5.0 * RATE * deviation / sqrt(TRIALS))
    assert (repeated == 0).mean() == pytest.approx(still_s / SYNCED_S, abs=5.0 * sqrt(0.25 / TRIALS))


def test_who_keeps_its_own_position_is_sent_nothing_again() -> None:
    """A shutdown ends once the consumer has confirmed everything, however seldom it does so otherwise."""
    _, found = run({"feeds.index.keeps_position": True, "feeds.index.confirms_every": "10min"})
    assert not column(found, "repeated_changes").any()


def test_a_primary_that_is_shut_down_keeps_no_more_wal_for_it_than_there_is() -> None:
    """40 MB are 20 s of writes, and nobody writes for 79 s: neither is the slot lost nor the disk full."""
    for rule in ({"max_slot_wal_keep_size": "40MB"}, {"disk": "40MB", "makes_room": "10min"}):
        traces, found = run({"stores.db.slots": rule, "feeds.index.slot.synced_every": "0s"}, trials=10)
        kinds = {event.kind for trace in traces for event in trace.events}
        assert not {"slot-invalidated", "disk-full", "feed-slot-missing"} & kinds
        assert not column(found, "skipped_changes").any()


def test_a_switchover_that_is_called_off_stops_it_too() -> None:
    """Given up after 5 min and back 10 s later; the old primary's next change waits for the reconnection alone."""
    plan = {"faults[0].gives_up_after": "5min", "faults[0].goes_back": "10s"}
    traces, found = run(plan, LOST, trials=20)
    shows_s = 0.02 + 0.48 + 3.0
    for trace in traces:
        assert at_s(trace, "feed-stopped") == [pytest.approx(SHUT_S, abs=0.001)]
        assert at_s(trace, "resumed-as-primary") == [pytest.approx(310.0, abs=0.001)]
    np.testing.assert_allclose(column(found, "feed_recovery_s"), 310.0 + RECONNECTS_S + shows_s, atol=0.01)
    np.testing.assert_allclose(column(found, "longest_feed_lag_s"), RECONNECTS_S + shows_s, atol=0.01)
    assert not column(found, "repeated_changes").any()
    assert {Status.OBSERVED} == set(found.status["feed_recovery_s{feed=index}"].tolist())
