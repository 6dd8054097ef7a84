"""How long a commit waits for its rule, as a distribution: its own flush, and the n-th answer of several standbys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mrsim.lattices import lattice, wrapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.distributions import Distribution

    Floats = NDArray[np.float64]

POINTS = 2048
"""Points of the lattice that stands for all commits."""

_HALVINGS = 50


class Answers(NamedTuple):
    """Those whose answers a commit waits for: until so many of them have answered."""

    needed: int
    """How many answers."""
    ways_s: tuple[float, ...]
    """What each answer takes besides the flush, in seconds; none: the commit waits for nobody."""


def first_n_s(u: Floats, answers: Answers, flush: Distribution) -> Floats:
    """Return quantiles of the time until enough have answered.

    The answers are independent, so that the number of those that have come by t is a sum of unequal Bernoulli draws;
    the distribution function is the chance that it is at least ``needed``, inverted by halving.

    Parameters
    ----------
    u
        Shares in (0, 1), shape ``(K,)``.
    answers
        Who is waited for, at least one.
    flush
        Of each standby, seconds.

    Returns
    -------
    Seconds, shape ``(K,)``.
    """
    ways_s = np.array(answers.ways_s)[:, None]
    # One flush of many is slower than the same quantile of one alone: at least as high as all m below it.
    longest_s = float(flush.quantile(float(np.max(u)) ** (1.0 / len(ways_s))))
    low, high = np.full(u.shape, ways_s.min()), np.full(u.shape, ways_s.max() + longest_s)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        reached = _at_least(flush.cdf(middle - ways_s), answers.needed) >= u
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return high


def _at_least(chances: Floats, needed: int) -> Floats:
    """Return the chance that at least ``needed`` of independent events occur; ``chances`` has one row per event."""
    have: Floats = np.zeros((needed + 1, *chances.shape[1:]))
    have[0] = 1.0
    for chance in chances:
        have[needed] += have[needed - 1] * chance
        have[1:needed] = have[1:needed] * (1.0 - chance) + have[: needed - 1] * chance
        have[0] *= 1.0 - chance
    return np.asarray(have[needed])


def commit_waits_s(answers: Answers, local_flush: Distribution, flush: Distribution) -> Floats:
    """Return how long commits wait: one for each of :data:`POINTS` evenly spread pairs of flush and answers, ascending.

    A primary sends what it has flushed itself, so the two add up.

    Parameters
    ----------
    answers
        Who is waited for; nobody if ``ways_s`` is empty.
    local_flush, flush
        Of the primary, and of each standby, seconds.

    References
    ----------
    PostgreSQL documentation, section 27.2.8 (Synchronous Replication): at least one round trip to the standby.
    """
    points = wrapped(lattice(POINTS, 2) + 0.5 / POINTS)
    waits = local_flush.quantile(points[0])
    if answers.ways_s:
        waits = waits + first_n_s(points[1], answers, flush)
    return np.sort(waits)
