"""Fits recover the distributions that samples were drawn from, within the error that sampling leaves.

False alarms: each test at most 1e-5 (4.5 standard errors; Dvoretzky-Kiefer-Wolfowitz for distances).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mrsim.calibrate import Samples, fit
from mrsim.calibrate.forms import PLAIN
from mrsim.calibrate.goodness import bootstrap, dependence, distance
from mrsim.calibrate.pit import ks_distance, noticeable_factor, transform, uniform_p_value
from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform
from mrsim.mixtures import Mixture

N = 2000
SIGMAS = 4.5
ROUNDING = 1e-3


def drawn(distribution: Distribution, n: int = N, seed: int = 5) -> np.ndarray:
    return distribution.quantile(np.random.default_rng(seed).random(n))


def dkw(n: int) -> float:
    """Return the distance that an ECDF exceeds with probability at most 1e-5 (P. Massart, 1990)."""
    return math.sqrt(math.log(2e5) / (2 * n))


KNOWN = {
    "exponential": Exponential(30.0),
    "uniform": Uniform(5.0, 12.0),
    "log-normal": LogNormal(math.log(60.0), 0.6),
    "pareto": Pareto(2.0, 1.7),
    "zeros and log-normal": Mixture((0.3, 0.7), (Constant(0.0), LogNormal(-3.0, 1.1))),
    "zeros and exponential": Mixture((0.6, 0.4), (Constant(0.0), Exponential(4.0))),
}


@pytest.mark.parametrize("form", KNOWN)
def test_the_form_is_recovered_against_theory(form: str) -> None:
    x = drawn(KNOWN[form])
    found = fit(x)
    assert found.form == form
    assert found.ks <= dkw(N)
    levels = (np.arange(1, 1000)) / 1000
    here = KNOWN[form].quantile(levels)
    assert np.max(np.abs(found.distribution.cdf(here) - KNOWN[form].cdf(here))) <= 2 * dkw(N)


def test_log_normal_parameters_against_theory() -> None:
    found = fit(drawn(KNOWN["log-normal"])).distribution
    assert isinstance(found, LogNormal)
    assert abs(found.mu - math.log(60.0)) < SIGMAS * 0.6 / math.sqrt(N) + ROUNDING
    assert abs(found.sigma - 0.6) < SIGMAS * 0.6 / math.sqrt(2 * N) + ROUNDING


def test_exponential_mean_against_theory() -> None:
    found = fit(drawn(KNOWN["exponential"])).distribution
    assert isinstance(found, Exponential)
    assert abs(found.scale / 30.0 - 1) < SIGMAS / math.sqrt(N) + ROUNDING


def test_uniform_ends_against_theory() -> None:
    found = fit(drawn(KNOWN["uniform"])).distribution
    assert isinstance(found, Uniform)
    # The distance of an extreme from its end is exponential with mean width / n: beyond 12 means with chance 6e-6.
    assert abs(found.low - 5.0) < 12 * 7.0 / N + ROUNDING
    assert abs(found.high - 12.0) < 12 * 7.0 / N + ROUNDING


def test_pareto_parameters_against_theory() -> None:
    found = fit(drawn(KNOWN["pareto"])).distribution
    assert isinstance(found, Pareto)
    assert abs(found.shape / 1.7 - 1) < SIGMAS / math.sqrt(N) + ROUNDING
    assert abs(found.low / 2.0 - 1) < 12 / (N * 1.7) + ROUNDING


def test_share_of_zeros_against_theory() -> None:
    found = fit(drawn(KNOWN["zeros and log-normal"])).distribution
    assert isinstance(found, Mixture)
    assert abs(found.shares[0] - 0.3) < SIGMAS * math.sqrt(0.21 / N) + ROUNDING


def test_the_interval_of_a_fitted_quantile_is_as_wide_as_theory_says() -> None:
    # The median of a fitted log-normal has the standard error sigma / sqrt(n) on the log scale; a 90 % interval spans
    # 2 * 1.645 of them. Its width from 999 draws has a relative error of about 4 %.
    (median, *_) = fit(drawn(KNOWN["log-normal"], 400)).quantiles
    width = math.log(median.fitted_high / median.fitted_low)
    assert width == pytest.approx(2 * 1.645 * 0.6 / 20, rel=0.25)
    assert median.observed_low < median.observed < median.observed_high


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("log-normal", 0.895 / (10 - 0.01 + 0.085)),
        ("exponential", 1.094 / (10 + 0.26 + 0.05) + 0.002),
    ],
)
def test_critical_distances_against_stephens(form: str, expected: float) -> None:
    """M. A. Stephens, *EDF Statistics for Goodness of Fit*, JASA 69, 1974, table 1A: parameters estimated, 5 %.

    The 95 % quantile of 999 draws has a relative error of about 2 %. Known parameters would give 0.134.
    """
    refit = next(one.fit for one in PLAIN if one.name == form)
    chance = bootstrap(KNOWN[form], refit, 0.0, 100, 0.0, seed=1)
    assert chance.critical == pytest.approx(expected, rel=0.09)
    assert chance.p_value == 1.0


def test_bootstrap_of_large_samples_is_scaled_against_theory() -> None:
    refit = next(one.fit for one in PLAIN if one.name == "exponential")
    n = 50_000
    chance = bootstrap(KNOWN["exponential"], refit, 1.0, n, 0.0, seed=1)
    assert chance.critical == pytest.approx(1.094 / math.sqrt(n), rel=0.09)
    assert chance.p_value == 0.001
    low, high = chance.quantiles[0]
    assert high / low == pytest.approx(math.exp(2 * 1.645 / math.sqrt(n)), rel=0.005)


def test_effective_size_of_a_first_order_series_against_theory() -> None:
    """Gaussian ranks with correlation r correlate (6 / pi) asin(r / 2); Geyer's estimate is within 30 %."""
    rng = np.random.default_rng(8)
    phi, n = 0.8, 40_000
    noise = rng.standard_normal(n) * math.sqrt(1 - phi**2)
    series = np.zeros(n)
    for index in range(1, n):
        series[index] = phi * series[index - 1] + noise[index]
    expected = 1 + 2 * sum(6 / math.pi * math.asin(phi**lag / 2) for lag in range(1, 200))
    worth, neighbours = dependence([np.exp(series)])
    assert n / worth == pytest.approx(expected, rel=0.3)
    assert neighbours == pytest.approx(6 / math.pi * math.asin(phi / 2), abs=0.03)


