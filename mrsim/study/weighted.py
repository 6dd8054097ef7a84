"""How likely something is, from weighted trials: an interval for a mean of which most is carried by few values.

A trial with the outcome counts with its weight, all others with 0. The sum of many such small contributions has nearly
the law of a gamma variable with its mean and variance, skewed to the right as the sum is; unlike a normal interval,
this one stays above zero and keeps its coverage when few trials carry the sum. Its upper end allows for one more trial
as heavy as the heaviest seen. With equal weights of something rare it is the exact Poisson interval.

References
----------
M. P. Fay, E. J. Feuer, *Confidence intervals for directly standardized rates: a method based on the gamma
distribution*, Statistics in Medicine 16, 1997.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def gamma_interval(counted: Floats, confidence: float) -> tuple[float, float]:
    """Return the two-sided interval of an expectation.

    Parameters
    ----------
    counted
        Weights of the trials with the outcome, 0 for the others, not all 0, shape ``(n,)``.
    confidence
        Of the interval: half of the rest is missed on either side.
    """
    from scipy.special import gammaincinv

    n, alpha = len(counted), (1.0 - confidence) / 2.0
    mean, heaviest = float(np.mean(counted)), float(np.max(counted)) / n
    variance = float(np.var(counted, ddof=1)) / n
    if variance <= 0.0:
        return mean, mean
    low = variance / mean * float(gammaincinv(mean**2 / variance, alpha))
    above, spread = mean + heaviest, variance + heaviest**2
    high = spread / above * float(gammaincinv(above**2 / spread, 1.0 - alpha))
    return low, high


def effective_number(counted: Floats) -> float:
    """Return how many equally weighted values would be as telling: (sum of weights)^2 / sum of squares."""
    squares = float(np.sum(counted**2))
    return float(np.sum(counted)) ** 2 / squares if squares > 0.0 else 0.0


def most_if_never(shares: float, confidence: float) -> float:
    """Return the upper bound of a probability of which no trial showed anything.

    Parameters
    ----------
    shares
        Over all trials, the sum of the shares that the untilted law had in theirs: an outcome of probability p is in
        none of them with a probability of at most exp(-p shares), whatever was tilted and why.
    confidence
        One-sided.
    """
    return min(1.0, -math.log1p(-confidence) / shares)
