"""The write ledger of one store: how many commits went into every bin, from who was routed where and when.

Clients attempt R(t) commits up to t, in the mean: the steady rate, and its multiple during bursts. Each point attempts
its weight's share. How many there were in a trial is a Poisson variable of what was expected in each bin.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import Bins, Fate
from mrsim.measure.intervals import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.measure.parts import Parts
    from mrsim.scenario.stores import Store
    from mrsim.slabs import Slab

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


class Load:
    """Cumulative attempted commits of a store.

    Parameters
    ----------
    store
        The store.
    phase_s
        Per trial: time since the start of the current burst period at t = 0, shape ``(trials,)``.
    """

    def __init__(self, store: Store, phase_s: Floats) -> None:
        self.rate_per_s = store.wal.commits
        self.bursts = store.wal.bursts
        self.connections = store.replication.connections
        self.phase_s = phase_s

    def attempts(self, at_s: Floats, rows: slice | Ints) -> Floats:
        """Return R at the times ``at_s``, shape ``(rows, ...)``, in the trials ``rows`` (all points together)."""
        bursts = self.bursts
        if bursts is None:
            return self.rate_per_s * at_s
        phase = self.phase_s[rows]
        before = np.minimum(phase, bursts.last)
        if at_s.ndim > 1:
            phase, before = phase[:, None], before[:, None]
        # in place, because new memory for every step would take as long as the steps
        burst_s = at_s + phase
        periods = np.floor(burst_s / bursts.every)
        burst_s -= periods * bursts.every
        np.minimum(burst_s, bursts.last, out=burst_s)
        periods *= bursts.last
        burst_s += periods
        burst_s -= before
        burst_s *= bursts.rate - 1.0
        burst_s += at_s
        burst_s *= self.rate_per_s
        return burst_s

    def time_of(self, trial: int, from_s: float, attempts: float) -> float:
        """Return when that many attempts have been made since ``from_s``, which may be negative, in one trial."""
        bursts = self.bursts
        if bursts is None:
            return from_s + attempts / self.rate_per_s
        at_s, left = from_s, attempts
        while True:
            place = (at_s + float(self.phase_s[trial])) % bursts.every
            fast = place < bursts.last
            rate = self.rate_per_s * (bursts.rate if fast else 1.0)
            step_s = (bursts.last if fast else bursts.every) - place
            if left <= rate * step_s or step_s <= 0.0:
                return at_s + left / rate
            left -= rate * step_s
            at_s += step_s


@dataclass(frozen=True, slots=True)
class Routed:
    """Whose commits reached which bin of one trial, and when: arrays of shape ``(n,)``."""

    start_s: Floats
    end_s: Floats
    weight: Floats
    bin: int


class Ledger:
    """Masses of all bins of one store in a chunk of trials.

    Parameters
    ----------
    load
        What is attempted.
    bins
        Bins of every trial.
    horizon_s
        Nominal end.
    services
        Number of services that share the store's load evenly.
    watched
        Trials for which the routes themselves are kept (those with two nodes that can acknowledge at once).
    judged_s
        Per trial: the instant at which :attr:`served` is taken, NaN for none, shape ``(trials,)``.
    parts
        Parts of bins to be told apart; None: there are none.
    """

    def __init__(
        self,
        load: Load,
        bins: Sequence[Bins],
        horizon_s: float,
        services: int,
        watched: set[int],
        judged_s: Floats,
        parts: Parts | None = None,
    ) -> None:
        self.load = load
        self.bins = [trial.bins for trial in bins]
        self.horizon_s = horizon_s
        self.share = 1.0 / services
        width = max((len(trial) for trial in self.bins), default=0)
        self.mass = np.zeros((len(bins), width))
        """Attempts that went into each bin, shape ``(trials, bins)``."""
        self.head = np.zeros((len(bins), width))
        """Weight of the writers routed to an absent bin as it begins."""
        self.first_s = np.full((len(bins), width), np.inf)
        """When the first writer came to an absent bin."""
        self.last_s = np.full((len(bins), width), -np.inf)
        """When the last writer left an absent bin, or it ended."""
        self.served = np.zeros((len(bins), width))
        """Weight of the writers served by each bin's node at the judged instant."""
        self.routed: dict[int, list[Routed]] = defaultdict(list)
        self._watched = watched
        self._parts = parts
        self._judged_s = judged_s
        self._judged = bool(np.isfinite(judged_s).any())
        self._absent = np.array(
            [[b.lacks for b in row] + [False] * (width - len(row)) for row in self.bins], dtype=bool
        )

    def add(self, slab: Slab) -> None:
        """Take in one way of a writing service; its labels are the trials' bins."""
        rows = slab.trials(len(self.mass))
        # what no layer bounds is the same for all points: worked out once per trial
        start = np.clip(distinct(slab.start_s), 0.0, self.horizon_s)
        end = np.clip(distinct(slab.end_s), 0.0, self.horizon_s)
        attempts = self.load.attempts(end, slab.rows) - self.load.attempts(start, slab.rows)
        attempts = np.maximum(attempts, 0.0)
        start, end = np.broadcast_to(start, slab.start_s.shape), np.broadcast_to(end, slab.end_s.shape)
        weight = slab.weight * self.share
        self.mass[rows, slab.label] += np.add.reduce(attempts * weight, axis=1)
        absent = np.flatnonzero(self._absent[rows, slab.label])
        if len(absent):
            at_head = (start[absent] <= slab.open_from_s[absent, None]) & (end[absent] > start[absent])
            begins = np.array([self.bins[t][b].start_s for t, b in zip(rows[absent], slab.label[absent], strict=True)])
            at_head &= (slab.open_from_s[absent] == begins)[:, None]
            self.head[rows[absent], slab.label[absent]] += np.add.reduce(at_head * weight, axis=1)
            some, place = (end[absent] > start[absent]) & (weight > 0.0), (rows[absent], slab.label[absent])
            came = np.where(some, start[absent], np.inf).min(axis=1)
            left = np.where(some, end[absent], -np.inf).max(axis=1)
            self.first_s[place] = np.minimum(self.first_s[place], came)
            self.last_s[place] = np.maximum(self.last_s[place], left)
        if self._judged:
            at_s = self._judged_s[rows, None]
            with np.errstate(invalid="ignore"):
                here = (start <= at_s) & (at_s < end)
            self.served[rows, slab.label] += np.add.reduce(here * weight, axis=1)
        if self._parts is not None:
            self._parts.add(rows, slab.label, start, end, weight)
        if self._watched:
            self._watch(rows, slab, start, end, weight)

    def _watch(self, rows: Ints, slab: Slab, start: Floats, end: Floats, weight: Floats) -> None:
        for place, trial in enumerate(rows.tolist()):
            if trial in self._watched:
                some = end[place] > start[place]
                if some.any():
                    routed = Routed(start[place, some], end[place, some], weight[some], int(slab.label[place]))
                    self.routed[trial].append(routed)

    def accepted(self, slab: Slab, *fates: Fate) -> NDArray[np.bool_]:
        """Return for each row of a way whether its commits share one of the fates."""
        places = zip(slab.trials(len(self.mass)).tolist(), slab.label.tolist(), strict=True)
        return np.array([self.bins[t][b].fate in fates for t, b in places])
