"""Weighted records: the region that each fetch draws, point by point, and until when a point keeps it.

Every fetch of a weighted record draws a region by the weights in force, so a client keeps its region for as long as the
slowest of its caches does and is then drawn anew, into a lost region too while that is still among the answers. Before
the first fault it makes no difference where a client is, so its draws begin there; what a client drew last before a
change of the weights and the first it draws after it lie at the instants at which its caches follow that change.

References
----------
Amazon Route 53 Developer Guide, *Weighted routing*: every query is answered with one of the records, with the chance of
its weight over the sum of the weights.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from mrsim.entries import life
from mrsim.lattices import wrapped
from mrsim.population import Dimension
from mrsim.slabs import Layer
from mrsim.trace import NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mrsim.population import Phases, Stratum
    from mrsim.slabs import Changes

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

FOLLOWED = 24
"""Draws of one point that are followed after the last fault, and after each change of the weights."""

MOST_DRAWS = 200
"""Draws of one point that are followed between two changes of the weights; it then keeps what it has."""

_LEAST_RHYTHM_S = 1.0


class Draw:
    """Draws of the points of one cohort from one record.

    Parameters
    ----------
    phases
        Coordinates of the chunk.
    record, cohort
        Names.
    ttl_s
        TTL of the answers.
    """

    def __init__(self, phases: Phases, record: str, cohort: str, ttl_s: float) -> None:
        self._phases = phases
        self._record = record
        self._layout = phases.population.cohorts[cohort]
        self._rhythm_s = np.concatenate(
            [np.broadcast_to(self._rhythm(one, ttl_s), (phases.count, one.points)) for one in self._layout.strata],
            axis=1,
        )
        self._phase = phases.of_cohort(cohort, Dimension.RESOLVER)
        self._drawn: dict[int, Floats] = {}

    def _rhythm(self, stratum: Stratum, ttl_s: float) -> Floats | float:
        """Return how long a client keeps what it drew: as long as the slowest of its caches."""
        resolver, client = stratum.resolver, stratum.client
        kept: Floats | float = life(resolver, ttl_s).due_s
        if resolver.lookups != "busy":
            kept += 1.0 / resolver.lookups if resolver.lookups > 0.0 else np.inf
        if resolver.overstay is not None:
            kept = kept + resolver.overstay.quantile(self._phases.coordinate(stratum, Dimension.TAIL))
        cache = min(client.cache, ttl_s) if client.honours_ttl else client.cache
        return np.maximum(np.maximum(kept, cache), _LEAST_RHYTHM_S)

    def uniforms(self, number: int) -> Floats:
        """Return what each point draws at its ``number``-th draw, in [0, 1), shape ``(trials, points)``.

        Independent from draw to draw; over the points of a stratum as even as a lattice.
        """
        found = self._drawn.get(number)
        if found is None:
            parts = []
            for stratum in self._layout.strata:
                units = _units(stratum.points)
                dice = self._phases.uniforms(stratum, f"{self._record}/drawn", 2, number)
                step = units[np.minimum((dice[:, 0] * len(units)).astype(np.int64), len(units) - 1)]
                places = np.arange(stratum.points) * step[:, None] / stratum.points
                parts.append(wrapped(places + dice[:, 1, None]).astype(np.float32))
            found = self._drawn[number] = np.concatenate(parts, axis=1)
        return found

    def times(
        self, seen_s: Floats, fixed: Sequence[Bools], faults_s: tuple[Floats, Floats], horizon_s: float
    ) -> Iterator[tuple[int, int, Floats | None, Floats | None]]:
        """Yield set of weights, number of the draw, and from when until when each point keeps what it drew.

        Parameters
        ----------
        seen_s
            When each point follows each change of the weights, shape ``(trials, changes, points)``.
        fixed
            In which trials a set of weights leaves nothing to draw, for each.
        faults_s
            First and last fault of each trial, shape ``(trials,)`` each; nothing is drawn again before the first.
        horizon_s
            Nothing is drawn again after it.
        """
        rhythm = self._rhythm_s
        first_s, last_s = (moment[:, None] for moment in faults_s)
        for version in range(seen_s.shape[1] + 1):
            until = seen_s[:, version] if version < seen_s.shape[1] else None
            from_s = seen_s[:, version - 1] if version else None
            next_s = np.where(fixed[version][:, None], np.inf, self._again(from_s, until, first_s))
            stop_s = np.fmin((last_s if from_s is None else np.fmax(last_s, from_s)) + FOLLOWED * rhythm, horizon_s)
            stop_s = stop_s if until is None else np.minimum(stop_s, until)
            for draw in range(MOST_DRAWS + 1):
                # Who is done keeps what he has, however long others of the chunk go on.
                next_s = np.where(next_s < stop_s, next_s, np.inf)
                goes_on = draw < MOST_DRAWS and bool(np.isfinite(next_s).any())
                ends = until if not goes_on else (next_s if until is None else np.minimum(next_s, until))
                yield version, version * (MOST_DRAWS + 1) + draw, from_s, ends
                if not goes_on:
                    break
                from_s, next_s = next_s, next_s + rhythm

    def _again(self, from_s: Floats | None, until_s: Floats | None, since_s: Floats) -> Floats:
        """Return the first draw after ``from_s`` that is not before the fault, in the rhythm of the changes."""
        rhythm = self._rhythm_s
        with np.errstate(invalid="ignore"):
            if from_s is not None:
                found = from_s + np.maximum(np.ceil((since_s - from_s) / rhythm), 1.0) * rhythm
            else:
                found = since_s + self._phase * rhythm
                if until_s is not None:
                    whole = np.floor(np.maximum(until_s - since_s, 0.0) / rhythm)
                    known = np.isfinite(until_s) & np.isfinite(rhythm)
                    found = np.where(known, until_s - whole * rhythm, found)
        return np.where(np.isnan(found), np.inf, found)


@lru_cache
def _units(points: int) -> NDArray[np.int64]:
    """Return the numbers below ``points`` that share no divisor with it."""
    return np.array([number for number in range(1, points + 1) if gcd(number, points) == 1])


def portions(
    draw: Draw,
    changes: Changes,
    seen_s: Floats,
    regions: Sequence[str],
    faults_s: tuple[Floats, Floats],
    horizon_s: float,
) -> Iterator[tuple[Layer, tuple[str, ...], Bools]]:
    """Yield stretches of time, a region for each trial, and which points drew it, in the order of time for every point.

    Parameters
    ----------
    draw, changes, seen_s
        The draws, the weights in force, and when each point follows them, shape ``(trials, changes, points)``.
    regions
        All that the record may answer with, in its order: who draws which must not depend on the chunk's other trials.
    faults_s, horizon_s
        First and last fault of each trial, and the end: between them points draw again; see :meth:`Draw.times`.
    """
    count = len(changes.targets)
    none = np.full(count, NO_EVENT, dtype=np.int64)
    versions = [
        [shares[index] if index < len(shares) else () for shares in changes.shares]
        for index in range(seen_s.shape[1] + 1)
    ]
    fixed = [np.array([len(row) <= 1 for row in rows]) for rows in versions]
    for version, number, from_s, until_s in draw.times(seen_s, fixed, faults_s, horizon_s):
        rows = versions[version]
        answered = {name for row in rows for name, _ in row}
        names = [name for name in regions if name in answered]
        lower = np.zeros(count)
        drawn = draw.uniforms(number)
        event = changes.events[:, version - 1] if version else none
        change_s = from_s.min(axis=1) if from_s is not None else np.full(count, -np.inf)
        for name in names:
            given = [dict(row) for row in rows]
            upper = lower + np.array([row.get(name, 0.0) for row in given])
            # what is left by rounding belongs to the last
            upper = np.where(upper > 1.0 - 1e-9, 2.0, upper)
            mine = (drawn >= lower[:, None]) & (drawn < upper[:, None])
            lower = upper
            yield Layer(from_s, until_s, change_s, event), (name,) * count, mine
