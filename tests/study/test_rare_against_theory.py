"""Rates of rare outcomes against closed forms: coverage, width, weights and gain over many studies; seeds are fixed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.study.outcome import Scores
from mrsim.study.rare import rare
from mrsim.study.weighted import gamma_interval, most_if_never
from tests.study import fakes, incidents

STUDIES = 200
Z = 4.42
"""A normal variable is farther than this from its mean with a probability of 1e-5."""

CUT_OFF = """
name: cut-off
horizon: 2h
regions: [us-east, eu-west, ap-southeast]
network: {{rtt: aws-2026}}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    endpoint: {{ttl: 1s, moved_by: controller, takes: 0s}}
    wal: {{commits: 100/s}}
    failover:
      detect: {{from: [eu-west], every: 100s, fails: 3, timeout: 10s, verdict: all}}
      decide: {{by: automatic, runs_in: eu-west}}
      promote: {{takes: 5s}}
      old_primary: {{on_return: starts-as-primary, starts_after: 10s}}
services: {{orders: {{writes: db}}}}
dns: {{shop: {{serves: [orders], policy: latency, ttl: 60s}}}}
clients:
  us-users: {{near: us-east, share: 50%, resolvers: typical, class: browser}}
  eu-users: {{near: eu-west, share: 50%, resolvers: typical, class: browser}}
faults:
  - {{kind: isolation, region: us-east, at: random, lasts: {{exponential: {{mean: {mean}s}}}}, cut_from: rest,
      still_reached_by: [us-users], in_flight: lost}}
"""
ROUTED_S = (0.107, 0.232)
"""From the promotion until writers are routed to the new primary: a report, and an endpoint whose TTL is 1 s."""


def split_brain_chance(mean_s: float) -> tuple[float, float]:
    """Return bounds of the chance that the cut outlasts detection and promotion, and that somebody writes then.

    The third probe of every 100 s starts 200 s to 300 s after the cut, fails 10 s later, the promotion takes 5 s:
    E exp(-(200 + 100 U + 10 + 5 + routed) / mean).
    """
    detected = math.exp(-215.0 / mean_s) * mean_s / 100.0 * (1.0 - math.exp(-100.0 / mean_s))
    late, early = (detected * math.exp(-routed / mean_s) for routed in reversed(ROUTED_S))
    return late, early


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("build", "about", "least_gain"),
    [(incidents.one_in_ten_thousand, 1e-4, 50.0), (incidents.one_in_a_hundred_thousand, 1e-5, 500.0)],
)
def test_studies_of_an_incident(build: Callable[[Scenario], Scores], about: float, least_gain: float) -> None:
    true = incidents.chance(incidents.CUT_S[about])
    assert true == pytest.approx(about, rel=0.01)
    scenario = fakes.scenario()
    rates = [rare(scenario, "split_brain", seed=seed, workers=1, build=build) for seed in range(STUDIES)]
    assert {one.trials for one in rates} == {20_000}
    assert 0.91 <= np.mean([one.low <= true <= one.high for one in rates]) <= 0.99
    assert np.median([(one.high - one.low) / 2.0 / one.rate for one in rates]) <= 0.15
    mean_weights = np.array([one.mean_weight for one in rates])
    assert abs(mean_weights.mean() - 1.0) <= 3.0 * mean_weights.std(ddof=1) / math.sqrt(STUDIES)
    # Against crude Monte Carlo of as many trials as pilot and estimate together.
    error = np.mean([(one.rate - true) ** 2 for one in rates])
    assert true * (1.0 - true) / 20_000 / error >= least_gain
    assert np.mean([one.verdict == "found" for one in rates]) >= 0.95


def test_a_simulated_split_brain() -> None:
    """About 7e-5: a rate within its standard errors of the closed form, from trials that crude ones would not do."""
    mean_s = 26.3
    least, most = split_brain_chance(mean_s)
    found = rare(loads(CUT_OFF.format(mean=mean_s)), "split_brain", trials=3000, seed=3, workers=1)
    assert found.verdict == "found"
    se = math.sqrt(found.rate * (1.0 - found.rate) / found.crude_trials)
    assert least - Z * se <= found.rate <= most + Z * se
    assert se < 0.1 * found.rate
    assert {"fault/isolation/us-east/lasts"} <= {one.name for one in found.tilted}
    (cut,) = (one for one in found.tilted if one.name.endswith("/lasts"))
    assert cut.kind == "duration"
    assert cut.usual == pytest.approx((-mean_s * math.log(0.95), -mean_s * math.log(0.05)))
    assert cut.found[0] > 200.0


@pytest.mark.slow
def test_studies_of_a_simulated_split_brain() -> None:
    """About 5e-6."""
    least, most = split_brain_chance(20.4)
    rates = [
        rare(loads(CUT_OFF.format(mean=20.4)), "split_brain", trials=3000, seed=seed, workers=1) for seed in range(6)
    ]
    # Each misses with a probability of 5 %, so five of six with one of 2e-6; a few are uncertain.
    assert sum(one.low > most or one.high < least for one in rates) < 5
    rates = [one for one in rates if one.verdict == "found"]
    assert len(rates) >= 4
    z = [(one.rate - (least + most) / 2.0) / one.rate * math.sqrt(one.crude_trials * one.rate) for one in rates]
    assert abs(np.mean(z)) * math.sqrt(len(z)) < Z


def test_the_interval_of_equal_weights_is_that_of_a_poisson_count() -> None:
    counted = np.zeros(100_000)
    counted[:12] = 0.02
    low, high = gamma_interval(counted, 0.95)
    assert low * 1e5 / 0.02 == pytest.approx(stats.chi2.ppf(0.025, 24) / 2.0, rel=1e-3)
    assert high * 1e5 / 0.02 == pytest.approx(stats.chi2.ppf(0.975, 26) / 2.0, rel=1e-3)


@pytest.mark.parametrize(("sigma", "hits"), [(0.0, 400), (1.0, 400), (1.0, 60)])
def test_the_interval_covers_sums_of_skewed_weights(sigma: float, hits: int) -> None:
    random = np.random.default_rng(11)
    covered, n, studies = 0, 5000, 2000
    for _ in range(studies):
        counted = np.zeros(n)
        with_it = random.random(n) < hits / n
        counted[with_it] = np.exp(sigma * random.standard_normal(np.count_nonzero(with_it)))
        low, high = gamma_interval(counted, 0.95)
        covered += low <= hits / n * math.exp(sigma**2 / 2.0) <= high
    # Not less than 93 % but for chance; equal weights are the Poisson interval, which is conservative.
    assert covered / studies > 0.93 - Z * math.sqrt(0.05 * 0.95 / studies)
    assert covered / studies < 0.99


def test_what_was_never_seen_may_be_this_likely() -> None:
    # With p = bound, no trial of n has it with probability exp(-n p) = 5 %, whatever share was untilted.
    assert most_if_never(3000.0, 0.95) == pytest.approx(2.9957e-3 / 3.0, rel=1e-3)
    assert (1.0 - 0.1 * most_if_never(2000.0, 0.95)) ** 20_000 == pytest.approx(0.05, rel=1e-2)
