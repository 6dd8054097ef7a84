"""CloudNativePG as it is documented: what its presets say, and what the mechanisms then do, row by row.

The rows are those of ``docs/cloudnative_pg.py``, which names the test of each.
"""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from docs.cloudnative_pg import ROWS
from mrsim.errors import ScenarioError
from mrsim.rng import Draws
from mrsim.scenario import presets
from mrsim.scenario.loader import load, loads
from mrsim.scenario.model import Scenario
from mrsim.scenario.topology import LOCAL_RTT_S
from mrsim.sim.build import Builder
from mrsim.sim.run import Simulator
from mrsim.sim.world import NETWORK, Sampler, World
from mrsim.study.run import run
from mrsim.trace import INF, Trace
from tests.happened import when

ALPHA = 1e-5
ROOT = Path(__file__).parents[2]
AT_S = 1000.37
TEXT = """
name: cluster
horizon: 2h
regions: [us-east, eu-west]
zones: {us-east: [a, b, c]}
network: {rtt: {us-east/eu-west: 80ms}}
stores:
  db:
    product: cloudnative-pg
    primary: a
    standbys: [b, c, eu-west]
    wal: {commits: 50/s, bytes_per_commit: 2KB}
    in_region: {preset: cloudnative-pg-1-30}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: process-crash, store: db, region: a, at: 1000.37s}
"""
IN_REGION = "stores.db.in_region."
ALONE = {"kind": "partition", "between": ["a"], "and": ["us-east", "eu-west"], "at": "1000.37s"}
LOST_REGION = {
    "kind": "region-loss",
    "region": "us-east",
    "connections": "hang",
    "in_flight": "lost",
    "at": "1000.37s",
}
LOST_A = {"kind": "node-loss", "store": "db", "region": "a", "at": "1000.37s"}


def scenario(changes: dict[str, Any]) -> Scenario:
    return loads(TEXT).with_(changes)


def traces(changes: dict[str, Any], trials: int = 20) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(5, 0, trials)


def first(trace: Trace, kind: str, subject: str = "") -> float:
    """Return when the first such event was, after the fault at 1000.37 s; infinite if there was none."""
    return when(trace, kind, subject) - AT_S


def promoted(trace: Trace) -> list[str]:
    return [history.node for history in trace.stores["db"].histories[1:]]


def test_every_row_names_a_test_that_exists() -> None:
    for row in ROWS:
        for name in row.tests:
            file, _, test = name.partition("::")
            tree = ast.parse((ROOT / "tests" / "reference" / f"{file}.py").read_text(encoding="utf-8"))
            assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


@pytest.mark.parametrize(
    ("preset", "key", "value"),
    [
        ("cloudnative-pg", "sender_timeout", "5s"),
        ("cloudnative-pg", "receiver_timeout", "5s"),
        ("archive-defaults", "timeout", "5min"),
        ("archive-defaults", "segment", "16MiB"),
        ("commit-defaults", "when_short", "block"),
        ("cloudnative-pg-1-30", "delay", "0s"),
        ("cloudnative-pg-1-30", "every", "10s"),
        ("cloudnative-pg-1-30", "timeout", "5s"),
        ("cloudnative-pg-1-30", "fails", 3),
        ("cloudnative-pg-1-30", "lease", "15s"),
        ("cloudnative-pg-1-30", "lease_every", "2s"),
        ("cloudnative-pg-1-30", "isolation_check", True),
        ("cloudnative-pg-1-30", "open_sessions", "180s"),
        ("cloudnative-pg-1-30", "quorum", False),
        ("cloudnative-pg-lease", "ttl", "15s"),
        ("cloudnative-pg-lease", "retry_timeout", "10s"),
        ("cloudnative-pg-lease", "loop_wait", "2s"),
        ("cloudnative-pg-lease", "enforced_by", "nobody"),
        ("in-region-defaults", "delay", "0s"),
        ("in-region-defaults", "heartbeat", "10s"),
        ("in-region-defaults", "grace", "50s"),
        ("in-region-defaults", "poll", "5s"),
    ],
)
def test_presets_hold_what_is_documented(preset: str, key: str, value: object) -> None:
    assert presets.show(preset).group("")[key].value == value


