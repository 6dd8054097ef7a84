"""Zones, lost hosts and the manager inside a region: against closed forms, and who may act when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import Trace
from tests.happened import when

ALPHA = 1e-5
TRIALS = 1500
TEXT = """
name: zones
horizon: 2h
regions: [us-east, eu-west]
zones: {us-east: [a, b, c]}
network: {rtt: {us-east/eu-west: 80ms}, wal_bandwidth: {us-east/*: 1MB/s}}
stores:
  db:
    product: cloudnative-pg
    primary: a
    standbys: [b, c, eu-west]
    commit: async
    endpoint: {ttl: 30s, moved_by: controller, takes: 2s, reconnect: 1s}
    wal: {commits: 50/s, bytes_per_commit: 2KB}
    in_region: {takes: 2s, redirects: 1s}
    failover:
      detect: {from: [eu-west, operations], probe: write-path, every: 10s, fails: 9, timeout: 4s}
      decide: automatic
      promote: {order: [eu-west], takes: 3s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services:
  api: {reads: {db: nearest}, writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: process-crash, store: db, region: a, at: 1000.37s}
"""


def scenario(changes: dict[str, Any]) -> Scenario:
    return loads(TEXT).with_(changes)


def traces(changes: dict[str, Any], trials: int = 40, seed: int = 5) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(seed, 0, trials)


def first(trace: Trace, kind: str, subject: str = "") -> float:
    """Return when the first such event was, after the fault; infinite if there was none."""
    return when(trace, kind, subject) - trace.fault_s


NODE_LOSS = {"faults[0]": {"kind": "node-loss", "store": "db", "region": "a", "at": "1000.37s"}}
ZONE_LOSS = {
    "faults[0]": {"kind": "zone-loss", "zone": "a", "connections": "hang", "in_flight": "lost", "at": "1000.37s"}
}


def test_a_dead_process_is_reported_by_its_host() -> None:
    """Its end is seen within 1 to 5 s; what merely fails to answer takes three probes."""
    times = np.array([first(trace, "process-ended", "db@a") for trace in traces({}, TRIALS)])
    assert stats.kstest(times, stats.uniform(1.0, 4.0).cdf).pvalue > ALPHA
    assert all(first(trace, "promotion-commanded") < 5.01 for trace in traces({}))


def test_probes_find_what_no_notice_tells() -> None:
    """Three failures 10 s apart, refused at once: U(0, 10) + 20 s, and the way to the manager."""
    silent = {"stores.db.in_region.exit_notice": "1h"}
    times = np.array([first(trace, "verdict-down", "db@a") for trace in traces(silent, TRIALS)])
    assert stats.kstest(times - 20.0, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA
    assert times.max() < 30.01


@pytest.mark.parametrize("change", [NODE_LOSS, ZONE_LOSS], ids=["node", "zone"])
def test_a_lost_host_is_missed_when_its_heartbeats_are(change: dict[str, Any]) -> None:
    """grace - U(0, heartbeat) + U(0, poll): 40 to 55 s with the defaults, as CloudNativePG documents."""
    times = np.array([first(trace, "host-missed", "db@a") for trace in traces(change, TRIALS, seed=8)])
    # 10 U + 5 V has a trapezoid for its density.
    expected = stats.trapezoid(1 / 3, 2 / 3, loc=40.0, scale=15.0).cdf
    assert stats.kstest(times, expected).pvalue > ALPHA
    assert all(first(trace, "verdict-down", "db@a") > times.max() for trace in traces(change))


def test_the_time_to_write_again_is_the_sum_of_its_parts() -> None:
    """Noticed, promoted (2 s), the service led to it (1 s), reconnected (1 s): and no answer has to run out."""
    results = run(scenario({}), trials=300, seed=4, workers=1)
    times = results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"].to_numpy()
    assert stats.kstest(times - 4.0, stats.uniform(1.0, 4.0).cdf).pvalue > ALPHA


def test_nobody_outside_acts_while_the_manager_does() -> None:
    """The slower control between regions sees the cluster's service answer again, and stands by."""
    for change in ({}, NODE_LOSS, ZONE_LOSS):
        for trace in traces(change):
            nodes = [history.node for history in trace.stores["db"].histories]
            assert len(nodes) == 2
            assert nodes[1] in ("db@b", "db@c")
            targets = {answer.target for answers in trace.stores["db"].endpoint.values() for answer in answers}
            assert targets == set(nodes)


def test_a_lost_region_is_for_those_outside() -> None:
    change = {"faults[0]": {"kind": "region-loss", "region": "us-east", "connections": "hang", "in_flight": "lost"}}
    for trace in traces(change):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@eu-west"]


def test_a_second_fault_is_for_those_outside_too() -> None:
    """The manager makes b or c primary; when the region is lost later, the other control makes eu-west primary."""
    lost = {"kind": "region-loss", "region": "us-east", "connections": "hang", "in_flight": "lost", "at": "1300s"}
    faults = [{"kind": "process-crash", "store": "db", "region": "a", "at": "1000.37s"}, lost]
    for trace in traces({"faults": faults}):
        store = trace.stores["db"]
        assert [history.node for history in store.histories][2] == "db@eu-west"
        assert store.histories[2].parent == 1
        assert store.surviving == 2


def test_a_node_that_comes_back_follows_the_new_primary() -> None:
    """Whatever old primaries do between regions: inside one, the manager says who is primary."""
    crash = {"kind": "process-crash", "store": "db", "region": "a", "at": "1000.37s", "lasts": "5min"}
    change = {"faults[0]": crash, "stores.db.failover.old_primary.on_return": "starts-as-primary"}
    for trace in traces(change):
        attached = first(trace, "standby-attached", "db@a")
        assert 300.0 < attached < 300.0 + 30.0 + 60.0 + 5.1
        assert [span.began_by for span in trace.stores["db"].acks["db@a"]] == [-1]


def test_an_old_primary_waits_while_another_is_being_made() -> None:
    """It is back after 25 s, in the middle of a promotion of 60 s, and must not accept what that will lose."""
    crash = {"kind": "process-crash", "store": "db", "region": "a", "at": "1000.37s", "lasts": "31s"}
    more: dict[str, Any] = {"stores.db.in_region.takes": "60s", "stores.db.in_region.starts_after": "0s"}
    more["stores.db.failover.detect.fails"] = 30
    results = run(scenario({"faults[0]": crash, **more}), trials=100, seed=2, workers=1)
    assert (results.trials["split_brain_s{store=db}"] == 0.0).all()
    for trace in traces({"faults[0]": crash, **more}):
        assert len(trace.stores["db"].histories) == 2
        assert len(trace.stores["db"].acks["db@a"]) == 1


@pytest.mark.parametrize(("product", "silent_s"), [("cloudnative-pg", 5.0), ("postgresql", 60.0)])
def test_no_standby_is_promoted_before_all_receivers_have_given_up(product: str, silent_s: float) -> None:
    """A lost host closes no connection: receivers wait for their timeout, and the manager for them."""
    for trace in traces({"stores.db.product": product, "stores.db.failover.detect.fails": 30, **NODE_LOSS}):
        missed, commanded = first(trace, "host-missed", "db@a"), first(trace, "promotion-commanded")
        assert commanded == pytest.approx(max(missed, silent_s), abs=0.01)


def test_wal_between_zones_is_not_held_back_by_the_link_between_regions() -> None:
    """1 MB/s is stated from the region to others: 3 MB/s reach the zones at once, and eu-west never."""
    found = traces({"stores.db.wal.commits": "1500/s", **ZONE_LOSS}, 20)
    for trace in found:
        store = trace.stores["db"]
        assert trace.fault_s - store.histories[1].forked_at_s < 0.01


def test_zones_change_no_draw_of_what_stands_in_regions() -> None:
    plain = TEXT.replace("zones: {us-east: [a, b, c]}\n", "").replace("primary: a", "primary: us-east")
    plain = plain.replace("[b, c, eu-west]", "[eu-west]").replace("region: a,", "region: us-east,")
    plain = plain.replace("    in_region: {takes: 2s, redirects: 1s}\n", "")
    zoned = plain.replace("regions: [us-east, eu-west]\n", "regions: [us-east, eu-west]\nzones: {us-east: [a, b]}\n")
    one, other = (Simulator(loads(text)).run_chunk(9, 0, 20) for text in (plain, zoned))
    assert [trace.events for trace in one] == [trace.events for trace in other]


@pytest.mark.parametrize("kind", ["process-crash", "node-loss"])
def test_faults_that_overlap_end_with_the_last_of_them(kind: str) -> None:
    """A second crash of the same node, begun while the first is on, keeps it down when the first ends."""
    fault = {"kind": kind, "store": "db", "region": "b", "in_flight": "lost"}
    both = [fault | {"at": "1000.37s", "lasts": "100s"}, fault | {"at": "1050s", "lasts": "500s"}]
    for trace in traces({"faults": both}, 5):
        up = [event.at_s for event in trace.events if (event.kind, event.subject) == ("node-up", "db@b")]
        assert len(up) == 1
        assert up[0] > 1550.0
