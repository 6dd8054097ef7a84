"""Objects copied one by one against the queue M/G/infinity: how many are missing, how old the oldest, when none is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.distributions import Exponential, LogNormal, Uniform
from mrsim.errors import ScenarioError
from mrsim.lags import Lag, ages, since
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Copied, Trace

ALPHA = 1e-5
WITHIN = float(stats.norm.isf(ALPHA / 2))
"""Standard errors that a mean may be away from theory."""
TEXT = """
name: covers
horizon: 3h
regions: [us-east, eu-west]
network: {rtt: {us-east/eu-west: 80ms}, last_mile: 1ms}
stores:
  db:
    primary: us-east
    standbys: [{region: eu-west, via: objects}]
    objects: {lag: {median: 5s, p95: 30s}}
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 5/s, bytes_per_commit: 200KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 5s}
      decide: automatic
      promote: {takes: 11s}
      old_primary: {on_return: stays-down}
services:
  api: {reads: {db: nearest}, writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 1s, health_check: route53-fast}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 4000.37s}
"""
RARE = {"stores.db.objects.lag": {"mixture": [{"share": "99.9%", "of": "1ms"}, {"share": "0.1%", "of": "0s..900s"}]}}
"""One object in a thousand takes up to 15 minutes: all that are missing are among these."""


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def found(changes: dict[str, Any], trials: int) -> tuple[np.ndarray, np.ndarray]:
    trials_of = run(scenario(changes), trials=trials, seed=5, workers=1).trials
    return trials_of["lost_writes{store=db}"].to_numpy(), trials_of["data_loss_s{store=db}"].to_numpy()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 5.0 * LogNormal.through(0.5, 5.0, 0.95, 30.0).mean()),
        ({"stores.db.wal.commits": "400/s"}, 400.0 * LogNormal.through(0.5, 5.0, 0.95, 30.0).mean()),
        ({"stores.db.objects.lag": {"exponential": {"mean": "20s"}}}, 100.0),
        ({"stores.db.objects.lag": {"pareto": {"min": "1s", "shape": 1.5}}}, 15.0),
        (RARE | {"stores.db.wal.commits": "10/s"}, 4.5),
        # On average over the phase of a burst; (50 s + 10 s of 8x) per minute.
        ({"stores.db.wal.bursts": {"every": "60s", "last": "10s", "rate": "8x"}}, None),
    ],
)
def test_as_many_are_missing_as_are_put_in_a_mean_lag(changes: dict[str, Any], expected: float | None) -> None:
    """Little's law, and the spread of a Poisson number."""
    count = 150 if "stores.db.wal.bursts" in changes else 400
    lost, _ = found(changes, count)
    if expected is None:
        expected = 5.0 * (50.0 + 80.0) / 60.0 * LogNormal.through(0.5, 5.0, 0.95, 30.0).mean()
        assert abs(lost.mean() - expected) < WITHIN * lost.std() / np.sqrt(count)
        return
    assert abs(lost.mean() - expected) < WITHIN * np.sqrt(expected / count)
    assert abs(lost.var() / expected - 1.0) < WITHIN * np.sqrt(2.0 / count + 1.0 / (count * expected))


def test_one_value_loses_what_was_put_within_it() -> None:
    lost, loss_s = found({"stores.db.objects.lag": "20s", "stores.db.wal.commits": "300/s"}, 100)
    assert abs(lost.mean() - 6000.0) < WITHIN * np.sqrt(6000.0 / 100)
    assert stats.kstest(20.0 - loss_s, stats.expon(scale=1.0 / 300.0).cdf).pvalue > ALPHA


def test_none_is_missing_as_often_as_theory_says() -> None:
    """exp(-rate E[lag]), also where commits come minutes apart."""
    count = 800
    for rate in (0.1, 0.02):
        lost, loss_s = found({"stores.db.wal.commits": f"{rate}/s"}, count)
        none = int(np.count_nonzero(lost == 0))
        assert none == np.count_nonzero(loss_s == 0.0)
        expected = np.exp(-rate * LogNormal.through(0.5, 5.0, 0.95, 30.0).mean())
        assert stats.binomtest(none, count, float(expected)).pvalue > ALPHA


def test_the_oldest_is_as_old_as_theory_says() -> None:
    """P(older than a) = 1 - exp(-rate integral of S from a on); S = 0.001 (1 - a / 900 s)."""
    _, loss_s = found(RARE | {"stores.db.wal.commits": "10/s"}, 1000)

    def younger(age_s: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-10.0 * 0.001 * (900.0 - np.clip(age_s, 0.0, 900.0)) ** 2 / 1800.0))

    some = loss_s[loss_s > 1.0]
    none = younger(np.array([1.0]))[0]
    assert stats.kstest(some, lambda age_s: (younger(age_s) - none) / (1.0 - none)).pvalue > ALPHA


def test_the_age_of_the_oldest_is_what_a_guard_on_lag_sees() -> None:
    """Of 66 s worth of late objects one is older than 30 s, as a rule: a guard of 30 s keeps closed."""
    guarded = {"stores.db.failover.decide": {"by": "automatic", "max_lag": "30s"}}
    traces = Simulator(scenario(guarded)).run_chunk(3, 0, 50)
    assert sum(len(trace.stores["db"].histories) > 1 for trace in traces) < 10
    relaxed = {"stores.db.failover.decide": {"by": "automatic", "max_lag": "1h"}}
    traces = Simulator(scenario(relaxed)).run_chunk(3, 0, 50)
    assert all(len(trace.stores["db"].histories) > 1 for trace in traces)


