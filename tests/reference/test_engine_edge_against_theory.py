"""A proxy's second try: what it saves is bounded by its own timeout, and it saves nothing from what answers."""

from __future__ import annotations

import numpy as np
import pytest

from mrsim.measure import Measures, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

TEXT = """
name: proxied
horizon: 2h
regions: [a, b, c]
network: {{rtt: {{a/b: 20ms, a/c: 60ms, b/c: 60ms}}}}
stores:
  db: {{primary: {primary}, standbys: [{standbys}], endpoint: {{moved_by: controller}}, wal: {{commits: 10/s}}}}
services: {{shop: {{reads: {{db: nearest}}}}, orders: {{writes: db}}}}
dns:
  www:
    serves: [shop, orders]
    policy: anycast
    converges: 0s
    {edge}
    health_check:
      {{every: {every}, timeout: 4s, fails: {fails}, recovers: 1, applies_after: 0s, depth: application}}
clients:
  people: {{near: a, share: 100%, resolvers: honest, class: {{{client}}}, points: 4}}
faults: [{faults}]
"""

LOST = (
    "{{kind: region-loss, region: {region}, at: 1000.37s, lasts: 30min, in_flight: arrives, "
    "connections: {connections}}}"
)
READS, WRITES = "service=shop,op=read", "service=orders,op=write"
TIMEOUT_S = 19.0


def studied(
    trials: int = 20,
    *,
    edge: str = "edge: {connect_timeout: 19s, clients_give_up_after: 30s}",
    faults: str = LOST.format(region="a", connections="hang"),
    primary: str = "c",
    every: str = "30s",
    fails: int = 3,
    client: str = "app: 100%",
    seed: int = 5,
) -> tuple[list[Trace], Measures]:
    standbys = ", ".join(region for region in "abc" if region != primary)
    fields = {"primary": primary, "standbys": standbys, "every": every, "fails": fails, "client": client}
    scenario = loads(TEXT.format(edge=edge, faults=faults, **fields))
    traces = Simulator(scenario).run_chunk(seed, 0, trials)
    return traces, measure(scenario, Population(scenario), traces, Draws(seed, 0, trials))


def rto_s(found: Measures, labels: str) -> np.ndarray:
    return found.values[f"rto_s{{{labels},clients=99%,of=affected}}"]


def noticed_s(traces: list[Trace], region: str = "a") -> np.ndarray:
    """From the fault to the verdict on a region."""
    return np.array(
        [
            next(e.at_s for e in trace.events if e.kind == "verdict-down" and e.subject == f"www@{region}")
            - trace.fault_s
            for trace in traces
        ]
    )


def test_a_silent_region_costs_the_timeout_and_then_only_slowness() -> None:
    """Both reads and writes are answered elsewhere from the timeout on, on the second try until the verdict."""
    traces, found = studied()
    for labels in (READS, WRITES):
        np.testing.assert_allclose(rto_s(found, labels), TIMEOUT_S, atol=1e-6)
        np.testing.assert_allclose(found.values[f"phase_s{{{labels},part=detection}}"], TIMEOUT_S, atol=1e-6)
        np.testing.assert_allclose(found.values[f"retried_s{{{labels}}}"], noticed_s(traces) - TIMEOUT_S, atol=1e-6)


def test_a_refusing_region_costs_nothing() -> None:
    """Error 521 comes at once: nobody notices the outage, whose end and beginning only the second tries tell."""
    traces, found = studied(faults=LOST.format(region="a", connections="refused"))
    for labels in (READS, WRITES):
        np.testing.assert_array_equal(found.values[f"affected_share{{{labels}}}"], 0.0)
        np.testing.assert_allclose(found.values[f"retried_s{{{labels}}}"], noticed_s(traces), atol=1e-6)
    assert not found.values["refused_writes{store=db}"].any()


def test_the_sooner_of_timeout_and_verdict_ends_the_outage() -> None:
    """With checks every 10 s, two failures of 4 s each, the verdict takes U(14 s, 24 s): half of the trials wait 19 s.

    The mean of min(19, U(14, 24)) is 17.75 s. Tolerances are those of 400 trials, at a false-alarm rate of 1e-5.
    """
    traces, found = studied(400, every="10s", fails=2)
    outage_s = rto_s(found, READS)
    np.testing.assert_allclose(outage_s, np.minimum(noticed_s(traces), TIMEOUT_S), atol=1e-6)
    assert abs(np.mean(outage_s > TIMEOUT_S - 1e-6) - 0.5) < 4.42 * 0.5 / np.sqrt(400)
    spread_s = np.sqrt((0.5 * (16.5**2 + 25.0 / 12.0) + 0.5 * 19.0**2) - 17.75**2)
    assert abs(outage_s.mean() - 17.75) < 4.42 * spread_s / np.sqrt(400)


