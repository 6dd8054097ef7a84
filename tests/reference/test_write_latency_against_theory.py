"""Latency of writes: order statistics of answers, ways to and from the primary, and what is left of it at the end."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.distributions import Constant, Exponential, Uniform
from mrsim.measure.waits import POINTS, Answers, commit_waits_s, first_n_s
from mrsim.scenario.loader import loads
from mrsim.study.run import run

FLUSH = Exponential(0.010)


@pytest.mark.parametrize(("needed", "of"), [(1, 1), (1, 3), (2, 3), (3, 3), (4, 12)])
def test_the_nth_of_equal_answers_is_a_sum_of_shorter_waits(needed: int, of: int) -> None:
    """Renyi: the n-th of m exponentials is a sum of n, with means 1/m, 1/(m-1) ... of one. Quantiles are the beta's."""
    u = (np.arange(POINTS) + 0.5) / POINTS
    found = first_n_s(u, Answers(needed, (0.07,) * of), FLUSH)
    assert found.mean() == pytest.approx(0.07 + 0.010 * sum(1 / (of - i) for i in range(needed)), rel=2e-4)
    exact = 0.07 - 0.010 * np.log1p(-stats.beta(needed, of - needed + 1).ppf(u))
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_any_1_of_a_near_and_a_far_one_is_the_sooner_of_both() -> None:
    """P(more than t) = exp(-(t - near)/mean) · exp(-(t - far)/mean) once both may have come."""
    found = first_n_s(np.array([0.3, 0.9999]), Answers(1, (0.050, 0.080)), FLUSH)
    assert found[0] == pytest.approx(0.050 - 0.010 * np.log(0.7))
    assert found[1] == pytest.approx((0.050 + 0.080 - 0.010 * np.log(1e-4)) / 2)


def test_own_flush_and_answer_add_up() -> None:
    """A sum of two exponentials of one mean is a gamma of shape 2; the lattice is off by a few points of 2,048."""
    waits = commit_waits_s(Answers(1, (0.07,)), FLUSH, FLUSH)
    for share in (0.5, 0.9, 0.99):
        assert stats.gamma(2, scale=0.010).cdf(np.quantile(waits, share) - 0.07) == pytest.approx(share, abs=2e-3)


def test_without_answers_a_commit_waits_for_its_own_flush() -> None:
    waits = commit_waits_s(Answers(0, ()), Uniform(0.001, 0.003), FLUSH)
    np.testing.assert_allclose(np.quantile(waits, [0.01, 0.5, 0.99]), [0.00102, 0.002, 0.00298], rtol=1e-3)


def test_constant_times_are_added_up_exactly() -> None:
    """ANY 2 of 30, 80 and 200 ms waits for the 80 ms; the same commit and every commit."""
    waits = commit_waits_s(Answers(2, (0.03, 0.08, 0.2)), Constant(0.001), Constant(0.002))
    np.testing.assert_allclose(waits, 0.083, rtol=1e-9)


# Through the engine --------------------------------------------------------------------------------------------------

SCENARIO = """\
name: latencies
horizon: 4h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: {us-east/eu-west: 70ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}, last_mile: 20ms}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    commit: RULE
    endpoint: {ttl: 5s, moved_by: controller, takes: 0s, reconnect: 0s}
    wal: {commits: 10/s, bytes_per_commit: 2KB}
    replication: {sender_timeout: 60s, local_flush: 1ms, remote_flush: 2ms}
    failover:
      detect: {from: operations, every: 10s, fails: 3, timeout: 2s}
      decide: automatic
      promote: {fails: 0%, order: [eu-west, ap-southeast], takes: 5s}
      old_primary: {on_return: rejoins, starts_after: 10s, rebuild: 10s}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 60s, health_check: route53-fast}}
clients:
  us: {near: us-east, share: 75%, resolvers: honest, class: app, points: 4}
  eu: {near: eu-west, share: 25%, resolvers: honest, class: app, points: 4}
faults:
  - {kind: region-loss, region: LOST, at: 100s, lasts: LASTS, connections: hang, in_flight: lost}
"""


def _latency(rule: str, lost: str, when: str, cohort: str = "us", lasts: str = "permanent") -> float:
    text = SCENARIO.replace("RULE", rule).replace("LOST", lost).replace("LASTS", lasts)
    results = run(loads(text), trials=1, seed=3, workers=1)
    return float(results.values_of(f"write_latency_s{{service=orders,from={cohort},writes=99%,when={when}}}")[0])


@pytest.mark.parametrize(
    ("rule", "lost", "lasts", "before_ms", "after_ms"),
    [
        ("async", "us-east", "permanent", 20.5 + 1, 90.5 + 1),
        ("async", "us-east", "1h", 20.5 + 1, 90.0 + 1),
        ("{any: 1, of: [eu-west, ap-southeast]}", "eu-west", "permanent", 20.5 + 1 + 70 + 2, 20.5 + 1 + 200 + 2),
        ("{any: 1, of: [eu-west, ap-southeast]}", "eu-west", "1h", 20.5 + 1 + 70 + 2, 20.5 + 1 + 70 + 2),
        ("{first: 1, of: [ap-southeast, eu-west]}", "ap-southeast", "permanent", 20.5 + 203, 20.5 + 73),
        ("{first: 2, of: [eu-west, ap-southeast]}", "us-east", "1h", 20.5 + 203, 90.0 + 163),
        ("{any: 1, of: [eu-west], when_short: degrade}", "eu-west", "permanent", 20.5 + 73, 20.5 + 1),
    ],
)
def test_latency_is_the_sum_of_the_ways_before_and_after(
    rule: str, lost: str, lasts: str, before_ms: float, after_ms: float
) -> None:
    """In milliseconds: to the region and in it 20.5, into another 90; then the flushes and the answer waited for."""
    assert _latency(rule, lost, "before", lasts=lasts) * 1e3 == pytest.approx(before_ms, abs=1e-3)
    assert _latency(rule, lost, "after", lasts=lasts) * 1e3 == pytest.approx(after_ms, abs=1e-3)


def test_of_writes_that_wait_for_ever_there_is_no_latency() -> None:
    assert np.isnan(_latency("{first: 2, of: [eu-west, ap-southeast]}", "eu-west", "after"))


def test_quantiles_over_all_clients_are_of_their_mixture() -> None:
    """Three in four are 20 ms away, the others 70 ms more: the median is the former's, the 99th the latter's."""
    text = SCENARIO.replace("RULE", "async").replace("LOST", "ap-southeast").replace("LASTS", "10min")
    results = run(loads(text), trials=1, seed=3, workers=1)
    value = "write_latency_s{{service=orders,from=all,writes={},when=before}}".format
    assert results.values_of(value("mean"))[0] == pytest.approx(0.75 * 0.0215 + 0.25 * 0.091)
    assert results.values_of(value("50%"))[0] == pytest.approx(0.0215)
    assert results.values_of(value("99%"))[0] == pytest.approx(0.091)
