"""Claims about a scenario that a sample can support or refute, and how many trials would decide.

A limit on a quantile or a rate is a claim about a share: ``p95 < 5min`` says that at least 95 % of trials take less
than five minutes, ``trials <= 1%`` that at least 99 % are without an event. So one exact binomial test serves both,
and it agrees with the order-statistic and Clopper-Pearson bounds of :mod:`mrsim.study.statistics`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from mrsim.study.statistics import (
    CONFIDENCE,
    MEAN_MIN_TRIALS,
    Sample,
    binomial_cdf,
    binomial_sf,
    first_true,
    level_of,
    student_quantile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

POWER = 0.8
"""Chance with which the number of trials asked for should decide, if the shares seen so far are the true ones."""

MOST_TRIALS = 100_000_000
"""More trials than this are not worth naming."""


class Claim(Protocol):
    """What a limit says about the distribution behind a sample."""

    def p_pass(self) -> float:
        """Return the largest probability of a sample this favourable if the claim were false."""

    def p_fail(self) -> float:
        """Return the largest probability of a sample this unfavourable if the claim were true."""

    def needed_trials(self, alpha: float) -> int | None:
        """Return about how many trials would decide at false-alarm rate ``alpha``; None if no number would."""


@dataclass(frozen=True, slots=True)
class ShareClaim:
    """At least the share ``need`` of all trials is good.

    Attributes
    ----------
    n
        Trials seen.
    good_low, good_high
        Bounds of how many of them are good; they differ by the unfinished trials that could be either.
    need
        The share claimed.
    """

    n: int
    good_low: int
    good_high: int
    need: float

    def p_pass(self) -> float:
        """Return the probability of this many good trials at a true share of just ``need``."""
        return binomial_sf(self.good_low, self.n, self.need)

    def p_fail(self) -> float:
        """Return the probability of this few good trials at a true share of just ``need``."""
        return binomial_cdf(self.good_high, self.n, self.need)

    @property
    def hangs_on_unfinished(self) -> bool:
        """Whether the unfinished trials alone decide it, so that more trials would not help."""
        return self.good_low / self.n <= self.need <= self.good_high / self.n and self.good_low < self.good_high

    def needed_trials(self, alpha: float) -> int | None:
        """Return about how many trials would decide, with probability :data:`POWER`; None if no number would."""
        from scipy.special import ndtri

        reserve = float(ndtri(POWER))
        if self.good_low / self.n > self.need:
            share, sign = self.good_low / self.n, -1.0
        elif self.good_high / self.n < self.need:
            share, sign = self.good_high / self.n, 1.0
        else:
            return None

        def decides(n: int) -> bool:
            unlucky = share * n + sign * reserve * math.sqrt(share * (1.0 - share) * n)
            if sign < 0:
                return binomial_sf(math.floor(round(unlucky, 6)), n, self.need) <= alpha
            return binomial_cdf(math.ceil(round(unlucky, 6)), n, self.need) <= alpha

        return _smallest_that(decides, self.n + 1)


@dataclass(frozen=True, slots=True)
class MeanClaim:
    """The mean lies below ``limit`` (above, if ``below`` is false); Student's t."""

    n: int
    mean: float
    sd: float
    limit: float
    below: bool = True
    strict: bool = True

    def p_pass(self) -> float:
        """Return the probability of a mean this favourable if the true one were just at the limit."""
        return self._tail(self.mean - self.limit if self.below else self.limit - self.mean, at_limit=self.strict)

    def p_fail(self) -> float:
        """Return the probability of a mean this unfavourable if the true one were just at the limit."""
        return self._tail(self.limit - self.mean if self.below else self.mean - self.limit, at_limit=not self.strict)

    def needed_trials(self, alpha: float) -> int | None:
        """Return about how many trials would decide, with probability :data:`POWER`; None if no number would."""
        from scipy.special import ndtri

        if self.n < MEAN_MIN_TRIALS:
            return MEAN_MIN_TRIALS
        distance = abs(self.mean - self.limit)
        if not distance:
            return None
        z = student_quantile(1.0 - alpha, self.n - 1) + float(ndtri(POWER))
        wanted = (z * self.sd / distance) ** 2
        return max(self.n + 1, math.ceil(wanted)) if wanted <= MOST_TRIALS else None

    def _tail(self, excess: float, *, at_limit: bool) -> float:
        from scipy.special import stdtr

        if self.n < MEAN_MIN_TRIALS:
            return 1.0
        if self.sd == 0.0:
            # Without spread the interval is one point: it decides unless it lies on the wrong side of the limit.
            return 0.0 if excess < 0.0 or (excess == 0.0 and not at_limit) else 1.0
        return float(stdtr(self.n - 1, excess / (self.sd / math.sqrt(self.n))))


