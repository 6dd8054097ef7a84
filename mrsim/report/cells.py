"""Estimates as the cells of a table: the number to its half-width, its interval, and what was not reached."""

from __future__ import annotations

from math import isfinite, isinf, isnan

from mrsim.report.numbers import BEYOND_HORIZON, NEVER, NOTHING, Quantity, event_rate, half_width, number
from mrsim.study.statistics import Estimate


def value_text(kind: Quantity, estimate: Estimate) -> str:
    """Return the point estimate; ``> horizon`` where unfinished trials reach it, ``never`` where nothing would change.

    Parameters
    ----------
    kind
        The metric's kind.
    estimate
        The number with its bounds.
    """
    low, high = estimate.value_low, estimate.value_high
    if isnan(low):
        return NOTHING
    if isinf(low):
        return NEVER
    if isinf(high):
        return BEYOND_HORIZON
    text = number(kind, low, half_width(estimate.low, estimate.high), _largest(estimate))
    return text if low == high else f">= {text}"


def alone_text(kind: Quantity, estimate: Estimate) -> str:
    """Return the point estimate for a cell without its interval: never less than its own first digit.

    Beside its interval a number far smaller than that is shown as 0. Alone, 0 would be read as none.
    """
    low, half = estimate.value_low, half_width(estimate.low, estimate.high)
    if not 0.0 < abs(low) < half or estimate.value_high != low:
        return value_text(kind, estimate)
    return number(kind, low, abs(low))


def interval_text(kind: Quantity, estimate: Estimate) -> str:
    """Return the bounds, such as ``[4 min 29 s, 4 min 36 s]``; ``?`` where there are too few trials for a bound."""
    if isnan(estimate.value_low) or (isinf(estimate.value_low) and isinf(estimate.low)):
        return ""
    low, high = bounds_text(kind, estimate)
    return f"[{low}, {high}]"


def bounds_text(kind: Quantity, estimate: Estimate) -> tuple[str, str]:
    """Return the two bounds as :func:`interval_text` shows them."""
    half, largest = half_width(estimate.low, estimate.high), _largest(estimate)
    low = NEVER if isinf(estimate.low) else number(kind, estimate.low, half, largest)
    return low, number(kind, estimate.high, half, largest) if isfinite(estimate.high) else _open_end(estimate)


def _largest(estimate: Estimate) -> float:
    """Return the largest number of an estimate: it sets the unit for the value and both bounds."""
    numbers = (estimate.value_low, estimate.low, estimate.high)
    return max(abs(one) for one in numbers if isfinite(one))


def _open_end(estimate: Estimate) -> str:
    """Return what stands for an infinite upper bound: too few trials, or trials that did not finish."""
    if estimate.reason or not estimate.unfinished:
        return "?"
    return NEVER if isinf(estimate.value_low) else BEYOND_HORIZON


def estimate_text(kind: Quantity, estimate: Estimate) -> str:
    """Return number and interval on one line, such as ``4 min 32 s [4 min 29 s, 4 min 36 s]``; a rate as its events."""
    if estimate.aggregation == "trials" and not isnan(estimate.value_low):
        events = round(estimate.value_low * estimate.n)
        return event_rate(events, estimate.n, estimate.low, estimate.high)
    return " ".join(part for part in (value_text(kind, estimate), interval_text(kind, estimate)) if part)