def test_replication_is_asynchronous_unless_something_else_is_written() -> None:
    commit = scenario({}).stores["db"].commit
    assert (commit.any, commit.first) == (None, None)


def test_a_failover_begins_as_long_after_the_verdict_as_the_delay_says() -> None:
    for delay_s in (0.0, 45.0):
        for trace in traces({IN_REGION + "delay": f"{delay_s}s", IN_REGION + "lease": None}):
            noticed = first(trace, "process-ended")
            assert first(trace, "promotion-commanded") == pytest.approx(noticed + delay_s, abs=0.01)


def test_a_primary_that_reaches_neither_manager_nor_instance_stops_after_thirty_seconds() -> None:
    """Three checks 10 s apart, the last of which waits 2 s: U(0, 10) + 22 s."""
    change = {"faults[0]": ALONE, IN_REGION + "open_sessions": "0s"}
    stopped = np.array([first(trace, "node-down", "db@a") for trace in traces(change, 600)])
    assert stats.kstest(stopped, stats.uniform(22.0, 10.0).cdf).pvalue > ALPHA


def test_open_sessions_of_an_isolated_primary_write_on_beside_the_new_one() -> None:
    """The check ends the container by a smart shutdown: U(0, 10) + 22 s, and 180 s more (issue 11280)."""
    found = traces({"faults[0]": ALONE}, 600)
    stopped = np.array([first(trace, "node-down", "db@a") for trace in found])
    assert stats.kstest(stopped, stats.uniform(202.0, 10.0).cdf).pvalue > ALPHA
    for trace in found[:20]:
        db = trace.stores["db"]
        assert db.acks["db@a"][-1].acked_until_s > db.histories[1].began_s + 120.0


@pytest.mark.parametrize("reached", ["us-east", "b", "c", ""])
def test_one_of_them_that_is_reached_keeps_it_alive(reached: str) -> None:
    """All paths of the primary's zone are cut but the one to the manager, or to one instance."""
    calm = scenario({"faults": [LOST_A | {"at": "2h", "region": "eu-west"}], "horizon": "3h"})
    for trial in range(10):
        world = World(Sampler(Draws(5, trial, 1)), 0, calm.horizon)
        parts, _ = Builder(calm).build(world)
        others = [place for place in parts.network.geometry.places if place not in {"a", reached}]
        pairs = [pair for place in others for pair in (("a", place), (place, "a"))]
        world.at(AT_S, NETWORK, "cut", partial(parts.network.cut, pairs, world.emit("cut", "a"), in_flight_lost=True))
        world.clock.run_to(2000.0)
        stopped = [event for event in world.events if (event.kind, event.subject) == ("node-down", "db@a")]
        assert bool(stopped) is (not reached)


def test_the_lease_gates_a_promotion() -> None:
    """15 s from the first poll that saw the last renewal; polls are 2 to 4.4 s apart, renewals 2 s (client-go)."""
    for trace in traces({}, 200):
        assert 13.0 <= first(trace, "promotion-commanded") <= 15.0 + 4.4 + 4.4
    without = [first(trace, "promotion-commanded") for trace in traces({IN_REGION + "lease": None}, 200)]
    assert max(without) < 5.01


def test_the_lease_is_over_long_before_a_lost_node_is_missed() -> None:
    for trace in traces({"faults[0]": LOST_A}, 100):
        assert first(trace, "promotion-commanded") == pytest.approx(first(trace, "host-missed"), abs=0.01)


