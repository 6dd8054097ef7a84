"""Numbers as a report shows them: digits to the half-width of their interval, never more.

A number of the simulation is known to its interval only. So a number is rounded to the decade of the half-width before
it is shown, one digit finer where the half-width begins with 1 or 2, so that rounding costs less than a sixth of it.
A number without an interval is shown to three significant digits.
"""

from __future__ import annotations

import math
from typing import Literal

from mrsim.study.digits import step_of

NEVER = "never"
BEYOND_HORIZON = "> horizon"
NOTHING = "-"

_SECONDS_BELOW = 100.0
_WHOLE_FROM = 100.0
_MINUTE_S = 60.0
_HOUR_S = 3600.0
_COARSE_STEPS_S = (10.0, _MINUTE_S, 10 * _MINUTE_S, _HOUR_S)

Quantity = Literal["duration", "count", "share", "flag"]


def decimal(value: float, step: float) -> str:
    """Return a number rounded to a power of ten, with as many decimals as that shows and thousands set apart."""
    digits = max(0, -math.floor(math.log10(step) + 0.5))
    rounded = round(value / step) * step if step >= 1 else value
    return f"{rounded:,.{digits}f}".replace(",", " ")


def duration(seconds: float, half_width_s: float = 0.0, largest_s: float | None = None) -> str:
    """Return a duration as people write it, such as ``4 min 32 s``, ``82.4 s`` or ``12 ms``.

    Parameters
    ----------
    seconds
        The duration; infinite is ``never``, nan is ``-``.
    half_width_s
        Half the width of its interval in seconds; the digits shown follow from it.
    largest_s
        Largest of the numbers that it stands beside, which sets the unit for all of them; itself if not given.
    """
    if math.isnan(seconds):
        return NOTHING
    if math.isinf(seconds):
        return NEVER
    sign, size = ("-" if seconds < 0 else ""), abs(seconds)
    beside = size if largest_s is None else max(size, abs(largest_s))
    if beside == 0:
        return "0 s"
    step = step_of(beside, half_width_s)
    rounded = round(beside / step) * step
    if rounded >= _SECONDS_BELOW or step >= _MINUTE_S:
        return sign + _clock(size, step, exact=half_width_s == 0)
    largest = max(rounded, step) + 1e-12
    unit, scale = ("s", 1.0) if largest >= 1 else ("ms", 1e3) if largest >= 1e-3 else ("µs", 1e6)
    return sign + f"{_plain(size * scale, step * scale, exact=half_width_s == 0)} {unit}"


def _plain(value: float, step: float, *, exact: bool) -> str:
    """Return a decimal; without an interval, zeros at the end say nothing and are dropped."""
    text = decimal(value, step)
    return text.rstrip("0").rstrip(".") if exact and "." in text else text


def _clock(seconds: float, step_s: float, *, exact: bool) -> str:
    """Return minutes and hours: tenths of a second where a narrow interval supports them, at the finest."""
    finest = 0.1 if step_s < 1.0 and not exact else 1.0
    step = next((coarse for coarse in reversed(_COARSE_STEPS_S) if step_s >= coarse), finest)
    tenths = round(round(seconds / step) * step * 10)
    hours, rest = divmod(tenths, 10 * int(_HOUR_S))
    minutes, left = divmod(rest, 10 * int(_MINUTE_S))
    parts = [f"{hours} h"] if hours else []
    if minutes:
        parts.append(f"{minutes} min")
    if left or finest < 1.0 or not parts:
        parts.append(f"{left / 10:.1f} s" if finest < 1.0 else f"{left // 10} s")
    return " ".join(parts)


def share(value: float, half_width: float = 0.0) -> str:
    """Return a share as per cent, such as ``0.43 %``."""
    if math.isnan(value):
        return NOTHING
    percent = value * 100
    step = min(step_of(percent, half_width * 100), 1.0)
    return f"{_plain(percent, step, exact=half_width == 0)} %"


def count(value: float, half_width: float = 0.0, largest: float | None = None) -> str:
    """Return a count, such as ``2 870``; a mean count below 100 keeps the decimals that its interval supports."""
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else "infinite"
    step = step_of(value, half_width)
    beside = value if largest is None else largest
    if max(abs(value), abs(beside)) >= _WHOLE_FROM or (value == round(value) and beside == round(beside)):
        step = max(step, 1.0) if half_width else 1.0
    return _plain(value, step, exact=half_width == 0)


def number(kind: Quantity, value: float, half_width: float = 0.0, largest: float | None = None) -> str:
    """Return a number of a metric's kind (see :mod:`mrsim.metrics`) as it is shown.

    Parameters
    ----------
    kind
        The metric's kind.
    value, half_width
        The number, and half the width of its interval.
    largest
        Largest of the numbers that it stands beside: a value and its bounds share unit and digits.
    """
    if kind == "duration":
        return duration(value, half_width, largest)
    if kind == "count":
        return count(value, half_width, largest)
    return share(value, half_width)


def interval(kind: Quantity, low: float, high: float) -> str:
    """Return an interval, such as ``[80.9, 84.1] s`` written ``[80.9 s, 84.1 s]``; an open end is shown as such.

    Parameters
    ----------
    kind
        The metric's kind.
    low, high
        The bounds; ``high`` may be infinite.
    """
    half = half_width(low, high)
    largest = max((abs(end) for end in (low, high) if math.isfinite(end)), default=None)
    top = "?" if math.isinf(high) else number(kind, high, half, largest)
    bottom = "?" if math.isinf(low) else number(kind, low, half, largest)
    return f"[{bottom}, {top}]"


def half_width(low: float, high: float) -> float:
    """Return half the width of an interval; 0 if it is open."""
    return (high - low) / 2 if math.isfinite(high) and math.isfinite(low) else 0.0


def event_rate(events: int, trials: int, low: float, high: float) -> str:
    """Return a rate of trials, such as ``13 of 3000 = 0.43 % [0.26 %, 0.69 %]`` or ``0 of 1000 (<= 0.30 %)``."""
    if trials == 0:
        return NOTHING
    if events == 0:
        return f"0 of {trials} (<= {_two_digits(high)} %)"
    if events == trials:
        return f"{trials} of {trials} (>= {_floor_digits(low)} %)"
    half = half_width(low, high)
    return f"{events} of {trials} = {share(events / trials, half)} {interval('share', low, high)}"


def _two_digits(value: float) -> str:
    """Return an upper bound as per cent, two significant digits, never below the bound itself."""
    percent, step = _rounded_up(value * 100)
    return decimal(percent, min(step, 1.0)) if percent > 0 else "0"


def _floor_digits(value: float) -> str:
    """Return a lower bound near one as per cent: as close to 100 as its distance supports, never above the bound."""
    rest, step = _rounded_up(100 - value * 100)
    return decimal(100 - rest, min(step, 1.0)) if rest > 0 else "100"


def _rounded_up(percent: float) -> tuple[float, float]:
    """Return a number rounded up to two significant digits, and the decade of the second one."""
    if percent <= 0:
        return 0.0, 1.0
    step = 10.0 ** (math.floor(math.log10(percent)) - 1)
    digits = math.ceil(percent / step - 1e-9)
    return (digits * step, step) if digits < 100 else (digits * step, step * 10)
