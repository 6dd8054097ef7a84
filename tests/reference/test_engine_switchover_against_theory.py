"""Planned switchovers against theory: the outage is the sum of its parts, and one that completes loses nothing."""

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
regions: [us-east, us-west]
network: {rtt: {us-east/us-west: 60ms}, last_mile: 1ms}
stores:
  db:
    product: cloudnative-pg
    primary: us-east
    standbys: [us-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [us-west, operations], probe: write-path, every: 10s, fails: 3, timeout: 4s}
      decide: automatic
      promote: {takes: 11s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: switchover, store: db, to: us-west, at: 1000.37s, drain: 3s, checkpoint: 5s, hands_over: 60s}
"""


LOST = "  - {{kind: region-loss, region: {}, connections: hang, in_flight: lost, at: {}}}\n"


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, trials: int = 40) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(6, 0, trials)


def kinds(trace: Trace) -> list[str]:
    return [event.kind for event in trace.events]


def lost(results: Any) -> np.ndarray:
    found = results.trials
    return (found["lost_writes{store=db}"] + found["divergent_writes{store=db}"]).to_numpy()


def test_the_outage_is_the_sum_of_its_parts() -> None:
    """Drain 3 + checkpoint 5 + token 60 + replay 0 + promotion 11 + endpoint 7 + reconnection 2 s."""
    results = run(scenario(), trials=50, seed=1, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 88.0, atol=0.1)
    assert not lost(results).any()


def test_the_hand_over_is_drawn() -> None:
    changes = {"faults[0].hands_over": "1min..5min"}
    times = run(scenario(changes), trials=1000, seed=1, workers=1).trials[
        "rto_s{service=api,op=write,clients=50%,of=affected}"
    ]
    assert stats.kstest(times.to_numpy() - 28.0 - 60.05, stats.uniform(0.0, 240.0).cdf).pvalue > ALPHA


def test_nobody_fails_over_meanwhile_and_the_old_primary_follows_without_a_rebuild() -> None:
    """Probers of the write path see the outage; the control is held still. Position handed over: nothing to rewind."""
    for trace in traces():
        assert kinds(trace).count("promoted") == 1
        assert "decided" not in kinds(trace)
        attached = next(event for event in trace.events if event.kind == "standby-attached")
        assert attached.subject == "db@us-east"
        assert attached.note == "its position is behind the fork"
        assert attached.at_s - trace.stores["db"].histories[1].began_s < 5.01


def test_without_the_token_the_same_move_loses() -> None:
    """A failover of a primary whose WAL is held up by 30 s loses what was on the way; the switchover waits for it."""
    slow = {
        "network.wal_bandwidth": {"us-east/*": "150KB/s"},
        "stores.db.wal.bursts": {"every": "30min", "last": "2min", "rate": "2x"},
    }
    loss = {"kind": "region-loss", "region": "us-east", "connections": "hang", "in_flight": "lost", "at": "random"}
    assert lost(run(scenario({**slow, "faults[0]": loss}), trials=100, seed=1, workers=1)).any()
    planned = {**slow, "faults[0].at": "random", "faults[0].max_lag": "2min"}
    results = run(scenario(planned), trials=100, seed=1, workers=1)
    assert not lost(results).any()
    assert (results.trials["kept_writes{store=db}"] > 0).all()


def test_a_standby_nearer_than_the_new_primary_is_not_ahead_of_it() -> None:
    """While the primary drains nobody writes: who got its last WAL sooner holds no more, and needs no rebuild."""
    text = TEXT.replace("[us-east, us-west]", "[us-east, us-west, us-mid]").replace("[us-west]", "[us-west, us-mid]")
    text = text.replace("rtt: {", "rtt: {us-east/us-mid: 10ms, us-west/us-mid: 50ms, ")
    for trace in Simulator(loads(text)).run_chunk(6, 0, 20):
        notes = {event.subject: event.note for event in trace.events if event.kind == "standby-attached"}
        assert notes == dict.fromkeys(["db@us-east", "db@us-mid"], "its position is behind the fork")


@pytest.mark.parametrize("place", ["us-west", "us-east"])
def test_a_standby_of_the_archive_gets_the_last_segment_too(place: str) -> None:
    """The shutdown archives the segment in progress: no wait for archive_timeout, and nothing lost."""
    archive = {"place": place, "timeout": "5min", "upload": "2s", "poll": "5s", "restore": "1s"}
    store = loads(
        TEXT.replace("standbys: [us-west]", "standbys: [{region: us-west, via: archive}]").replace(
            "    endpoint:", f"    archive: {archive}\n    endpoint:".replace("'", "")
        )
    )
    # What lies in the archive's segment in progress counts as lag.
    results = run(store.with_({"faults[0].max_lag": "10min"}), trials=100, seed=3, workers=1)
    assert not lost(results).any()
    times = results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"]
    assert times.max() < 88.2, "uploaded, polled and restored while the token is on its way"


def test_one_that_cannot_go_on_goes_back() -> None:
    """The new primary is lost midway: after 5 min, and 1 to 3 min more, the old one accepts writes again."""
    text = TEXT.replace(
        "hands_over: 60s}",
        "hands_over: 60s, gives_up_after: 5min}\n" + LOST.format("us-west", "1020s"),
    )
    results = run(loads(text), trials=200, seed=3, workers=1)
    back = results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"].to_numpy()
    assert stats.kstest(back - 300.0 - 60.0, stats.uniform(0.0, 120.0).cdf).pvalue > ALPHA
    assert not lost(results).any()


def test_an_old_primary_that_is_lost_midway_is_left_to_the_failover_control() -> None:
    """Its loss after the writes stopped: until 5 min nobody is primary, then the control acts on what it was told."""
    text = TEXT.replace(
        "hands_over: 60s}",
        "hands_over: 60s, gives_up_after: 5min, goes_back: 10s}\n" + LOST.format("us-east", "1005s"),
    )
    for trace in Simulator(loads(text)).run_chunk(3, 0, 40):
        assert "switchover-given-up" in kinds(trace)
        began = trace.stores["db"].histories[1].began_s - 1000.37
        assert 310.0 + 11.0 < began < 310.0 + 11.0 + 1.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"faults[0].to": "us-east"}, "it is primary already"),
        ({"faults[0].max_lag": "1ms", "network.rtt.us-east/us-west": "60ms"}, "the standby lags too far behind"),
    ],
)
def test_what_speaks_against_it_is_said(change: dict[str, Any], why: str) -> None:
    for trace in traces(change, 3):
        assert [event.note for event in trace.events if event.kind == "switchover-refused"] == [why]
        assert [span.end_s for spans in trace.stores["db"].acks.values() for span in spans] == [INF]
        assert trace.fault_effects == [False]
