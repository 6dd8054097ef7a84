"""Differences of quantiles between two studies under common random numbers: for information, never for a gate.

Pairs of trials are resampled, so that what the two share stays shared. The percentile bootstrap is conservative here: a
quantile of a sample moves in steps, and the interval ends on whole ones.

References
----------
B. Efron, *Bootstrap methods: another look at the jackknife*, Annals of Statistics 7, 1979.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrsim.rng import resample_counts
from mrsim.study.paired import Difference, Pairs
from mrsim.study.statistics import CONFIDENCE, level_of, minimum_trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESAMPLES = 1000
"""Bootstrap samples of trials."""


def quantile_differences(
    pairs: Sequence[Pairs],
    quantiles: Sequence[str],
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> list[list[Difference]]:
    """Return differences of quantiles over trials with percentile bootstrap intervals; for information, not for gates.

    Parameters
    ----------
    pairs
        Columns. All are resampled together.
    quantiles
        Such as ``p50``.
    seed
        Of the bootstrap samples.
    confidence
        Of each one-sided bound.
    resamples
        Bootstrap samples of trials.

    Returns
    -------
    list of list of Difference
        One list per column, one entry per quantile.
    """
    sides = [[_Side(bound) for bound in _distinct(each)] for each in pairs]
    levels = [level_of(quantile) for quantile in quantiles]
    found = np.empty((resamples, len(pairs), len(levels), 2))
    sizes = {each.n for each in pairs if each.n}
    for size in sizes:
        columns = [index for index, each in enumerate(pairs) if each.n == size]
        for row, counts in enumerate(resample_counts(seed, "study/bootstrap", size, resamples)):
            for index in columns:
                ends = [side.quantiles(levels, counts) for side in sides[index]]
                found[row, index] = np.transpose(_spread(*_four(ends)))
    answers = []
    for index, each in enumerate(pairs):
        points = _four(
            [side.quantiles(levels) for side in sides[index]] if each.n else [np.full(len(levels), np.nan)] * 2
        )
        answers.append(
            [
                _quantile_answer(name, [point[q] for point in points], found[:, index, q], each.n, confidence)
                for q, name in enumerate(quantiles)
            ]
        )
    return answers


def _distinct(pairs: Pairs) -> list[NDArray[np.float64]]:
    """Return the bounds of both sides; of pairs without unfinished trials, each side once."""
    return [*pairs.a, *pairs.b] if pairs.unfinished else [pairs.a[0], pairs.b[0]]


def _four(ends: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return ends if len(ends) == 4 else [ends[0], ends[0], ends[1], ends[1]]


class _Side:
    """One bound of one study's column, sorted once."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def quantiles(self, levels: Sequence[float], counts: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Return the inverted-CDF quantiles of a resample that has each trial ``counts`` times."""
        n = len(self._sorted)
        ranks = np.array([max(1, math.ceil(round(n * level, 9))) for level in levels])
        if counts is None:
            return np.take(self._sorted, ranks - 1)
        return np.take(self._sorted, np.searchsorted(np.cumsum(counts[self._order]), ranks))


def _spread(a_low: Any, a_high: Any, b_low: Any, b_high: Any) -> tuple[Any, Any]:
    """Return the bounds of b - a; where both are infinite nothing is known."""
    with np.errstate(invalid="ignore"):
        low, high = b_low - a_high, b_high - a_low
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def _quantile_answer(
    name: str, points: Sequence[float], found: NDArray[np.float64], n: int, confidence: float
) -> Difference:
    a, b = (float(points[0]), float(points[1])), (float(points[2]), float(points[3]))
    needed = minimum_trials(level_of(name), confidence)
    if n < needed:
        reason = f"bounds of {name} need at least {needed} trials, got {n}"
        low, high = (math.nan, math.nan) if n == 0 else (float(end) for end in _spread(*a, *b))
        ends = (-math.inf, math.inf)
        return Difference(name, math.nan, a, b, low, high, *ends, n, confidence, reason, needed, conservative=True)
    value_low, value_high = (float(end) for end in _spread(*a, *b))
    low = float(np.quantile(found[:, 0], 1.0 - confidence, method="lower"))
    high = float(np.quantile(found[:, 1], confidence, method="higher"))
    return Difference(name, math.nan, a, b, value_low, value_high, low, high, n, confidence, conservative=True)
