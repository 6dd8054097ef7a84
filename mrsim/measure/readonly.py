"""Read-only as a state of its own: how long each client could read and not write, and how long it could do neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.measure.columns import Measures
    from mrsim.population import Population
    from mrsim.slabs import Slab

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Ways = dict[str, list[tuple[Floats, Floats]]]

ROUNDING_S = 1e-6
"""Shorter times of a state are rounding."""


class States:
    """Times in which reads and writes of one service got through, of every point in a chunk of trials.

    Parameters
    ----------
    population
        The points.
    count
        Number of trials.
    horizon_s
        Nominal end of the trials.
    """

    def __init__(self, population: Population, count: int, horizon_s: float) -> None:
        self._population = population
        self._count = count
        self._horizon_s = horizon_s
        self._reads: Ways = {name: [] for name in population.cohorts}
        self._writes: Ways = {name: [] for name in population.cohorts}

    def add_read(self, slab: Slab) -> None:
        """Take in one way of the service's reads."""
        self._add(self._reads, slab, None)

    def add_write(self, slab: Slab, accepted: Bools) -> None:
        """Take in one way of its writes; ``accepted`` says in which of its rows they are acknowledged."""
        self._add(self._writes, slab, accepted)

    def _add(self, ways: Ways, slab: Slab, accepted: Bools | None) -> None:
        start = np.full((self._count, len(slab.weight)), np.inf)
        end = np.full_like(start, -np.inf)
        start[slab.rows] = np.maximum(slab.start_s, 0.0)
        end[slab.rows] = np.minimum(slab.end_s, self._horizon_s)
        if accepted is not None:
            refused = np.zeros(self._count, dtype=np.bool_)
            refused[slab.rows] = ~accepted
            end[refused] = -np.inf
        if (end > start).any():
            ways[slab.cohort].append((start, end))

    def put(self, measures: Measures, service: str) -> None:
        """Add the columns: weighted means over the clients of each cohort, and of all."""
        total, shares = np.zeros((2, self._count)), 0.0
        columns = {}
        for name, cohort in self._population.cohorts.items():
            reads, writes = self._reads[name], self._writes[name]
            read_s, both_s = _length(reads, cohort.points, self._count), np.zeros((self._count, cohort.points))
            for start, end in reads:
                for from_s, until_s in writes:
                    both_s += np.maximum(np.minimum(end, until_s) - np.maximum(start, from_s), 0.0)
            write_s = _length(writes, cohort.points, self._count)
            weight = cohort.weight_within
            states = (read_s - both_s, self._horizon_s - (read_s + write_s - both_s))
            own = np.array([np.add.reduce(_told(state) * weight, axis=1) / weight.sum() for state in states])
            columns[name] = own
            total += own * cohort.share
            shares += cohort.share
        for who, (read_only_s, down_s) in (("all", total / shares), *columns.items()):
            labels = {"service": service, "from": who}
            measures.put("read_only_s", labels, read_only_s)
            measures.put("down_s", labels, down_s)


def _told(state_s: Floats) -> Floats:
    """Return times of a state without what is only rounding of the sums behind them."""
    return np.where(state_s > ROUNDING_S, state_s, 0.0)


def _length(ways: list[tuple[Floats, Floats]], points: int, count: int) -> Floats:
    total = np.zeros((count, points))
    for start, end in ways:
        total += np.maximum(end - start, 0.0)
    return total
