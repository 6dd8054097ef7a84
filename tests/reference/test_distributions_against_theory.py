"""Distributions against theory: one conformance suite for all, and values known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from mrsim.conformance import check_distribution
from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform
from mrsim.mixtures import Empirical, Mixture

EVERY_KIND: list[Distribution] = [
    Constant(30.0),
    Constant(0.0),
    Uniform(30.0, 120.0),
    Uniform(0.0, 0.25),
    LogNormal.through(0.5, 60.0, 0.95, 180.0),
    LogNormal.from_moments(10.0, 3.0),
    Exponential(30.0),
    Pareto(75.0, 0.594),
    Pareto(60.0, 1.5),
    Pareto(60.0, 5.0),
    Empirical.of([30.0, 20.0, 20.0, 90.0]),
    Empirical.of([20.0, 30.0], [1.0, 3.0]),
    Empirical.of([20.0]),
    Mixture((0.9, 0.1), (Uniform(5.0, 10.0), Constant(300.0))),
    Mixture((0.5, 0.5), (Uniform(5.0, 10.0), Uniform(20.0, 40.0))),
    Mixture((0.3, 0.7), (Exponential(4.0), LogNormal.through(0.5, 1.0, 0.95, 8.0))),
    Mixture((0.5, 0.5), (Constant(7.0), Constant(7.0))),
    Mixture((0.3, 0.7), (Constant(0.0), LogNormal.through(0.5, 1.0, 0.95, 8.0))),
    Mixture((0.25, 0.75), (Mixture((0.5, 0.5), (Constant(1.0), Uniform(2.0, 3.0))), Exponential(9.0))),
]


@pytest.mark.parametrize("distribution", EVERY_KIND, ids=str)
def test_conformance_against_itself(distribution: Distribution) -> None:
    assert check_distribution(distribution) == []


def test_every_class_is_in_the_suite() -> None:
    declared = {kind.__name__ for kind in Distribution.__subclasses__()}
    assert {type(one).__name__ for one in EVERY_KIND} == declared


@dataclass(frozen=True, slots=True)
class _Liar(Uniform):
    """Declares a wrong mean and is not continuous where it says so."""

    def mean(self) -> float:
        return 2 * (self.low + self.high)

    def cdf(self, x: object) -> np.ndarray:
        return np.round(np.clip((np.asarray(x, dtype=float) - self.low) / (self.high - self.low), 0, 1), 1)


def test_the_suite_can_fail() -> None:
    found = " ".join(check_distribution(_Liar(1.0, 3.0)))
    assert "mean" in found
    assert "continuous" in found


def test_lognormal_against_scipy() -> None:
    ours = LogNormal.through(0.5, 60.0, 0.95, 180.0)
    theirs = stats.lognorm(s=math.log(3.0) / stats.norm.ppf(0.95), scale=60.0)
    u = np.linspace(0.001, 0.999, 333)
    np.testing.assert_allclose(ours.quantile(u), theirs.ppf(u), rtol=1e-12)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=1e-12)
    assert ours.sd() == pytest.approx(theirs.std(), rel=1e-12)


def test_pareto_through_two_points_is_the_published_tail() -> None:
    """LANMAN 2014: 10 % beyond 60 s and 2 % beyond 900 s give S(t) = 0.10 (t / 60)^-0.594."""
    tail = Pareto.through(0.90, 60.0, 0.98, 900.0)
    assert tail.shape == pytest.approx(0.594, abs=5e-4)
    times = np.array([60.0, 300.0, 900.0, 1800.0])
    np.testing.assert_allclose(1 - tail.cdf(times), 0.10 * (times / 60) ** -tail.shape, rtol=1e-12)


def test_lognormal_from_moments_keeps_them() -> None:
    distribution = LogNormal.from_moments(10.0, 3.0)
    assert (distribution.mean(), distribution.sd()) == (pytest.approx(10.0), pytest.approx(3.0))


def test_exponential_is_memoryless() -> None:
    distribution = Exponential(30.0)
    survival = 1 - distribution.cdf(np.array([10.0, 25.0, 35.0]))
    assert survival[0] * survival[1] == pytest.approx(survival[2], rel=1e-12)


def test_mixture_survival_is_the_weighted_survival() -> None:
    mixture = Mixture((0.8, 0.2), (Exponential(5.0), Exponential(50.0)))
    times = np.linspace(0.0, 200.0, 41)
    expected = 0.8 * np.exp(-times / 5) + 0.2 * np.exp(-times / 50)
    np.testing.assert_allclose(1 - mixture.cdf(times), expected, rtol=1e-12)


def test_a_share_of_zeros_draws_exact_zeros() -> None:
    mixture = Mixture((0.3, 0.7), (Constant(0.0), LogNormal.through(0.5, 1.0, 0.95, 8.0)))
    drawn = mixture.quantile(np.array([1e-9, 0.1, 0.3, 0.3001, 0.65]))
    assert drawn[:3].tolist() == [0.0, 0.0, 0.0]
    assert np.all(drawn[3:] > 1e-4)
    assert drawn[4] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(3.0, 2.0),
        lambda: Uniform(-1.0, 2.0),
        lambda: Constant(-1.0),
        lambda: Exponential(0.0),
        lambda: Pareto(0.0, 1.0),
        lambda: Pareto(1.0, 0.0),
        lambda: LogNormal.through(0.9, 10.0, 0.5, 20.0),
        lambda: LogNormal.through(0.5, 10.0, 0.9, 10.0),
        lambda: LogNormal.from_moments(1.0, 0.0),
        lambda: Empirical((), ()),
        lambda: Empirical((1.0, 1.0), (0.5, 0.5)),
        lambda: Mixture((0.5, 0.4), (Constant(1.0), Constant(2.0))),
    ],
)
def test_impossible_parameters_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()  # type: ignore[operator]
