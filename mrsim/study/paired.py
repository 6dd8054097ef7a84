"""What two studies under common random numbers say about the difference between them.

Trial *k* of both had the same outage, the same operator and the same clients' phases, so the difference is taken trial
by trial and only then over trials. Trials are resampled or counted, never clients or episodes, which share a trial.

The **difference of means** has Hall's interval: Student's t after a cubic that takes the skewness
out. It is given only if enough trials carry it (:data:`LEAST_CARRIERS`), and never over unfinished trials: a mean over
times that were cut is no mean. The **difference of exceedances** P(B > L) - P(A > L) has an exact interval, whose
coverage the tests find by enumerating every outcome; an unfinished trial may fall on either side of a limit beyond its
end. Differences of quantiles, for information only, are in :mod:`mrsim.study.paired_quantiles`.

References
----------
P. Hall, *On the removal of skewness by transformation*, Journal of the Royal Statistical Society B 54, 1992.
N. Gaffke, *Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable*,
Mathematical Methods of Statistics 14, 2005; for differences in {-1, 0, 1} his bound is a quantile of D+ - D- under a
Dirichlet distribution, as that of Clopper and Pearson is one of a beta distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mrsim.measure import Status
from mrsim.study.digits import ROUNDING
from mrsim.study.statistics import CONFIDENCE, MEAN_MIN_TRIALS, student_quantile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LEAST_CARRIERS = 30.0
"""Fewest trials that must carry a difference of means for an interval.

Of n differences d around their mean, (sum d²)² / sum d⁴ carry it: n for two equal masses, n / 3 for a normal, m for m
rare and equal ones. With fewer than this the interval misses more often than it says, whatever the method; with it, the
tests find at most 5 % of studies with a bound that misses, even of differences without a finite variance."""

ZERO_WITHOUT_EFFECT = ("rto_s", "rto_durable_s", "longest_outage_s")
"""Metrics of an outage that are zero, for a comparison, in trials in which nobody was affected: dropping those would
compare a posture that prevents outages on the few that it does not prevent."""


class Measured(Protocol):
    """Per-trial columns, of a study or of a baseline."""

    def values_of(self, column: str) -> NDArray[np.float64]:
        """Return a column's values, shape ``(n,)``."""

    def status_of(self, column: str) -> NDArray[np.int8]:
        """Return a column's status codes, shape ``(n,)``."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """One column of two studies, trial by trial.

    Attributes
    ----------
    a, b
        Lower and upper bounds per trial, shape ``(2, n)``; they differ where a trial is unfinished.
    no_effect_a, no_effect_b
        Trials in which nobody was affected, and which count as zero.
    left_out
        Pairs left out because one of them has nothing to measure.
    """

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    no_effect_a: int = 0
    no_effect_b: int = 0
    left_out: int = 0

    @property
    def n(self) -> int:
        """Number of pairs."""
        return int(self.a.shape[1])

    @property
    def unfinished(self) -> int:
        """Pairs of which at least one trial is unfinished."""
        return int(np.count_nonzero(np.isinf(self.a[1]) | np.isinf(self.b[1])))

    @property
    def differing(self) -> int:
        """Pairs that are not the same."""
        return self.n - int(np.count_nonzero((self.a == self.b).all(axis=0)))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a second study lies above a first.

    Attributes
    ----------
    estimand
        ``mean``, ``exceeds`` or a quantile such as ``p95``.
    limit
        Of ``exceeds``: L, in the column's unit; NaN otherwise.
    a, b
        The two sides, as (lower, upper): they differ where unfinished trials reach them.
    value_low, value_high
        The difference b - a, likewise.
    low, high
        One-sided bounds at ``confidence`` each; infinite where there is none.
    n
        Pairs.
    reason
        Why there is no interval, or what limits it; may be empty.
    needed_trials
        About how many trials would give an interval; None if that is not what is missing.
    conservative
        Whether the interval is only for information: not to be gated.
    same
        Whether the difference is the same in every pair, so that there is no spread to make an interval of.
    """

    estimand: str
    limit: float
    a: tuple[float, float]
    b: tuple[float, float]
    value_low: float
    value_high: float
    low: float
    high: float
    n: int
    confidence: float = CONFIDENCE
    reason: str = ""
    needed_trials: int | None = None
    conservative: bool = False
    same: bool = False


@dataclass(frozen=True, slots=True)
class Wins:
    """In how many pairs the second study was lower, the same, higher; under shared outages, never to be gated."""

    lower: int
    same: int
    higher: int
    undecided: int
    """Pairs in which unfinished trials leave it open."""

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.lower + self.same + self.higher + self.undecided


