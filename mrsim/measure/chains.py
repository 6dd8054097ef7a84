"""What the time of an outage was spent on: back from each client's recovery along the causes of what ended it.

The last of three things lets a client's requests through again: its program follows the record, its region's instances
follow the endpoint, or the way opens (ties: the way first, then the endpoint). From that thing's event the chain of
causes leads back to the fault; the time between two events of the chain was spent on the later one's phase.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.intervals import weighted_sum
from mrsim.trace import INF, NO_EVENT, PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.measure.intervals import Outages
    from mrsim.slabs import Slab
    from mrsim.trace import Event, Trace

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

NUMBER = {name: index for index, name in enumerate(PHASES)}
_OPEN, _NODE, _REGION = 0, 1, 2


def chain(events: Sequence[Event], last: int) -> list[tuple[float, int]]:
    """Return the boundaries of a chain of causes: (start of a stretch, its phase), ascending, the first at -infinity.

    What lies before the root is the root's own wait: repair if a fault's end is the root, detection otherwise. An event
    that names no phase counts to what it led to.
    """
    found: list[tuple[float, int]] = []
    until, phase, index = INF, "", last
    for _ in range(len(events)):
        event = events[index]
        until = min(until, event.at_s)
        phase = event.phase or phase
        if event.cause == NO_EVENT:
            ended = event.kind == "fault-ends"
            found.append((-INF, NUMBER["repair" if ended else "detection"]))
            break
        found.append((min(until, events[event.cause].at_s), NUMBER[phase or "detection"]))
        index = event.cause
    return found[::-1]


class Chains:
    """Phases of clients' outages in a chunk of traces."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._traces = traces
        self._known: dict[tuple[int, int], tuple[list[tuple[float, int]], float, int]] = {}
        self._ways: dict[tuple[int, int], tuple[Floats, Ints, Slab]] = {}

    def phases_s(self, outages: Outages, trial: Ints, point: Ints) -> Floats:
        """Return how long each phase of a client's outage lasted.

        Parameters
        ----------
        outages
            Outages of the chunk, finished.
        trial, point
            Which affected clients, shape ``(n,)`` each.

        Returns
        -------
        numpy.ndarray
            Seconds, shape ``(n, len(PHASES))``; a row adds up to the outage, for an unfinished one up to the horizon.
        """
        result = np.zeros((len(trial), len(PHASES)))
        first_fail = outages.first_fail_s[trial, point]
        recovered = outages.recovered_s[trial, point]
        finished = recovered < outages.horizon_s
        result[~finished, NUMBER["unresolved"]] = outages.horizon_s - first_fail[~finished]
        way = np.where(finished, outages.way[trial, point], -1)
        for number in range(len(outages.ways)):
            some = np.flatnonzero(way == number)
            if len(some):
                slab = outages.ways[number]
                first = outages.population.cohorts[slab.cohort].columns.start
                row = _rows_of(slab, trial[some], len(outages.since_s))
                self._explain(result, slab, some, row, point[some] - first, first_fail[some], recovered[some])
        return result

    def weighted_sums_s(self, outages: Outages) -> Floats:
        """Return the weighted sum of every phase over the affected clients, shape ``(trials, len(PHASES))``.

        Clients that failed at the fault and came back by the same event differ in nothing but the last stretch, in
        which they are linear, so that one client with their mean recovery stands for them; the others are taken singly.
        """
        population = outages.population
        result = np.zeros((len(outages.since_s), len(PHASES)))
        lost = outages.affected & ~outages.finished
        if lost.any():
            left = np.where(lost, outages.horizon_s - outages.first_fail_s, 0.0)
            result[:, NUMBER["unresolved"]] = weighted_sum(population, left)
        single = outages.affected & outages.finished & (population.weight > 0.0)
        together = single & (outages.first_fail_s == outages.since_s[:, None])
        for number, slab in enumerate(outages.ways):
            columns = population.cohorts[slab.cohort].columns
            mine = together[:, columns][slab.rows] & (outages.way[:, columns][slab.rows] == number)
            if mine.any():
                taken = self._sum_way(result, slab, mine, outages.recovered_s[:, columns][slab.rows], outages.since_s)
                single[:, columns][slab.rows] &= ~taken
        trial, point = np.nonzero(single)
        if len(trial):
            parts = self.phases_s(outages, trial, point) * population.weight[point, None]
            for index in range(len(PHASES)):
                result[:, index] += np.bincount(trial, weights=parts[:, index], minlength=len(result))
        return result

    def _sum_way(self, result: Floats, slab: Slab, mine: Bools, recovered: Floats, since_s: Floats) -> Bools:
        """Add what clients that came back by one way spent on each phase; return who was taken."""
        by_open = mine & (recovered == slab.open_from_s[:, None])
        by_node = mine & ~by_open
        if slab.node_from_s is None:
            by_node[...] = False
        else:
            by_node &= recovered == slab.node_from_s
        by_region = mine & ~by_open & ~by_node
        taken = mine.copy()
        trials = slab.trials(len(since_s))
        for kind, who in ((_OPEN, by_open), (_NODE, by_node), (_REGION, by_region)):
            rows = np.flatnonzero(who.any(axis=1))
            if not len(rows):
                continue
            starts, phases = self._packed(slab, kind, len(since_s))
            starts, phases = starts[rows], phases[rows]
            if kind == _NODE:
                early = starts[:, -1] < since_s[trials[rows]]
                taken[rows[early]] &= ~who[rows[early]]
                rows, starts, phases = rows[~early], starts[~early], phases[~early]
            weights = np.where(who[rows], slab.weight, 0.0)
            weight = np.add.reduce(weights, axis=1)
            back = np.add.reduce(weights * np.where(who[rows], recovered[rows], 0.0), axis=1) / weight
            seen = None
            if kind == _NODE and slab.node_seen_s is not None:
                known = np.where(who[rows], np.maximum(slab.node_seen_s[rows], starts[:, -1:]), 0.0)
                seen = np.add.reduce(weights * known, axis=1) / weight
            parts = np.zeros((len(rows), len(PHASES)))
            _add(parts, np.arange(len(rows)), starts, phases, seen, since_s[trials[rows]], back)
            result[trials[rows]] += parts * weight[:, None]
        return taken

    def _explain(
        self,
        result: Floats,
        slab: Slab,
        some: Ints,
        row: Ints,
        column: Ints,
        first_fail: Floats,
        recovered: Floats,
    ) -> None:
        opened = slab.open_from_s[row]
        region = np.full(len(row), -np.inf) if slab.region_from_s is None else slab.region_from_s[row, column]
        node = np.full(len(row), -np.inf) if slab.node_from_s is None else slab.node_from_s[row, column]
        last = np.where(opened >= np.maximum(region, node), _OPEN, np.where(node >= region, _NODE, _REGION))
        for kind in (_OPEN, _NODE, _REGION):
            mine = np.flatnonzero(last == kind)
            if not len(mine):
                continue
            starts, phases = self._packed(slab, kind, len(self._traces))
            starts, phases = starts[row[mine]], phases[row[mine]]
            seen = None
            if kind == _NODE and slab.node_seen_s is not None:
                seen = np.maximum(slab.node_seen_s[row[mine], column[mine]], starts[:, -1])
            _add(result, some[mine], starts, phases, seen, first_fail[mine], recovered[mine])

    def _packed(self, slab: Slab, kind: int, count: int) -> tuple[Floats, Ints]:
        """Return padded starts and phases of the chains behind a way's last event of that kind, per row of the way."""
        key = (id(slab), kind)
        found = self._ways.get(key)
        if found is None:
            events = (slab.open_event, slab.node_event, slab.region_event)[kind].tolist()
            trials = slab.trials(count).tolist()
            chains = [self._chain(trial, event, kind) for trial, event in zip(trials, events, strict=True)]
            width = max(map(len, chains))
            first = (-INF, 0)
            links = np.array([[first] * (width - len(row)) + row for row in chains])
            # the way itself is kept, so that its identity stays its own
            found = self._ways[key] = (links[:, :, 0], links[:, :, 1].astype(np.int64), slab)
        return found[0], found[1]

    def _chain(self, trial: int, event: int, kind: int) -> list[tuple[float, int]]:
        """The chain up to the event, and the stretch from the event to the recovery."""
        if event == NO_EVENT:
            return [(-INF, NUMBER["repair" if kind == _OPEN else "propagation"])]
        key = (trial, event)
        found = self._known.get(key)
        if found is None:
            events = self._traces[trial].events
            phase = NUMBER[events[event].phase or "repair"]
            found = self._known[key] = (chain(events, event), events[event].at_s, phase)
        links, at_s, phase = found
        if kind != _OPEN:
            # Nothing but a proxy that has met a fault itself goes elsewhere because of it.
            met = kind == _REGION and self._traces[trial].events[event].kind == "fault-starts"
            phase = NUMBER["detection" if met else "propagation"]
        return [*links, (at_s, phase)]


def _rows_of(slab: Slab, trial: Ints, count: int) -> Ints:
    if isinstance(slab.rows, slice):
        return trial
    place = np.zeros(count, dtype=np.int64)
    place[slab.rows] = np.arange(len(slab.rows))
    return place[trial]


def _add(
    result: Floats,
    rows: Ints,
    starts: Floats,
    phases: Ints,
    seen: Floats | None,
    first_fail: Floats,
    recovered: Floats,
) -> None:
    """Add the stretches, clipped to the outage; from ``seen`` on an instance was reconnecting."""
    until = recovered
    if seen is not None:
        seen = np.clip(seen, first_fail, recovered)
        result[rows, NUMBER["reconnect"]] += recovered - seen
        until = seen
    for place in range(starts.shape[1] - 1, -1, -1):
        begin = np.clip(starts[:, place], first_fail, until)
        result[rows, phases[:, place]] += until - begin
        until = begin
