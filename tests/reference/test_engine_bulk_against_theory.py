"""A bulk load beside the commits, against the fluid queue: how far a stream is behind, what a promotion waits for."""

from __future__ import annotations

from typing import Any

import pytest

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

TEXT = """
name: migration
horizon: 4h
regions: [us-east, eu-west]
network: {rtt: {us-east/eu-west: 80ms}, last_mile: 1ms, wal_bandwidth: {us-east/*: 5MB/s}}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 200/s, bytes_per_commit: 2KB, bulk: {starts: 1000s, lasts: 600s, rate: 20MB/s}}
    replication: {apply_rate: 1GB/s}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 5s}
      decide: automatic
      promote: {takes: 11s}
      old_primary: {on_return: stays-down}
services:
  api: {reads: {db: nearest}, writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 1s, health_check: route53-fast}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1100s}
"""
STARTS_S, LASTS_S, BULK, STEADY, PATH, ONE_WAY_S = 1000.0, 600.0, 20e6, 200 * 2000.0, 5e6, 0.04


def one(changes: dict[str, Any]) -> Trace:
    return Simulator(loads(TEXT).with_(changes)).run_chunk(2, 0, 1)[0]


def behind_s(at_s: float) -> float:
    """Return the lag at an instant where the path begins: W - S of a fluid queue, by the commits' own times."""
    served = PATH / (BULK + STEADY)
    through_s = STARTS_S + LASTS_S / served
    if at_s < STARTS_S:
        return 0.0
    if at_s < through_s:
        return (at_s - STARTS_S) * (1.0 - served)
    ended_s = STARTS_S + LASTS_S
    return max(0.0, (at_s - ended_s) - (at_s - through_s) * PATH / STEADY)


@pytest.mark.parametrize("at_s", [900.3, 1000.7, 1100.3, 1599.9, 1700.3, 3447.3, 3449.3, 3500.3, 3590.3, 3700.3])
def test_a_commit_waits_behind_the_bulk_that_was_written_before_it(at_s: float) -> None:
    """Growing by 1 - C/(B + w) per second, beyond the bulk's end, to 1848 s; then gone within 161 s."""
    history = one({"faults[0].at": f"{at_s}s"}).stores["db"].histories[1]
    assert at_s - ONE_WAY_S - history.forked_at_s == pytest.approx(behind_s(at_s - ONE_WAY_S), abs=1e-6)


def test_a_slow_replay_costs_time_and_no_data() -> None:
    """The path carries everything; replay at 5 MB/s is 15.4 MB behind per second, and a promotion waits for it."""
    trace = one({"network.wal_bandwidth": {"us-east/*": "1GB/s"}, "stores.db.replication.apply_rate": "5MB/s"})
    assert 1100.0 - ONE_WAY_S - trace.stores["db"].histories[1].forked_at_s == pytest.approx(0.0, abs=1e-6)
    commanded_s = next(event.at_s for event in trace.events if event.kind == "promotion-commanded")
    replayed_s = next(event.at_s for event in trace.events if event.kind == "replayed")
    backlog = (100.0 - ONE_WAY_S) * (BULK + STEADY)
    done_s = STARTS_S + ONE_WAY_S + backlog / 5e6
    assert commanded_s < done_s
    assert replayed_s == pytest.approx(done_s, abs=0.1)


def test_a_guard_on_lag_keeps_closed_behind_a_bulk() -> None:
    changes = {"stores.db.failover.decide": {"by": "automatic", "max_lag": "30s"}}
    assert len(one(changes).stores["db"].histories) == 1
    assert len(one(changes | {"faults[0].at": "4000s"}).stores["db"].histories) == 2


def test_a_bulk_ends_with_the_primary_that_it_was_begun_on() -> None:
    """The region is back after ten minutes; its copy of the new primary is level with it at once, and stays so."""
    changes = {"faults[0].lasts": "10min", "stores.db.wal.bulk.lasts": "3h"}
    changes |= {"stores.db.failover.old_primary": {"on_return": "rejoins", "starts_after": "5s", "rebuild": "60s"}}
    trace = one(changes)
    attached = [event for event in trace.events if event.kind in ("standby-attached", "stream-resumed")]
    assert attached
    assert trace.stores["db"].redundant[-1].end_s == float("inf")


def test_a_store_without_one_writes_what_clients_commit() -> None:
    text = TEXT.replace(", bulk: {starts: 1000s, lasts: 600s, rate: 20MB/s}", "")
    (trace,) = Simulator(loads(text)).run_chunk(2, 0, 1)
    assert 1100.0 - ONE_WAY_S - trace.stores["db"].histories[1].forked_at_s == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rate: 20MB/s", "rate: 0MB/s", "rate"),
        ("rate: 20MB/s", "speed: 20MB/s", "speed"),
        ("standbys: [eu-west]", "standbys: [{region: eu-west, via: objects}]\n    objects: {lag: 5s}", "no effect"),
    ],
)
def test_what_makes_no_sense_is_said(old: str, new: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        loads(TEXT.replace(old, new))
