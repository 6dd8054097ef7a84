"""Runbooks against theory: how many steps fail is binomial, and what they cost is a compound sum."""

from __future__ import annotations

from functools import cache
from math import exp
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.sim.runbook import chance_of_failure
from mrsim.trace import Trace
from tests.happened import events, when

ALPHA = 1e-5
Z = stats.norm.isf(ALPHA / 2)
DAY_S = 86400.0
TEXT = """
name: by-the-book
horizon: 3d
regions: [us-east, us-west, eu-west]
network: {rtt: {us-east/us-west: 60ms, us-east/eu-west: 70ms, us-west/eu-west: 120ms}}
stores:
  db:
    primary: us-east
    standbys: [us-west, eu-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 4s}
      decide: automatic
      runbook:
        before: 3
        after: 5
        takes: 20s
        last_drill: 300d
        fails: 0%
        breaks_every: 400d
        repair: {exponential: {mean: 10min}}
      promote: {order: [us-west, eu-west], takes: 11s}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-west, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1000.37s}
"""
BROKEN = 1.0 - exp(-300.0 / 400.0)


def traces(changes: dict[str, Any] | None = None, trials: int = 1000, text: str = TEXT) -> list[Trace]:
    return Simulator(loads(text).with_(changes or {})).run_chunk(5, 0, trials)


@cache
def plain() -> list[Trace]:
    return traces(trials=2000)


def failures(trace: Trace) -> int:
    return len(events(trace, "step-failed"))


def worked_s(trace: Trace) -> float:
    """Return what working through the runbook took; the promotion's outcome is known half a round trip after it."""
    finishing = when(trace, "finished") - when(trace, "promoted")
    return when(trace, "prepared") - when(trace, "decided") + finishing


def test_how_many_steps_fail_is_binomial() -> None:
    counts = np.bincount([failures(trace) for trace in plain()], minlength=9)
    expected = stats.binom.pmf(np.arange(9), 8, BROKEN) * counts.sum()
    few = expected < 5.0
    seen = [*counts[~few], counts[few].sum()]
    assert stats.chisquare(seen, [*expected[~few], expected[few].sum()]).pvalue > ALPHA


def test_what_they_cost_has_the_mean_and_the_spread_of_a_compound_sum() -> None:
    """Eight steps of 20 s; each failure costs a repair and one more try: mean n p (m + 20), variance of the sum."""
    times = np.array([worked_s(trace) for trace in plain()])
    n, repair, again = 8, 600.0, 20.0
    mean = n * again + n * BROKEN * (repair + again)
    variance = n * BROKEN * repair**2 + n * BROKEN * (1.0 - BROKEN) * (repair + again) ** 2
    assert times.mean() == pytest.approx(mean + 0.06, abs=Z * np.sqrt(variance / len(times)))
    # The sampling error of a variance follows from the fourth moment of the sample.
    spread = np.sqrt(np.var((times - times.mean()) ** 2) / len(times))
    assert times.var() == pytest.approx(variance, abs=Z * spread)


def test_a_repaired_step_may_fail_again() -> None:
    """A step that has just been done fails with 20 %: the tries after the first failure are geometric."""
    found = np.array([failures(trace) for trace in traces({"stores.db.failover.runbook.fails": "20%"})])
    first = 1.0 - 0.8 * exp(-300.0 / 400.0)
    mean = 8 * first / 0.8
    # 1 + G with G geometric of ratio 0.2: E G = 0.25, Var G = 0.3125, so E (1 + G)^2 = 1.25^2 + 0.3125.
    second = first * (1.25**2 + 0.3125)
    sd = np.sqrt(8 * (second - (first / 0.8) ** 2) / len(found))
    assert found.mean() == pytest.approx(mean, abs=Z * sd)


