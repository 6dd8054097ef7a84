"""Things that are copied one by one, each after a lag of its own: which of them a copy lacks.

A thing of age a is missing with probability S(a), the chance of a lag beyond a, whatever became of the others. Where
things come as a Poisson process of rate r, those that are missing are one too, of rate r S(a): walking from the oldest
to the newest, the first that is missing is met where the integral of r S(a) passes an exponential of mean 1.

References
----------
The queue M/G/infinity: the number that is missing is a Poisson variable of mean r E[lag] (L. Takacs, *Introduction to
the Theory of Queues*, Oxford 1962, chapter 3; J. D. C. Little, *A proof for the queuing formula L = lambda W*, 1961).
"""

from __future__ import annotations

from bisect import bisect
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mrsim.distributions import Distribution, Floats
    from mrsim.trace import Copied

_BEYOND = 10.0 ** np.linspace(-0.3, -12.0, 118)
"""Chances of a longer lag at which a distribution is looked at; ages that fewer reach count as copied."""


class Lag:
    """The lag of one thing, and what follows for many.

    Parameters
    ----------
    lag
        Distribution of the lag; its mean is finite.

    Attributes
    ----------
    ages_s
        Ages that are looked at, ascending; what is older than the last is there.
    """

    def __init__(self, lag: Distribution) -> None:
        self._lag = lag
        # Also on both sides of every value of a distribution that has few.
        marks = np.unique(lag.quantile(np.concatenate([np.linspace(1e-9, 0.5, 64), 1.0 - _BEYOND])))
        around = np.concatenate([[0.0], marks * (1.0 - 1e-9), marks * (1.0 + 1e-9)])
        between = np.concatenate([np.linspace(0.0, marks[0], 9), np.geomspace(max(marks[0], 1e-6), marks[-1], 600)])
        self.ages_s: Floats = np.unique(np.concatenate([around, between]))
        missing = self.missing(self.ages_s)
        pieces = 0.5 * (missing[1:] + missing[:-1]) * np.diff(self.ages_s)
        self._ages = self.ages_s.tolist()
        self._beyond = [*np.cumsum(pieces[::-1])[::-1].tolist(), 0.0]
        self._less = [-value for value in self._beyond]

    def missing(self, ages_s: Floats) -> Floats:
        """Return S at some ages."""
        return 1.0 - np.asarray(self._lag.cdf(ages_s))

    def missing_at(self, age_s: float) -> float:
        """Return S at one age."""
        return float(self.missing(np.array([age_s]))[0])

    def beyond(self, age_s: float) -> float:
        """Return the integral of S from an age on."""
        return _between(self._ages, self._beyond, age_s)

    def age_of(self, beyond: float) -> float:
        """Return the age from which on the integral of S is ``beyond``."""
        return _between(self._less, self._ages, -beyond)

    def means(self, ages_s: Floats) -> Floats:
        """Return the mean of S between neighbours of some descending ages, shape one less."""
        beyond = np.interp(ages_s, self.ages_s, self._beyond)
        steps = -np.diff(ages_s)
        same = steps <= 1e-9 * ages_s[:-1]
        return np.where(same, self.missing(ages_s[:-1]), np.diff(beyond) / np.where(same, 1.0, steps))


def _between(known: list[float], values: list[float], at: float) -> float:
    """Interpolate at one point; what NumPy does takes ten times as long for one."""
    after = bisect(known, at)
    if after == 0:
        return values[0]
    if after == len(known):
        return values[-1]
    share = (at - known[after - 1]) / (known[after] - known[after - 1])
    return values[after - 1] + share * (values[after] - values[after - 1])


def ages(copied: Copied, at_s: Floats) -> Floats:
    """Return for how long things of the times ``at_s`` were being copied; infinite for those that were there before."""
    found = np.zeros_like(at_s)
    for start_s, end_s in copied.spans:
        found += np.maximum(end_s - np.maximum(at_s, start_s), 0.0)
    found[at_s < copied.level_s] = np.inf
    return found


def since(copied: Copied, age_s: float) -> float:
    """Return the time before which everything had been copied for at least ``age_s``, or was there before."""
    left = age_s
    for start_s, end_s in reversed(copied.spans):
        if end_s - left >= start_s:
            return max(end_s - left, copied.level_s)
        left -= end_s - start_s
    return copied.level_s
