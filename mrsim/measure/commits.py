"""How many commits there were: whole numbers, drawn around what the ledger expects of each bin.

Clients come one by one and independently, so commits are a Poisson process whose rate is what is attempted; those that
reach a bin are too, independently of all other bins, and each of them was any one's with equal right.

References
----------
J. F. C. Kingman, *Poisson Processes*, Oxford 1993, sections 2.2 and 5.1 (superposition and colouring).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import Fate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mrsim.measure.bins import Bin, Lacking

LITTLE, MUCH = 1.0, 1e4
"""Commits expected: fewer are counted up from none, and of more the series is right but for one in thousands by one."""


class Commits:
    """How many commits fell into the bins of one trial, and how far into a bin the first of them came.

    Parameters
    ----------
    bins
        The trial's bins.
    mass
        Expected commits of each bin.
    refused
        Expected attempts that reached none.
    connections
        Most commits that can be under way on a node: of those in doubt there are no more, and just as many if they had
        the time to fill up.
    uniforms
        Coordinates of this trial in (0, 1): one for what is refused, then two of each bin.
    lacking
        By bin: what is missing of those that were copied one by one. It is of the bin, and drawn apart.
    """

    def __init__(
        self,
        bins: Sequence[Bin],
        mass: Sequence[float],
        refused: float,
        connections: int,
        uniforms: Sequence[float],
        lacking: Mapping[int, Lacking] = MappingProxyType({}),
    ) -> None:
        self.lacking = lacking
        rest = list(mass)
        for index, found in lacking.items():
            rest[index] = max(0.0, rest[index] - found.mass)
        drawn = counts([refused, *rest], [uniforms[0], *uniforms[1::2]])
        self.refused = drawn[0]
        self.per_bin = drawn[1:]
        for index, found in lacking.items():
            self.per_bin[index] += found.count
        self._mass = mass
        self._places = uniforms[2::2]
        for group in _in_doubt(bins):
            expected = [mass[index] for index in group]
            under_way = sum(self.per_bin[index] for index in group)
            full = sum(expected) >= connections * (1.0 - 1e-9)
            if full or under_way > connections:
                parts = split(connections, [*expected[:-1]], sum(expected), [uniforms[1 + 2 * i] for i in group])
                for index, count in zip(group, parts, strict=True):
                    self.per_bin[index] = count

    @property
    def attempted(self) -> int:
        """Whole number of attempts, refused ones included."""
        return self.refused + sum(self.per_bin)

    def by_fate(self, bins: Sequence[Bin]) -> list[int]:
        """Return how many commits met each fate, in the order of :class:`~mrsim.measure.bins.Fate`."""
        totals = [0] * len(Fate)
        for count, b in zip(self.per_bin, bins, strict=True):
            totals[b.fate] += count
        for index, found in self.lacking.items():
            totals[bins[index].fate] -= found.count
            totals[bins[index].missing] += found.count
        return totals

    def first(self, index: int, before: float = 0.0) -> float:
        """Return after how many expected commits of a bin the first came: at the least of n evenly spread points.

        Parameters
        ----------
        index
            A bin that has a commit.
        before
            Commits expected in it before its counting began; the result is negative if there was one.
        """
        waited = -math.log(self._places[index])
        if waited < before:
            return waited - before
        return self._mass[index] * -math.expm1((before - waited) / self.per_bin[index])


@dataclass(slots=True)
class Rest:
    """Commits of each bin of one trial that nobody has claimed yet, and how many are expected among them."""

    count: list[int]
    mass: list[float]

    def claim(self, index: int, mass: float, u: float) -> int:
        """Take one writer's commits out of a bin, of which so many are expected, and return how many they are."""
        taken, self.count[index] = split(self.count[index], [mass], self.mass[index], [u])
        self.mass[index] = max(self.mass[index] - mass, 0.0)
        return taken


def counts(means: Sequence[float], uniforms: Sequence[float]) -> list[int]:
    """Return the Poisson variables of these means at these quantiles: the least n with P(N ≤ n) ≥ u.

    A guess (E. A. Cornish, R. A. Fisher, *Moments and cumulants in the specification of distributions*, 1938), put
    right by the distribution function, which of large means is no better than the guess where few reach it.
    """
    from scipy.special import ndtri, pdtr

    mean, u = np.maximum(means, 0.0), np.asarray(uniforms)
    z, sd = ndtri(u), np.sqrt(mean)
    third = np.divide(z - z**3, 72.0 * sd, out=np.zeros_like(sd), where=sd > 0.0)
    # Where little is expected the series does not converge; there it starts from none.
    found = np.where(mean < LITTLE, 0.0, np.ceil(mean + sd * z + (z * z - 1.0) / 6.0 + third - 0.5))
    found = np.maximum(found, 0.0)
    unsure = mean < MUCH
    while (high := unsure & (found > 0.0) & (pdtr(np.maximum(found - 1.0, 0.0), mean) >= u)).any():
        found -= high
    while (low := unsure & (mean > 0.0) & (pdtr(found, mean) < u)).any():
        found += low
    return [int(count) for count in found.tolist()]


def split(count: int, masses: Sequence[float], total: float, uniforms: Sequence[float]) -> list[int]:
    """Share out commits: a multinomial variable, part by part.

    Parameters
    ----------
    count
        How many there are.
    masses
        How many of them are expected in each part.
    total
        How many are expected in all; what is not in a part is in the last one, which is added.
    uniforms
        Quantiles in (0, 1), one for each of ``masses``.

    Returns
    -------
    list of int
        The parts, one more than ``masses``; their sum is ``count``.
    """
    found, left = [], total
    for mass, u in zip(masses, uniforms, strict=False):
        share = min(max(mass / left, 0.0), 1.0) if left > 0.0 else 0.0
        found.append(_binomial(count, share, u))
        count -= found[-1]
        left -= mass
    return [*found, count]


def _binomial(count: int, share: float, u: float) -> int:
    """Return the binomial variable at a quantile: the least n with P(N ≤ n) ≥ u."""
    if count == 0 or share <= 0.0:
        return 0
    if share >= 1.0:
        return count
    from scipy.stats import binom

    return int(binom.ppf(u, count, share))


def _in_doubt(bins: Sequence[Bin]) -> list[list[int]]:
    """Return the bins in doubt that one stretch of acknowledging left behind, together."""
    found: dict[tuple[str, int, int], list[int]] = {}
    for index, b in enumerate(bins):
        if not b.fate.acknowledged:
            found.setdefault((b.node, b.history, b.event), []).append(index)
    return list(found.values())
