"""Where observations lie among the trials of a study, and whether that is where they ought to.

The probability integral transform of an observation is the share of trials below it. If a scenario is right, those of
many drills are uniform between 0 and 1. Records are rounded, so trials are rounded alike. Trials that tie with an
observation (no loss at all, in both) and the step between two trials are shared out by one uniform draw per drill: then
the transform is exactly uniform for any number of trials and drills, and the distance of Kolmogorov and Smirnov has its
exact distribution for small samples.

Trials are samples too: how many drills fall into a band between two of them is beta-binomial, and the distance from
uniform is judged with the harmonic sum of both sizes.

References
----------
T. Gneiting, F. Balabdaoui, A. Raftery, *Probabilistic forecasts, calibration and sharpness*, JRSS B 69, 2007.
W. Feller's and Durbin's exact distribution as in R. Simard, P. L'Ecuyer, *Computing the two-sided Kolmogorov-Smirnov
distribution*, Journal of Statistical Software 39, 2011 (what SciPy computes).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mrsim.rng import Draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""By which a scenario might be wrong."""

POWER = 0.8
"""Share of cases in which an error has to show to be called noticeable."""

_SETS = 500


def as_recorded(values: Floats, step: float) -> Floats:
    """Return values rounded to the step of a record (0: as they are), so that equal ones are equal numbers."""
    return np.round(values / step) * step if step > 0 else values


def transform(trials: Floats, observed: Floats, u: Floats) -> Floats:
    """Return the randomised transform of observations, in (0, 1), of their shape.

    Parameters
    ----------
    trials
        Ascending; unfinished trials are infinite.
    observed
        Numbers; infinite for what lasted longer than trials are followed.
    u
        Uniforms of the same shape, which share out ties.
    """
    below = np.searchsorted(trials, observed, side="left")
    upto = np.searchsorted(trials, observed, side="right")
    return np.asarray((below + u * (upto - below + 1)) / (len(trials) + 1))


def censored(values: Floats, limit: float) -> Floats:
    """Return values with those from a limit on at infinity: trials are not followed longer, so neither are drills."""
    return np.where(values >= limit, np.inf, values)


def band(trials: Floats, share: float) -> tuple[float, float]:
    """Return the central band into which one more trial would fall with at least this probability.

    Its upper end is infinite if trials there are unfinished, or if there are too few trials for an end.
    """
    low, high = _ranks(len(trials), share)
    bottom = float(trials[low]) if low >= 0 else 0.0
    return bottom, float(trials[high]) if high < len(trials) else math.inf


def _ranks(n: int, share: float) -> tuple[int, int]:
    """Return the places of a band's ends among ascending trials; -1 and n are beyond them."""
    tail = (1.0 - share) / 2.0
    return math.floor(round((n + 1) * tail, 9)) - 1, math.ceil(round((n + 1) * (1.0 - tail), 9)) - 1


def few_inside(inside: int, drills: int, trials: int, share: float) -> float:
    """Return the exact probability of at most so many drills inside a band between two trials, if all are alike."""
    from scipy.stats import betabinom

    low, high = _ranks(trials, share)
    beyond = trials + 1 - (high - low)
    return float(betabinom.cdf(inside, drills, high - low, beyond)) if beyond > 0 else 1.0


def ks_distance(pit: Floats) -> Floats:
    """Return the distance from the uniform distribution of each row, shape ``(..., m)`` to ``(...)``."""
    ordered = np.sort(pit, axis=-1)
    m = pit.shape[-1]
    above = np.arange(1, m + 1) / m - ordered
    below = ordered - np.arange(m) / m
    return np.asarray(np.maximum(above.max(axis=-1), below.max(axis=-1)))


def uniform_p_value(pit: Floats, trials: float = math.inf) -> float:
    """Return the probability that as many transforms lie as far from uniform as these.

    Exact if there are many more trials than drills; drills that share few trials stray together.
    """
    from scipy.stats import kstwo

    shrink = 1.0 / math.sqrt(1.0 + len(pit) / trials)
    return float(kstwo.sf(shrink * float(ks_distance(pit)), len(pit)))


def noticeable_factor(trials: Floats, drills: int, alpha: float, seed: int) -> float | None:
    """Return the smallest of :data:`FACTORS` that so many drills would notice.

    Drills are drawn from the trials and stretched or shortened by the factor; it counts as noticed if in either
    direction :data:`POWER` of such sets have a transform that is too far from uniform at level ``alpha``.

    Returns
    -------
    float or None
        None if none of them would be noticed, or if it could not be told (most trials are 0 or unfinished).
    """
    from scipy.stats import kstwo

    finite = trials[np.isfinite(trials)]
    if len(finite) < 0.5 * len(trials) or finite[len(finite) // 2] <= 0:
        return None
    critical = float(kstwo.isf(alpha, drills))
    draws = Draws(seed, 0, _SETS)
    chosen = finite[(draws.uniforms("score/drills", drills) * len(finite)).astype(int)]
    u = draws.uniforms("score/ties", drills)
    for factor in FACTORS:
        shares = [
            np.mean(ks_distance(transform(trials, chosen * scale, u)) > critical) for scale in (factor, 1.0 / factor)
        ]
        if min(shares) >= POWER:
            return factor
    return None