def test_the_lease_fences_nobody() -> None:
    """Cut off and not checked for it, the old primary goes on beside the new one."""
    for trace in traces({"faults[0]": ALONE, IN_REGION + "isolation_check": False}):
        assert promoted(trace)
        assert trace.stores["db"].acks["db@a"][-1].acked_until_s == INF
    for trace in traces({"faults[0]": ALONE, IN_REGION + "open_sessions": "0s"}):
        assert trace.stores["db"].acks["db@a"][-1].acked_until_s < trace.stores["db"].histories[1].began_s


# Quorum failover -----------------------------------------------------------------------------------------------------

QUORUM: dict[str, Any] = {IN_REGION + "quorum": True}
LOST_C = LOST_A | {"region": "c"}


@pytest.mark.parametrize(
    ("acknowledged", "lost", "promotes"),
    [(1, [], True), (1, ["c"], False), (2, ["c"], True), (2, ["b", "c"], False)],
    ids=["R=2 W=1 N=2", "R=1 W=1 N=2", "R=1 W=2 N=2", "R=0"],
)
def test_a_standby_is_promoted_only_if_enough_overlap(acknowledged: int, lost: list[str], *, promotes: bool) -> None:
    faults = [LOST_A, *(LOST_A | {"region": region} for region in lost)]
    change = QUORUM | {"faults": faults, "stores.db.commit": {"any": acknowledged, "of": ["b", "c"]}}
    for trace in traces(change, 5):
        assert bool(promoted(trace)) is promotes


def test_who_has_no_quorum_is_promoted_once_the_missing_standby_is_back() -> None:
    change = QUORUM | {
        "faults": [LOST_A, LOST_C | {"lasts": "10min"}],
        "stores.db.commit": {"any": 1, "of": ["b", "c"]},
    }
    for trace in traces(change, 10):
        assert first(trace, "no-candidate") < 70.0
        assert 600.0 < first(trace, "promoted") < 700.0


def test_without_a_quorum_what_the_lost_standby_had_acknowledged_is_lost() -> None:
    """b receives nothing, c alone acknowledges; both a and c are lost, and b is what is left."""
    stall = {"kind": "replication-stall", "store": "db", "region": "b", "at": "900s"}
    base: dict[str, Any] = {"faults": [stall, LOST_A, LOST_C], "stores.db.commit": {"any": 1, "of": ["b", "c"]}}
    for changes, loses in ((base, True), (base | QUORUM, False)):
        lost = run(scenario(changes), trials=20, seed=3, workers=1).trials["lost_writes{store=db}"].to_numpy()
        assert bool((lost > 0).all()) is loses
        assert bool((lost > 0).any()) is loses


@pytest.mark.parametrize("commit", ["async", {"any": 1, "of": ["b", "eu-west"]}])
def test_a_quorum_needs_synchronous_standbys_of_its_own_region(commit: object) -> None:
    with pytest.raises(ScenarioError, match="own region"):
        scenario(QUORUM | {"stores.db.commit": commit})


def test_a_lease_of_thousands_of_renewals_is_taken_for_a_typing_error() -> None:
    """2us instead of 2s: seven million looks of a candidate for each loss of a primary."""
    with pytest.raises(ScenarioError, match=r"renewed every 2us.*raise lease_every"):
        scenario({IN_REGION + "lease_every": "2us"})


# Durability ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when_short", "goes_on"), [("block", False), ("degrade", True)])
def test_required_blocks_and_preferred_goes_on_after_the_sender_timeout(when_short: str, *, goes_on: bool) -> None:
    change: dict[str, Any] = {"faults": [LOST_A | {"region": "b"}, LOST_C]}
    change["stores.db.commit"] = {"any": 1, "of": ["b", "c"], "when_short": when_short}
    for trace in traces(change, 10):
        spans = trace.stores["db"].acks["db@a"]
        assert (spans[-1].acked_until_s == INF) is goes_on
        if goes_on:
            assert spans[-1].start_s == pytest.approx(AT_S + 5.0, abs=0.01)


