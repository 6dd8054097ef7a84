"""From the ways of requests to outages: when each client first failed, came back, and was without service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.population import Population
    from mrsim.slabs import Slab

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


class Turns(NamedTuple):
    """Losses (-) and returns (+) of service: trials, seconds after the fault and signed weights, ``(rows, points)``."""

    rows: slice | Ints
    after_s: Floats
    weight: Floats


def distinct(times: Floats) -> Floats:
    """Return one column of an array whose columns are one and the same memory, or else the array."""
    return times[:, :1] if times.strides[1] == 0 else times


class Outages:
    """Outages of every point in a chunk of trials, read off the ways of its requests in the order of time.

    Ways that touch are one time of service. An outage counts from the later of its beginning and ``since_s``; a
    recovery is the start of the first time of service that lasts ``stable_s``, or to the horizon.

    Parameters
    ----------
    population
        The points, P in all.
    since_s
        Per trial: the fault, from which failures count, shape ``(trials,)``.
    horizon_s
        Nominal end of the trials.
    stable_s
        How long a recovery must last.

    Attributes
    ----------
    first_fail_s, recovered_s
        First failed instant and start of the recovery; infinite where there is none, shape ``(trials, P)``.
    longest_s, downtime_s
        Longest single outage after ``since_s``, and all time without service from 0 to the horizon.
    down_at_end
        Whether the point is without service at the horizon.
    way
        Number of the way (in ``ways``) that began the recovery; -1 where there is none.
    """

    def __init__(self, population: Population, since_s: Floats, horizon_s: float, stable_s: float) -> None:
        self.population = population
        self.since_s = since_s
        self.horizon_s = horizon_s
        self.stable_s = stable_s
        shape = (len(since_s), population.points)
        self.first_fail_s = np.full(shape, np.inf)
        self.recovered_s = np.full(shape, np.inf)
        self.longest_s = np.zeros(shape)
        self.downtime_s = np.zeros(shape)
        self.down_at_end = np.zeros(shape, dtype=bool)
        self.way = np.full(shape, -1, dtype=np.int32)
        self.ways: list[Slab] = []
        self._start = np.zeros(shape)
        self._end = np.zeros(shape)
        self._current = np.full(shape, -1, dtype=np.int32)
        self.turns: list[Turns] = []
        """Every loss and return of service between ``since_s`` and the horizon."""

    def add(self, slab: Slab, accepted: Bools | None = None) -> None:
        """Take in one way; ``accepted`` says for which of its rows, shape ``(rows,)``; all by default."""
        columns = self.population.cohorts[slab.cohort].columns
        start, end = distinct(slab.start_s), distinct(slab.end_s)
        works = end > start
        if accepted is not None:
            works = works & accepted[:, None]
        last = self._end[:, columns]
        before = last[slab.rows]
        begins = works & (start > before)
        rows = np.flatnonzero(begins.any(axis=1))
        if len(rows):
            self.ways.append(slab)
            if len(rows) == len(begins):
                self._begin(columns, slab.rows, begins, start, slab.weight)
            else:
                self._begin(columns, slab.trials(len(self.since_s))[rows], begins[rows], start[rows], slab.weight)
        last[slab.rows] = np.maximum(before, np.where(works, end, 0.0))

    def _begin(self, columns: slice, rows: slice | Ints, begins: Bools, start_s: Floats, weight: Floats) -> None:
        """Begin a time of service of some points, whole rows at a time: gathering single points costs far more."""
        ended, since_s = self._end[:, columns][rows], self.since_s[rows, None]
        self._settle(columns, rows, begins, ended)
        self._fail(columns, rows, begins, np.minimum(start_s, self.horizon_s), weight)
        up = begins & (start_s > since_s) & (start_s < self.horizon_s)
        late = begins & (start_s >= self.horizon_s) & (ended < self.horizon_s)
        if late.any():
            self._put(self.down_at_end, columns, rows, True, late)
        self.turns.append(Turns(rows, start_s - since_s, np.where(up, weight, 0.0)))
        self._put(self._start, columns, rows, start_s, begins)
        self._put(self._current, columns, rows, len(self.ways) - 1, begins)

    def _settle(self, columns: slice, rows: slice | Ints, who: Bools, ended_s: Floats) -> None:
        """Judge whether the time of service that ended was the recovery."""
        started = self._start[:, columns][rows]
        good = who & (started >= self.first_fail_s[:, columns][rows])
        if not good.any():
            return
        good &= np.isinf(self.recovered_s[:, columns][rows])
        good &= (ended_s - started >= self.stable_s) | ((ended_s >= self.horizon_s) & (started < self.horizon_s))
        self._put(self.recovered_s, columns, rows, started, good)
        self._put(self.way, columns, rows, self._current[:, columns][rows], good)

    def _fail(self, columns: slice, rows: slice | Ints, who: Bools, to_s: Floats | float, weight: Floats) -> None:
        """Take in outages from the last end of service to ``to_s`` (at most the horizon)."""
        from_s, since_s = self._end[:, columns][rows], self.since_s[rows, None]
        since = np.maximum(from_s, since_s)
        lasted = to_s - since
        failed = who & (lasted > 0.0)
        first_fail, longest = self.first_fail_s[:, columns][rows], self.longest_s[:, columns][rows]
        self._put(self.first_fail_s, columns, rows, np.minimum(first_fail, since), failed)
        self._put(self.longest_s, columns, rows, np.maximum(longest, lasted), who)
        downtime = self.downtime_s[:, columns][rows]
        self._put(self.downtime_s, columns, rows, downtime + np.maximum(to_s - from_s, 0.0), who)
        self.turns.append(Turns(rows, since - since_s, np.where(failed, -weight, 0.0)))

    def _put(
        self, array: NDArray[Any], columns: slice, rows: slice | Ints, values: NDArray[Any] | float, where: Bools
    ) -> None:
        mine = array[:, columns]
        if isinstance(rows, slice):
            np.copyto(mine[rows], values, where=where)
        else:
            mine[rows] = np.where(where, values, mine[rows])

    def finish(self) -> Outages:
        """Take in what follows the last way, up to the horizon; return itself."""
        everything = slice(None)
        self._settle(everything, everything, np.ones_like(self.down_at_end), self._end)
        left = self._end < self.horizon_s
        rows = np.flatnonzero(left.any(axis=1))
        if len(rows):
            self._fail(everything, rows, left[rows], self.horizon_s, self.population.weight)
        self.down_at_end |= left
        return self

    @property
    def affected(self) -> Bools:
        """Whether each point failed at any instant from the fault on, shape ``(trials, P)``."""
        answer: Bools = np.isfinite(self.first_fail_s)
        return answer

    @property
    def finished(self) -> Bools:
        """Whether each point that failed came back before the horizon, shape ``(trials, P)``."""
        answer: Bools = self.recovered_s < self.horizon_s
        return answer


def weighted_sum(population: Population, values: Floats) -> Floats:
    """Return the weighted sum over points per trial, cohort by cohort, so that a cohort of share 0 adds exactly 0."""
    total = np.zeros(len(values))
    for cohort in population.cohorts.values():
        total += np.add.reduce(values[:, cohort.columns] * cohort.weight, axis=1)
    return total


def weighted_quantiles(values: Floats, weights: Floats, levels: tuple[float, ...]) -> Floats:
    """Return weighted quantiles per trial by the inverted distribution function; nothing is interpolated.

    Parameters
    ----------
    values
        Shape ``(trials, P)``; may be infinite.
    weights
        Shape ``(trials, P)``; zero leaves a point out.
    levels
        Quantiles asked for, in (0, 1].

    Returns
    -------
    numpy.ndarray
        Shape ``(len(levels), trials)``; NaN where all weights are zero.
    """
    columns = np.flatnonzero((weights > 0.0).any(axis=0))
    if 0 < len(columns) < values.shape[1]:
        values, weights = values[:, columns], weights[:, columns]
    order = np.argsort(values, axis=1)
    # the same weights in every trial, as a rule: one row of them is looked up in much less time
    alike = bool((weights == weights[:1]).all())
    reached = np.cumsum(weights[0][order] if alike else np.take_along_axis(weights, order, axis=1), axis=1)
    total = reached[:, -1]
    found = np.full((len(levels), len(values)), np.nan)
    some = total > 0.0
    rows = np.arange(len(values))
    for index, level in enumerate(levels):
        # a weight's rounding must not move the quantile to the next point
        place = np.count_nonzero(reached < (level * total * (1.0 - 1e-12))[:, None], axis=1)
        chosen = values[rows, order[rows, np.minimum(place, values.shape[1] - 1)]]
        found[index, some] = chosen[some]
    return found


CURVE_TIMES = 96
"""Times at which a curve is kept."""


def curve_times_s(horizon_s: float) -> Floats:
    """Return times after the fault at which curves are kept: 0, then evenly spaced on a log scale up to the horizon."""
    return np.concatenate([[0.0], np.geomspace(min(1.0, horizon_s / 2), horizon_s, CURVE_TIMES - 1)])


def restored_curve(outages: Outages, times_s: Floats) -> NDArray[np.float32]:
    """Return the share of affected weight that is served at each time after the fault.

    The state at the horizon stands for all later times. NaN where nobody is affected.

    Returns
    -------
    numpy.ndarray
        Shape ``(trials, len(times_s))``.
    """
    count, grid = len(outages.since_s), len(times_s)
    affected = weighted_sum(outages.population, outages.affected.astype(np.float64))
    steps = np.zeros((count, grid + 1))
    row_starts = np.arange(count)[:, None] * (grid + 1)
    for rows, after_s, weight in outages.turns:
        if not after_s.any():
            # running sums, as below: a trial's bytes must not depend on the others of its chunk
            steps[rows, 0] += np.cumsum(weight, axis=1)[:, -1]
            continue
        place = np.broadcast_to(row_starts[rows] + _places(times_s, after_s), weight.shape)
        sums = np.bincount(place.ravel(), weights=weight.ravel(), minlength=steps.size)
        steps += sums.reshape(steps.shape)
    served = affected[:, None] + np.cumsum(steps[:, :grid], axis=1)
    with np.errstate(invalid="ignore"):
        return np.clip(served / affected[:, None], 0.0, 1.0).astype(np.float32)


def _places(times_s: Floats, after_s: Floats) -> Ints:
    """Return ``searchsorted(times_s, after_s)`` for the times of :func:`curve_times_s`.

    Their logarithms are evenly spaced, so that the place can be computed to within one and put right, which takes a
    quarter of the time of a binary search.
    """
    first, last = times_s[1], times_s[-1]
    per_log = (len(times_s) - 2) / np.log(last / first)
    place: Ints = np.ceil(np.log(np.clip(after_s, first, last) / first) * per_log).astype(np.int64) + 1
    place -= times_s[place - 1] >= after_s
    place += np.append(times_s, np.inf)[place] < after_s
    return place
