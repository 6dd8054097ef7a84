"""Laws of what a trial means, over whatever scenario: ledger, phases, promises of commit rules and leases, monotony."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mrsim.measure import Measures, measure
from mrsim.metrics import CLIENT_QUANTILES
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.trace import Trace
from tests.properties.measured import check_alone, check_measured
from tests.strategies import Data, leases, read, scenario_data, site_leases

TRIALS = 3
IN_CHUNKS = (0, 1, 4)
"""Where the trials of a study are cut into chunks."""


def run(scenario: Scenario, seed: int, trials: int = TRIALS) -> tuple[list[Trace], Measures]:
    traces = Simulator(scenario).run_chunk(seed, 0, trials)
    return traces, measure(scenario, Population(scenario), traces, Draws(seed, 0, trials))


@settings(max_examples=150)
@given(scenario_data(), st.integers(0, 2**32))
def test_what_was_measured_adds_up(data: Data, seed: int) -> None:
    """Laws 1 and 2."""
    scenario = read(data)
    check_measured(scenario, Simulator(scenario).run_chunk(seed, 0, TRIALS), seed)


@settings(max_examples=60)
@given(scenario_data(), st.integers(0, 2**32))
def test_a_trial_alone_means_what_it_meant_among_others(data: Data, seed: int) -> None:
    """Law 6, to the last bit, for chunks of any size."""
    scenario = read(data)
    traces, together = run(scenario, seed, IN_CHUNKS[-1])
    last = IN_CHUNKS[-1] - 1
    assert Simulator(scenario).run_chunk(seed, last, 1) == traces[last:]
    for first, end in pairwise(IN_CHUNKS):
        check_alone(scenario, traces, seed, together, first, end)


# Law 4 ---------------------------------------------------------------------------------------------------------------


def absent(found: Measures) -> Any:
    return found.values["lost_writes{store=db}"] + found.values["divergent_writes{store=db}"]


@settings(max_examples=150)
@given(scenario_data(), st.sampled_from(["any", "first"]), st.integers(0, 2**32))
def test_nothing_is_lost_that_every_candidate_has_flushed(data: Data, kind: str, seed: int) -> None:
    """Law 4a with W = N: whoever is promoted holds all that was acknowledged, whatever breaks."""
    store = data["stores"]["db"]
    standbys = [item if isinstance(item, str) else item["region"] for item in store["standbys"]]
    assume(standbys)
    store["standbys"] = standbys
    if any(item.endswith("-b") and item[:-1] != store["primary"][:-1] for item in standbys):
        # What streams through the leader of its region is waited for by nobody.
        store.pop("in_region", None)
        if "failover" not in store:
            needless = ("switchover", "agent-crash")
            data["faults"] = [fault for fault in data["faults"] if fault["kind"] not in needless]
    store.pop("archive", None)
    store.pop("snapshots", None)
    store.pop("objects", None)
    store.get("failover", {}).get("promote", {}).pop("order", None)
    store["commit"] = {kind: len(standbys), "of": standbys, "level": "on", "when_short": "block"}
    store.get("in_region", {}).pop("quorum", None)
    _, found = run(read(data), seed)
    np.testing.assert_array_equal(absent(found), 0)


def no_two_acknowledge(traces: list[Trace]) -> None:
    for trace in traces:
        spans = [(name, span) for name, spans in trace.stores["db"].acks.items() for span in spans]
        for one, a in spans:
            for other, b in spans:
                assert one >= other or min(a.acked_until_s, b.acked_until_s) <= max(a.start_s, b.start_s)


@settings(max_examples=150)
@given(scenario_data(), leases(("witness", "operations", "checkers"), enforced_by="holder"), st.integers(0, 2**32))
def test_a_lease_that_its_holder_keeps_allows_no_second_writer(data: Data, lease: Data, seed: int) -> None:
    """Law 4b: the holder stops by its own clock, a watchdog stops a node whose agent is dead."""
    store = data["stores"]["db"]
    assume(store["standbys"])
    store["endpoint"]["moved_by"] = "gitops" if "managed_by" in store["endpoint"] else "controller"
    store.pop("in_region", None)
    if "scaled_down" in data["services"]["orders"]:
        data["services"]["orders"]["scaled_down"]["starts_when"] = "front-down"
    data["faults"] = [fault for fault in data["faults"] if fault["kind"] != "switchover"]
    store["failover"] = {
        "decide": lease | {"watchdog": "5s"},
        "old_primary": {"on_return": "rejoins", "starts_after": "10s", "rebuild": "1min"},
    }
    traces, found = run(read(data), seed)
    no_two_acknowledge(traces)
    np.testing.assert_array_equal(found.values["split_brain_episodes{store=db}"], 0)


@settings(max_examples=100)
@given(scenario_data(), site_leases(), st.integers(0, 2**32))
def test_a_lease_inside_a_region_allows_no_second_writer_there(data: Data, lease: Data, seed: int) -> None:
    """Law 4b where nobody promotes anything elsewhere."""
    store = data["stores"]["db"]
    assume("in_region" in store)
    if store.pop("failover", None) is not None:
        store["endpoint"]["moved_by"] = "gitops" if "managed_by" in store["endpoint"] else "controller"
    assume(all(record.get("edited", {}).get("when") != "promoted" for record in data["dns"].values()))
    store["in_region"] = {"decide": lease | {"watchdog": "5s"}}
    if "scaled_down" in data["services"]["orders"]:
        data["services"]["orders"]["scaled_down"]["starts_when"] = "front-down"
    data["faults"] = [fault for fault in data["faults"] if fault["kind"] != "switchover"]
    traces, found = run(read(data), seed)
    no_two_acknowledge(traces)
    np.testing.assert_array_equal(found.values["split_brain_episodes{store=db}"], 0)


# Law 7 ---------------------------------------------------------------------------------------------------------------

PLAIN = """
name: plain
horizon: 4h
regions: [a, b]
network: {{rtt: {{a/b: {rtt}ms}}, last_mile: {last_mile}ms}}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {{ttl: {endpoint_ttl}s, moved_by: controller, takes: {takes}s, reconnect: {reconnect}s}}
    wal: {{commits: {commits}/s, bytes_per_commit: 2KB}}
    replication: {{remote_flush: {flush}ms}}
    failover:
      detect: {{from: [b], every: {every}s, interval_from: {interval_from}, fails: {fails}, timeout: {timeout}s}}
      decide: {{by: automatic, delay: {delay}s}}
      promote: {{takes: {promotion}s}}