@pytest.mark.parametrize(("when_short", "loses"), [("block", False), ("degrade", True)])
def test_preferred_with_a_quorum_of_two_nodes_loses_acknowledged_writes(when_short: str, *, loses: bool) -> None:
    """The standby is away for two minutes and comes back as the primary is lost: R = W = N = 1."""
    away = {"kind": "node-loss", "store": "db", "region": "b", "at": "880s", "lasts": "121s"}
    change: dict[str, Any] = QUORUM | {"stores.db.standbys": ["b", "eu-west"], "faults": [away, LOST_A]}
    change["stores.db.commit"] = {"any": 1, "of": ["b"], "when_short": when_short}
    assert all(promoted(trace) == ["db@b"] for trace in traces(change, 10))
    lost = run(scenario(change), trials=20, seed=3, workers=1).trials["lost_writes{store=db}"].to_numpy()
    assert ((lost > 0) == loses).all()


CLUSTERS: dict[str, Any] = {
    "dns.www.health_check": "route53-fast",
    "zones": {"us-east": ["a", "b", "c"], "eu-west": ["d", "e", "f"]},
    "stores.db.standbys": ["b", "c", "d", "e", "f"],
    "stores.db.replication.local_flush": "1ms",
    "stores.db.replication.remote_flush": "1ms",
}
OPERATED = {
    "detect": {"from": ["eu-west", "operations"]},
    "decide": {"by": "operator", "page": "1min", "acknowledge": "2min", "assess": "3min"},
    "promote": {"order": ["d"]},
}


@pytest.mark.parametrize(("of", "goes_on"), [("in-region", True), (["b", "c"], False)])
def test_each_cluster_waits_for_its_own_instances(of: object, *, goes_on: bool) -> None:
    """Two flushes and a round trip next door, before and after; whoever names a region's nodes alone needs them."""
    lost = {"kind": "region-loss", "region": "us-east", "connections": "hang", "in_flight": "lost", "at": "1000.37s"}
    change = CLUSTERS | {"faults[0]": lost, "stores.db.failover": OPERATED, "stores.db.commit": {"any": 1, "of": of}}
    for trace in traces(change, 5):
        store = trace.stores["db"]
        assert promoted(trace) == ["db@d"]
        assert bool(store.acks.get("db@d")) is goes_on
        if goes_on:
            # It acknowledges nothing before an instance of its own has connected and caught up.
            assert 0.0 < store.acks["db@d"][0].start_s - store.histories[1].began_s < 10.0
            assert set(store.asked["db@d"].places) == {"e", "f"}
    found = run(scenario(change), trials=4, seed=5, workers=1).trials
    next_door_s = 0.02 + LOCAL_RTT_S + LOCAL_RTT_S + 0.002  # to the region, to the primary, to an instance, and flushes
    for moment, latency_s in (("before", next_door_s), ("after", 0.08 + next_door_s)):
        waits_s = found[f"write_latency_s{{service=api,from=users,writes=mean,when={moment}}}"].to_numpy()
        assert waits_s == pytest.approx(latency_s if goes_on or moment == "before" else np.nan, nan_ok=True)


def test_after_a_switchover_the_other_cluster_waits_for_its_own_instances() -> None:
    planned = {"kind": "switchover", "store": "db", "to": "d", "at": "1000.37s"}
    change = CLUSTERS | {"stores.db.commit": {"any": 2, "of": "in-region"}, "stores.db.failover": OPERATED}
    for trace in traces(change | {"faults[0]": planned}, 5):
        assert set(trace.stores["db"].asked["db@d"].places) == {"e", "f"}
        assert trace.stores["db"].acks["db@d"][-1].acked_until_s == INF


# Which standby, and between clusters ---------------------------------------------------------------------------------


