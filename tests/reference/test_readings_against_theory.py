"""What readers of copies are shown, against the lag that the paths and the load make."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from mrsim.measure import measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator

TEXT = """
name: readings
horizon: {horizon}
regions: [a, b]
network: {{rtt: {{a/b: 200ms}}, wal_bandwidth: {{a/b: 1MB/s}}}}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {{ttl: 5s, moved_by: controller, takes: 1s, reconnect: 1s}}
    wal: {{commits: 100/s, bytes_per_commit: 2KB{bursts}}}
services: {{profile: {{writes: db, reads: {{db: {{route: {route}, primary_for: {window}{again}}}}}}}}}
dns: {{shop: {{serves: [profile], policy: latency, ttl: 30s}}}}
clients:
  near: {{near: a, share: 75%, resolvers: honest, class: app, points: 4}}
  far: {{near: b, share: 25%, resolvers: honest, class: app, points: 4}}
faults: [{fault}]
"""
LAG_S = 0.1
TRIALS, POINTS = 60, 64
BURSTS = ", bursts: {every: 30min, last: 2min, rate: 10x, phase: random}"


def readings(
    window: str = "0s",
    again: str = "",
    route: str = "nearest",
    bursts: str = "",
    horizon: str = "2h",
    fault: str = "",
) -> dict[str, np.ndarray]:
    text = TEXT.format(window=window, again=again, route=route, bursts=bursts, horizon=horizon, fault=fault)
    scenario = loads(text)
    traces = Simulator(scenario).run_chunk(7, 0, TRIALS)
    found = measure(scenario, Population(scenario), traces, Draws(7, 0, TRIALS)).values
    return {
        f"{metric} {who}": found[f"{metric}{{service=profile,from={who}}}"]
        for metric in ("staleness_s", "ryow_violations")
        for who in ("all", "near", "far")
    }


def wrong_by_chance(share: float) -> float:
    """Five standard errors of a share, as if every sample were independent: wrong once in a million times."""
    return 5.0 * sqrt(share * (1.0 - share) / (TRIALS * POINTS))


def test_a_copy_is_as_old_as_its_lag_and_the_primary_is_not() -> None:
    found = readings()
    np.testing.assert_allclose(found["staleness_s far"], LAG_S, atol=1e-9)
    np.testing.assert_array_equal(found["staleness_s near"], 0.0)
    np.testing.assert_allclose(found["staleness_s all"], 0.25 * LAG_S, atol=1e-9)


@pytest.mark.parametrize(("window", "missed"), [("0s", 1.0), ("99ms", 1.0), ("101ms", 0.0), ("5s", 0.0)])
def test_who_reads_as_the_window_ends_misses_the_write_if_the_lag_is_longer(window: str, missed: float) -> None:
    found = readings(window)
    np.testing.assert_array_equal(found["ryow_violations far"], missed)
    np.testing.assert_array_equal(found["ryow_violations near"], 0.0)
    np.testing.assert_allclose(found["ryow_violations all"], 0.25 * missed)


@pytest.mark.parametrize("window_s", [0.0, 0.04])
def test_who_reads_after_a_random_while_misses_it_between_window_and_lag(window_s: float) -> None:
    """After an exponential pause D of mean m: P(N <= D < L) = exp(-N/m) - exp(-L/m)."""
    mean_s = 0.15
    found = readings(f"{window_s * 1000:.0f}ms", f", again_after: {{exponential: {{mean: {mean_s}s}}}}")
    expected = exp(-window_s / mean_s) - exp(-LAG_S / mean_s)
    assert found["ryow_violations far"].mean() == pytest.approx(expected, abs=wrong_by_chance(expected))


def test_reading_from_the_primary_always_shows_it() -> None:
    found = readings(route="primary")
    np.testing.assert_array_equal(found["ryow_violations all"], 0.0)
    np.testing.assert_array_equal(found["staleness_s all"], 0.0)


def test_a_burst_that_the_path_cannot_carry_outlasts_the_window() -> None:
    """A queue served at c, filled at b for T and at a from then on.

    A commit t into the burst is there t (b/c - 1) after it was made, one t after it T (b/c - 1) - t (1 - a/c); a way of
    one latency comes on top. Of all commits, those count for which that is more than the window.
    """
    window_s, every_s, last_s, a, b, c = 30.0, 1800.0, 120.0, 100.0, 1000.0, 500.0
    spare_s = window_s - LAG_S
    inside = (last_s - spare_s / (b / c - 1.0)) * b
    after = (last_s * (b / c - 1.0) - spare_s) / (1.0 - a / c) * a
    expected = (inside + after) / (b * last_s + a * (every_s - last_s))
    found = readings("30s", bursts=BURSTS, horizon="5h")
    assert found["ryow_violations far"].mean() == pytest.approx(expected, abs=wrong_by_chance(expected))
    assert expected > 0.3


def test_a_standby_that_is_cut_off_shows_what_it_had() -> None:
    """Cut off for an hour and up to the next attempt to connect, 132 s; then it catches up, with c/a - 1 s a second."""
    fault = "{kind: partition, between: [a], and: [b], at: 30min, lasts: 60min, in_flight: lost}"
    found = readings("5s", fault=fault)
    least, most = ((3600.0 + later_s) ** 2 / 2.0 * (1.0 + 1.0 / (5.0 - 1.0)) / 7200.0 for later_s in (0.0, 132.0))
    assert np.all((found["staleness_s far"] > 0.99 * least) & (found["staleness_s far"] < 1.01 * most))
    np.testing.assert_array_equal(found["staleness_s near"], 0.0)


def test_looking_changes_nothing() -> None:
    fault = "{kind: region-loss, region: a, at: random, connections: hang, in_flight: lost}"
    looked = TEXT.format(window="5s", again="", route="nearest", bursts=BURSTS, horizon="4h", fault=fault)
    plain = looked.replace("{route: nearest, primary_for: 5s}", "nearest")
    traces, others = (Simulator(loads(text)).run_chunk(7, 0, 8) for text in (looked, plain))
    for trace, other in zip(traces, others, strict=True):
        assert trace.stores["db"].readings
        trace.stores["db"].readings = []
        assert trace == other
