"""Trials of an incident with a known chance of two primaries, computed from the draws without a simulation.

A region is cut off for an exponential time. Two probers find out, each with a random phase, and both must; whoever is
promoted needs an exponential time; the fence, which is given up after 15 s, takes an exponential time too. Two
primaries are there if the fence is given up and the cut outlasts detection and promotion.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrsim.distributions import Exponential
from mrsim.scenario.model import Scenario
from mrsim.study.outcome import Scores
from mrsim.tilts import TiltedDraws

SURE_S, PERIOD_S, PROMOTION_S, FENCE_S, GIVEN_UP_S = 20.0, 10.0, 4.0, 5.0, 15.0
OTHERS = ("db/burst", "db/assessing", "db/endpoint", "shop/applies")
"""Draws that have nothing to do with it."""

CUT_S = {1e-4: 4.655, 1e-5: 3.334}
"""Mean length of the cut that makes two primaries about this likely."""


def chance(cut_s: float) -> float:
    """Return the probability of two primaries.

    P(fence) E exp(-(20 s + 10 s max(U, V) + promotion) / cut), with max(U, V) of density 2 m and the transform of the
    exponential.
    """
    a = PERIOD_S / cut_s
    detected = math.exp(-SURE_S / cut_s) * 2.0 * (1.0 - math.exp(-a) * (1.0 + a)) / a**2
    return math.exp(-GIVEN_UP_S / FENCE_S) * detected * cut_s / (cut_s + PROMOTION_S)


def margins(draws: TiltedDraws, cut_s: float) -> NDArray[np.float64]:
    """Return by how much each trial has two primaries, or falls short of them, in seconds."""
    for name in OTHERS:
        draws.uniform(name)
    lasts = draws.mapped("fault/isolation/us-east/lasts", Exponential(cut_s).quantile)
    promotion = draws.mapped("db@eu-west/promote", Exponential(PROMOTION_S).quantile, 1)
    fence = draws.mapped("db/fence", Exponential(FENCE_S).quantile, 1)
    phases = np.maximum(draws.uniform("db/detect/a"), draws.uniform("db/detect/b"))
    return np.minimum(lasts - SURE_S - PERIOD_S * phases - promotion, fence - GIVEN_UP_S)


def one_in_ten_thousand(_: Scenario) -> Scores:
    """Build trials with a chance of about 1e-4."""
    return lambda draws: margins(draws, CUT_S[1e-4])


def one_in_a_hundred_thousand(_: Scenario) -> Scores:
    """Build trials with a chance of about 1e-5; all they tell is whether it happened."""
    return lambda draws: np.where(margins(draws, CUT_S[1e-5]) > 0.0, 1.0, -1.0)


def impossible(_: Scenario) -> Scores:
    """Build trials that are never near it."""
    return lambda draws: np.minimum(-1.0, -draws.uniform("db/fence"))


def common(_: Scenario) -> Scores:
    """Build trials of which a fifth have it."""
    return lambda draws: draws.uniform("db/fence") - 0.8


def of_six(_: Scenario) -> Scores:
    """Build trials that need six inputs in their tails: 1e-5 in all."""
    level = 1.0 - 10.0 ** (-5.0 / 6.0)
    return lambda draws: np.min([draws.uniform(f"db/{index}") for index in range(6)], axis=0) - level


def cut_short(_: Scenario) -> Scores:
    """Build trials of which one in ten thousand has it, and as many were cut before it could be told."""

    def scores(draws: TiltedDraws) -> NDArray[np.float64]:
        late = draws.uniform("db/fence")
        return np.where(late > 1.0 - 1e-4, 1.0, np.where(late > 1.0 - 2e-4, np.nan, -1.0))

    return scores


def in_pairs(pairs: int) -> Callable[[Scenario], Scores]:
    """Return a builder of trials with several ways into the outcome, two inputs each: 1e-5 in all."""
    level = 1.0 - math.sqrt(1e-5 / pairs)

    def build(_: Scenario) -> Scores:
        def scores(draws: TiltedDraws) -> NDArray[np.float64]:
            late = [draws.uniform(f"db/{index}") > level for index in range(2 * pairs)]
            there = np.any([one & other for one, other in zip(late[::2], late[1::2], strict=True)], axis=0)
            return np.where(there, 1.0, -1.0)

        return scores

    return build
