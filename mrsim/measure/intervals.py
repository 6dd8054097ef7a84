"""From the ways of requests to outages: when each client first failed, came back, and was without service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.population import Population
    from mrsim.slabs import Slab

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


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
        self.turns: list[tuple[Ints, Floats, Floats]] = []
        """Trial, time and signed weight of every loss (-) and return (+) of service between ``since_s`` and horizon."""

    def add(self, slab: Slab, accepted: Bools | None = None) -> None:
        """Take in one way; ``accepted`` says for which of its rows, shape ``(rows,)``; all by default."""
        columns = self.population.cohorts[slab.cohort].columns
        works = slab.end_s > slab.start_s
        if accepted is not None:
            works &= accepted[:, None]
        last = self._end[:, columns]
        before = last if isinstance(slab.rows, slice) else last[slab.rows]
        row, column = np.nonzero(works & (slab.start_s > before))
        if len(row):
            trial = row if isinstance(slab.rows, slice) else slab.rows[row]
            self.ways.append(slab)
            flat = trial * self.population.points + (column + columns.start)
            self._begin(flat, trial, slab.start_s[row, column], slab.weight[column])
        after = np.maximum(before, np.where(works, slab.end_s, 0.0))
        if isinstance(slab.rows, slice):
            last[...] = after
        else:
            last[slab.rows] = after

    def _begin(self, flat: Ints, trial: Ints, start_s: Floats, weight: Floats) -> None:
        ended = self._end.ravel()[flat]
        self._settle(flat, ended)
        self._fail(flat, trial, ended, np.minimum(start_s, self.horizon_s), weight)
        up = (start_s > self.since_s[trial]) & (start_s < self.horizon_s)
        self.turns.append((trial[up], start_s[up], weight[up]))
        self._start.ravel()[flat] = start_s
        self._current.ravel()[flat] = len(self.ways) - 1

    def _settle(self, flat: Ints, ended_s: Floats) -> None:
        """Judge whether the time of service that ended was the recovery."""
        recovered, first_fail = self.recovered_s.ravel(), self.first_fail_s.ravel()
        started = self._start.ravel()[flat]
        lasting = (ended_s - started >= self.stable_s) | ((ended_s >= self.horizon_s) & (started < self.horizon_s))
        good = np.isinf(recovered[flat]) & (started >= first_fail[flat]) & lasting
        recovered[flat] = np.where(good, started, recovered[flat])
        self.way.ravel()[flat] = np.where(good, self._current.ravel()[flat], self.way.ravel()[flat])

    def _fail(self, flat: Ints, trial: Ints, from_s: Floats, to_s: Floats, weight: Floats) -> None:
        """Take in outages from ``from_s`` to ``to_s`` (at most the horizon)."""
        since = np.maximum(from_s, self.since_s[trial])
        lasted = to_s - since
        failed = lasted > 0.0
        first_fail, longest, downtime = self.first_fail_s.ravel(), self.longest_s.ravel(), self.downtime_s.ravel()
        first_fail[flat] = np.where(failed, np.minimum(first_fail[flat], since), first_fail[flat])
        longest[flat] = np.maximum(longest[flat], lasted)
        downtime[flat] += np.maximum(to_s - from_s, 0.0)
        self.turns.append((trial[failed], since[failed], -weight[failed]))

    def finish(self) -> Outages:
        """Take in what follows the last way, up to the horizon; return itself."""
        waiting = np.flatnonzero(np.isfinite(self.first_fail_s) & np.isinf(self.recovered_s))
        self._settle(waiting, self._end.ravel()[waiting])
        trial, point = np.nonzero(self._end < self.horizon_s)
        if len(trial):
            flat = trial * self.population.points + point
            end = np.full(len(flat), self.horizon_s)
            self._fail(flat, trial, self._end[trial, point], end, self.population.weight[point])
            self.down_at_end[trial, point] = True
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
    reached = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
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


def curve_times_s(horizon_s: float, number: int = 96) -> Floats:
    """Return times after the fault at which curves are kept: 0, then evenly spaced on a log scale up to the horizon."""
    return np.concatenate([[0.0], np.geomspace(min(1.0, horizon_s / 2), horizon_s, number - 1)])


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
    steps = np.zeros(count * (grid + 1))
    for trial, at_s, weight in outages.turns:
        place = np.searchsorted(times_s, at_s - outages.since_s[trial])
        steps += np.bincount(trial * (grid + 1) + place, weights=weight, minlength=len(steps))
    served = affected[:, None] + np.cumsum(steps.reshape(count, grid + 1)[:, :grid], axis=1)
    with np.errstate(invalid="ignore"):
        return np.clip(served / affected[:, None], 0.0, 1.0).astype(np.float32)
