"""How far a fitted distribution is from its samples, and how far chance alone would take it.

The distance is that of Kolmogorov and Smirnov. Because the parameters were fitted to the same samples, its tabulated
critical values are too wide; they are found by parametric bootstrap instead: samples of the same size are drawn from
the fit, rounded as the measurements were, fitted again and compared with their own fit. Samples that are alike because
they were taken one after the other count as fewer.

References
----------
W. Stute, W. González Manteiga, M. Presedo Quindimil, *Bootstrap based goodness-of-fit tests*, Metrika 40, 1993.
C. J. Geyer, *Practical Markov chain Monte Carlo*, Statistical Science 7, 1992 (initial positive sequence).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.calibrate.forms import sampled
from mrsim.rng import Draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.distributions import Distribution

    Floats = NDArray[np.float64]

ROUNDS = 999
"""Bootstrap samples: a p-value is known to about 0.007 where it is 0.05."""

LARGEST = 2000
"""Size of a bootstrap sample at most; beyond, distances are scaled by the root of the size."""

SIGNIFICANCE = 0.05
LEVELS = (0.5, 0.9, 0.99)
"""Quantiles at which fit and samples are compared."""

_STEPS_S = (3600.0, 60.0, *(10.0**-power for power in range(8)))
_FEWEST_FOR_TIME = 20


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What chance does to a fit of this form and size.

    Attributes
    ----------
    critical
        The distance that samples of the fitted distribution exceed in 5 % of cases.
    p_value
        Share of them that lie as far from their own fit as the samples do from theirs.
    quantiles
        Per level of :data:`LEVELS` the 5 % and 95 % quantile of the refitted quantile, in seconds.
    """

    critical: float
    p_value: float
    quantiles: tuple[tuple[float, float], ...]


def distance(distribution: Distribution, x: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance of ascending samples from a distribution, with or without jumps."""
    values, counts = np.unique(x, return_counts=True)
    up_to = np.cumsum(counts) / len(x)
    below = up_to - counts / len(x)
    at = distribution.cdf(values)
    before = at if distribution.continuous else distribution.cdf(np.nextafter(values, -np.inf))
    return float(max(np.max(np.abs(up_to - at)), np.max(np.abs(before - below))))


def bootstrap(
    distribution: Distribution,
    refit: Callable[[Floats], Distribution | None],
    found: float,
    n: float,
    step_s: float,
    seed: int,
) -> Bootstrap:
    """Draw from a fit again and again, and fit what was drawn.

    Parameters
    ----------
    distribution
        The fit.
    refit
        Fits ascending samples by the same form.
    found
        Distance of the real samples.
    n
        How many independent samples the real ones are worth.
    step_s
        To which they were rounded; 0 if they were not.
    seed
        Of the draws.
    """
    size = max(min(round(n), LARGEST), 2)
    u = Draws(seed, 0, ROUNDS).uniforms("calibrate/bootstrap", size)
    drawn = sampled(distribution, u)
    if step_s > 0:
        drawn = np.round(drawn / step_s) * step_s
    drawn.sort(axis=1)
    distances, quantiles = [], []
    for x in drawn:
        again = refit(x)
        if again is not None:
            distances.append(distance(again, x))
            quantiles.append(sampled(again, np.array(LEVELS)))
    scale = math.sqrt(size / n) if n > size else 1.0
    if not distances:
        return Bootstrap(1.0, 1.0, tuple((0.0, math.inf) for _ in LEVELS))
    far = scale * np.array(distances)
    centre = distribution.quantile(np.array(LEVELS))
    spread = centre + scale * (np.array(quantiles) - centre)
    low, high = np.quantile(spread, [SIGNIFICANCE, 1 - SIGNIFICANCE], axis=0)
    return Bootstrap(
        float(np.quantile(far, 1 - SIGNIFICANCE)),
        (1 + int(np.count_nonzero(far >= found))) / (1 + len(far)),
        tuple((float(a), float(b)) for a, b in zip(low, high, strict=True)),
    )


def step_of(x: Floats) -> float:
    """Return the step (an hour, a minute, or a power of ten of a second) that all samples are multiples of, or 0."""
    positive = x[x > 0]
    for step in _STEPS_S if len(positive) else ():
        multiples = positive / step
        whole = np.round(multiples)
        if np.all(whole >= 1) and np.all(np.abs(multiples - whole) < 1e-9 * (1 + whole)):
            return step
    return 0.0


def dependence(series: Sequence[Floats]) -> tuple[float, float]:
    """Return how many independent samples series are worth, and the mean autocorrelation at lag one.

    Ranks are correlated, so that a heavy tail does not hide or feign it. A series in which neighbours are no more alike
    than chance makes them counts in full.
    """
    worth, weighted = 0.0, 0.0
    for values in series:
        correlation = _autocorrelation(values)
        neighbours = float(correlation[1]) if len(correlation) > 1 else 0.0
        worth += len(values) / _inflation(correlation) if neighbours > 3 / math.sqrt(len(values) or 1) else len(values)
        weighted += len(values) * neighbours
    n = sum(len(values) for values in series)
    return worth, weighted / n


def _autocorrelation(values: Floats) -> Floats:
    n = len(values)
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    centred = ranks - ranks.mean() if n else ranks.astype(float)
    if n < _FEWEST_FOR_TIME or not np.any(centred):
        return np.ones(1)
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    covariance = np.fft.irfft(power, 2 * n)[: n // 2]
    return np.asarray(covariance / covariance[0])


def _inflation(correlation: Floats) -> float:
    """Return the sum over all lags by Geyer's initial positive sequence: pairs of lags while they are positive."""
    even = len(correlation) // 2 * 2
    pairs = correlation[:even].reshape(-1, 2).sum(axis=1)
    positive = pairs[: np.argmin(pairs > 0)] if np.any(pairs <= 0) else pairs
    return max(float(2 * positive.sum() - 1), 1.0)
