"""How far the number of a budget has moved between two paired studies, and whether that is a regression.

What is compared is what has an interval that holds (:mod:`mrsim.study.paired`): of a duration, a count or a share the
**mean over trials**, whichever aggregation the budget limits, of a flag the **rate**. A budget on a quantile is also
compared by the trials **over its limit** that were not before, which shows a tail that the mean does not; a trial that
crosses the limit by less than the tolerance is not counted. Quantiles are shown, and decide nothing.

In a mean over unfinished trials these count as long as the one that was cut first, if all others finished earlier.
Where a few trials move so far that a mean has no interval, it is a regression if it has moved beyond the tolerance
and more than half of all trials have (sign test).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrsim.errors import ResultsError
from mrsim.measure import Status
from mrsim.metrics import BY_NAME
from mrsim.study.columns import support_of
from mrsim.study.digits import step_of
from mrsim.study.paired import (
    Difference,
    Measured,
    Pairs,
    exceedance_difference,
    mean_above,
    mean_difference,
    pairs_of,
    trinomial_above,
)
from mrsim.study.statistics import (
    CONFIDENCE,
    Estimate,
    Sample,
    binomial_sf,
    clopper_pearson,
    estimate,
    student_quantile,
)
from mrsim.study.varied import number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.metrics import Kind
    from mrsim.scenario.budgets import Budget

By = Literal["scenario", "engine"]
Verdict = Literal["same", "better", "held", "regressed", "inconclusive"]

RELATIVE = 0.01
"""Of the old number: a change to the worse up to this is none."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Up to where a change to the worse is no regression: the largest of these and of the displayed digit.

    Attributes
    ----------
    relative
        Share of the old number.
    absolute_s
        In seconds, for means of durations.
    """

    relative: float = RELATIVE
    absolute_s: float = 0.0

    def of(self, kind: Kind, value: float, half_width: float) -> float:
        """Return the tolerance of a mean (or of a rate, which is a share) that is known to a half-width.

        The displayed digit is the one to which a report rounds a number with this interval; of a zero without an
        interval there is none.
        """
        scale = 100.0 if kind in ("share", "flag") else 1.0
        digit = step_of(scale * value, scale * half_width) / scale if value or half_width else 0.0
        return max(self.relative * abs(value), digit, self.absolute_s if kind == "duration" else 0.0)


def read_tolerance(texts: Sequence[str]) -> Tolerance:
    """Return the tolerance of texts such as ``2%`` (of the old number) and ``5s`` (of durations).

    Raises
    ------
    ResultsError
        If one is neither.
    """
    found: dict[str, float] = {}
    for text in texts:
        number = number_of(text.strip())
        if number is None or number.dimension not in ("share", "duration") or not 0.0 <= number.value < math.inf:
            message = f"{text!r} is no tolerance: write 2% (of the number itself) or 5s (absolute, for durations)"
            raise ResultsError(message)
        found["relative" if number.dimension == "share" else "absolute_s"] = number.value
    return Tolerance(**found)


@dataclass(frozen=True, slots=True)
class Crossings:
    """Trials that crossed a budget's limit by more than the tolerance.

    Attributes
    ----------
    out, back
        How many keep the limit no more, and how many keep it again.
    n
        Pairs.
    """

    out: int
    back: int
    n: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one side did to one budget's number.

    Attributes
    ----------
    by
        ``scenario`` or ``engine``.
    verdict
        ``same`` in every trial; ``better``; ``held``: no worse than the tolerance allows; ``regressed``;
        ``inconclusive``.
    n, differing
        Pairs of trials, and how many of them differ.
    difference
        Of the mean over trials, or of the rate of a flag, with its interval.
    tolerance
        In the column's unit; of a flag, a share.
    worse
        Trials that moved to the worse by more than the tolerance.
    crossings
        Of a quantile's limit; None for other budgets.
    was, now
        The number that the budget limits, before and after.
    reason
        Why it is inconclusive, or what is to be known; may be empty.
    needed_trials
        With about how many trials it would be decided; None if that is not what is missing.
    worst_trial
        The one that moved most to the worse; None if none did.
    """

    by: By
    verdict: Verdict
    n: int
    differing: int
    difference: Difference
    tolerance: float
    worse: int
    crossings: Crossings | None
    was: Estimate
    now: Estimate
    reason: str = ""
    needed_trials: int | None = None
    worst_trial: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A change without its verdict, and what the verdict follows from.

    Attributes
    ----------
    change
        Held, so far.
    tests
        P-values of "it is no worse than the tolerance allows".
    improved
        P-value of "it is no better than by as much".
    sign
        1 if more is worse, else -1.
    """

    change: Change
    tests: tuple[float, ...]
    improved: float
    sign: float


def evidence(
    by: By,
    before: Measured,
    after: Measured,
    budget: Budget,
    tolerance: Tolerance | None = None,
    confidence: float = CONFIDENCE,
) -> Evidence:
    """Return how far the number of a budget has moved.

    Parameters
    ----------
    by
        Whose doing it is.
    before, after
        Paired studies that have the budget's column.
    budget
        Says which way is worse.
    tolerance
        See :class:`Tolerance`.
    confidence
        Of each one-sided bound.
    """
    tolerance = tolerance or Tolerance()
    kind = BY_NAME[budget.metric].kind
    sign = 1.0 if budget.op[0] == "<" else -1.0
    pairs, noted = _counted(pairs_of(before, after, budget.column))
    sides = (before, after)
    was, now = (estimate(_sample(side, budget.column), budget.aggregation, confidence) for side in sides)
    different = _differing(before, after, budget.column)
    crossings = None
    if kind == "flag":
        found = exceedance_difference(pairs, 0.0, confidence)
        allowed = tolerance.of(kind, found.a[0], _half_of_rate(found.a[0], pairs.n, confidence))
        tests, improved = [_rate_above(pairs, sign, allowed)], _rate_above(pairs, -sign, allowed)
    else:
        found = mean_difference(pairs, confidence)
        allowed = tolerance.of(kind, found.a[0], _half_of_mean(pairs, confidence))
        allowed = 0.0 if math.isnan(allowed) else allowed
        tests, improved = [_mean_above(pairs, found, sign, allowed)], _mean_above(pairs, found, -sign, allowed)
        if budget.aggregation != "mean":
            crossings, rate = _crossings(pairs_of(before, after, budget.column), budget, sign, allowed)
            most = tolerance.of("share", rate, _half_of_rate(rate, crossings.n, confidence))
            flat = crossings.n - crossings.out - crossings.back
            tests.append(trinomial_above(crossings.back, flat, crossings.out, most) if crossings.n else 1.0)
    change = Change(
        by=by,
        verdict="held" if different else "same",
        n=len(before.values_of(budget.column)),
        differing=different,
        difference=found,
        tolerance=allowed,
        worse=_worse(pairs, sign, 0.0 if kind == "flag" else allowed),
        crossings=crossings,
        was=was,
        now=now,
        reason="; ".join(filter(None, (found.reason if different and not found.same else "", noted))),
        needed_trials=found.needed_trials,
        worst_trial=_worst(pairs, sign) if different else None,
    )
    return Evidence(change, tuple(tests) if different else (1.0,) * len(tests), improved, sign)


def settled(one: Evidence, rejected: Sequence[bool], family: int) -> Change:
    """Return the change with its verdict.

    Parameters
    ----------
    one
        What is known.
    rejected
        Which of its tests show a regression, corrected for all that is compared at once.
    family
        How many tests those are.
    """
    change, seen, allowed = one.change, one.change.difference, one.change.tolerance
    if change.verdict == "same":
        return replace(change, needed_trials=None)
    if any(rejected):
        return replace(change, verdict="regressed", needed_trials=None)
    worse = one.sign * (seen.value_low if one.sign > 0 else seen.value_high)
    bound = worse if seen.same else seen.high if one.sign > 0 else -seen.low
    if one.improved <= 1.0 - seen.confidence:
        return replace(change, verdict="better", needed_trials=None)
    # Of events that are counted, and of a mean without an interval, what is there has to be enough.
    counted = seen.estimand == "exceeds" or (math.isinf(bound) and not math.isnan(worse))
    limit = 0.0 if seen.estimand == "exceeds" else allowed
    if bound <= allowed or (counted and worse <= limit):
        return replace(change, needed_trials=None)
    alone = min(one.tests) <= 1.0 - seen.confidence
    reason = f"would be a regression on its own, but not among {family} comparisons" if alone else change.reason
    return replace(
        change, verdict="inconclusive", reason=reason or "the interval reaches beyond the tolerance", worst_trial=None
    )


def _sample(side: Measured, column: str) -> Sample:
    return Sample.of(side.values_of(column), side.status_of(column), support_of(column))


def _differing(before: Measured, after: Measured, column: str) -> int:
    """Return in how many trials something differs: a number, or what became of it."""
    values = np.stack([side.values_of(column) for side in (before, after)])
    codes = np.stack([side.status_of(column) for side in (before, after)])
    values = np.where((codes == Status.NO_EFFECT) | (codes == Status.NEVER), 0.0, values)
    return int(np.count_nonzero((values[0] != values[1]) | (codes[0] != codes[1])))


def _counted(pairs: Pairs) -> tuple[Pairs, str]:
    """Return pairs whose unfinished trials count as long as the one that was cut first, and what to say of it."""
    unfinished = np.isinf(pairs.a[1]) | np.isinf(pairs.b[1])
    if not unfinished.any():
        return pairs, ""
    both = np.concatenate([pairs.a, pairs.b], axis=1)
    cut = both[0][np.isinf(both[1]) & np.isfinite(both[0])]
    longest = float(np.max(both[1][np.isfinite(both[1])], initial=0.0))
    if not len(cut) or float(cut.min()) < longest:
        return pairs, ""
    end = float(cut.min())
    noted = f"{int(np.count_nonzero(unfinished))} unfinished trials count as {end:.6g}, where the first of them was cut"
    return replace(pairs, a=np.minimum(pairs.a, end), b=np.minimum(pairs.b, end)), noted


def _half_of_mean(pairs: Pairs, confidence: float) -> float:
    values = pairs.a[0]
    if pairs.n < 2 or not np.isfinite(values).all():
        return 0.0
    return student_quantile(confidence, pairs.n - 1) * float(np.std(values, ddof=1)) / math.sqrt(pairs.n)


def _half_of_rate(rate: float, n: int, confidence: float) -> float:
    if n == 0:
        return 0.0
    low, high = clopper_pearson(round(rate * n), n, confidence)
    return (high - low) / 2.0


def _mean_above(pairs: Pairs, found: Difference, sign: float, allowed: float) -> float:
    """Return the p-value of "the mean has moved this way by no more than is allowed"; see the module."""
    if math.isfinite(found.low):
        return mean_above(sign * (pairs.b[0] - pairs.a[0]), allowed)
    return binomial_sf(_worse(pairs, sign, allowed), pairs.n, 0.5) if sign * found.value_low > allowed else 1.0


def _worse(pairs: Pairs, sign: float, allowed: float) -> int:
    """Return in how many trials something moved this way by more than is allowed, whatever the unfinished become."""
    low, high = (pairs.a[1], pairs.b[0]) if sign > 0 else (pairs.b[1], pairs.a[0])
    with np.errstate(invalid="ignore"):
        return int(np.count_nonzero(high - low > allowed))


def _rate_above(pairs: Pairs, sign: float, allowed: float) -> float:
    moved = (sign * (np.sign(pairs.b[0]) - np.sign(pairs.a[0]))).astype(int)
    minus, flat, plus = (int(np.count_nonzero(moved == one)) for one in (-1, 0, 1))
    return trinomial_above(minus, flat, plus, allowed) if pairs.n else 1.0


def _crossings(pairs: Pairs, budget: Budget, sign: float, allowed: float) -> tuple[Crossings, float]:
    """Return how many trials crossed the limit, and the share that missed it before.

    What unfinished trials leave open is taken against a regression: missed before, kept now.
    """
    a, b = (pairs.a[1], pairs.b[0]) if sign > 0 else (pairs.a[0], pairs.b[1])
    missed_a, missed_b = (_misses(side, budget) for side in (a, b))
    with np.errstate(invalid="ignore"):
        far = np.abs(b - a) > allowed
    out, back = (int(np.count_nonzero(which & far)) for which in (~missed_a & missed_b, missed_a & ~missed_b))
    return Crossings(out, back, pairs.n), float(np.mean(missed_a)) if pairs.n else 0.0


def _misses(values: NDArray[np.float64], budget: Budget) -> NDArray[np.bool_]:
    kept = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[budget.op]
    missed: NDArray[np.bool_] = ~kept(values, budget.limit)
    return missed


def _worst(pairs: Pairs, sign: float) -> int | None:
    """Return the trial that moved most to the worse; None if none did, or if trials were left out."""
    with np.errstate(invalid="ignore"):
        worse = np.nan_to_num(sign * (pairs.b[0] - pairs.a[0]), nan=0.0, posinf=math.inf)
    return int(np.argmax(worse)) if pairs.left_out == 0 and pairs.n and worse.max() > 0.0 else None
