"""Two primaries: episodes of split-brain, exposure, dual belief, and failovers that should not have been.

An episode is a maximal interval in which at least two nodes on different histories can acknowledge and the writers'
current routes give each an expected write rate of at least one per 10 min (at the steady rate: bursts only add). Gaps
under 60 s merge. What remains of the time in which two nodes can acknowledge is *exposed* if each of two such nodes can
be reached by some cohort, and *dual belief* if not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import acknowledging
from mrsim.measure.columns import Measures, Status
from mrsim.spans import Interval, gaps, intersect, length, unite
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mrsim.measure.bins import Bin
    from mrsim.measure.ledger import Ledger, Routed
    from mrsim.routes import Routes
    from mrsim.trace import Event, StoreTrace, Trace

    Floats = NDArray[np.float64]

FLOOR_PER_S = 1.0 / 600.0
"""Expected write rate from which a node counts as written to: one per 10 min."""

MERGE_S = 60.0
"""Gaps between episodes shorter than this merge."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of one trial in which two nodes of a store could acknowledge."""

    trial: int
    store: str
    kind: str
    start_s: float
    end_s: float
    nodes: tuple[str, ...]


def _lines(store: StoreTrace) -> dict[tuple[str, int], tuple[Interval, ...]]:
    """Return when each node could acknowledge on each history."""
    lines: dict[tuple[str, int], list[Interval]] = {}
    for node, spans in store.acks.items():
        for span in spans:
            if span.acked_until_s > span.start_s:
                lines.setdefault((node, span.history), []).append((span.start_s, span.acked_until_s, NO_EVENT))
    return {line: tuple(found) for line, found in lines.items()}


def _in_twos(lines: dict[tuple[str, int], tuple[Interval, ...]]) -> tuple[Interval, ...]:
    """Return where at least two lines of different nodes and histories hold at once."""
    items = list(lines.items())
    pairs = [
        intersect(one, other)
        for index, ((node, history), one) in enumerate(items)
        for (second, line), other in items[index + 1 :]
        if second != node and line != history
    ]
    return unite(pairs) if pairs else ()


def dual_s(store: StoreTrace, horizon_s: float) -> tuple[Interval, ...]:
    """Return when at least two nodes on different histories could acknowledge, up to the horizon."""
    if len(store.histories) < 2:
        return ()
    return intersect(_in_twos(_lines(store)), ((0.0, horizon_s, NO_EVENT),))


def nearness_s(store: StoreTrace) -> float:
    """Return how near a store came to two primaries at once: their longest overlap, or minus their shortest gap.

    In seconds, between two nodes on different histories; minus infinity if there was never a second history.
    """
    lines = _lines(store)
    return max(
        (
            min(one[1], other[1]) - max(one[0], other[0])
            for (node, history), mine in lines.items()
            for (second, line), theirs in lines.items()
            if node < second and history != line
            for one in mine
            for other in theirs
        ),
        default=-INF,
    )


def _written(routed: Sequence[Routed], rate_per_s: float) -> tuple[Interval, ...]:
    """Return when the writers routed to one line expect at least the floor's rate."""
    times = np.concatenate([part.start_s for part in routed] + [part.end_s for part in routed])
    steps = np.concatenate([part.weight for part in routed] + [-part.weight for part in routed])
    order = np.argsort(times, kind="stable")
    times, level = times[order], np.cumsum(steps[order])
    above = level * rate_per_s >= FLOOR_PER_S
    above[-1] = False
    turns = np.flatnonzero(np.diff(above, prepend=False))
    edges = times[turns].tolist()
    return tuple((start, end, NO_EVENT) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start)


def episodes_of(
    bins: Sequence[Bin], routed: Sequence[Routed], rate_per_s: float, dual: tuple[Interval, ...]
) -> tuple[Interval, ...]:
    """Return the split-brain episodes of one trial, merged.

    Parameters
    ----------
    bins, routed
        Bins of the trial and who was routed to them.
    rate_per_s
        Steady rate of all writers.
    dual
        When two nodes could acknowledge.
    """
    lines: dict[tuple[str, int], list[Routed]] = {}
    for part in routed:
        if bins[part.bin].fate.acknowledged:
            lines.setdefault((bins[part.bin].node, bins[part.bin].history), []).append(part)
    written = {line: _written(parts, rate_per_s) for line, parts in lines.items()}
    merged: list[Interval] = []
    for start, end, event in intersect(_in_twos(written), dual):
        if merged and start - merged[-1][1] < MERGE_S:
            merged[-1] = (merged[-1][0], end, event)
        else:
            merged.append((start, end, event))
    return tuple(merged)


def _reachable(routes: Routes, trial: int, services: Sequence[str], node: str) -> tuple[Interval, ...]:
    """Return when somebody could reach the node through some region (a cohort of share 0 is nobody)."""
    cohorts = [name for name, cohort in routes.population.cohorts.items() if cohort.share > 0.0]
    found: list[tuple[Interval, ...]] = []
    for service in services:
        for region in filter(routes.scenario.services[service].may_serve, routes.scenario.regions):
            inside = intersect(routes.serving(service, region)[trial], routes.link(region, node)[trial])
            if routes.scenario.services[service].is_worker:
                found.append(inside)
                continue
            found += [intersect(routes.front(cohort, region)[trial], inside) for cohort in cohorts]
    return unite(found) if found else ()


def _without(intervals: Sequence[Interval], others: Sequence[Interval]) -> tuple[Interval, ...]:
    rest = tuple((start, end, NO_EVENT) for start, end in gaps(others, -INF, INF))
    return intersect(intervals, rest)