def test_independent_samples_count_in_full() -> None:
    # Neighbours would have to correlate by 4.5 standard errors to halve the count.
    worth, neighbours = dependence([drawn(KNOWN["pareto"]), drawn(KNOWN["pareto"], seed=6)])
    assert worth > 1.8 * N
    assert abs(neighbours) < SIGMAS / math.sqrt(2 * N)


def test_dependent_samples_widen_the_intervals() -> None:
    rng = np.random.default_rng(4)
    independent = np.exp(0.5 * rng.standard_normal(300))
    found, alone = fit(np.repeat(independent, 10)), fit(independent)
    assert found.n_effective == pytest.approx(300, rel=0.4)
    assert found.ks_critical > 2 * 0.895 / math.sqrt(3000)
    assert any("worth about" in warning for warning in found.warnings)
    assert not any("worth about" in warning for warning in alone.warnings)


def test_distance_of_a_distribution_with_jumps() -> None:
    mixture = Mixture((0.5, 0.5), (Constant(0.0), Uniform(0.0, 1.0)))
    assert distance(mixture, np.array([0.0, 0.5])) == pytest.approx(0.25)
    assert distance(Constant(3.0), np.array([3.0, 3.0])) == 0.0
    assert distance(Uniform(0.0, 1.0), np.array([0.1, 0.2])) == pytest.approx(0.8)


def test_samples_of_one_series_or_several_are_the_same_samples() -> None:
    x = drawn(KNOWN["exponential"], 100)
    together = fit(Samples((x[:50], x[50:])))
    assert together.distribution == fit(x).distribution


@pytest.mark.parametrize("ties", [False, True])
def test_transforms_are_uniform_against_theory(ties: bool) -> None:
    """An observation that is exchangeable with nine trials has a uniform transform, also where they tie."""
    rng = np.random.default_rng(3)
    sets = 20_000
    x = rng.exponential(1.0, (sets, 10))
    x = np.round(x) if ties else x
    u = rng.random(sets)
    pits = np.array([transform(np.sort(row[:9]), row[9:], u[i : i + 1])[0] for i, row in enumerate(x)])
    assert float(ks_distance(pits)) <= dkw(sets)


def test_the_test_of_uniformity_is_exact_for_small_samples() -> None:
    # One: P(D >= d) = 2 (1 - d). Two, d >= 1/2: P(D >= d) = 2 (1 - d)^2 (Z. Birnbaum, JASA 47, 1952).
    assert uniform_p_value(np.array([0.9])) == pytest.approx(0.2)
    assert uniform_p_value(np.array([0.7, 0.8])) == pytest.approx(2 * 0.3**2)


def test_what_drills_would_notice_against_theory() -> None:
    """With a spread of sigma on the log scale, a shift by log f counts in units of it."""
    narrow = np.sort(drawn(LogNormal(5.0, 0.02), 4000))
    wide = np.sort(drawn(LogNormal(5.0, 3.0), 4000))
    assert noticeable_factor(narrow, 5, 0.05, 1) == 1.25
    assert noticeable_factor(wide, 3, 0.05, 1) is None
    assert noticeable_factor(wide, 3000, 0.05, 1) == 1.25
    assert noticeable_factor(np.zeros(100), 50, 0.05, 1) is None
    assert noticeable_factor(np.full(100, np.inf), 50, 0.05, 1) is None
