"""Commits whose clients were not told, against the ways that commits and answers take.

The fault's time is fixed: each count is a Poisson variable of the rate times a window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mrsim.measure import Measures, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator

RATE = 1000
TRIALS = 64
RTT_S, LAST_MILE_S, LOCAL_S, REMOTE_S = 0.080, 0.020, 0.002, 0.003
TEXT = """
name: doubt
horizon: 2h
regions: [a, b, c]
network: {{rtt: {{a/b: 80ms, a/c: 200ms, b/c: 200ms}}, last_mile: 20ms}}
stores:
  db:
    primary: a
    standbys: [b, c]
    commit: {commit}
    endpoint: {{ttl: 5s, moved_by: controller, takes: 1s, reconnect: 1s}}
    wal: {{commits: 1000/s, bytes_per_commit: 2KB}}
    replication:
      {{local_flush: 2ms, remote_flush: 3ms, connections: 1000, sender_timeout: 60s, receiver_timeout: 60s}}
    failover:
      detect: {{from: [b], every: 5s, fails: 2, timeout: 2s}}
      decide: automatic
      promote: {{order: [b], takes: 5s}}
services: {{orders: {{writes: db, retries: {retries}}}}}
dns: {{shop: {{serves: [orders], policy: latency, ttl: 30s, health_check: route53-fast}}}}
clients: {{users: {{near: {near}, share: 100%, resolvers: honest, class: app}}}}
faults: [{fault}]
"""
LOST = "{kind: region-loss, region: a, at: 501s, connections: hang, in_flight: lost}"
ONE = "{any: 1, of: [b, c]}"
PATIENT = "{after: 10s, gives_up_after: 10min, idempotent: false}"
OUTCOMES = ("double_effects", "recognised_retries", "redone_writes", "late_answers", "unknown_outcomes")


def measured(**fields: str) -> Measures:
    usual = {"commit": ONE, "retries": PATIENT, "near": "a", "fault": LOST}
    scenario = loads(TEXT.format(**(usual | fields)))
    traces = Simulator(scenario).run_chunk(7, 0, TRIALS)
    return measure(scenario, Population(scenario), traces, Draws(7, 0, TRIALS))


def outcomes(found: Measures) -> dict[str, float]:
    """Return the mean of each count."""
    columns = {name: found.values[f"{name}{{service=orders}}"] for name in (*OUTCOMES, "unanswered_writes")}
    return {name: float(column.mean()) for name, column in columns.items()}


def about(seconds: float) -> Any:
    """So many commits in the mean, within five standard errors (a false alarm in 10⁶) of a Poisson variable's."""
    return pytest.approx(RATE * seconds, abs=5.0 * np.sqrt(RATE * seconds / TRIALS))


def test_what_a_standby_had_flushed_is_done_twice() -> None:
    """In doubt are those on their way to the standby and back; those that it had, it keeps, and they are retried.

    The answers of half a last mile more were on their way to the client.
    """
    found = outcomes(measured())
    assert found["unanswered_writes"] == about(LAST_MILE_S / 2)
    assert found["double_effects"] == about(RTT_S / 2 + LOCAL_S + REMOTE_S + LAST_MILE_S / 2)
    assert found["redone_writes"] == about(RTT_S / 2)
    assert found["recognised_retries"] == found["late_answers"] == found["unknown_outcomes"] == 0.0


def test_a_key_committed_with_the_write_doubles_nothing() -> None:
    found = outcomes(measured(retries=PATIENT.replace("false", "true")))
    assert found["double_effects"] == found["unknown_outcomes"] == 0.0
    assert found["recognised_retries"] == about(RTT_S / 2 + LOCAL_S + REMOTE_S + LAST_MILE_S / 2)
    assert found["redone_writes"] == about(RTT_S / 2)


@pytest.mark.parametrize("gives_up", ["0s", "12s"])
def test_who_gives_up_before_writes_work_again_never_knows(gives_up: str) -> None:
    found = outcomes(measured(retries=f"{{after: 10s, gives_up_after: {gives_up}}}"))
    assert found["unknown_outcomes"] == about(RTT_S + LOCAL_S + REMOTE_S + LAST_MILE_S / 2)
    assert sum(found[name] for name in OUTCOMES) == found["unknown_outcomes"]


def test_asynchronous_commits_are_done_twice_only_by_clients_farther_away_than_the_standby() -> None:
    """Those that the standby had got, and whose answers were still on their longer way to the service."""
    near, far = (outcomes(measured(commit="async", near=place)) for place in ("a", "c"))
    assert near["double_effects"] == 0.0
    assert near["unanswered_writes"] == about(LAST_MILE_S / 2)
    assert near["redone_writes"] == about(LAST_MILE_S / 2 + LOCAL_S)
    # Standby and service begin to count at the same commit: the flush comes before the answer alone.
    assert far["double_effects"] == about(0.200 / 2 + LOCAL_S - RTT_S / 2)
    assert far["redone_writes"] == about(RTT_S / 2)


def test_answers_on_a_wire_that_goes_on_arrive() -> None:
    found = outcomes(measured(commit="async", near="c", fault=LOST.replace("lost}", "arrives}")))
    assert found["unanswered_writes"] == 0.0
    assert found["double_effects"] == about(LOCAL_S)


@pytest.mark.parametrize(("waits_s", "answered"), [(20, False), (90, True)])
def test_a_commit_that_waits_for_a_standby_is_answered_late_or_done_twice(waits_s: int, answered: bool) -> None:
    """A standby falls silent for the sender timeout of 60 s, then the rule goes on without it.

    Whoever waited that long is told; whoever took 20 s for an answer that will not come tries again, and does it twice.
    All connections wait: as many commits as there are.
    """
    degrade = "{any: 1, of: [b], when_short: degrade}"
    fault = "{kind: partition, between: [b], and: [a, c], at: 501s, lasts: 10min, in_flight: arrives}"
    rule = f"{{after: {waits_s}s, gives_up_after: 10min}}"
    text = TEXT.format(commit=degrade, retries=rule, near="a", fault=fault)
    text = text.replace("standbys: [b, c]", "standbys: [b]").partition("    failover:")[0] + (
        "services:" + text.partition("services:")[2]
    )
    scenario = loads(text)
    traces = Simulator(scenario).run_chunk(7, 0, 2)
    found = outcomes(measure(scenario, Population(scenario), traces, Draws(7, 0, 2)))
    assert found["late_answers" if answered else "double_effects"] == 1000.0
    assert sum(found[name] for name in OUTCOMES) == 1000.0


def test_every_cut_of_a_path_that_flaps_has_its_own_lost_answers() -> None:
    """Two cuts of a minute each: answers of half a last mile die with each, and all are tried again and told."""
    cut = "{{kind: partition, between: [users], and: [a], at: {at}, lasts: 1min, in_flight: lost}}"
    both = ", ".join(cut.format(at=at) for at in ("501s", "701s"))
    found = outcomes(measured(commit="async", fault=both))
    # The database lives on: what it flushed during a cut was answered into it.
    assert found["unanswered_writes"] == about(2.0 * (LAST_MILE_S / 2 + LOCAL_S))
    assert found["double_effects"] == found["unanswered_writes"]
