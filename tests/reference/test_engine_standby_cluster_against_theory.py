"""Clusters of standbys: one instance follows the primary elsewhere, the others follow it, and it is replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.trace import Event, Trace
from tests.happened import events

TEXT = """
name: two-clusters
horizon: 2h
regions: [us-east, eu-west]
zones: {us-east: [a, b, c], eu-west: [d, e, f]}
network: {rtt: {us-east/eu-west: 80ms}}
stores:
  db:
    product: cloudnative-pg
    primary: a
    standbys: [b, c, d, e, f]
    commit: async
    endpoint: {ttl: 30s, moved_by: controller, takes: 2s, reconnect: 1s}
    wal: {commits: 50/s, bytes_per_commit: 2KB}
    in_region: {takes: 2s, redirects: 1s, starts_after: 5s..30s}
    failover:
      detect: {from: [eu-west, operations], probe: write-path, every: 10s, fails: 9, timeout: 4s}
      decide: automatic
      promote: {order: [d], takes: 3s}
      old_primary: {on_return: rejoins, starts_after: 10s, rebuild: 40s}
services:
  api: {reads: {db: nearest}, writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: region-loss, region: us-east, at: 1000.37s, lasts: 10min, connections: hang, in_flight: lost}
"""
RETURNS_S = 600.0
ALPHA = 1e-5
TRIALS = 1000


def scenario(changes: dict[str, Any]) -> Scenario:
    return loads(TEXT).with_(changes)


def traces(changes: dict[str, Any], trials: int = 30, seed: int = 5) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(seed, 0, trials)


def after(trace: Trace, event: Event) -> float:
    return event.at_s - trace.fault_s


def test_a_region_that_returns_becomes_a_cluster_of_standbys() -> None:
    """All three start, learn where the primary is and are rebuilt; nobody is promoted in a region given up."""
    for trace in traces({}):
        store = trace.stores["db"]
        assert [history.node for history in store.histories] == ["db@a", "db@d"]
        attached = {event.subject: after(trace, event) for event in events(trace, "standby-attached")}
        followed = {event.subject: after(trace, event) for event in events(trace, "stream-resumed")}
        follows = {node: max(attached.get(node, 0.0), followed.get(node, 0.0)) for node in ("db@a", "db@b", "db@c")}
        # Started within 30 s, rebuilt in 40 s, and the next attempt to connect.
        assert all(RETURNS_S < at < RETURNS_S + 30.0 + 40.0 + 2 * 5.1 for at in follows.values()), follows


def test_the_time_without_redundancy_ends_when_a_standby_follows() -> None:
    alone = {"stores.db.standbys": ["b", "c", "d"]}
    for trace in traces(alone):
        redundant = trace.stores["db"].redundant[-1]
        assert RETURNS_S + 40.0 < redundant.start_s - trace.fault_s < RETURNS_S + 30.0 + 40.0 + 2 * 5.1


def test_a_region_that_stays_down_does_so_as_a_whole() -> None:
    for trace in traces({"stores.db.failover.old_primary.on_return": "stays-down"}):
        started = [event.subject for event in events(trace, "node-up")]
        assert started == []
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@d"]


def test_a_manager_that_was_lost_promotes_nobody_before_it_is_told_who_is_primary() -> None:
    """The region is back, and cut off from whoever could tell; its nodes wait, and no second history begins."""
    cut = {"kind": "partition", "between": ["us-east"], "and": ["eu-west", "operations"], "in_flight": "lost"}
    lost = {"kind": "region-loss", "region": "us-east", "at": "1000.37s", "lasts": "10min"}
    faults = [lost | {"connections": "hang", "in_flight": "lost"}, cut | {"at": "1300s", "lasts": "20min"}]
    for trace in traces({"faults": faults}):
        assert len(trace.stores["db"].histories) == 2
        assert all(event.at_s > 2500.0 for event in events(trace, "standby-attached", "db@a"))
        assert events(trace, "standby-attached", "db@a")


CRASH = {"kind": "process-crash", "store": "db", "region": "d", "at": "1000.37s"}


def test_the_dead_leader_of_standbys_is_replaced_without_a_promotion() -> None:
    """Reported within 1 to 5 s, then both others connect: one to the primary at its next attempt, one to that."""
    times = []
    for trace in traces({"faults": [CRASH]}, TRIALS):
        (replaced,) = events(trace, "leader-replaced")
        times.append(after(trace, replaced))
        assert len(trace.stores["db"].histories) == 1
        resumed = {event.subject: event.at_s - replaced.at_s for event in events(trace, "stream-resumed")}
        assert set(resumed) == {"db@e", "db@f"}
        assert all(0.0 < wait < 5.001 for wait in resumed.values())
    assert stats.kstest(np.array(times), stats.uniform(1.0, 4.0).cdf).pvalue > ALPHA


def test_who_leads_the_standbys_is_promoted_in_the_place_of_a_dead_one() -> None:
    """The order names d, which is dead: whoever leads its cluster by then is meant."""
    lost = {"kind": "region-loss", "region": "us-east", "at": "1200.37s", "connections": "hang", "in_flight": "lost"}
    for trace in traces({"faults": [CRASH, lost]}):
        (replaced,) = events(trace, "leader-replaced")
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", replaced.subject]


def test_standbys_hold_what_their_leader_holds() -> None:
    """Cut off together with it, they have as much: its region's loss later loses what the leader would have."""
    stall = {"kind": "replication-stall", "store": "db", "region": "d", "at": "1000.37s", "lasts": "10min"}
    lost = {"kind": "region-loss", "region": "us-east", "at": "1300s", "connections": "hang", "in_flight": "lost"}
    for trace in traces({"faults": [stall, lost], "stores.db.failover.promote.order": ["f"]}):
        forked = trace.stores["db"].histories[1].forked_at_s
        assert trace.fault_s - 0.1 < forked <= trace.fault_s


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stores.db.commit": {"any": 1, "of": ["e"]}}, "'e' streams from 'd'"),
        ({"stores.db.standbys": ["b", "d", {"region": "e", "via": "archive"}]}, "'e' gets its WAL through 'd'"),
    ],
)
def test_what_does_not_go_through_a_leader_is_refused(change: dict[str, Any], says: str) -> None:
    archive = {"stores.db.archive": {"place": "eu-west", "timeout": "5min"}}
    with pytest.raises(ScenarioError, match=says):
        scenario(change | (archive if "via" in str(change) else {}))