def test_a_drill_every_so_often_is_a_mean_over_its_cycle() -> None:
    """A fault knows no drills: the time since the last is uniform, and p is the mean of 1 - exp(-t / m)."""
    found = np.array([failures(trace) for trace in traces({"stores.db.failover.runbook.last_drill": "0s..300d"})])
    x = 300.0 / 400.0
    p = 1.0 - (1.0 - exp(-x)) / x
    square = 1.0 - 2.0 * (1.0 - exp(-x)) / x + (1.0 - exp(-2 * x)) / (2 * x)
    # All steps are as old as each other: the variance of the conditional mean comes on top.
    variance = 8 * (p - square) + 64 * (square - p * p)
    assert found.mean() == pytest.approx(8 * p, abs=Z * np.sqrt(variance / len(found)))
    assert found.var() == pytest.approx(variance, rel=0.15)


def test_who_has_done_the_steps_knows_that_they_work() -> None:
    """The second failover of a trial meets steps that were done in the first one: that was a drill."""
    second = "  - {kind: region-loss, region: us-west, connections: hang, in_flight: lost, at: 2d}\n"
    again = 0
    for trace in traces(trials=100, text=TEXT + second):
        assert sum(event.kind == "promoted" for event in trace.events) == 2
        again += sum(event.kind == "step-failed" and event.at_s > 2 * DAY_S for event in trace.events)
    # two days old, not 302: 4 of 800 steps and not 420
    assert again <= stats.binom.isf(ALPHA, 800, 1.0 - exp(-2.0 / 400.0))


def test_the_longer_ago_the_last_drill_the_more_steps_fail() -> None:
    """Under the same draws, in every trial."""
    ages = ("1d", "30d", "180d", "720d")
    found = [[failures(trace) for trace in traces({"stores.db.failover.runbook.last_drill": age}, 300)] for age in ages]
    assert (np.diff(found, axis=0) >= 0).all()
    assert (np.mean(found, axis=1)[1:] > np.mean(found, axis=1)[:-1]).all()


def test_a_primary_that_answers_again_calls_off_the_work_before_the_promotion() -> None:
    brief = TEXT.replace("at: 1000.37s}", "at: 1000.37s, lasts: 50s}").replace("takes: 20s", "takes: 2min")
    for trace in traces(trials=50, text=brief):
        assert [event.kind for event in trace.events if event.kind in ("prepared", "promoted", "stood-down")] == [
            "stood-down"
        ]


def test_no_client_is_led_to_the_new_primary_before_the_last_step() -> None:
    for trace in traces(trials=100):
        moved = when(trace, "endpoint-moved")
        assert moved == pytest.approx(when(trace, "finished") + 7.0, abs=0.2)
        assert when(trace, "finished") >= when(trace, "promoted") + 5 * 20.0


# The chance itself ---------------------------------------------------------------------------------------------------


def rule(changes: dict[str, Any]) -> Any:
    failover = loads(TEXT).with_(changes).stores["db"].failover
    assert failover is not None
    return failover.runbook


def test_chance_by_time_since_the_last_drill() -> None:
    """p(0) = p0, p(m) = 1 - (1 - p0) / e; for short times p0 + t / m."""
    book = rule({"stores.db.failover.runbook.fails": "2%"})
    assert chance_of_failure(book, 0.0) == pytest.approx(0.02)
    assert chance_of_failure(book, 400 * DAY_S) == pytest.approx(1.0 - 0.98 / np.e)
    assert chance_of_failure(book, 4 * DAY_S) == pytest.approx(0.02 + 0.01 * 0.98, rel=1e-2)


def test_measured_shares_are_met_and_the_rate_is_constant_between_them() -> None:
    text = TEXT.replace(
        "        breaks_every: 400d\n",
        "        measured: [{after: 30d, failed: 2, of: 40}, {after: 180d, failed: 9, of: 60}]\n",
    )
    failover = loads(text).stores["db"].failover
    assert failover is not None
    book = failover.runbook
    assert book is not None

    def works(days: float) -> float:
        return 1.0 - chance_of_failure(book, days * DAY_S)

    assert works(0.0) == 1.0
    assert works(30.0) == pytest.approx(0.95)
    assert works(180.0) == pytest.approx(0.85)
    assert works(15.0) == pytest.approx(np.sqrt(0.95))
    assert works(105.0) == pytest.approx(np.sqrt(0.95 * 0.85))
    assert works(330.0) == pytest.approx(0.85 * 0.85 / 0.95), "the last rate goes on"