def test_what_was_put_during_a_cut_is_all_missing() -> None:
    """A partition 100 s before the loss: 500 objects, and those before it as if the region had been lost then."""
    cut = {"kind": "partition", "between": ["us-east"], "and": ["eu-west"], "at": "3900.37s", "lasts": "permanent"}
    text = TEXT.replace("faults:\n", f"faults:\n  - {cut | {'in_flight': 'lost'}}\n".replace("'", ""))
    lost = run(loads(text), trials=300, seed=5, workers=1).trials["lost_writes{store=db}"].to_numpy()
    expected = 500.0 + 5.0 * LogNormal.through(0.5, 5.0, 0.95, 30.0).mean()
    assert abs(lost.mean() - expected) < WITHIN * np.sqrt(expected / 300)


def test_a_lag_stands_still_during_a_cut() -> None:
    """Copying that paused for 100 s and went on for 1000 s has left behind what it would have left anyway."""
    pause = {"kind": "replication-stall", "store": "db", "region": "eu-west", "at": "2900.37s", "lasts": "100s"}
    text = TEXT.replace("faults:\n", f"faults:\n  - {pause}\n".replace("'", ""))
    lost = run(loads(text), trials=300, seed=5, workers=1).trials["lost_writes{store=db}"].to_numpy()
    expected = 5.0 * LogNormal.through(0.5, 5.0, 0.95, 30.0).mean()
    assert abs(lost.mean() - expected) < WITHIN * np.sqrt(expected / 300)


SWITCHOVER = """  - {kind: switchover, store: db, to: eu-west, at: 4000.37s, drain: 1s, checkpoint: 1s, hands_over: 1s,
     gives_up_after: 1h, max_lag: 1h}
"""


def switched(trials: int) -> list[Trace]:
    text = TEXT[: TEXT.index("  - {kind: region-loss")] + SWITCHOVER
    return Simulator(loads(text)).run_chunk(7, 0, trials)


def test_a_switchover_waits_for_the_last_object_and_loses_nothing() -> None:
    """The last of many to arrive does so within x with probability exp(-rate integral of S from x on)."""
    lag, traces = Lag(LogNormal.through(0.5, 5.0, 0.95, 30.0)), switched(300)
    waits = []
    for trace in traces:
        at_s = {event.kind: event.at_s for event in trace.events}
        history = trace.stores["db"].histories[1]
        assert history.copied is None
        assert history.forked_at_s >= at_s["writes-stopped"]
        waits.append(at_s["position-reached"] - at_s["writes-stopped"])
    # It is asked once a second, from some seconds on.
    levels = np.array([np.exp(-5.0 * lag.beyond(wait)) for wait in waits])
    before = np.array([np.exp(-5.0 * lag.beyond(wait - 1.1)) for wait in waits])
    u = np.random.default_rng(1).uniform(before, levels)  # where in its second each was there
    assert stats.kstest(u, stats.uniform.cdf).pvalue > ALPHA


def test_ages_count_only_while_copying_goes_on() -> None:
    copied = Copied(((-INF, 10.0), (20.0, 25.0)), -INF, 1.0)
    np.testing.assert_array_equal(ages(copied, np.array([0.0, 9.0, 15.0, 22.0, 30.0])), [15.0, 6.0, 5.0, 3.0, 0.0])
    assert [since(copied, age) for age in (3.0, 5.0, 6.0)] == [22.0, 20.0, 9.0]
    late = Copied(((20.0, 25.0),), 12.0, 1.0)
    np.testing.assert_array_equal(ages(late, np.array([11.0, 12.0, 24.0])), [INF, 5.0, 1.0])
    assert since(late, 7.0) == 12.0


@pytest.mark.parametrize("lag", [Exponential(7.0), Uniform(2.0, 9.0), LogNormal(1.0, 1.4)])
def test_what_is_beyond_an_age_is_an_integral(lag: Exponential | Uniform | LogNormal) -> None:
    from scipy.integrate import quad

    known = Lag(lag)
    assert known.beyond(0.0) == pytest.approx(lag.mean(), rel=1e-3)
    for age in (3.0, 6.0, 8.5, 20.0):
        points = [9.0] if isinstance(lag, Uniform) and age < 9.0 else None
        expected = quad(lambda a: 1.0 - float(lag.cdf(a)), age, 2000.0, limit=500, points=points)[0]
        assert known.beyond(age) == pytest.approx(expected, rel=0.01, abs=1e-6)
        if expected > 1e-6:
            assert known.age_of(known.beyond(age)) == pytest.approx(age, rel=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    objects: {lag: {median: 5s, p95: 30s}}\n", "", "how objects are copied"),
        (", via: objects}", "}", "no effect"),
        ("{median: 5s, p95: 30s}", "{pareto: {min: 1s, shape: 0.9}}", "mean"),
        ("    endpoint", "    commit: {any: 1, of: [eu-west]}\n    endpoint", "acknowledges nothing"),
        ("via: objects}", "via: objects, source: us-east}", "streams from nobody"),
        ("via: objects", "via: object", "objects"),
    ],
)
def test_what_makes_no_sense_is_said(old: str, new: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        loads(TEXT.replace(old, new))