def _kinds(
    routes: Routes, ledger: Ledger, trial: int, store: str, services: Sequence[str]
) -> Iterator[tuple[str, tuple[Interval, ...]]]:
    history = routes.traces[trial].stores[store]
    dual = dual_s(history, ledger.horizon_s)
    rate = ledger.load.rate_per_s
    split = episodes_of(ledger.bins[trial], ledger.routed.get(trial, []), rate, dual)
    yield "split-brain", split
    reach = {
        line: intersect(spans, _reachable(routes, trial, services, line[0])) for line, spans in _lines(history).items()
    }
    rest = _without(dual, split)
    exposed = intersect(rest, _in_twos(reach))
    yield "exposed", exposed
    yield "dual-belief", _without(rest, exposed)


def put_split_brain(
    measures: Measures, store: str, services: Sequence[str], ledger: Ledger, routes: Routes, watched: set[int]
) -> list[Episode]:
    """Add the columns on two primaries of one store; return its episodes."""
    count = len(routes.traces)
    sums = {kind: np.zeros(count) for kind in ("split-brain", "exposed", "dual-belief")}
    number = np.zeros(count)
    found: list[Episode] = []
    for trial in sorted(watched):
        history = routes.traces[trial].stores[store]
        for kind, intervals in _kinds(routes, ledger, trial, store, services):
            sums[kind][trial] = length(intervals, 0.0, ledger.horizon_s)
            if kind == "split-brain":
                number[trial] = len(intervals)
            for start, end, _ in intervals:
                nodes = tuple(n for n, spans in history.acks.items() if length(acknowledging(spans), start, end) > 0)
                found.append(Episode(measures.first + trial, store, kind, start, end, nodes))
    labels = {"store": store}
    measures.put("split_brain", labels, (number > 0).astype(float))
    measures.put("split_brain_episodes", labels, number)
    measures.put("split_brain_s", labels, sums["split-brain"])
    measures.put("exposed_s", labels, sums["exposed"])
    measures.put("dual_belief_s", labels, sums["dual-belief"])
    return found


def decided_s(trace: Trace, store: str) -> float:
    """Return when the first promotion was decided: the last decision before any fencing; NaN without a promotion.

    Where no decision is among its causes, the instant at which the new primary became writable stands for it.
    """
    history = trace.stores[store]
    if len(history.histories) < 2:
        return float("nan")
    promoted = history.histories[1]
    found: float | None = None
    for event in _causes(trace.events, promoted.event):
        if event.phase == "fencing":
            found = None
        elif event.phase == "decision" and found is None:
            found = event.at_s
    return promoted.began_s if found is None else found


def _causes(events: Sequence[Event], last: int) -> Iterator[Event]:
    """Yield an event and its causes, the latest first."""
    seen = 0
    while last != NO_EVENT and seen <= len(events):
        yield events[last]
        last = events[last].cause
        seen += 1


def put_failovers(measures: Measures, store: str, ledger: Ledger, traces: Sequence[Trace]) -> None:
    """Add whether each trial promoted, whether falsely or prematurely, and how long it had no redundancy after."""
    count = len(traces)
    promoted, false, premature = np.zeros(count), np.zeros(count), np.zeros(count)
    bare = np.full(count, np.nan)
    status = np.full(count, Status.NO_EFFECT, dtype=np.int8)
    for index, trace in enumerate(traces):
        history = trace.stores[store]
        begun = [h for h in history.histories[1:] if h.began_s <= ledger.horizon_s]
        if not begun:
            continue
        promoted[index] = 1.0
        old = history.histories[begun[0].parent].node
        served = sum(ledger.served[index, place] for place, b in enumerate(ledger.bins[index]) if b.node == old)
        false[index] = float(served >= 0.5)
        premature[index] = float(any(_premature(trace, h.event, h.began_s) for h in begun))
        bare[index], again_s = _bare(history, [h.began_s for h in begun], ledger.horizon_s)
        never = trace.stopped_early and again_s == INF
        status[index] = Status.NEVER if never else Status.CENSORED if again_s > ledger.horizon_s else Status.OBSERVED
    bare[status == Status.NEVER] = np.inf
    labels = {"store": store}
    measures.put("promoted", labels, promoted)
    measures.put("false_failover", labels, false)
    measures.put("premature_failover", labels, premature)
    measures.put("time_without_redundancy_s", labels, bare, status)


def _premature(trace: Trace, event: int, began_s: float) -> bool:
    """Whether the fault that a promotion goes back to ended before the new primary was writable."""
    causes = list(_causes(trace.events, event))
    root = causes[-1] if causes else None
    if root is None or not root.kind.startswith("fault"):
        return False
    return any(
        e.kind == "fault-ends" and e.subject == root.subject and root.at_s <= e.at_s < began_s for e in trace.events
    )


def _bare(history: StoreTrace, begun_s: Sequence[float], horizon_s: float) -> tuple[float, float]:
    """Return how long there was no redundancy after promotions, up to the horizon, and when there was again.

    A later promotion, as of a failback, ends nothing and counts nothing twice. Again is infinite if never.
    """
    again_s = [_redundant_s(history, began_s) for began_s in begun_s]
    bare = [((began_s, end_s, NO_EVENT),) for began_s, end_s in zip(begun_s, again_s, strict=True)]
    return length(unite(bare), begun_s[0], horizon_s), again_s[-1]


def _redundant_s(history: StoreTrace, began_s: float) -> float:
    """Return when enough standbys first followed after a promotion at ``began_s``; infinite if never."""
    return min((max(span.start_s, began_s) for span in history.redundant if span.end_s > began_s), default=INF)