services: {{orders: {{writes: db, reads: {{db: nearest}}}}}}
dns:
  shop:
    serves: [orders]
    policy: failover
    ttl: {ttl}s
    health_check:
      {{checkers: {checkers}, every: {check}s, fails: {fails}, timeout: {timeout}s, applies_after: {applies}s}}
clients:
  users: {{near: a, share: 100%, resolvers: honest, class: {{own: {{share: 100%, cache: {cache}s}}}}, points: 8}}
faults: [{{kind: region-loss, region: a, at: {at}s, connections: {connections}, in_flight: lost}}]
"""
USUAL: dict[str, Any] = {
    "rtt": 80,
    "last_mile": 20,
    "endpoint_ttl": 30,
    "takes": 2,
    "reconnect": 3,
    "commits": 100,
    "flush": 1,
    "every": 10,
    "interval_from": "start",
    "fails": 3,
    "timeout": 4,
    "delay": 5,
    "promotion": 15,
    "ttl": 60,
    "checkers": 5,
    "check": 10,
    "applies": 1,
    "cache": 10,
    "at": 500,
    "connections": "hang",
}
LONGER = (
    "endpoint_ttl",
    "takes",
    "reconnect",
    "every",
    "fails",
    "timeout",
    "delay",
    "promotion",
    "ttl",
    "check",
    "cache",
)


def recoveries(values: dict[str, Any], seed: int) -> Any:
    """Return recovery times: (reads and writes at each client quantile, trial)."""
    _, found = run(loads(PLAIN.format(**values)), seed)
    return np.array(
        [
            found.values[f"rto_s{{service=orders,op={op},clients={clients},of=affected}}"]
            for op in ("read", "write")
            for clients in CLIENT_QUANTILES
        ]
    )


@settings(max_examples=80)
@given(st.data())
def test_recovery_never_falls_as_any_delay_grows(data: st.DataObject) -> None:
    """Law 7: one permanent fault, no gate, one candidate, honest TTLs, the same fractions of every residual phase."""
    values = USUAL | {
        "connections": data.draw(st.sampled_from(["hang", "refused"])),
        "interval_from": data.draw(st.sampled_from(["start", "end"])),
        "every": data.draw(st.integers(5, 20)),
        "timeout": data.draw(st.integers(1, 5)),
        "ttl": data.draw(st.integers(5, 120)),
        "delay": data.draw(st.integers(0, 60)),
    }
    grown = data.draw(st.sampled_from(LONGER))
    more = values | {grown: values[grown] + data.draw(st.integers(1, 3 if grown in ("timeout", "fails") else 40))}
    assume(more["timeout"] <= more["every"])
    seed = data.draw(st.integers(0, 2**32))
    before, after = recoveries(values, seed), recoveries(more, seed)
    assert np.all(after >= before - 1e-6), (grown, values[grown], more[grown], before, after)


@settings(max_examples=40)
@given(st.integers(10, 300), st.integers(1, 300), st.integers(0, 2**32))
def test_loss_never_falls_as_lag_grows(rtt: int, more: int, seed: int) -> None:
    """Law 7."""
    name = "data_loss_s{store=db}"
    _, near = run(loads(PLAIN.format(**USUAL | {"rtt": rtt})), seed)
    _, far = run(loads(PLAIN.format(**USUAL | {"rtt": rtt + more})), seed)
    assert np.all(far.values[name] >= near.values[name] - 1e-9)


def stretched(factor: int) -> dict[str, Any]:
    """Return the plain system with every duration ``factor`` times as long and every rate as much lower."""
    durations = (*LONGER, "rtt", "last_mile", "flush", "applies", "at")
    kept = {name: value for name, value in USUAL.items() if name not in durations or name == "fails"}
    longer = {name: USUAL[name] * factor for name in durations if name != "fails"}
    return kept | longer | {"commits": USUAL["commits"] / factor}


@settings(max_examples=20)
@given(st.sampled_from([2, 4, 5]), st.integers(0, 2**32))
def test_a_system_that_is_slower_in_everything_recovers_as_much_later(factor: int, seed: int) -> None:
    """Law 7, scaling: what is not in the file (a round trip inside a region) is below the tolerance."""
    slow = recoveries(stretched(factor), seed)
    np.testing.assert_allclose(slow, factor * recoveries(USUAL, seed), rtol=0, atol=0.02 * factor)


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_a_node_that_nobody_writes_to_any_more_loses_nothing_further(seed: int) -> None:
    """The loss ends with the last writer, however long a node that was cut off could go on acknowledging."""
    lost = "region-loss, region: a, at: 500s, connections: hang"
    text = PLAIN.format(**USUAL)
    assert lost in text
    text = text.replace(lost, "isolation, region: a, at: 500s, cut_from: rest, still_reached_by: []")
    column = "data_loss_s{store=db}"
    short, long = (run(loads(text.replace("horizon: 4h", f"horizon: {hours}h")), seed)[1] for hours in (2, 4))
    np.testing.assert_array_equal(short.values[column], long.values[column])
    assert np.any(short.values[column] > 0)
    assert np.all(short.values[column] < 60)
