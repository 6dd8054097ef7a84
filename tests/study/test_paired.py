"""Paired differences: exact where they can be, held to known answers, and honest about what a sample cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

from mrsim.measure import Status
from mrsim.study.paired import (
    LEAST_CARRIERS,
    Pairs,
    carriers_of,
    exceedance_difference,
    hall_interval,
    mean_difference,
    pairs_of,
    trinomial_high,
    trinomial_low,
    wins,
)
from mrsim.study.paired_quantiles import quantile_differences
from mrsim.study.statistics import clopper_pearson

values = st.lists(st.integers(0, 20), min_size=1, max_size=40)


def observed(a: object, b: object) -> Pairs:
    """Return pairs in which everything was observed."""
    first, second = (np.asarray(side, dtype=np.float64) for side in (a, b))
    return Pairs(np.stack([first, first]), np.stack([second, second]))


@pytest.mark.parametrize("n", [1, 5, 16, 30])
def test_the_interval_of_an_exceedance_difference_is_exact(n: int) -> None:
    """Against theory: over every outcome of n pairs, no bound misses with more than 5 %, whatever the shares are."""
    counts = np.array([(i, n - i - j, j) for i in range(n + 1) for j in range(n + 1 - i)])
    bounds = np.array([trinomial_high(*map(int, row)) for row in counts])
    log_ways = gammaln(n + 1) - gammaln(counts + 1).sum(axis=1)
    grid = (0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.97, 0.998)
    worst = 0.0
    for minus in grid:
        for plus in grid:
            if minus + plus < 1.0:
                shares = np.array([minus, 1.0 - minus - plus, plus])
                chances = np.exp(log_ways + counts @ np.log(shares))
                worst = max(worst, float(chances[bounds < plus - minus - 1e-9].sum()))
    assert worst <= 0.05
    assert worst >= 0.03 or n <= 5, "an interval that never misses is too wide"


@given(st.integers(0, 60), st.integers(0, 60))
def test_without_one_sign_the_bound_is_that_of_clopper_and_pearson(zero: int, plus: int) -> None:
    if zero + plus:
        assert trinomial_high(0, zero, plus) == pytest.approx(clopper_pearson(plus, zero + plus)[1], abs=1e-9)
        assert trinomial_low(plus, zero, 0) == pytest.approx(-clopper_pearson(plus, zero + plus)[1], abs=1e-9)
    both = trinomial_high(plus, 0, zero) if plus else None
    if both is not None and zero + plus:
        assert both == pytest.approx(2.0 * clopper_pearson(zero, zero + plus)[1] - 1.0, abs=1e-6)


@given(values, st.data())
def test_swapping_the_sides_turns_every_difference_round(a: list[int], data: st.DataObject) -> None:
    b = data.draw(st.lists(st.integers(0, 20), min_size=len(a), max_size=len(a)))
    limit = data.draw(st.integers(0, 20))
    there, back = observed(a, b), observed(b, a)
    for one, other in (
        (mean_difference(there), mean_difference(back)),
        (exceedance_difference(there, limit), exceedance_difference(back, limit)),
        (
            quantile_differences([there], ["p50"], 1, resamples=40)[0][0],
            quantile_differences([back], ["p50"], 1, resamples=40)[0][0],
        ),
    ):
        assert one.value_low == pytest.approx(-other.value_high)
        assert one.same == other.same
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
        assert one.low <= one.value_low <= one.value_high <= one.high
    assert (wins(there).lower, wins(there).same) == (wins(back).higher, wins(back).same)
    assert wins(there).n == len(a)


@given(values)
def test_the_same_on_both_sides_is_no_effect(a: list[int]) -> None:
    pairs = observed(a, a)
    mean = mean_difference(pairs)
    assert pairs.differing == 0
    assert (mean.value_low, mean.same) == (0.0, True)
    assert math.isinf(mean.high), "nothing seen is no proof: a change that is rare enough would not show"
    assert wins(pairs).same == len(a)
    [[median]] = quantile_differences([pairs], ["p50"], 3, resamples=40)
    assert median.value_low == 0.0
    low, high = exceedance_difference(pairs, 10.0).low, exceedance_difference(pairs, 10.0).high
    assert high == -low == pytest.approx(clopper_pearson(0, len(a))[1])


def unfinished() -> Pairs:
    """Return four pairs; in two of them a side was cut at 50."""
    a = np.array([[10.0, 20.0, 50.0, 5.0], [10.0, 20.0, np.inf, 5.0]])
    b = np.array([[12.0, 50.0, 40.0, 5.0], [12.0, np.inf, 40.0, 5.0]])
    return Pairs(a, b)


@dataclass
class _Told:
    values: list[float]

    def values_of(self, _: str) -> np.ndarray:
        return np.array(self.values)

    def status_of(self, _: str) -> np.ndarray:
        return np.where(np.isinf(self.values), Status.NEVER, Status.OBSERVED).astype(np.int8)


def test_rounding_is_no_difference() -> None:
    """Sums in another order differ in their last places: 0.03 s of loss at 10,000 s by a few femtoseconds."""
    told = [0.031, 5000.0, 0.0, 7.0, np.inf]
    pairs = pairs_of(_Told(told), _Told([0.031 + 2e-12, 5000.0 * (1 + 1e-12), 1e-14, 7.001, np.inf]), "data_loss_s")
    assert pairs.differing == 1
    np.testing.assert_array_equal(pairs.b[0], [0.031, 5000.0, 0.0, 7.001, np.inf])


def test_a_mean_over_unfinished_trials_is_refused() -> None:
    mean = mean_difference(unfinished())
    assert math.isnan(mean.value_low)
    assert (mean.low, mean.high) == (-math.inf, math.inf)
    assert "2 of 4 pairs unfinished" in mean.reason


def test_an_unfinished_trial_may_fall_on_either_side_of_a_later_limit() -> None:
    before, after = exceedance_difference(unfinished(), 45.0), exceedance_difference(unfinished(), 60.0)
    assert (before.value_low, before.value_high) == (0.0, 0.0), "both were over 45 when they were cut"
    assert (after.value_low, after.value_high) == (-0.25, 0.25)
    assert after.low < before.low < before.high < after.high
    assert wins(unfinished()) == type(wins(unfinished()))(lower=1, same=1, higher=2, undecided=0)


def test_quantiles_over_unfinished_trials_are_bounds() -> None:
    n = 100
    a = np.stack([np.full(n, 10.0)] * 2)
    b = np.stack([np.full(n, 20.0), np.where(np.arange(n) < 60, np.inf, 20.0)])
    [[median]] = quantile_differences([Pairs(a, b)], ["p50"], 1)
    assert (median.value_low, median.value_high) == (10.0, math.inf)
    assert (median.low, median.high) == (10.0, math.inf)
    assert median.conservative


def test_a_difference_that_hangs_on_a_few_trials_gets_no_interval() -> None:
    b = np.zeros(1000)
    b[:7] = 3600.0
    mean = mean_difference(observed(np.zeros(1000), b))
    assert mean.value_low == pytest.approx(25.2)
    assert (mean.low, mean.high) == (-math.inf, math.inf)
    assert mean.reason.startswith("the difference hangs on about 7 of 1000 trials")
    assert not mean.same
    assert mean.needed_trials is not None
    assert mean.needed_trials > 1000 * LEAST_CARRIERS / 7
    exceeds = exceedance_difference(observed(np.zeros(1000), b), 60.0)
    assert 0.0 < exceeds.low < 0.007, "shares need no such care"
    assert exceeds.high == pytest.approx(clopper_pearson(7, 1000)[1])


@given(st.integers(2, 30), st.integers(1, 30))
def test_what_carries_a_mean_counts_trials(many: int, times: int) -> None:
    rng = np.random.default_rng(many)
    sample = rng.normal(size=many + 1)
    assert carriers_of(np.tile(sample, times)) == pytest.approx(times * carriers_of(sample))
    assert carriers_of(np.repeat([0.0, 1.0], many)) == pytest.approx(2 * many)


def test_a_symmetric_sample_has_students_interval() -> None:
    sample = np.concatenate([np.arange(-50.0, 51.0)])
    half = 1.6602 * np.std(sample, ddof=1) / math.sqrt(101)
    assert hall_interval(sample) == pytest.approx((-half, half), rel=1e-3)


def misses(draw: object, truth: float, n: int, studies: int, seed: int) -> tuple[float, float]:
    """Return how often the bounds of a mean miss a known truth, over repeated studies; no interval is no miss."""
    rng = np.random.default_rng(seed)
    ends = []
    for _ in range(studies):
        b = draw(rng, n)  # type: ignore[operator]
        mean = mean_difference(observed(np.zeros(n), b))
        ends.append((mean.low > truth, mean.high < truth))
    low, high = np.mean(ends, axis=0)
    return float(low), float(high)


def _zero_inflated(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.1, rng.exponential(600.0, n), 0.0)


KNOWN = {
    "normal": (lambda rng, n: rng.normal(3.0, 1.0, n), 3.0),
    "exponential": (lambda rng, n: -rng.exponential(2.0, n), -2.0),
    "log-normal": (lambda rng, n: rng.lognormal(0.0, 0.7, n), math.exp(0.245)),
    "one trial in ten": (_zero_inflated, 60.0),
    "one trial in fifty, all alike": (lambda rng, n: (rng.random(n) < 0.02) * 3600.0, 72.0),
    "heavy-tailed": (lambda rng, n: rng.pareto(2.5, n), 1.0 / 1.5),
    "infinite variance": (lambda rng, n: rng.pareto(1.5, n), 2.0),
    "both signs": (lambda rng, n: rng.normal(0.0, 1.0, n) + (rng.random(n) < 0.05) * rng.normal(0.0, 20.0, n), 0.0),
}
"""Differences whose mean is known."""


@pytest.mark.parametrize("name", KNOWN)
def test_bounds_of_a_mean_difference_hold_in_few_studies(name: str) -> None:
    """Against theory, fast: 400 studies; 5 % + 5 standard errors (alpha below 1e-5 if the bound misses in 5 %)."""
    draw, truth = KNOWN[name]
    low, high = misses(draw, truth, 300, 400, 11)
    assert max(low, high) <= 0.05 + 5.0 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300, 1000, 3000])
@pytest.mark.parametrize("name", KNOWN)
def test_bounds_of_a_mean_difference_hold(name: str, n: int) -> None:
    """Against theory: over 4000 repeated studies each one-sided bound misses in at most 5 % + 3 standard errors."""
    draw, truth = KNOWN[name]
    low, high = misses(draw, truth, n, 4000, 2026 + n)
    assert max(low, high) <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.slow
def test_bounds_of_a_quantile_difference_are_conservative() -> None:
    """Against theory: 2000 studies of pairs that share most of their spread; the quantiles' difference is 1.

    200 resamples are enough here: fewer only make the ends of a single interval less steady.
    """
    rng = np.random.default_rng(5)
    missed = np.zeros((2, 2))
    for study in range(2000):
        shared = rng.exponential(10.0, 300)
        pairs = observed(shared + rng.normal(0.0, 0.1, 300), shared + 1.0 + rng.normal(0.0, 0.1, 300))
        [answers] = quantile_differences([pairs], ["p50", "p95"], study, resamples=200)
        missed += [[one.low > 1.0, one.high < 1.0] for one in answers]
    assert (missed / 2000 <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 2000)).all(), missed / 2000
