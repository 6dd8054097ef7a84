"""Time in which clients were answered only on a proxy's second try, slowly where its first one meets silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.intervals import weighted_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.measure.columns import Measures
    from mrsim.population import Population
    from mrsim.slabs import Slab

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


class Retried:
    """Times of second tries of one service and operation, of every point in a chunk of trials.

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
        self._horizon_s = horizon_s
        self._time_s = np.zeros((count, population.points))

    def add(self, slab: Slab, accepted: Bools | None = None) -> None:
        """Take in one way; ``accepted`` says for which of its rows, shape ``(rows,)``; all by default."""
        if slab.again is None:
            return
        counts = slab.again if accepted is None else slab.again & accepted
        lasts = np.minimum(slab.end_s, self._horizon_s) - np.maximum(slab.start_s, 0.0)
        columns = self._population.cohorts[slab.cohort].columns
        self._time_s[:, columns][slab.rows] += np.where(counts[:, None], np.maximum(lasts, 0.0), 0.0)

    def put(self, measures: Measures, service: str, op: str) -> None:
        """Add the column: the weighted mean over all clients."""
        total = weighted_sum(self._population, np.ones_like(self._time_s))
        measures.put("retried_s", {"service": service, "op": op}, weighted_sum(self._population, self._time_s) / total)
