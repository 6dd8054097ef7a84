"""Runs of a batch job that were missed or done twice, against how long there was no writer, or more than one.

Runs are due every P at a random phase, so that of an interval of length L within a trial L / P are due in the mean.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from mrsim.measure import measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

TEXT = """
name: batches
horizon: 4h
regions: [a, b]
network: {{rtt: {{a/b: 80ms}}}}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {{ttl: 5s, moved_by: controller, takes: 1s, reconnect: 1s}}
    wal: {{commits: 10/s, bytes_per_commit: 2KB}}
    failover:
      detect: {{from: [b], every: 5s, fails: 2, timeout: 2s}}
      decide: {{by: automatic, delay: {delay}}}
      promote: {{takes: 5s}}
      old_primary: {{on_return: stays-down, starts_after: 7s}}
services: {{billing: {{writes: db, batch: {{every: 10min, takes: 2min{more}}}}}}}
dns: {{shop: {{serves: [billing], policy: latency, ttl: 30s}}}}
clients: {{users: {{near: a, share: 100%, resolvers: honest, class: app, points: 1}}}}
faults: [{fault}]
"""
LOST = "{kind: region-loss, region: a, at: 1h, connections: hang, in_flight: lost}"
CUT = "{kind: isolation, region: a, at: 1h, lasts: 10min, cut_from: rest, still_reached_by: [users]}"
TRIALS, EVERY_S, TAKES_S = 400, 600.0, 120.0


def run(more: str = "", delay: str = "4min", fault: str = LOST) -> tuple[list[Trace], dict[str, np.ndarray]]:
    scenario = loads(TEXT.format(more=more, delay=delay, fault=fault))
    traces = Simulator(scenario).run_chunk(7, 0, TRIALS)
    found = measure(scenario, Population(scenario), traces, Draws(7, 0, TRIALS)).values
    names = ("due_runs", "missed_runs", "late_runs", "doubled_runs")
    return traces, {name: found[f"{name}{{service=billing}}"] for name in names}


def about(seconds: float) -> object:
    """Mean runs due in so long, give or take five standard errors of a count that is one of two whole numbers."""
    return pytest.approx(seconds / EVERY_S, abs=5.0 * 0.5 / sqrt(TRIALS))


def without_writer_s(traces: list[Trace]) -> float:
    """Mean time in which no node acknowledged, from the last acknowledgement of the first primary on."""
    stores = [trace.stores["db"] for trace in traces]
    return float(np.mean([s.acks["db@b"][0].start_s - s.acks["db@a"][0].acked_until_s for s in stores]))


def test_runs_are_due_at_even_distances() -> None:
    _, found = run(fault="")
    assert set(found["due_runs"]) <= {24.0}
    assert not any(found[name].any() for name in ("missed_runs", "late_runs", "doubled_runs"))


def test_runs_due_without_a_writer_or_broken_off_are_missed() -> None:
    traces, found = run()
    assert 240.0 < without_writer_s(traces) < 300.0
    assert found["missed_runs"].mean() == about(without_writer_s(traces) + TAKES_S)
    assert not found["late_runs"].any()
    assert not found["doubled_runs"].any()


def test_a_run_that_is_made_up_for_is_not_missed_but_what_was_broken_off_is_done_twice() -> None:
    traces, found = run(", catches_up: true")
    assert not found["missed_runs"].any()
    assert found["late_runs"].mean() == about(without_writer_s(traces) + TAKES_S)
    assert found["doubled_runs"].mean() == about(TAKES_S)


def test_two_leaders_run_it_twice() -> None:
    """From the promotion of the one until the other, cut off, stops: whoever starts in between has a double."""
    traces, found = run(delay="1min", fault=CUT)
    stores = [trace.stores["db"] for trace in traces]
    overlap_s = [s.acks["db@a"][-1].acked_until_s - s.acks["db@b"][0].start_s for s in stores]
    assert min(overlap_s) > 400.0
    assert found["doubled_runs"].mean() == about(float(np.mean(overlap_s)))


def test_without_a_leader_every_region_runs_it() -> None:
    _, found = run(", leader: nobody", fault="")
    np.testing.assert_array_equal(found["doubled_runs"], found["due_runs"])


def test_a_stall_of_the_commit_rule_breaks_no_run_off() -> None:
    """All commits wait for a standby that is silent for a minute; whoever runs meanwhile waits with them."""
    text = TEXT.format(more="", delay="4min", fault=CUT.replace("10min", "15s"))
    text = text.replace("    endpoint:", "    commit: {any: 1, of: [b]}\n    endpoint:")
    scenario = loads(text)
    traces = Simulator(scenario).run_chunk(7, 0, 20)
    assert all(len(trace.stores["db"].acks["db@a"]) > 1 for trace in traces)
    found = measure(scenario, Population(scenario), traces, Draws(7, 0, 20)).values
    assert not found["missed_runs{service=billing}"].any()
