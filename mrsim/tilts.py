"""Draws under another law, with the weight that makes up for it: what importance sampling changes about a trial.

A named draw is a uniform, so tilting an input is drawing that uniform with another density on (0, 1), by inversion: the
trial's own uniform ``v`` becomes ``u = G^-1(v)``. A tilt is a mixture of components, each of which has a density per
tilted input, constant within fixed bins that halve towards both ends; which component a trial is of is one more named
draw. All other draws stay as they are, bit by bit. The weight of a trial is one over the mixture's density, so its
expectation is 1; with the untilted law as a component of share a, it is at most 1/a (a defensive mixture).

References
----------
T. Hesterberg, *Weighted average importance sampling and defensive mixture distributions*, Technometrics 37, 1995.
A. B. Owen, *Monte Carlo theory, methods and examples*, 2013, chapter 9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mrsim.rng import UNIFORMS_PER_BLOCK, Draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Quantile = Callable[[Floats], Floats]

OCTAVES = 24
"""The outermost bins are 2^-24 wide: an input may have to be as rare as one in ten million."""

_CENTRE = 3
_CENTRE_BINS = 12
_TAIL = 2.0 ** -np.arange(OCTAVES, _CENTRE, -1)
_MIDDLE = np.linspace(2.0**-_CENTRE, 1.0 - 2.0**-_CENTRE, _CENTRE_BINS + 1)
EDGES: Floats = np.concatenate([[0.0], _TAIL, _MIDDLE, 1.0 - _TAIL[::-1], [1.0]])
"""Ends of the bins, shape ``(B + 1,)``: every power of two towards 0 and towards 1, sixteenths in between."""

WIDTHS: Floats = np.diff(EDGES)
"""Widths of the bins, shape ``(B,)``."""

_COMPONENT = "~tilt"
"""Name of the draw that chooses a component; no id of a scenario can look like it."""

_LEAST, _MOST = 2.0**-54, 1.0 - 2.0**-53
_WIDEST = 4 * UNIFORMS_PER_BLOCK


class Input(NamedTuple):
    """One uniform of a trial: the draw's name, its occasion, and which of the draw's uniforms."""

    name: str
    occasion: int
    word: int


@dataclass(frozen=True, eq=False, slots=True)
class Tilt:
    """A mixture of laws of some inputs.

    Attributes
    ----------
    shares
        Of the components, shape ``(K,)``; they add to 1.
    inputs
        What is tilted.
    densities
        Of each component and input in each bin, shape ``(K, inputs, B)``, each with the integral 1.
    others
        Densities of every other input, shape ``(K, B)``; None: those are not tilted.
    """

    shares: Floats
    inputs: tuple[Input, ...]
    densities: Floats
    others: Floats | None = None

    def densities_of(self, one: Input) -> Floats | None:
        """Return an input's density in each component and bin, shape ``(K, B)``; None if it is not tilted."""
        return self.densities[:, self.inputs.index(one)] if one in self.inputs else self.others

    def components(self, draws: Draws) -> NDArray[np.int64]:
        """Return the component of each trial, shape ``(count,)``."""
        drawn = Draws.uniform(draws, _COMPONENT)
        return np.minimum(np.searchsorted(np.cumsum(self.shares), drawn, side="right"), len(self.shares) - 1)

    def tilted(self, one: Input, untilted: Floats, components: NDArray[np.int64]) -> Floats:
        """Return an input's uniforms under this law, given those under the untilted one, shape ``(count,)`` each."""
        densities = self.densities_of(one)
        if densities is None:
            return untilted
        moved = np.empty_like(untilted)
        for component, density in enumerate(densities):
            rows = components == component
            risen = np.concatenate([[0.0], np.cumsum(density * WIDTHS)])
            moved[rows] = np.interp(untilted[rows], risen / risen[-1], EDGES)
        return np.clip(moved, _LEAST, _MOST)

    def density(self, inputs: Sequence[Input], uniforms: Floats) -> Floats:
        """Return the joint density of some inputs, shape ``(count,)``.

        Parameters
        ----------
        inputs
            Which; the density is that of these alone, whatever the others are.
        uniforms
            Their values, shape ``(count, inputs)``.
        """
        found = np.tile(self.shares, (len(uniforms), 1))
        for column, one in enumerate(inputs):
            densities = self.densities_of(one)
            if densities is not None:
                found *= densities[:, bins_of(uniforms[:, column])].T
        return np.asarray(found.sum(axis=1))


def bins_of(uniforms: Floats) -> NDArray[np.int64]:
    """Return the bin of each uniform."""
    return np.searchsorted(EDGES, uniforms, side="right") - 1


class TiltedDraws(Draws):
    """Draws of consecutive trials under a tilt.

    Parameters
    ----------
    seed, first, count
        See :class:`mrsim.rng.Draws`.
    tilt
        Whatever it does not tilt is what ``Draws`` gives.

    Attributes
    ----------
    asked
        The inputs that were asked for, but for those of draws too wide to be one input each.
    laws
        How uniforms were mapped to durations, by name and occasion, where they were.
    """

    def __init__(self, seed: int, first: int, count: int, tilt: Tilt) -> None:
        super().__init__(seed, first, count)
        self.asked: set[Input] = set()
        self.laws: dict[tuple[str, int], Quantile] = {}
        self._tilt = tilt
        self._components = tilt.components(self)

    def uniform(self, name: str, occasion: int = 0) -> Floats:
        """Return one uniform per trial, tilted, shape ``(count,)``."""
        return self._of(Input(name, occasion, 0))

    def uniforms(self, name: str, width: int, occasion: int = 0) -> Floats:
        """Return ``width`` uniforms per trial, tilted, shape ``(count, width)``."""
        plain = super().uniforms(name, width, occasion)
        if width > _WIDEST:
            return plain
        places = (divmod(index, UNIFORMS_PER_BLOCK) for index in range(width))
        return np.stack([self._of(Input(name, occasion + block, word)) for block, word in places], axis=1)

    def mapped(self, name: str, quantile: Quantile, occasion: int = 0) -> Floats:
        """Return values of a distribution, shape ``(count,)``, and keep how they were mapped."""
        self.laws[name, occasion] = quantile
        return super().mapped(name, quantile, occasion)

    def _of(self, one: Input) -> Floats:
        self.asked.add(one)
        return self._tilt.tilted(one, self.block(one.name, one.occasion)[:, one.word], self._components)


def uniforms_of(tilt: Tilt, inputs: Sequence[Input], seed: int, first: int, count: int) -> Floats:
    """Return what inputs were in trials under a tilt, shape ``(count, inputs)``."""
    draws = TiltedDraws(seed, first, count, tilt)
    columns = [draws.uniforms(one.name, one.word + 1, one.occasion)[:, one.word] for one in inputs]
    return np.stack(columns, axis=1) if columns else np.empty((count, 0))