def pairs_of(first: Measured, second: Measured, column: str) -> Pairs:
    """Return one column of two studies with the same seed and the same trials.

    Values that differ by rounding alone are the same: whatever one study looks at besides changes the order of sums.

    Raises
    ------
    ResultsError
        If one of them has no such column.
    """
    zero = column.partition("{")[0] in ZERO_WITHOUT_EFFECT
    sides = [_bounds(results, column, zero=zero) for results in (first, second)]
    keep = ~np.isnan(sides[0][0]).any(axis=0) & ~np.isnan(sides[1][0]).any(axis=0)
    (a, idle_a), (b, idle_b) = sides
    b = np.where(np.isclose(a, b, rtol=ROUNDING, atol=ROUNDING), a, b)
    return Pairs(a[:, keep], b[:, keep], idle_a, idle_b, int(np.count_nonzero(~keep)))


def _bounds(results: Measured, column: str, *, zero: bool) -> tuple[NDArray[np.float64], int]:
    values, codes = results.values_of(column), results.status_of(column)
    idle = codes == Status.NO_EFFECT
    values = np.where(idle, 0.0 if zero else np.nan, values)
    lower = np.where(codes == Status.NEVER, np.inf, values)
    upper = np.where((codes == Status.OBSERVED) | idle, values, np.inf)
    return np.stack([lower, upper]), int(np.count_nonzero(idle)) if zero else 0


def mean_difference(pairs: Pairs, confidence: float = CONFIDENCE) -> Difference:
    """Return the mean of the paired differences with Hall's interval.

    Parameters
    ----------
    pairs
        The column.
    confidence
        Of each one-sided bound.
    """
    n, unfinished = pairs.n, pairs.unfinished
    nothing = (math.nan, math.nan)
    if n == 0:
        return _refused(pairs, nothing, nothing, confidence, "no pair of trials has anything to measure")
    if unfinished:
        reason = f"{unfinished} of {n} pairs unfinished: a mean over them is refused"
        return _refused(pairs, nothing, nothing, confidence, reason)
    means = [float(np.mean(side[0])) for side in (pairs.a, pairs.b)]
    a, b = ((mean, mean) for mean in means)
    difference = pairs.b[0] - pairs.a[0]
    spread = float(np.ptp(difference))
    mean = float(np.mean(difference))
    if spread == 0.0:
        reason = f"the same in all {n} trials: what happens in less than {_unseen(n, confidence):.2g} % would not show"
        return replace(_refused(pairs, a, b, confidence, reason, float(difference[0])), same=True)
    if n < MEAN_MIN_TRIALS:
        reason = f"an interval of a mean needs at least {MEAN_MIN_TRIALS} trials, got {n}"
        return _refused(pairs, a, b, confidence, reason, mean, MEAN_MIN_TRIALS)
    carriers = carriers_of(difference)
    if carriers < LEAST_CARRIERS:
        reason = f"the difference hangs on about {max(1, round(carriers))} of {n} trials: too few for an interval"
        needed = math.ceil(1.2 * n * LEAST_CARRIERS / carriers)
        return _refused(pairs, a, b, confidence, reason, mean, needed)
    low, high = hall_interval(difference, confidence)
    return Difference("mean", math.nan, a, b, mean, mean, low, high, n, confidence)


def _refused(
    pairs: Pairs,
    a: tuple[float, float],
    b: tuple[float, float],
    confidence: float,
    reason: str,
    mean: float = math.nan,
    needed: int | None = None,
) -> Difference:
    ends = (-math.inf, math.inf)
    return Difference("mean", math.nan, a, b, mean, mean, *ends, pairs.n, confidence, reason, needed)


def _unseen(n: int, confidence: float) -> float:
    """Return the largest share of trials, in per cent, of which none shows in ``n`` (three in n, for short)."""
    return -100.0 * math.expm1(math.log1p(-confidence) / n)


def carriers_of(difference: NDArray[np.float64]) -> float:
    """Return how many trials carry the mean of paired differences; see :data:`LEAST_CARRIERS`."""
    scaled = (difference - np.mean(difference)) / np.ptp(difference)
    return float(np.sum(scaled**2) ** 2 / np.sum(scaled**4))


