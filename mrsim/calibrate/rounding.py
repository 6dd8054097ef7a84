"""Distributions written with as many digits as samples can support, and samples thinned to a list of values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform
from mrsim.mixtures import Empirical, Mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DIGITS = 4
"""Significant digits of a written parameter, or of the spread if that is smaller."""

_FINEST_S = 1e-9
_Z95 = 1.6448536269514722

_THINNED = np.concatenate([np.arange(0, 0.95, 0.025), [0.95, 0.965, 0.98, 0.99, 0.995, 0.999, 1.0]])
"""Levels between which samples become one value: finer in the upper tail, which decides the long outages."""

FEW = 40
"""Up to as many different samples are written out one by one."""


def rounded(value: float, spread: float | None = None, towards: float = 0.0) -> float:
    """Return a value with :data:`DIGITS` significant digits of its spread.

    Parameters
    ----------
    value, spread
        In seconds; the spread is the value itself if not given.
    towards
        -1 rounds down, 1 up, 0 to the nearest.
    """
    size = abs(value) if spread is None else min(abs(value), spread) or max(abs(value), spread)
    if size <= 0:
        return value
    places = DIGITS - 1 - math.floor(math.log10(max(size, _FINEST_S)))
    scaled = value * 10.0**places
    whole = math.floor(scaled) if towards < 0 else math.ceil(scaled) if towards > 0 else round(scaled)
    return float(f"{whole / 10.0**places:.{max(places, 0)}f}")


def tidy(distribution: Distribution) -> Distribution:
    """Return the distribution with rounded parameters: what is written is what is judged."""
    if isinstance(distribution, Constant):
        return Constant(rounded(distribution.value))
    if isinstance(distribution, Exponential):
        return Exponential(rounded(distribution.scale))
    if isinstance(distribution, Uniform):
        width = distribution.high - distribution.low
        return Uniform(rounded(distribution.low, width, -1), rounded(distribution.high, width, 1))
    if isinstance(distribution, LogNormal):
        median, p95 = (math.exp(distribution.mu + z * distribution.sigma) for z in (0.0, _Z95))
        return LogNormal.through(0.5, rounded(median, p95 - median), 0.95, rounded(p95, p95 - median))
    if isinstance(distribution, Pareto):
        return Pareto(rounded(distribution.low, towards=-1), rounded(distribution.shape))
    if isinstance(distribution, Mixture):
        zeros = min(max(round(distribution.shares[0], DIGITS), 10.0**-DIGITS), 1.0 - 10.0**-DIGITS)
        shares = (zeros, round(1.0 - zeros, DIGITS))
        return Mixture(shares, tuple(tidy(part) for part in distribution.parts))
    return distribution


def writable(distribution: Distribution) -> Distribution | None:
    """Return the rounded distribution; None if its parameters vanish, such as a Pareto minimum below a picosecond."""
    try:
        return tidy(distribution)
    except ValueError:
        return None


def thinned(x: Floats) -> tuple[tuple[float, int], ...]:
    """Return ascending samples as pairs of a value and its weight: one by one if they are few, else means of groups.

    A group is what lies between two levels; its mean stands for it, so that the mean of all is kept (to rounding).
    """
    spread = float(x[-1] - x[0])
    different, counts = np.unique(x, return_counts=True)
    if len(different) <= FEW:
        groups = list(zip(different.tolist(), counts.tolist(), strict=True))
    else:
        edges = np.unique(np.round(_THINNED * len(x)).astype(int))
        pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        groups = [(float(np.mean(x[start:end])), end - start) for start, end in pairs]
    merged: dict[float, int] = {}
    for value, weight in groups:
        near = max(rounded(value, spread or None), 0.0)
        merged[near] = merged.get(near, 0) + int(weight)
    return tuple(merged.items())


def values_of(pairs: tuple[tuple[float, int], ...]) -> Empirical:
    """Return the distribution of pairs of a value and its weight."""
    return Empirical.of([value for value, _ in pairs], [float(weight) for _, weight in pairs])
