"""Long-run figures that follow from many incidents, and what a fluid replay leaves out, by closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import library, loads
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import Trace
from mrsim.units import parse

SIGMAS = 4.5
"""Both sides of a normal beyond this have 7e-6: the false-alarm rate of each test."""

CYCLE_S, CYCLES, TRIALS = 1800.0, 4, 400
TEXT = """\
name: renewals
horizon: 2h
regions: [us-east]
network: {rtt: aws-2026}
stores:
  db:
    primary: us-east
    wal: {commits: 100/s, bytes_per_commit: 2KB}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 60s}}
clients: {users: {near: us-east, share: 100%, resolvers: honest, class: app}}
faults:
"""


def _outages_s(trace: Trace) -> list[float]:
    """Return for how long the database was down, fault by fault."""
    spans = trace.stores["db"].acks["db@us-east"]
    return [after.start_s - before.acked_until_s for before, after in pairwise(spans)]


def test_availability_is_the_share_of_each_cycle_that_works() -> None:
    """Renewal-reward (S. Ross, Introduction to Probability Models, 7.4): 1 - E[outage] / E[cycle].

    The database dies every 1800 s for an exponential time with mean 60 s and starts again at once.
    """
    faults = [
        f"  - {{kind: process-crash, store: db, region: us-east, at: {300.37 + CYCLE_S * number}s, "
        "lasts: {exponential: {mean: 60s}}}\n"
        for number in range(CYCLES)
    ]
    scenario = loads(TEXT + "".join(faults))
    failed = run(scenario, trials=TRIALS, seed=3, workers=1).values_of("unavailability{service=orders,op=write}")
    outages = np.array([_outages_s(trace) for trace in Simulator(scenario).run_chunk(3, 0, TRIALS)])
    # Trial by trial it is what that trial's outages add up to; only these are left to chance.
    assert failed == pytest.approx(outages.sum(axis=1) / (CYCLE_S * CYCLES), abs=2e-4)
    assert stats.kstest(outages.ravel(), stats.expon(0.0, 60.0).cdf).pvalue > 1e-5
    assert failed.mean() == pytest.approx(60.0 / CYCLE_S, abs=SIGMAS * 60.0 / CYCLE_S / np.sqrt(CYCLES * TRIALS))


def test_what_a_fluid_replay_leaves_out_is_the_wait_of_an_md1_queue() -> None:
    """Commits at random, each replayed in a fixed time, wait ρ / (2 (1 - ρ)) services (Pollaczek-Khinchine).

    Replay in the engine is a fluid, without that wait. At the preset's speed and 200 commits of 2 kB per second it is
    less than a microsecond.
    """
    rng = np.random.default_rng(7)
    for load in (0.3, 0.8):
        waits = np.zeros(400)
        total = np.zeros(400)
        for _ in range(20_000):
            waits = np.maximum(0.0, waits + 1.0 - rng.exponential(1.0 / load, 400))
            total += waits
        means = total / 20_000
        theory = load / (2.0 * (1.0 - load))
        assert means.mean() == pytest.approx(theory, abs=SIGMAS * means.std() / np.sqrt(400) + 0.002)
    (speed,) = [value for key, value in library()["postgresql"].group("").items() if key == "apply_rate"]
    service_s = 2000.0 / parse(speed.value, "bandwidth")
    load = 200.0 * service_s
    assert load / (2.0 * (1.0 - load)) * service_s < 1e-6
