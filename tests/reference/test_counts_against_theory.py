"""Numbers of commits: Poisson variables by inversion, from masses of none to billions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.measure.commits import MUCH, counts

SHARES = (np.arange(4000) + 0.5) / 4000
FAR = np.array([2.0**-54, 1e-12, 1e-9, 1 - 1e-9, 1 - 1e-12])
"""Quantiles that a study of billions of draws meets."""


@pytest.mark.parametrize("mean", [1e-9, 1e-3, 0.4, 0.999, 1.0, 2.5, 30.0, 999.5, MUCH - 1])
def test_a_count_is_the_least_number_that_reaches_its_quantile(mean: float) -> None:
    u = np.concatenate([SHARES, FAR])
    np.testing.assert_array_equal(counts([mean] * len(u), u.tolist()), stats.poisson(mean).ppf(u))


@pytest.mark.parametrize("mean", [MUCH, 1e5, 2.88e6])
def test_of_many_it_is_so_but_for_one_in_hundreds_by_one(mean: float) -> None:
    found = np.array(counts([mean] * len(SHARES), SHARES.tolist()))
    off = found - stats.poisson(mean).ppf(SHARES)
    assert np.abs(off).max() <= 1
    assert np.mean(off != 0) < 0.005


@pytest.mark.parametrize("mean", [0.0, -1e-12])
def test_nothing_comes_of_nothing(mean: float) -> None:
    assert counts([mean] * len(FAR), FAR.tolist()) == [0] * len(FAR)


def test_of_billions_the_far_tail_is_the_normal_one() -> None:
    """Skewness is 3e-5 there; (z² - 1)/6 of a count is all it adds."""
    found = np.array(counts([1e9] * len(FAR), FAR.tolist()))
    np.testing.assert_allclose(found, 1e9 + np.sqrt(1e9) * stats.norm.ppf(FAR), atol=15)
