"""What every distribution must keep to; the suite runs it on each, and an own one can be run through it too."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mrsim.written_distributions import read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.distributions import Distribution

MOMENT_TOLERANCE = 0.02
"""Relative error allowed between declared moments and those integrated over the quantile function."""

_BULK = 2.0**-10
_PANELS = 35


def check_distribution(distribution: Distribution) -> list[str]:
    """Return what a distribution does not keep to; an empty list if it conforms.

    Checked are: equality after pickling and hashing; shapes; quantiles that are finite, not negative and do not fall;
    a distribution function that inverts them; declared moments against the integral over the quantile function (by the
    midpoint rule, with panels that halve towards level 1, up to 1 - 2^-45); ``is_constant``; and that ``written()``
    reads back as the same distribution.

    Parameters
    ----------
    distribution
        Any distribution. A finite moment of order k of a tail heavier than that of a Pareto of shape 2 k is beyond the
        integration.
    """
    return [*_identity(distribution), *_inversion(distribution), *_moments(distribution), *_text(distribution)]


def _levels() -> NDArray[np.float64]:
    inner = (np.arange(2001) + 0.5) / 2001
    tail = 0.5 ** np.arange(8, 40)
    return np.sort(np.concatenate([inner, tail, 1.0 - tail]))


def _identity(distribution: Distribution) -> Iterator[str]:
    copy = pickle.loads(pickle.dumps(distribution))
    if copy != distribution or hash(copy) != hash(distribution):
        yield "a pickled copy is not equal to it, or has another hash"
    try:
        distribution.new_attribute = 1  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        pass
    else:
        yield "it is not frozen"
    for shape in ((), (0,), (3,), (2, 3)):
        if distribution.quantile(np.full(shape, 0.5)).shape != shape:
            yield f"quantile does not keep the shape {shape}"
        if distribution.cdf(np.full(shape, 1.0)).shape != shape:
            yield f"cdf does not keep the shape {shape}"


def _inversion(distribution: Distribution) -> Iterator[str]:
    u = _levels()
    x = distribution.quantile(u)
    if not np.all(np.isfinite(x)) or np.any(x < 0):
        yield "a quantile is infinite or negative"
        return
    if np.any(np.diff(x) < 0):
        yield "quantiles fall somewhere"
    singly = np.array([float(distribution.quantile(np.array([level]))[0]) for level in u[::50]])
    if not np.array_equal(singly, x[::50]):
        yield "an array of levels gives other quantiles than the levels one by one"
    back = distribution.cdf(x)
    if np.any((back < 0) | (back > 1)) or np.any(np.diff(back) < 0):
        yield "the distribution function leaves [0, 1] or falls"
    if np.any(back < u - 1e-9):
        yield "cdf(quantile(u)) is below u"
    if distribution.continuous and np.max(np.abs(back - u)) > 1e-9:
        yield "it is said to be continuous, yet cdf(quantile(u)) is not u"
    if distribution.is_constant != bool(np.all(x == x[0])):
        yield "is_constant is not what the quantiles say"


def _moments(distribution: Distribution) -> Iterator[str]:
    bulk = (np.arange(2**16) + 0.5) / 2**16 * (1 - _BULK)
    weights = [np.full(bulk.size, (1 - _BULK) / bulk.size)]
    levels = [bulk]
    for panel in range(_PANELS):
        width = _BULK * 0.5 ** (panel + 1)
        levels.append(1 - 2 * width + (np.arange(256) + 0.5) / 256 * width)
        weights.append(np.full(256, width / 256))
    x = distribution.quantile(np.concatenate(levels))
    w = np.concatenate(weights)
    mean, sd = distribution.mean(), distribution.sd()
    if math.isfinite(mean):
        found = float(np.sum(w * x) / np.sum(w))
        if not math.isclose(found, mean, rel_tol=MOMENT_TOLERANCE, abs_tol=1e-9):
            yield f"the mean is said to be {mean:g}, the quantiles give {found:g}"
    if math.isfinite(sd):
        found = math.sqrt(max(float(np.sum(w * (x - mean) ** 2) / np.sum(w)), 0.0))
        if not math.isclose(found, sd, rel_tol=MOMENT_TOLERANCE, abs_tol=1e-6 * (1 + mean)):
            yield f"the standard deviation is said to be {sd:g}, the quantiles give {found:g}"


def _text(distribution: Distribution) -> Iterator[str]:
    again = read(distribution.written())
    u = _levels()[::20]
    if not np.allclose(again.quantile(u), distribution.quantile(u), rtol=1e-6, atol=1e-9):
        yield f"{distribution} reads back as another distribution"
