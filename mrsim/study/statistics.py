"""What a sample of trials says about a scenario: distribution-free intervals that keep the unfinished in.

A trial that had not recovered when it ended is a lower bound, never dropped. So a sample is kept twice: once with the
unfinished at the time they were cut, once with them at infinity. Point estimates and bounds come from both.

Every bound is one-sided at ``confidence``; the pair of them is a two-sided interval at ``2 confidence - 1`` (0.95 gives
the 90 % interval). Quantiles are order statistics of the inverted CDF: nothing is interpolated, nothing about the shape
of the distribution is assumed.

References
----------
C. J. Clopper, E. S. Pearson, *The use of confidence or fiducial limits illustrated in the case of the binomial*,
Biometrika 26, 1934. G. J. Hahn, W. Q. Meeker, *Statistical Intervals*, 1991, chapter 5 (order statistics).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
"""Of each one-sided bound."""

MEAN_MIN_TRIALS = 30
"""Fewest trials for the t interval of a mean: recovery times and losses are too skewed for fewer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one column, unfinished trials as bounds.

    Attributes
    ----------
    lower, upper
        Ascending values, shape ``(n,)``: with the censored at their censoring time, and with them at infinity.
    unfinished
        How many are censored or never.
    no_effect
        Trials left out because there was nothing to measure.
    support
        Smallest and largest value the column can take: the bounds where a sample is too small for better ones.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    unfinished: int = 0
    no_effect: int = 0
    support: tuple[float, float] = (0.0, math.inf)

    @classmethod
    def of(
        cls, values: ArrayLike, status: ArrayLike | None = None, support: tuple[float, float] = (0.0, math.inf)
    ) -> Sample:
        """Make a sample from a column.

        Parameters
        ----------
        values
            One value per trial; NaN where there was nothing to measure.
        status
            One :class:`~mrsim.measure.Status` code per trial; without it every number was observed.
        support
            See the class.

        Raises
        ------
        ValueError
            If a value that counts is NaN although its status says that there is one.
        """
        numbers = np.asarray(values, dtype=np.float64)
        unmarked = np.where(np.isnan(numbers), Status.NO_EFFECT, Status.OBSERVED)
        codes = unmarked if status is None else np.asarray(status)
        counts = codes != Status.NO_EFFECT
        if np.isnan(numbers[counts]).any():
            message = "a trial's value is NaN although its status says that there was something to measure"
            raise ValueError(message)
        lower = np.where(codes == Status.NEVER, np.inf, numbers)[counts]
        upper = np.where(codes == Status.OBSERVED, numbers, np.inf)[counts]
        # A metric can be infinite in a trial without being flagged; it is unfinished all the same.
        unfinished = int(np.count_nonzero(np.isinf(upper)))
        return cls(np.sort(lower), np.sort(upper), unfinished, int(np.count_nonzero(~counts)), support)

    @property
    def n(self) -> int:
        """Number of trials with something to measure."""
        return len(self.lower)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number from a study, with everything needed to judge it.

    Attributes
    ----------
    aggregation
        ``p95``, ``median``, ``mean`` or ``trials``.
    value_low, value_high
        Bounds of the point estimate; they differ where unfinished trials reach it. NaN if there is none.
    low, high
        One-sided bounds at ``confidence`` each.
    n
        Trials with something to measure.
    unfinished
        Share of them that had not finished.
    no_effect
        Trials without anything to measure.
    confidence
        Of each bound.
    reason
        Why there is no estimate, or what limits it; empty if there is nothing to say.
    """

    aggregation: str
    value_low: float
    value_high: float
    low: float
    high: float
    n: int
    unfinished: float
    no_effect: int
    confidence: float = CONFIDENCE
    reason: str = ""


def estimate(sample: Sample, aggregation: str, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate an aggregation over trials, with its bounds.

    Parameters
    ----------
    sample
        The column.
    aggregation
        ``mean``, ``median``, ``trials`` (share of non-zero values) or a percentile such as ``p99.9``.
    confidence
        Of each one-sided bound, strictly between 0.5 and 1.
    """
    if not 0.5 < confidence < 1.0:
        message = f"confidence must lie between 0.5 and 1, got {confidence}"
        raise ValueError(message)
    if sample.n == 0:
        reason = f"no effect in any of {sample.no_effect} trials" if sample.no_effect else "no trials"
        return _answer(sample, aggregation, confidence, (math.nan, math.nan, *sample.support), reason)
    if aggregation == "mean":
        return _mean(sample, confidence)
    if aggregation == "trials":
        return _rate(sample, confidence)
    return _quantile(sample, aggregation, confidence)


def level_of(aggregation: str) -> float:
    """Return the level of a quantile: 0.95 for ``p95``, 0.5 for ``median``."""
    if aggregation == "median":
        return 0.5
    try:
        percent = float(aggregation.removeprefix("p")) if aggregation.startswith("p") else math.nan
    except ValueError:
        percent = math.nan
    if not 0.0 < percent < 100.0:
        message = f"{aggregation!r} is not an aggregation; use mean, median, trials or a percentile such as p95"
        raise ValueError(message)
    return round(percent / 100.0, 12)