def test_the_most_advanced_standby_is_promoted() -> None:
    for behind, ahead in (("b", "c"), ("c", "b")):
        stall = {"kind": "replication-stall", "store": "db", "region": behind, "at": "900s"}
        assert all(promoted(trace) == [f"db@{ahead}"] for trace in traces({"faults": [stall, LOST_A]}, 10))


def test_nothing_is_promoted_across_clusters_by_itself() -> None:
    assert not any(promoted(trace) for trace in traces({"faults[0]": LOST_REGION}))


def test_across_clusters_a_person_decides() -> None:
    operator = {"by": "operator", "page": "1min", "acknowledge": "2min", "assess": "3min"}
    failover = {"detect": {"from": ["eu-west", "operations"]}, "decide": operator, "promote": {"order": ["eu-west"]}}
    for trace in traces({"faults[0]": LOST_REGION, "stores.db.failover": failover}):
        assert promoted(trace) == ["db@eu-west"]
        assert first(trace, "promoted") > 360.0


def test_a_switchover_with_a_token_waits_for_the_position_and_loses_nothing() -> None:
    token = load(ROOT / "scenarios" / "switchovers" / "bank-with-token.yaml")
    for trace in Simulator(token).run_chunk(5, 0, 20):
        kinds = [event.kind for event in trace.events]
        assert kinds.index("shut-down") < kinds.index("token-arrived") < kinds.index("position-reached")
        assert kinds.index("position-reached") < kinds.index("promoted")
        store = trace.stores["accounts"]
        old = store.acks[store.histories[0].node][0]
        assert old.acked_until_s <= store.histories[1].forked_at_s


def test_without_a_token_the_former_primary_is_copied_anew() -> None:
    failover = load(ROOT / "scenarios" / "switchovers" / "bank-failover-without-token.yaml")
    for trace in Simulator(failover).run_chunk(5, 0, 20):
        store = trace.stores["accounts"]
        attached = [e for e in trace.events if e.kind == "standby-attached" and e.subject == store.histories[0].node]
        assert len(attached) == 1
        assert "rebuilt" in attached[0].note


# What was observed ---------------------------------------------------------------------------------------------------


def outage_s(changes: dict[str, Any]) -> np.ndarray[Any, Any]:
    column = "rto_s{service=api,op=write,clients=50%,of=affected}"
    return run(scenario(changes), trials=300, seed=4, workers=1).trials[column].to_numpy()


def test_a_killed_node_costs_forty_to_eighty_seconds_of_writes() -> None:
    """Issues of the product report 40 to 80 s: most of ours lie there."""
    low, high = np.quantile(outage_s({"faults[0]": LOST_A}), (0.05, 0.95))
    assert 40.0 <= low <= high <= 80.0


def test_with_the_older_grace_period_the_failover_begins_when_it_was_observed_to() -> None:
    """40 s up to Kubernetes 1.31: missed after 30 to 45 s, where 35 to 42 s were observed."""
    begun = [
        first(trace, "promotion-commanded") for trace in traces({"faults[0]": LOST_A, IN_REGION + "grace": "40s"}, 300)
    ]
    low, high = np.quantile(begun, (0.05, 0.95))
    assert 30.0 <= low <= 35.0
    assert 42.0 <= high <= 45.0


def test_a_killed_pod_is_replaced_within_the_limits_of_the_products_own_tests() -> None:
    """The service leads elsewhere within 30 s in a cloud, with the lease; all standbys are attached 60 s later."""
    found = traces({}, 300)
    assert np.quantile([first(trace, "service-moved") for trace in found], 0.95) < 30.0
    for trace in found:
        assert first(trace, "standby-attached", "db@c") - first(trace, "promoted") < 60.0 or promoted(trace) == ["db@c"]


def test_without_a_lease_a_killed_pod_costs_what_the_workshop_aims_at() -> None:
    """8 to 12 s are its target; the median lies there."""
    assert 8.0 <= float(np.median(outage_s({IN_REGION + "lease": None}))) <= 12.0
