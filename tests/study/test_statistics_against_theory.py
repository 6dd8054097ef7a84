"""Intervals against exact enumeration, against scipy and against published values, and their coverage on samples.

Simulated coverage: fixed seeds; each test's chance to fail although the claim holds is at most 1e-5 (stated by a
binomial bound in the test).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mrsim.measure import Status
from mrsim.study.statistics import (
    MEAN_MIN_TRIALS,
    Sample,
    binomial_cdf,
    binomial_sf,
    clopper_pearson,
    estimate,
    level_of,
    lower_rank,
    minimum_trials,
    upper_rank,
)

FALSE_ALARM = 1e-5


@pytest.mark.parametrize(("level", "fewest"), [(0.95, 59), (0.99, 299), (0.999, 2995)])
def test_fewest_trials_for_an_upper_bound_are_the_published_ones(level: float, fewest: int) -> None:
    # Hahn & Meeker, chapter 5: the largest of 59 (299, 2995) observations bounds the 95th (99th, 99.9th) percentile.
    assert minimum_trials(level) == fewest
    assert upper_rank(fewest - 1, level) is None
    assert upper_rank(fewest, level) == fewest


@pytest.mark.parametrize("n", [1, 7, 58, 59, 60, 100, 299, 1000])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_ranks_have_the_confidence_and_the_next_ones_do_not(n: int, level: float, confidence: float) -> None:
    """P(X_(u) >= q) = P(Bin(n, level) <= u - 1) for a continuous X, summed term by term."""
    below = np.cumsum(stats.binom.pmf(np.arange(n + 1), n, level))
    over, under = upper_rank(n, level, confidence), lower_rank(n, level, confidence)
    if over is None:
        assert below[n - 1] < confidence
    else:
        assert below[over - 1] >= confidence - 1e-12
        assert over == 1 or below[over - 2] < confidence
    if under is None:
        assert below[0] > 1 - confidence
    else:
        assert 1 - below[under - 1] >= confidence - 1e-12
        assert under == n or 1 - below[under] < confidence


@pytest.mark.parametrize(("events", "n"), [(0, 1), (0, 1000), (13, 3000), (1, 59), (999, 1000), (1000, 1000)])
def test_rates_agree_with_scipys_exact_interval(events: int, n: int) -> None:
    theirs = stats.binomtest(events, n).proportion_ci(confidence_level=0.90, method="exact")
    assert clopper_pearson(events, n) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-12)


def test_zero_events_have_the_rule_of_three_as_an_upper_bound() -> None:
    low, high = clopper_pearson(0, 3000)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.05 ** (1 / 3000), rel=1e-9)
    assert high < 0.001


@pytest.mark.parametrize("rate", [0.0005, 0.003, 0.02, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("n", [20, 200])
def test_rate_bounds_cover_by_enumeration(rate: float, n: int) -> None:
    weights = stats.binom.pmf(np.arange(n + 1), n, rate)
    bounds = np.array([clopper_pearson(k, n) for k in range(n + 1)])
    assert weights[bounds[:, 0] <= rate].sum() >= 0.95 - 1e-12
    assert weights[bounds[:, 1] >= rate].sum() >= 0.95 - 1e-12


@pytest.mark.parametrize(
    ("k", "n", "p"), [(-1, 5, 0.3), (0, 5, 0.3), (3, 5, 0.3), (5, 5, 0.3), (6, 5, 0.3), (990, 1000, 0.99)]
)
def test_binomial_tails_are_those_of_scipy(k: int, n: int, p: float) -> None:
    assert binomial_cdf(k, n, p) == pytest.approx(float(stats.binom.cdf(k, n, p)), rel=1e-9)
    assert binomial_sf(k, n, p) == pytest.approx(float(stats.binom.sf(k - 1, n, p)), rel=1e-9)


def least_covered(runs: int, confidence: float) -> int:
    """Return the fewest of ``runs`` intervals that may cover before chance is ruled out at :data:`FALSE_ALARM`."""
    return int(stats.binom.ppf(FALSE_ALARM / 2, runs, confidence))


@pytest.mark.parametrize(("aggregation", "n"), [("median", 30), ("p95", 200), ("p99", 1000)])
def test_quantile_intervals_cover_with_censoring_and_atoms(aggregation: str, n: int) -> None:
    """Recovery times in whole tens of seconds (many ties), cut at random: each bound holds in >= 95 % of samples."""
    rng, runs = np.random.default_rng(11), 2000
    scale, level = 100.0, level_of(aggregation)
    truth = 10.0 * math.ceil(-scale * math.log(1 - level) / 10.0)
    low_holds = high_holds = 0
    for _ in range(runs):
        values = 10.0 * np.ceil(rng.exponential(scale, n) / 10.0)
        cut = rng.random(n) < 0.003
        status = np.where(cut, Status.CENSORED, Status.OBSERVED)
        seen = estimate(Sample.of(np.where(cut, values * rng.random(n), values), status), aggregation)
        low_holds += seen.low <= truth
        high_holds += truth <= seen.high
    assert low_holds >= least_covered(runs, 0.95)
    assert high_holds >= least_covered(runs, 0.95)


def test_quantile_intervals_are_not_wider_than_they_need_to_be() -> None:
    """Continuous data, n = 1000: the coverage of each bound is known exactly, and below 97 %."""
    n, level = 1000, 0.95
    over, under = upper_rank(n, level), lower_rank(n, level)
    assert over is not None
    assert under is not None
    rng, runs = np.random.default_rng(12), 2000
    samples = np.sort(rng.random((runs, n)), axis=1)
    for covered, exact in (
        (np.count_nonzero(samples[:, over - 1] >= level), float(stats.binom.cdf(over - 1, n, level))),
        (np.count_nonzero(samples[:, under - 1] <= level), float(stats.binom.sf(under - 1, n, level))),
    ):
        assert 0.95 <= exact < 0.97
        assert least_covered(runs, exact) <= covered <= stats.binom.isf(FALSE_ALARM / 2, runs, exact)


def test_mean_interval_is_students() -> None:
    values = np.random.default_rng(13).exponential(1.0, 50)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(0.90)
    seen = estimate(Sample.of(values), "mean")
    assert (seen.low, seen.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert seen.value_low == seen.value_high == pytest.approx(values.mean())


def test_mean_interval_covers_for_normal_data() -> None:
    rng, runs = np.random.default_rng(14), 2000
    seen = [estimate(Sample.of(rng.normal(10.0, 1.0, MEAN_MIN_TRIALS)), "mean") for _ in range(runs)]
    assert sum(one.low <= 10.0 for one in seen) >= least_covered(runs, 0.95)
    assert sum(one.high >= 10.0 for one in seen) >= least_covered(runs, 0.95)
