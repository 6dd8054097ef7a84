"""Switchovers under a lease against theory: the outage is the sum of its parts, and nothing acknowledged is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Trace

ALPHA = 1e-5
TEXT = """
name: planned
horizon: 3h
regions: [site-a, site-b, site-c]
network: {rtt: {site-a/site-b: 20ms, site-a/site-c: 30ms, site-b/site-c: 20ms}, last_mile: 1ms}
stores:
  db:
    primary: site-a
    standbys: [site-b, site-c]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 3s, reconnect: 2s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      decide: {preset: patroni, voters: [site-a, site-b, site-c], race: 0.2s}
      promote: {takes: 1s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: site-c, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: switchover, store: db, to: site-c, at: 1000.37s, drain: 0.5s, checkpoint: 4s}
"""
RTO = "rto_s{service=api,op=write,clients=50%,of=affected}"


def scenario(changes: dict[str, Any] | None = None, more: str = "") -> Scenario:
    return loads(TEXT + more).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, more: str = "", trials: int = 40) -> list[Trace]:
    return Simulator(scenario(changes, more)).run_chunk(6, 0, trials)


def kinds(trace: Trace) -> list[str]:
    return [event.kind for event in trace.events]


def lost(results: Any) -> np.ndarray:
    found = results.trials
    return (found["lost_writes{store=db}"] + found["divergent_writes{store=db}"]).to_numpy()


def test_the_outage_is_the_sum_of_its_parts() -> None:
    """Drain 0.5 + checkpoint 4 + race 0.2 + promotion 1 + endpoint 3 + reconnection 2 s: no ttl runs out."""
    results = run(scenario(), trials=50, seed=1, workers=1)
    np.testing.assert_allclose(results.trials[RTO], 10.7, atol=0.15)
    assert not lost(results).any()
    assert not results.trials["split_brain{store=db}"].any()


def test_the_checkpoint_is_drawn() -> None:
    times = run(scenario({"faults[0].checkpoint": "1s..20s"}), trials=500, seed=1, workers=1).trials[RTO].to_numpy()
    assert stats.kstest(times - 6.7 - 0.06, stats.uniform(1.0, 19.0).cdf).pvalue > ALPHA


def test_the_named_standby_alone_takes_the_lease_and_the_old_primary_follows_without_a_rebuild() -> None:
    for trace in traces():
        assert kinds(trace).count("promoted") == kinds(trace).count("lease-released") == 1
        assert "lease-expired" not in kinds(trace)
        assert trace.stores["db"].histories[1].node == "db@site-c"
        (attached,) = [event for event in trace.events if event.subject == "db@site-a" and "attached" in event.kind]
        assert attached.note == "its position is behind the fork"
        # It starts again 2 to 5 s after it has released its key, and tries to connect every 5 s.
        (released,) = [event for event in trace.events if event.kind == "lease-released"]
        assert 2.0 <= attached.at_s - released.at_s < 10.01


def test_a_failover_of_a_primary_whose_wal_is_held_up_loses_and_the_switchover_waits() -> None:
    slow = {
        "network.wal_bandwidth": {"site-a/*": "300KB/s"},
        "stores.db.wal.bursts": {"every": "30min", "last": "2min", "rate": "2x"},
        "stores.db.failover.decide.max_lag_bytes": "1GB",
    }
    loss = {"kind": "region-loss", "region": "site-a", "connections": "hang", "in_flight": "lost", "at": "random"}
    assert lost(run(scenario({**slow, "faults[0]": loss}), trials=100, seed=1, workers=1)).any()
    planned = {**slow, "faults[0].at": "random", "faults[0].max_lag": "2min"}
    results = run(scenario(planned), trials=100, seed=1, workers=1)
    assert not lost(results).any()
    assert (results.trials[RTO] > 0.0).all()


def test_an_old_primary_that_dies_midway_is_left_to_the_lease() -> None:
    """It is lost during its checkpoint: nobody hands anything over, the lease ends 20 to 31 s later."""
    loss = "  - {kind: region-loss, region: site-a, connections: hang, in_flight: lost, at: 1002s}\n"
    for trace in traces(more=loss):
        assert "lease-released" not in kinds(trace)
        assert kinds(trace).count("lease-expired") == 1
        assert 20.0 < trace.stores["db"].histories[1].began_s - 1002.0 < 36.0


def test_a_new_primary_that_dies_midway_sends_the_old_one_back() -> None:
    """Nothing is handed over to a place that is lost: after the patience of 2 min, and 1 to 3 min more."""
    loss = "  - {kind: region-loss, region: site-c, connections: hang, in_flight: lost, at: 1002s}\n"
    changes = {"faults[0].gives_up_after": "2min", "clients.users.near": "site-b"}
    results = run(scenario(changes, loss), trials=200, seed=3, workers=1)
    back = results.trials[RTO].to_numpy() - 120.0
    assert back.min() > 60.0
    assert back.max() < 182.0
    assert not lost(results).any()
    for trace in traces(changes, loss):
        assert "promoted" not in kinds(trace)
        assert kinds(trace).count("resumed-as-primary") == 1


def test_a_named_standby_that_dies_after_the_release_leaves_the_race_to_the_others() -> None:
    loss = "  - {kind: node-loss, store: db, region: site-c, at: 1004.95s}\n"
    for trace in traces({"clients.users.near": "site-b", "stores.db.failover.decide.race": "2s"}, loss):
        assert "lease-released" in kinds(trace)
        # The old primary has everything, and so it stands before the others: it is promoted again.
        assert trace.stores["db"].histories[-1].node == "db@site-a"
        again = trace.stores["db"].acks["db@site-a"][-1]
        assert (again.start_s, again.end_s) == (pytest.approx(1000.37 + 4.5 + 2.0 + 1.0, abs=0.1), INF)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"faults[0].to": "site-a"}, "it is primary already"),
        ({"faults[0].max_lag": "1ms"}, "the standby lags too far behind"),
    ],
)
def test_what_speaks_against_it_is_said(change: dict[str, Any], why: str) -> None:
    for trace in traces(change, trials=3):
        assert [event.note for event in trace.events if event.kind == "switchover-refused"] == [why]
        assert trace.fault_effects == [False]


def test_without_the_store_there_is_none() -> None:
    cut = "  - {kind: partition, between: [site-c], and: [site-a, site-b], at: 990s}\n"
    for trace in traces(more=cut, trials=3):
        notes = [event.note for event in trace.events if event.kind == "switchover-refused"]
        assert notes == ["the lease store cannot be used by everybody"]


def test_a_standby_nearer_than_the_new_primary_is_not_ahead_of_it() -> None:
    """While the holder drains nobody writes: who got its last WAL sooner holds no more, and needs no rebuild."""
    for trace in traces():
        notes = {event.subject: event.note for event in trace.events if event.kind == "standby-attached"}
        assert notes == dict.fromkeys(["db@site-a", "db@site-b"], "its position is behind the fork")
