"""The forms of distribution that samples are tried with: their fits, densities and parameters.

Every fit corrects for what a sample cannot show: a uniform range reaches a little beyond the extremes, a Pareto minimum
lies a little below the smallest sample. So the likelihood of one form can be compared with that of another.

References
----------
N. L. Johnson, S. Kotz, N. Balakrishnan, *Continuous Univariate Distributions*, 2nd ed., 1994 and 1995: volume 1,
20.4 (Pareto, unbiased), volume 2, 26.5 (uniform).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform
from mrsim.mixtures import Mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONSTANT, VALUES, ZEROS = "constant", "values", "zeros"


class Form(NamedTuple):
    """A family: its name, its number of parameters, and its fit to ascending samples (None if it cannot be)."""

    name: str
    parameters: int
    fit: Callable[[Floats], Distribution | None]


def _uniform(x: Floats) -> Distribution | None:
    if len(x) < 2 or x[0] == x[-1]:
        return None
    beyond = float(x[-1] - x[0]) / (len(x) - 1)
    return Uniform(max(float(x[0]) - beyond, 0.0), float(x[-1]) + beyond)


def _exponential(x: Floats) -> Distribution | None:
    mean = float(np.mean(x))
    return Exponential(mean) if mean > 0 else None


def _log_normal(x: Floats) -> Distribution | None:
    if len(x) < 2 or x[0] <= 0 or x[0] == x[-1]:
        return None
    logs = np.log(x)
    sigma = float(np.std(logs, ddof=1))
    return LogNormal(float(np.mean(logs)), sigma) if 0 < sigma < 20 else None


def _pareto(x: Floats) -> Distribution | None:
    if len(x) < 4 or x[0] <= 0 or x[0] == x[-1]:
        return None
    n, excess = len(x), float(np.sum(np.log(x / x[0])))
    shape = (n - 2) / excess
    below = 1.0 - 1.0 / ((n - 1) * n / excess)
    return Pareto(float(x[0]) * below, shape) if 0 < shape < 1000 and below > 0 else None


PLAIN = (
    Form("exponential", 1, _exponential),
    Form("uniform", 2, _uniform),
    Form("log-normal", 2, _log_normal),
    Form("pareto", 2, _pareto),
)
"""Continuous forms, simplest first."""


def _with_zeros(form: Form) -> Form:
    def fit(x: Floats) -> Distribution | None:
        zeros = int(np.searchsorted(x, 0.0, side="right"))
        part = form.fit(x[zeros:]) if 0 < zeros < len(x) else None
        if part is None:
            return None
        share = zeros / len(x)
        return Mixture((share, 1.0 - share), (Constant(0.0), part))

    return Form(f"{ZEROS} and {form.name}", form.parameters + 1, fit)


MIXED = tuple(_with_zeros(form) for form in PLAIN)
"""The same, with a share of exact zeros."""

NAMES = ("auto", CONSTANT, *(form.name for form in PLAIN), "mixture", VALUES)
"""What can be asked for; ``mixture`` stands for the best of those with zeros."""


def log_likelihood(distribution: Distribution, x: Floats, step: float) -> float:
    """Return the log-probability of samples that were rounded to a step; -inf if one of them cannot occur.

    The step makes a share of exact zeros and a density comparable: a density counts with ``density * step``.
    """
    if isinstance(distribution, Mixture):
        zeros = int(np.searchsorted(x, 0.0, side="right"))
        share, part = distribution.shares[1], distribution.parts[1]
        inner = log_likelihood(part, x[zeros:], step) + (len(x) - zeros) * math.log(share)
        return inner + zeros * math.log(distribution.shares[0])
    with np.errstate(divide="ignore"):
        return float(np.sum(_log_density(distribution, x))) + len(x) * math.log(step)


def _log_density(distribution: Distribution, x: Floats) -> Floats:
    if isinstance(distribution, Exponential):
        return -x / distribution.scale - math.log(distribution.scale)
    if isinstance(distribution, Uniform):
        inside = (x >= distribution.low) & (x <= distribution.high)
        return np.where(inside, -math.log(distribution.high - distribution.low), -np.inf)
    if isinstance(distribution, LogNormal):
        if x[0] <= 0:
            return np.full(len(x), -np.inf)
        logs = np.log(x)
        z = (logs - distribution.mu) / distribution.sigma
        return np.asarray(-0.5 * z * z - logs - math.log(distribution.sigma * math.sqrt(2 * math.pi)))
    if isinstance(distribution, Pareto):
        if x[0] < distribution.low:
            return np.full(len(x), -np.inf)
        constant = math.log(distribution.shape) + distribution.shape * math.log(distribution.low)
        return np.asarray(constant - (distribution.shape + 1) * np.log(x))
    message = f"{distribution} has no density"
    raise TypeError(message)


def sampled(distribution: Distribution, u: Floats) -> Floats:
    """Return draws from uniforms, of their shape; the same as ``quantile``, but fast for a share of zeros."""
    if isinstance(distribution, Mixture) and distribution.parts[0] == Constant(0.0):
        zeros = distribution.shares[0]
        inner = np.clip((u - zeros) / (1.0 - zeros), 2.0**-54, 1.0 - 2.0**-53)
        return np.where(u <= zeros, 0.0, distribution.parts[1].quantile(inner))
    return distribution.quantile(u)
