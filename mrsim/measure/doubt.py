"""What becomes of commits whose outcome the client was not told: waited out, tried again, or never known.

A client's outcome is unknown if its commit was executed and never acknowledged (the ledger's *in doubt*), and if the
store's answer died on its way back: it was on a path that a fault cut with ``in_flight: lost``. A service with retries
tries again from ``after`` on, until ``gives_up_after``: at the first instant at which its way leads to a node that
acknowledges. What had been executed and stands is then done twice, unless a key committed with it tells.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import Fate
from mrsim.measure.commits import split
from mrsim.measure.latency import commit_wait_s
from mrsim.scenario.places import region_of
from mrsim.trace import INF, NO_EVENT, site_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.measure.columns import Measures
    from mrsim.measure.commits import Rest
    from mrsim.measure.ledger import Ledger
    from mrsim.rng import Draws
    from mrsim.routes import Routes
    from mrsim.scenario.services import Retries
    from mrsim.slabs import Slab
    from mrsim.trace import Trace

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


class Outcome(IntEnum):
    """What became of a commit whose client was not told in time."""

    TWICE = 0
    RECOGNISED = 1
    REDONE = 2
    LATE = 3
    UNKNOWN = 4


_COLUMNS = {
    Outcome.TWICE: "double_effects",
    Outcome.RECOGNISED: "recognised_retries",
    Outcome.REDONE: "redone_writes",
    Outcome.LATE: "late_answers",
    Outcome.UNKNOWN: "unknown_outcomes",
}


@dataclass(eq=False)
class _Open:
    """Commits of a cohort whose clients go on trying: a row for each way that they came by in a trial."""

    trials: Ints
    bins: Ints
    stands: NDArray[np.bool_]
    """Per row: whether the commits are part of the surviving history."""
    end_s: Floats
    """Shape ``(rows, points)``: those before this were made."""
    tried_s: Floats
    """Those before this have been tried again, or given up."""
    first_s: Floats
    """Per row: none before this has still to be tried again."""

    def and_these(self, other: _Open) -> _Open:
        """Return both."""
        return _Open(*(np.concatenate([getattr(self, one.name), getattr(other, one.name)]) for one in fields(self)))

    def only(self, rows: NDArray[np.bool_]) -> _Open:
        """Return some rows."""
        return _Open(*(getattr(self, one.name)[rows] for one in fields(self)))


class Doubt:
    """Commits of one service whose outcome its clients were not told, and what their retries came to.

    Parameters
    ----------
    routes, service
        The chunk's ways, and whose commits.
    rule
        When clients try again.
    ledger
        The store's ledger; the service's ways are added to it before they are added here.
    """

    def __init__(self, routes: Routes, service: str, rule: Retries, ledger: Ledger) -> None:
        self._routes = routes
        self._service = service
        self._store = routes.scenario.services[service].writes or ""
        self._rule = rule
        self._ledger = ledger
        self._before = self._after = ledger.mass.copy()
        self._mass = np.zeros((*ledger.mass.shape, len(Outcome)))
        self._unanswered = np.zeros_like(ledger.mass)
        self._open: dict[str, _Open] = {}
        self._answers_s: dict[tuple[int, int], float] = {}
        self._cuts_s = [_lost_cuts_s(routes, trace) for trace in routes.traces]
        self._waits: dict[str, float] = {}

    def add(self, slab: Slab) -> None:
        """Take in one way of the service's writes, in the order of time."""
        trials = slab.trials(len(self._ledger.mass))
        fates = np.array(
            [self._ledger.bins[t][b].fate for t, b in zip(trials.tolist(), slab.label.tolist(), strict=True)],
            dtype=np.int64,
        )
        told = fates <= Fate.PENDING
        if told.any():
            self._try_again(slab, trials, fates, told)
            self._note_unanswered(slab, trials, fates, told)
        if not told.all():
            self._note_in_doubt(slab, trials, fates, np.flatnonzero(~told))

    # -- who is in doubt -------------------------------------------------------------------------------------------

    def _note_in_doubt(self, slab: Slab, trials: Ints, fates: Ints, rows: Ints) -> None:
        start, end = slab.start_s[rows], slab.end_s[rows]
        places = zip(trials[rows].tolist(), slab.label[rows].tolist(), strict=True)
        answers_s = np.array([self._answered_s(*place) for place in places])
        waited = np.maximum(answers_s[:, None] - self._rule.after, start)
        self._put(Outcome.LATE, trials[rows], slab.label[rows], waited, end, slab.weight)
        self._begin(slab, trials, fates, rows, start, np.minimum(end, waited))

    def _answered_s(self, trial: int, place: int) -> float:
        """Return when a commit that waits for standbys is answered after all: its primary goes on acknowledging."""
        key = (trial, place)
        if key not in self._answers_s:
            self._answers_s[key] = self._next_answer_s(trial, place)
        return self._answers_s[key]

    def _next_answer_s(self, trial: int, place: int) -> float:
        bins = self._ledger.bins[trial]
        mine = bins[place]
        again = [
            b.start_s
            for b in bins
            if b.node == mine.node and b.history == mine.history and b.fate.acknowledged and b.start_s >= mine.end_s
        ]
        at_s = min(again, default=INF)
        # a database that stopped in between has forgotten whom it owed an answer
        lives = self._routes.readable(self._store, mine.node)[trial]
        return at_s if any(start <= mine.start_s and at_s <= end for start, end, _ in lives) else INF

    def _note_unanswered(self, slab: Slab, trials: Ints, fates: Ints, told: NDArray[np.bool_]) -> None:
        """Find the commits whose answers were on a path of this way when it was cut, and died there."""
        rows, froms, untils = [], [], []
        for row in np.flatnonzero(told).tolist():
            trial = int(trials[row])
            for cut_s in self._cuts_s[trial]:
                place = int(slab.label[row])
                b = self._ledger.bins[trial][place]
                if b.start_s >= cut_s or slab.open_from_s[row] >= cut_s:
                    continue
                window_s = self._window_s(slab.cohort, slab.regions[trial], b.node, trial, cut_s)
                if window_s > 0.0 and float(slab.end_s[row].max()) > cut_s - window_s:
                    # The way ended with this cut: those before it were over by then, and later ones find it closed.
                    rows.append(row)
                    froms.append(cut_s - window_s)
                    untils.append(cut_s)
                    break
        if not rows:
            return
        some = np.array(rows)
        start = np.maximum(slab.start_s[some], np.array(froms)[:, None])
        end = np.minimum(slab.end_s[some], np.array(untils)[:, None])
        self._put(None, trials[some], slab.label[some], start, end, slab.weight)
        self._begin(slab, trials, fates, some, start, end)

    def _window_s(self, cohort: str, region: str, node: str, trial: int, cut_s: float) -> float:
        """Return how long before a cut a commit was made whose answer was still inside: 0 if the cut is elsewhere."""
        routes = self._routes
        link = any(end == cut_s for _, end, _ in routes.link(region, node)[trial])
        front = any(end == cut_s for _, end, _ in routes.front(cohort, region)[trial])
        if not link and not front:
            return 0.0
        scenario = routes.scenario
        site = site_of(node)
        if site not in self._waits:
            self._waits[site] = commit_wait_s(scenario, scenario.stores[self._store], site)
        round_trips_s = scenario.network.path_s(region, region_of(scenario, site))
        if front:
            round_trips_s += scenario.network.path_s(routes.population.cohorts[cohort].near, region, last_miles=1)
        return self._waits[site] + round_trips_s / 2.0

    def _begin(self, slab: Slab, trials: Ints, fates: Ints, rows: Ints, start_s: Floats, end_s: Floats) -> None:
        first_s = _first_s(start_s, end_s)
        if self._rule.gives_up_after <= 0.0 or (first_s == INF).all():
            return
        stands = np.isin(fates[rows], (Fate.KEPT, Fate.SURVIVED))
        fresh = _Open(trials[rows], slab.label[rows], stands, end_s, start_s, first_s).only(first_s < INF)
        known = self._open.get(slab.cohort)
        self._open[slab.cohort] = fresh if known is None else known.and_these(fresh)

    # -- what retries come to --------------------------------------------------------------------------------------

    def _try_again(self, slab: Slab, trials: Ints, fates: Ints, told: NDArray[np.bool_]) -> None:
        """Let clients whose way leads to a node that acknowledges, in [start, end) of this way, try again there."""
        commits = self._open.get(slab.cohort)
        if commits is None:
            return
        row_of = np.full(len(self._ledger.mass), -1)
        row_of[trials[told]] = np.flatnonzero(told)
        lasts_s = slab.end_s.max(axis=1) - self._rule.after
        rows = row_of[commits.trials]
        mine = np.flatnonzero((rows >= 0) & (commits.first_s < lasts_s[rows]))
        if not len(mine):
            return
        rows = rows[mine]
        opens, closes = slab.start_s[rows], slab.end_s[rows]
        first = np.maximum(commits.tried_s[mine], opens - self._rule.gives_up_after)
        last = np.minimum(commits.end_s[mine], np.minimum(closes, self._ledger.horizon_s) - self._rule.after)
        last = np.where(closes > opens, last, -np.inf)
        kept = fates[rows] == Fate.KEPT
        stands = commits.stands[mine]
        twice = Outcome.RECOGNISED if self._rule.idempotent else Outcome.TWICE
        for outcome, chosen in ((twice, kept & stands), (Outcome.REDONE, kept & ~stands)):
            if chosen.any():
                where = trials[rows[chosen]], commits.bins[mine[chosen]]
                self._put(outcome, *where, first[chosen], last[chosen], slab.weight)
        # Later ways begin later: who has given up by now has done so then, too.
        tried_s = np.maximum(commits.tried_s[mine], np.where(closes > opens, np.maximum(first, last), -np.inf))
        commits.tried_s[mine] = tried_s
        commits.first_s[mine] = _first_s(tried_s, commits.end_s[mine])
        goes_on = commits.first_s < INF
        if not goes_on.all():
            self._open[slab.cohort] = commits.only(goes_on)

    def _put(
        self, outcome: Outcome | None, trials: Ints, bins: Ints, start_s: Floats, end_s: Floats, weight: Floats
    ) -> None:
        """Add the commits made in ``[start_s, end_s)`` to an outcome, or to those that went unanswered."""
        if not (end_s > start_s).any():
            return
        ledger = self._ledger
        start = np.clip(start_s, 0.0, ledger.horizon_s)
        end = np.clip(np.maximum(end_s, start_s), 0.0, ledger.horizon_s)
        attempts = np.maximum(ledger.load.attempts(end, trials) - ledger.load.attempts(start, trials), 0.0)
        total = np.add.reduce(attempts * (weight * ledger.share), axis=1)
        into = self._unanswered if outcome is None else self._mass[:, :, outcome]
        np.add.at(into, (trials, bins), total)

    # -- columns ---------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Note that all ways of the service have been added."""
        self._after = self._ledger.mass.copy()

    def put(self, measures: Measures, rests: Sequence[Rest], draws: Draws) -> None:
        """Add the service's columns, given what of the store's commits is still to be shared out, by trial."""
        width = len(Outcome) + 1
        drawn = draws.uniforms(f"{self._service}/retries", width * self._mass.shape[1]).tolist()
        sums = np.zeros((len(rests), len(Outcome)))
        unanswered = np.zeros(len(rests))
        for trial, rest in enumerate(rests):
            for index, b in enumerate(self._ledger.bins[trial]):
                first, *others = drawn[trial][width * index : width * (index + 1)]
                expected = float(self._after[trial, index] - self._before[trial, index])
                if b.fate.acknowledged:
                    expected = float(self._unanswered[trial, index])
                mine = rest.claim(index, expected, first)
                if b.fate.acknowledged:
                    unanswered[trial] += mine
                sums[trial] += split(mine, self._mass[trial, index, :-1].tolist(), expected, others)
        labels = {"service": self._service}
        measures.put("unanswered_writes", labels, unanswered)
        for outcome, metric in _COLUMNS.items():
            measures.put(metric, labels, sums[:, outcome])


def _first_s(tried_s: Floats, end_s: Floats) -> Floats:
    """Return from when on some of the commits of each row have still to be tried again; infinite: none."""
    return np.asarray(np.min(tried_s, axis=1, where=tried_s < end_s, initial=INF))


def _lost_cuts_s(routes: Routes, trace: Trace) -> list[float]:
    """Return when faults of a trial cut paths and what was on them died, ascending."""
    faults = routes.scenario.faults
    cuts = {
        trace.events[event].at_s
        for fault, event in zip(faults, trace.fault_events, strict=False)
        if event != NO_EVENT and getattr(fault, "in_flight", "") == "lost"
    }
    return sorted(cuts)