def claim_of(sample: Sample, aggregation: str, op: str, limit: float) -> Claim | None:
    """Return what ``aggregation op limit`` says about the distribution behind a sample; None if the sample cannot tell.

    Parameters
    ----------
    sample
        The column; an empty one and a mean over unfinished trials cannot tell anything.
    aggregation
        ``mean``, ``median``, ``trials`` or a percentile.
    op
        ``<``, ``<=``, ``>`` or ``>=``.
    limit
        In the column's unit; a share for ``trials``.
    """
    below = op in ("<", "<=")
    if sample.n == 0:
        return None
    if aggregation == "mean":
        if sample.unfinished:
            return None
        sd = float(np.std(sample.lower, ddof=1)) if sample.n > 1 and sample.lower[0] != sample.lower[-1] else 0.0
        return MeanClaim(sample.n, float(np.mean(sample.lower)), sd, limit, below, strict=op in ("<", ">"))
    if aggregation == "trials":
        events = int(np.count_nonzero(sample.lower))
        good = sample.n - events if below else events
        return ShareClaim(sample.n, good, good, _need(aggregation, below, limit))
    # '<' and '>=' put a value at the limit on the same side of it, and so do '<=' and '>'.
    side: Literal["left", "right"] = "left" if op in ("<", ">=") else "right"
    most = int(np.searchsorted(sample.lower, limit, side=side))
    least = int(np.searchsorted(sample.upper, limit, side=side))
    good_low, good_high = (least, most) if below else (sample.n - most, sample.n - least)
    return ShareClaim(sample.n, good_low, good_high, _need(aggregation, below, limit))


def fewest_trials(aggregation: str, op: str, limit: float, confidence: float = CONFIDENCE) -> int | None:
    """Return the fewest trials with which a limit can be shown to hold at all (every trial good); None if none can."""
    if aggregation == "mean":
        return MEAN_MIN_TRIALS
    need = _need(aggregation, op in ("<", "<="), limit)
    alpha = 1.0 - confidence
    return _smallest_that(lambda n: binomial_sf(n, n, need) <= alpha, 1)


def holm(p_values: list[float], alpha: float) -> list[bool]:
    """Return which hypotheses Holm's step-down procedure rejects with a family-wise error of at most ``alpha``.

    References
    ----------
    S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6, 1979.
    """
    rejected = [False] * len(p_values)
    for done, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] > alpha / (len(p_values) - done):
            break
        rejected[index] = True
    return rejected


def _need(aggregation: str, below: bool, limit: float) -> float:
    """Return the share of good trials that a limit on a rate or a quantile claims."""
    if aggregation == "trials":
        return min(1.0, max(0.0, 1.0 - limit if below else limit))
    return level_of(aggregation) if below else 1.0 - level_of(aggregation)


def _smallest_that(holds: Callable[[int], bool], start: int) -> int | None:
    """Return the smallest integer from ``start`` on that holds, if one below :data:`MOST_TRIALS` does (monotone)."""
    reach = start
    while not holds(reach):
        reach *= 2
        if reach > MOST_TRIALS:
            return None
    return first_true(max(start, reach // 2), reach, holds)
