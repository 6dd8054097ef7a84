"""What a trial means does not depend on the trials that are measured with it, where it once did."""

from __future__ import annotations

import pytest

from mrsim.measure import measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from tests.properties.measured import check_alone

WEIGHTED = """
name: weighted
regions: [a, b, c, d]
horizon: 2h
network: {rtt: {a/b: 20ms, a/c: 30ms, a/d: 40ms, b/c: 50ms, b/d: 60ms, c/d: 70ms}}
stores: {db: {primary: a, standbys: [c], wal: {commits: 10/s}}}
services: {orders: {reads: {db: nearest}, writes: db, read_only: true}}
dns:
  shop:
    serves: [orders]
    policy: weighted
    weights: {b: 1, c: 1, d: 1}
    ttl: 7.7s
    health_check: {preset: route53-fast}
clients: {users: {near: a, share: 100%, resolvers: honest, class: browser, points: 4}}
faults:
  - {kind: brownout, region: b, at: random, lasts: 10min..20min, errors: 100%}
  - {kind: brownout, region: d, at: random, lasts: 10min..20min, errors: 100%}
  - {kind: process-crash, store: db, region: a, at: 90s}
"""
WORKERS = """
name: workers
regions: [a, b, c]
horizon: 2h
network: {rtt: {a/b: 20ms, a/c: 30ms, b/c: 50ms}}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {ttl: 30s, moved_by: controller}
    wal: {commits: 10/s}
    failover: {detect: {from: [c]}, decide: automatic}
services:
  worker: {writes: db, runs_in: writer, relocates: {schedule: 5s, pull: 10s..1min}}
clients: {users: {near: a, share: 100%, resolvers: typical, class: browser, points: 4}}
faults:
  - {kind: isolation, region: a, at: random, lasts: 1s..5min, cut_from: rest, still_reached_by: []}
"""
TRIALS = 4


@pytest.mark.parametrize("seed", range(2))
def test_weighted_answers(seed: int) -> None:
    """Trials lose other regions first, and have one region left to answer with, or more."""
    check(WEIGHTED, seed)


@pytest.mark.parametrize("seed", range(2))
def test_workers_in_two_regions(seed: int) -> None:
    """In some trials they work in both regions for a while, each doing half the work."""
    check(WORKERS, seed)


def check(text: str, seed: int) -> None:
    scenario = loads(text)
    traces = Simulator(scenario).run_chunk(seed, 0, TRIALS)
    found = measure(scenario, Population(scenario), traces, Draws(seed, 0, TRIALS))
    for trial in range(TRIALS):
        check_alone(scenario, traces, seed, found, trial, trial + 1)
