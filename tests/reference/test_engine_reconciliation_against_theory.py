"""Writes that only a former primary holds: when they are brought back, how many, and what keeps them from it."""

from __future__ import annotations

import numpy as np
import pytest

from mrsim.measure import Measures, Status, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

TEXT = """
name: reconciled
horizon: {horizon}
regions: [a, b]
network: {{rtt: {{a/b: 80ms}}}}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {{ttl: 5s, moved_by: controller, takes: 1s, reconnect: 1s}}
    wal: {{commits: 1000/s, bytes_per_commit: 2KB}}
    failover:
      detect: {{from: [b], every: 5s, fails: 2, timeout: 2s}}
      decide: automatic
      promote: {{takes: 5s}}
      old_primary: {{on_return: {on_return}, starts_after: 7s, rebuild: 60s, reconcile: {{takes: 1h{more}}}}}
services: {{orders: {{writes: db}}}}
dns: {{shop: {{serves: [orders], policy: latency, ttl: 30s}}}}
clients: {{users: {{near: a, share: 100%, resolvers: honest, class: app}}}}
faults: [{fault}]
"""
CUT = "{kind: isolation, region: a, at: 501s, lasts: 200s, cut_from: rest, still_reached_by: [users]}"
LOST = "{kind: region-loss, region: a, at: 501s, connections: hang, in_flight: lost}"
TAKES_S, STARTS_S, CUT_S = 3600.0, 7.0, 200.0


def run(on_return: str = "stays-down", fault: str = CUT, more: str = "", horizon: str = "6h") -> tuple[Trace, Measures]:
    scenario = loads(TEXT.format(on_return=on_return, fault=fault, more=more, horizon=horizon))
    traces = Simulator(scenario).run_chunk(7, 0, 3)
    return traces[0], measure(scenario, Population(scenario), traces, Draws(7, 0, 3))


def columns(found: Measures) -> tuple[float, float, float, float, int]:
    """Absent, recovered and missing writes, seconds until they were there, and its status, of the first trial."""
    names = ("lost_writes", "divergent_writes", "recovered_writes", "missing_writes", "reconciliation_s")
    lost, divergent, recovered, missing, took = (found.values[f"{name}{{store=db}}"] for name in names)
    np.testing.assert_array_equal(recovered + missing, lost + divergent)
    assert np.all(lost + divergent > 0)
    status = found.status["reconciliation_s{store=db}"]
    return lost[0] + divergent[0], recovered[0], missing[0], took[0], int(status[0])


def test_all_is_brought_back_once_the_cut_is_over_and_the_time_is_up() -> None:
    """The primary hears of its successor when the cut ends, and stops as long later as it takes to start one."""
    _, found = run()
    absent, recovered, missing, took, status = columns(found)
    assert (recovered, missing, status) == (absent, 0.0, Status.OBSERVED)
    assert took == pytest.approx(CUT_S + STARTS_S + TAKES_S, abs=1e-6)


def test_what_is_in_conflict_stays_missing() -> None:
    absent, recovered, missing, _, status = columns(run(more=", recovers: 75%")[1])
    assert (recovered, status) == (np.floor(0.75 * absent), Status.OBSERVED)
    assert missing == absent - recovered


def test_what_was_lost_with_its_region_never_comes_back() -> None:
    absent, recovered, missing, took, status = columns(run(fault=LOST)[1])
    assert (recovered, missing, took, status) == (0.0, absent, np.inf, Status.NEVER)


def test_a_region_that_returns_brings_its_disk() -> None:
    lost = LOST.replace("connections", "lasts: 2h, connections")
    absent, recovered, _, took, _ = columns(run(fault=lost)[1])
    assert recovered == absent
    assert took == pytest.approx(7200.0 + TAKES_S, abs=1e-6)


def test_a_horizon_before_the_end_leaves_it_unfinished() -> None:
    absent, recovered, missing, took, status = columns(run(horizon="1h")[1])
    assert (recovered, missing, status) == (0.0, absent, Status.CENSORED)
    assert took == pytest.approx(3600.0 - 501.0)


@pytest.mark.parametrize("aside", [False, True])
def test_a_rewind_discards_what_was_not_copied_aside(aside: bool) -> None:
    trace, found = run("rejoins", more=f", sets_aside: {str(aside).lower()}")
    absent, recovered, _, _, status = columns(found)
    assert recovered == (absent if aside else 0.0)
    assert status == (Status.OBSERVED if aside else Status.NEVER)
    kinds = [event.kind for event in trace.events]
    assert ("stranded-writes-discarded" in kinds, "reconciled" in kinds) == (not aside, aside)


def test_nobody_reconciles_with_a_primary_that_goes_on_writing() -> None:
    trace, found = run("starts-as-primary")
    assert columns(found)[1] == 0.0
    assert not any(event.kind == "reconciling" for event in trace.events)