@pytest.mark.parametrize(
    "edge", ["", "edge: {connect_timeout: 19s}", "edge: {connect_timeout: 19s, clients_give_up_after: 18.9s}"]
)
def test_who_does_not_wait_that_long_waits_for_the_verdict(edge: str) -> None:
    """A client of ten seconds' patience gains nothing from a proxy that tries for nineteen."""
    traces, found = studied(edge=edge)
    np.testing.assert_allclose(rto_s(found, READS), noticed_s(traces), atol=1e-6)
    assert not edge or not found.values[f"retried_s{{{READS}}}"].any()
    assert edge or f"retried_s{{{READS}}}" not in found.values


def test_writes_that_are_not_tried_again_wait_for_the_verdict() -> None:
    traces, found = studied(edge="edge: {connect_timeout: 19s, clients_give_up_after: 30s, writes: false}")
    np.testing.assert_allclose(rto_s(found, READS), TIMEOUT_S, atol=1e-6)
    np.testing.assert_allclose(rto_s(found, WRITES), noticed_s(traces), atol=1e-6)


def test_what_answers_with_errors_is_not_tried_again() -> None:
    """A brownout in which every request fails lasts until the checks have seen it, proxy or not."""
    brownout = "{kind: brownout, region: a, at: 1000.37s, lasts: 30min, errors: 100%}"
    traces, found = studied(faults=brownout)
    np.testing.assert_allclose(rto_s(found, READS), noticed_s(traces), atol=1e-6)
    assert not found.values[f"retried_s{{{READS}}}"].any()


def test_a_lost_database_is_no_lost_region() -> None:
    """The front door of the writer's region answers: nothing is tried again when the primary's process dies."""
    crash = "{kind: process-crash, store: db, region: c, at: 1000.37s, lasts: 10min, in_flight: arrives}"
    _, found = studied(faults=crash)
    np.testing.assert_allclose(rto_s(found, WRITES), 600.0, atol=1e-6)
    assert not found.values[f"retried_s{{{WRITES}}}"].any()


def test_it_is_one_try() -> None:
    """With the next region gone too nobody is served until the checks have taken that one out, though a third lives."""
    both = ", ".join(LOST.format(region=region, connections="refused") for region in "ab")
    traces, found = studied(40, faults=both)
    first = np.minimum(noticed_s(traces, "a"), noticed_s(traces, "b"))
    np.testing.assert_allclose(rto_s(found, READS), first, atol=1e-6)
    assert (found.values[f"retried_s{{{READS}}}"] > 0.0).all()


def test_a_proxy_turns_to_no_region_that_is_held_unhealthy() -> None:
    """The next region was lost long before and is out of the answers: the third is tried, until that one is back."""
    late = LOST.format(region="a", connections="refused").replace("1000.37s", "1600.37s")
    traces, found = studied(faults=f"{LOST.format(region='b', connections='hang')}, {late}")
    np.testing.assert_array_equal(found.values[f"affected_share{{{READS}}}"], 0.0)
    for trace in traces:
        assert [change.target for change in trace.tries["www"]["people", "a"]] == ["", "c", "b", ""]


def test_one_way_cuts_end_in_the_timeout_too() -> None:
    """No connection comes about if only the answers die; the checkers see the region all the while, and it goes on."""
    cut = "{kind: partition, between: [a], and: [people], direction: forward, at: 1000.37s, lasts: 30min, "
    _, found = studied(faults=cut + "in_flight: arrives}")
    np.testing.assert_allclose(rto_s(found, READS), TIMEOUT_S, atol=1e-6)
    np.testing.assert_allclose(found.values[f"retried_s{{{READS}}}"], 1800.0 - TIMEOUT_S, atol=1e-6)


def test_connections_end_at_the_proxy() -> None:
    """Pools of clients hold the proxy and no region: without it they stay until they find their connections broken."""
    pool = "pool: {share: 100%, pool_lifetime: 30min, breaks_after: 3min}"
    traces, found = studied(client=pool)
    np.testing.assert_allclose(rto_s(found, READS), TIMEOUT_S, atol=1e-6)
    traces, found = studied(client=pool, edge="")
    assert rto_s(found, READS).min() > noticed_s(traces).max()
