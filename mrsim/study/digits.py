"""Which digits of a number its interval supports."""

from __future__ import annotations

import math

_SIGNIFICANT = 3
_FINER_BELOW = 3.0
ROUNDING = 1e-9
"""An interval narrower than this, relative to its number, is rounding error: it supports no digits."""


def step_of(value: float, half_width: float = 0.0) -> float:
    """Return the decade to which a number is shown.

    Parameters
    ----------
    value
        The number, in any unit.
    half_width
        Half the width of its interval in the same unit; 0, infinite or nan if there is none.

    Returns
    -------
    float
        A power of ten: the decade of the half-width (one finer where that begins with 1 or 2), or that of the third
        significant digit of the value.
    """
    if half_width > ROUNDING * abs(value) and math.isfinite(half_width):
        return 10.0 ** math.floor(math.log10(half_width / _FINER_BELOW))
    if value == 0 or not math.isfinite(value):
        return 1.0
    return 10.0 ** (math.floor(math.log10(abs(value))) - _SIGNIFICANT + 1)