def minimum_trials(level: float, confidence: float = CONFIDENCE) -> int:
    """Return the fewest trials that give the quantile at ``level`` a finite upper bound: 59 for p95, 299 for p99."""
    return math.ceil(math.log1p(-confidence) / math.log(level))


def upper_rank(n: int, level: float, confidence: float = CONFIDENCE) -> int | None:
    """Return the smallest rank (from 1) whose order statistic bounds the quantile from above; None if there is none.

    At most ``Binomial(n, level)`` of the trials lie below the quantile, so ``X_(u)`` bounds it if that is below ``u``
    with the confidence asked for.
    """
    if binomial_cdf(n - 1, n, level) < confidence:
        return None
    return first_true(1, n, lambda rank: binomial_cdf(rank - 1, n, level) >= confidence)


def lower_rank(n: int, level: float, confidence: float = CONFIDENCE) -> int | None:
    """Return the largest rank (from 1) whose order statistic bounds the quantile from below; None if there is none."""
    if binomial_cdf(0, n, level) > 1.0 - confidence:
        return None
    return first_true(1, n, lambda rank: binomial_cdf(rank, n, level) > 1.0 - confidence)


def clopper_pearson(events: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return one-sided bounds of a probability from ``events`` among ``n`` trials, each at ``confidence``."""
    from scipy.special import betaincinv

    alpha = 1.0 - confidence
    low = float(betaincinv(events, n - events + 1, alpha)) if events else 0.0
    high = float(betaincinv(events + 1, n - events, confidence)) if events < n else 1.0
    return low, high


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return the probability of at most ``k`` successes in ``n`` trials."""
    from scipy.special import betaincc

    if k < 0:
        return 0.0
    return 1.0 if k >= n else float(betaincc(k + 1, n - k, p))


def binomial_sf(k: int, n: int, p: float) -> float:
    """Return the probability of at least ``k`` successes in ``n`` trials."""
    from scipy.special import betainc

    if k <= 0:
        return 1.0
    return 0.0 if k > n else float(betainc(k, n - k + 1, p))


def first_true(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest integer in ``[low, high]`` for which ``holds``, which is monotone and true at ``high``."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def student_quantile(confidence: float, freedom: int) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, confidence))


def _answer(
    sample: Sample, aggregation: str, confidence: float, numbers: tuple[float, float, float, float], reason: str = ""
) -> Estimate:
    share = sample.unfinished / sample.n if sample.n else 0.0
    return Estimate(aggregation, *numbers, sample.n, share, sample.no_effect, confidence, reason)


def _quantile(sample: Sample, aggregation: str, confidence: float) -> Estimate:
    level, n = level_of(aggregation), sample.n
    # The inverted CDF: the smallest value that at least this share of trials does not exceed.
    rank = max(1, math.ceil(round(n * level, 9)))
    under, over = lower_rank(n, level, confidence), upper_rank(n, level, confidence)
    low = sample.support[0] if under is None else float(sample.lower[under - 1])
    high = sample.support[1] if over is None else float(sample.upper[over - 1])
    needed = minimum_trials(level, confidence)
    reason = "" if over is not None else f"an upper bound of {aggregation} needs at least {needed} trials, got {n}"
    value = float(sample.lower[rank - 1]), float(sample.upper[rank - 1])
    return _answer(sample, aggregation, confidence, (*value, low, high), reason)


def _rate(sample: Sample, confidence: float) -> Estimate:
    events = int(np.count_nonzero(sample.lower))
    share = events / sample.n
    return _answer(sample, "trials", confidence, (share, share, *clopper_pearson(events, sample.n, confidence)))


def _mean(sample: Sample, confidence: float) -> Estimate:
    n = sample.n
    if sample.unfinished:
        reason = f"{sample.unfinished} of {n} trials unfinished: a mean over them is refused"
        return _answer(sample, "mean", confidence, (math.nan, math.nan, *sample.support), reason)
    mean = float(np.mean(sample.lower))
    if n < MEAN_MIN_TRIALS:
        reason = f"an interval of a mean needs at least {MEAN_MIN_TRIALS} trials, got {n}"
        return _answer(sample, "mean", confidence, (mean, mean, *sample.support), reason)
    half = student_quantile(confidence, n - 1) * float(np.std(sample.lower, ddof=1)) / math.sqrt(n)
    low, high = max(sample.support[0], mean - half), min(sample.support[1], mean + half)
    spread = float(sample.lower[-1] - sample.lower[0])
    reason = "" if spread else f"the same in all {n} trials: the interval cannot see what is rarer than that"
    return _answer(sample, "mean", confidence, (mean, mean, low, high), reason)