def hall_interval(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return one-sided bounds of the mean of independent values, each at ``confidence``.

    With skewness g and a = g / sqrt(n), T + a T²/3 + a² T³/27 + a/6 of the studentised mean T is nearly normal (Hall
    1992, with the cubic completed so that it can be inverted); Student's quantile stands for the normal one.
    """
    n = len(values)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    skew = float(np.mean(((values - mean) / sd) ** 3)) / math.sqrt(n)
    t = student_quantile(confidence, n - 1)
    ends = [mean - sd / math.sqrt(n) * _untransformed(side * t, skew) for side in (1.0, -1.0)]
    return min(ends), max(ends)


def mean_above(values: NDArray[np.float64], limit: float) -> float:
    """Return the p-value of "the mean is at most ``limit``": below ``1 - confidence`` where Hall's bound is above it.

    Parameters
    ----------
    values
        Independent, and not all the same; shape ``(n,)``.
    limit
        In their unit.
    """
    from scipy.special import stdtr

    n = len(values)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    a = float(np.mean(((values - mean) / sd) ** 3)) / math.sqrt(n)
    t = (mean - limit) / sd * math.sqrt(n)
    return float(stdtr(n - 1, -(t + a * t**2 / 3.0 + a**2 * t**3 / 27.0 + a / 6.0)))


def _untransformed(z: float, a: float) -> float:
    """Return T for which T + a T²/3 + a² T³/27 + a/6 is z."""
    inner = a * (z - a / 6.0)
    return z if abs(a) < 1e-9 else 3.0 / a * (float(np.cbrt(1.0 + inner)) - 1.0)


def exceedance_difference(pairs: Pairs, limit: float, confidence: float = CONFIDENCE) -> Difference:
    """Return P(B > limit) - P(A > limit) with an exact interval.

    Parameters
    ----------
    pairs
        The column; of a flag, with a limit of zero, the shares of trials with the event.
    limit
        In the column's unit.
    confidence
        Of each one-sided bound.
    """
    n = pairs.n
    if n == 0:
        nothing = (math.nan, math.nan)
        reason = "no pair of trials has anything to measure"
        return Difference("exceeds", limit, nothing, nothing, *nothing, -1.0, 1.0, 0, confidence, reason)
    over_a, over_b = pairs.a > limit, pairs.b > limit
    least, most = (over_b[i].astype(np.int8) - over_a[1 - i] for i in (0, 1))
    low, high = trinomial_low(*_counts(least), confidence), trinomial_high(*_counts(most), confidence)
    a, b = (tuple(float(np.mean(side)) for side in over) for over in (over_a, over_b))
    reason = ""
    if not least.any() and not most.any():
        reason = f"on the same side in all {n} trials"
    ends = float(np.mean(least)), float(np.mean(most))
    return Difference("exceeds", limit, (a[0], a[1]), (b[0], b[1]), *ends, low, high, n, confidence, reason)


def _counts(signs: NDArray[np.int8]) -> tuple[int, int, int]:
    return tuple(int(np.count_nonzero(signs == sign)) for sign in (-1, 0, 1))  # type: ignore[return-value]


def trinomial_high(minus: int, zero: int, plus: int, confidence: float = CONFIDENCE) -> float:
    """Return the upper bound of E[X] for X in {-1, 0, 1}, of which these numbers were seen.

    The ``confidence`` quantile of D+ - D- with (D-, D0, D+) from Dirichlet(minus, zero, plus + 1). Without any -1 (or
    without any 0) it is the bound of Clopper and Pearson.
    """
    from scipy.special import betaincinv

    if minus == 0:
        return float(betaincinv(plus + 1, zero, confidence)) if zero else 1.0
    below = _dirichlet(minus, zero, plus + 1)
    low, high = -1.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (low, middle) if below(middle) >= confidence else (middle, high)
    return high


def _dirichlet(minus: int, zero: int, plus: int) -> Callable[[float], float]:
    """Return the distribution function of D+ - D-, with (D-, D0, D+) from a Dirichlet distribution."""
    from scipy.special import betainc, betaincinv

    nodes, weights = np.polynomial.legendre.leggauss(64)
    # D+ - D- = S (2 T - 1) with S ~ Beta(minus + plus, zero) and T ~ Beta(plus, minus), independent.
    size = betaincinv(minus + plus, zero, (nodes + 1.0) / 2.0) if zero else np.ones(len(nodes))

    def below(value: float) -> float:
        share = np.clip((1.0 + value / size) / 2.0, 0.0, 1.0)
        return float(np.sum(weights / 2.0 * betainc(plus, minus, share)))

    return below


def trinomial_above(minus: int, zero: int, plus: int, limit: float) -> float:
    """Return the p-value of "E[X] is at most ``limit``" for X in {-1, 0, 1}, of which these numbers were seen.

    Below ``1 - confidence`` where :func:`trinomial_low` is above the limit.
    """
    return 1.0 - _dirichlet(plus, zero, minus + 1)(-limit) if plus else 1.0


def trinomial_low(minus: int, zero: int, plus: int, confidence: float = CONFIDENCE) -> float:
    """Return the lower bound of E[X] for X in {-1, 0, 1}; see :func:`trinomial_high`."""
    return -trinomial_high(plus, zero, minus, confidence)


def wins(pairs: Pairs) -> Wins:
    """Return in how many pairs the second is lower, the same, higher, or undecided for unfinished trials."""
    lower = int(np.count_nonzero(pairs.b[1] < pairs.a[0]))
    higher = int(np.count_nonzero(pairs.b[0] > pairs.a[1]))
    settled = (pairs.a[0] == pairs.a[1]) & (pairs.b[0] == pairs.b[1])
    same = int(np.count_nonzero(settled & (pairs.a[0] == pairs.b[0])))
    return Wins(lower, same, higher, pairs.n - lower - same - higher)
