"""Where every client's requests go, and when they get through: from a chunk of traces and the population's phases.

The way of a request is a chain of three layers: which region the client's program believes in (the record's answers as
its caches saw them), which node that region's service instances use (the endpoint's answers as they saw them), and when
the path from the client through the region to the node works. A :class:`~mrsim.slabs.Slab` is one combination of a
segment of each layer for all points of a cohort in all trials: requests get through in ``[start, end)``.

A service with route *nearest* reads from its own region's node, or else from the next nearest that answers: it can read
while any readable node is reachable from its region (a libpq connection string with several hosts does that).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mrsim.detours import second_tries, silences
from mrsim.instances import endpoint_seen_s
from mrsim.population import Dimension, moved_s, seen_s
from mrsim.ranges import Ranges, chosen, everywhere, join, meet, nowhere, of_rows
from mrsim.slabs import (
    Changes,
    ErrorPiece,
    Layer,
    Packed,
    Piece,
    Pieces,
    Slab,
    moves,
    padded,
    padded_changes,
    segments,
    with_errors,
)
from mrsim.spans import ALWAYS, Interval, of_spans
from mrsim.trace import INF, NO_EVENT, Change
from mrsim.weighting import Draw, portions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.population import Phases, Population
    from mrsim.scenario.model import Scenario
    from mrsim.trace import Span, Trace

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


class Routes:
    """Ways of all requests in a chunk of trials.

    Parameters
    ----------
    scenario, population
        The resolved scenario and its points.
    phases
        The points' coordinates in the trials of the chunk.
    traces
        The traces of the same trials, in the same order.
    """

    def __init__(self, scenario: Scenario, population: Population, phases: Phases, traces: Sequence[Trace]) -> None:
        self.scenario = scenario
        self.population = population
        self.phases = phases
        self.traces = traces
        self.count = len(traces)
        self._records = {service: name for name, record in reversed(scenario.dns.items()) for service in record.serves}
        self._answers: dict[tuple[str, str], tuple[Changes, Floats]] = {}
        self._workers: dict[tuple[str, str, bool], tuple[Changes, Floats]] = {}
        self._endpoints: dict[tuple[str, tuple[str, ...]], Changes] = {}
        self._instances: dict[tuple[str, str], list[tuple[Changes, tuple[Floats, Floats]]]] = {}
        self._paths: dict[tuple[str, str, str], list[tuple[Interval, ...]]] = {}
        self._ranges: dict[tuple[str, str, str], Ranges] = {}
        self._errors = any(trace.error_rate for trace in traces)
        self._draws: dict[tuple[str, str], Draw] = {}
        self._faults_s = (
            np.array([trace.fault_s for trace in traces]),
            np.array([_last_fault_s(trace) for trace in traces]),
        )

    # -- what clients and instances believe ------------------------------------------------------------------------

    def answers(self, service: str, cohort: str) -> tuple[Changes, Floats]:
        """Return the answers to a cohort, and when each point follows each change: (trials, changes, points).

        Work that no record leads to is done where the workers run; of several regions, where they came last.
        """
        if self.scenario.services[service].is_worker:
            return self._work(service, cohort, latest=True)
        record = self._records.get(service, "")
        key = (record, cohort)
        found = self._answers.get(key)
        if found is None:
            if record:
                changes = padded_changes([trace.answers[record][cohort] for trace in self.traces])
            else:
                near = self.population.cohorts[cohort].near
                changes = padded_changes([[Change(-INF, near)]] * self.count)
            seen = self._seen_s(record, cohort, changes)
            found = self._answers[key] = (changes, seen)
        return found

    def _seen_s(self, record: str, cohort: str, changes: Changes) -> Floats:
        found = self.scenario.dns.get(record)
        proxied = found is not None and found.edge is not None
        pools = any(stratum.client.pool_lifetime > 0 for stratum in self.population.cohorts[cohort].strata)
        outages = silences(changes, partial(self.front, cohort)) if pools and not proxied else None
        if found is not None and found.converges is not None:
            return moved_s(self.phases, cohort, changes.changes_s, found.converges, outages, held=not proxied)
        return seen_s(self.phases, cohort, changes.changes_s, found.ttl if found is not None else 0.0, outages)

    def _work(self, service: str, cohort: str, *, latest: bool) -> tuple[Changes, Floats]:
        key = (service, cohort, latest)
        found = self._workers.get(key)
        if found is None:
            rows = [
                moves({region: spans for (name, region), spans in trace.serving.items() if name == service}, latest)
                for trace in self.traces
            ]
            changes = padded_changes(rows)
            shape = (*changes.changes_s.shape, self.population.cohorts[cohort].points)
            found = self._workers[key] = (changes, np.broadcast_to(changes.changes_s[:, :, None], shape))
        return found

    def _shifts(self, service: str, cohort: str) -> Iterator[tuple[Changes, Floats, Bools | None]]:
        """Yield where workers work, when, and whose work that is; None: all of it.

        Where workers run in two regions at once (one of them cut off, and told so by nobody), each does half the work.
        """
        changes, at_s = self._work(service, cohort, latest=True)
        earlier, before_s = self._work(service, cohort, latest=False)
        same = earlier.same_rows(changes)
        if same.all():
            yield changes, at_s, None
            return
        # Trial by trial: halves add up to the whole but for rounding, which must not depend on the other trials.
        odd = np.arange(self.population.cohorts[cohort].points) % 2 == 1
        whose = odd & ~same[:, None]
        yield earlier, before_s, whose
        yield changes, at_s, ~whose

    def _endpoint(self, store: str, regions: tuple[str, ...]) -> Changes:
        key = (store, regions)
        found = self._endpoints.get(key)
        if found is None:
            lists = [
                trace.stores[store].endpoint.get(region, ()) for trace, region in zip(self.traces, regions, strict=True)
            ]
            found = self._endpoints[key] = padded_changes(lists)
        return found

    def _instance_times(self, store: str, cohort: str, changes: Changes) -> tuple[Floats, Floats]:
        known = self._instances.setdefault((store, cohort), [])
        for same, result in known:
            if same.alike(changes):
                return result
        endpoint = self.scenario.stores[store].endpoint
        times, cached, lives_s = changes.changes_s, changes.cached, changes.lives_from(endpoint.ttl)
        fresh = endpoint_seen_s(self.phases, cohort, times, lives_s, endpoint.reconnect, cached, changes.moves)
        known.append((changes, fresh))
        return fresh

    # -- paths -----------------------------------------------------------------------------------------------------

    def front(self, cohort: str, region: str) -> list[tuple[Interval, ...]]:
        """Return, per trial, when the cohort's requests reach the region's front door and their answers come back."""
        key = ("front", cohort, region)
        if key not in self._paths:
            self._paths[key] = [_of(trace.front.get((cohort, region))) for trace in self.traces]
        return self._paths[key]

    def link(self, region: str, node: str) -> list[tuple[Interval, ...]]:
        """Return, per trial, when a service in the region can talk to the node."""
        key = ("link", region, node)
        if key not in self._paths:
            self._paths[key] = [_of(trace.links.get((region, node))) for trace in self.traces]
        return self._paths[key]

    def serving(self, service: str, region: str) -> list[tuple[Interval, ...]]:
        """Return, per trial, when the service's instances served in the region: always if that is not in the trace."""
        key = ("serves", service, region)
        if key not in self._paths:
            nothing: list[Span] | None = [] if self.scenario.services[service].is_worker else None
            self._paths[key] = [_of(trace.serving.get((service, region), nothing)) for trace in self.traces]
        return self._paths[key]

    def readable(self, store: str, node: str) -> list[tuple[Interval, ...]]:
        """Return, per trial, when the node could answer reads."""
        key = ("read", store, node)
        if key not in self._paths:
            self._paths[key] = [of_spans(trace.stores[store].reads.get(node, ())) for trace in self.traces]
        return self._paths[key]

    def _whole(self, kind: str, first: str, second: str) -> Ranges:
        """Return the intervals of the signal of that kind, or the nearest copies', as arrays."""
        key = (kind, first, second)
        found = self._ranges.get(key)
        if found is None:
            if kind == "nearest":
                found = self._nearest_reads(first, second)
            else:
                signals = {"front": self.front, "link": self.link, "read": self.readable, "serves": self.serving}
                lists = signals[kind](first, second)
                found = everywhere(self.count) if all(part is ALWAYS for part in lists) else of_rows(lists)
            self._ranges[key] = found
        return found

    def _nearest_reads(self, service: str, region: str) -> Ranges:
        """Return when the region reaches a copy of everything the service reads by route nearest."""
        found = everywhere(self.count)
        for store, read in self.scenario.services[service].reads.items():
            if read.route == "nearest":
                found = meet(found, self._some_node(store, region))
        return found

    def _some_node(self, store: str, region: str) -> Ranges:
        """Return when some readable node of the store is reachable from the region."""
        parts: list[Ranges] = []
        for node in dict.fromkeys(node for trace in self.traces for node in trace.stores[store].reads):
            parts.append(meet(self._whole("link", region, node), self._whole("read", store, node)))
            if parts[-1].always:
                return parts[-1]
        return join(parts) if parts else nowhere(self.count)

    # -- slabs -----------------------------------------------------------------------------------------------------

    def reads(self, service: str) -> Iterator[Slab]:
        """Yield the ways of a service's reads, in the order of time for every point.

        Of several stores read by route *primary* the first goes through the instances' own endpoint caches.
        """
        primary = [store for store, read in self.scenario.services[service].reads.items() if read.route == "primary"]
        if not primary:
            return self._slabs(service, None, None)
        store = primary[0]

        def pieces(trial: int, node: str) -> Sequence[Piece]:
            return [(start, end, event, 0) for start, end, event in self.readable(store, node)[trial]]

        return self._slabs(service, store, pieces, reading=True)

    def writes(self, service: str, pieces: Pieces) -> Iterator[Slab]:
        """Yield the ways of a service's writes, in the order of time for every point.

        Parameters
        ----------
        service
            A service that writes a store.
        pieces
            When commits succeed on a node in a trial, labelled; ascending.
        """
        return self._slabs(service, self.scenario.services[service].writes, pieces, reading=False)

    def _slabs(self, service: str, store: str | None, pieces: Pieces | None, *, reading: bool = True) -> Iterator[Slab]:
        may_serve = self.scenario.services[service].may_serve
        known: dict[str, Ranges] = {}

        def ranges_of(node: str) -> Ranges:
            if not node or pieces is None:
                return nowhere(self.count)
            if node not in known:
                known[node] = of_rows([pieces(trial, node) for trial in range(self.count)])
            return known[node]

        for cohort in self.population.cohorts:
            for region_layer, answered, mine in self.regions(service, cohort, reading=reading):
                regions = tuple(region if may_serve(region) else "" for region in answered)
                paths = chosen(regions, partial(self._into, service, cohort, reading))
                if store is None or pieces is None:
                    packed = self._pack(paths, regions, region_layer.change_s)
                    yield from self._of_pieces(cohort, regions, region_layer, None, packed, mine)
                    continue
                endpoint = self._endpoint(store, regions)
                sees, works = self._instance_times(store, cohort, endpoint)
                for node_layer, nodes in segments(endpoint, sees, works):
                    links = chosen(list(zip(regions, nodes, strict=True)), lambda pair: self._whole("link", *pair))
                    served = meet(meet(paths, links), chosen(nodes, ranges_of))
                    packed = self._pack(served, regions, np.maximum(region_layer.change_s, node_layer.change_s))
                    yield from self._of_pieces(cohort, regions, region_layer, node_layer, packed, mine)

    def regions(
        self, service: str, cohort: str, *, reading: bool = True
    ) -> Iterator[tuple[Layer, tuple[str, ...], Bools | None]]:
        """Yield stretches between changes, the region of each trial, and whose it is if not that of all points."""
        record = self._records.get(service, "")
        edge = self.scenario.dns[record].edge if record else None
        if edge is None or not (reading or edge.writes):
            return self._led(service, cohort)
        tries = [trace.tries.get(record, {}) for trace in self.traces]
        return second_tries(self._led(service, cohort), cohort, tries, self.population.cohorts[cohort].points)

    def _led(self, service: str, cohort: str) -> Iterator[tuple[Layer, tuple[str, ...], Bools | None]]:
        """Yield the same as answers and routes have it, before any proxy turns elsewhere."""
        if self.scenario.services[service].is_worker:
            for changes, seen, whose in self._shifts(service, cohort):
                for layer, answered in segments(changes, seen, seen):
                    yield layer, answered, whose
            return
        changes, seen = self.answers(service, cohort)
        record = self._records.get(service, "")
        if not record or self.scenario.dns[record].policy != "weighted":
            for layer, answered in segments(changes, seen, seen):
                yield layer, answered, None
            return
        key = (record, cohort)
        if key not in self._draws:
            self._draws[key] = Draw(self.phases, record, cohort, self.scenario.dns[record].ttl)
        offered = self.scenario.dns[record].regions
        yield from portions(self._draws[key], changes, seen, offered, self._faults_s, self.scenario.horizon)

    def _into(self, service: str, cohort: str, reading: bool, region: str) -> Ranges:
        """When requests of a cohort get through a region's front door to instances and, for reads, to a copy."""
        if not region:
            return nowhere(self.count)
        path = self._whole("serves", service, region)
        if not self.scenario.services[service].is_worker:
            front = self._whole("front", cohort, region)
            path = front if path.always else meet(front, path)
        return meet(path, self._whole("nearest", service, region)) if reading else path

    def _pack(self, served: Ranges, regions: tuple[str, ...], since_s: Floats) -> Packed:
        """Take the pieces that end after the change that led to them, split where a region answers with errors."""
        served = served.tidy((served.start_s < np.inf) & (served.end_s > np.maximum(since_s, 0.0)[:, None]))
        if not self._errors:
            return Packed(*served, None)
        rows: list[list[ErrorPiece]] = []
        for trial, region in enumerate(regions):
            spans = self.traces[trial].error_rate.get(region)
            row: Iterator[Piece] = zip(*(part[trial].tolist() for part in served), strict=True)
            parts = [with_errors(piece, spans, self.traces[trial]) for piece in row if piece[0] < INF]
            rows.append([part for split in parts for part in split])
        return padded(rows, errors=True)

    def _of_pieces(
        self,
        cohort: str,
        regions: tuple[str, ...],
        region: Layer,
        node: Layer | None,
        packed: Packed,
        mine: Bools | None,
    ) -> Iterator[Slab]:
        points = self.population.cohorts[cohort]
        # A bound that no point comes to is left out: what is the same for all points stays one column of memory.
        layers = [layer for layer in (region, node) if layer is not None]
        froms = [(layer.from_s, layer.from_s.max(axis=1)) for layer in layers if layer.from_s is not None]
        untils = [(layer.until_s, layer.until_s.min(axis=1)) for layer in layers if layer.until_s is not None]
        for place in range(packed.start_s.shape[1]):
            present = packed.start_s[:, place] < np.inf
            rows: slice | Ints = slice(None) if present.all() else np.flatnonzero(present)
            open_from, closes = packed.start_s[rows, place], packed.end_s[rows, place]
            start = np.broadcast_to(open_from[:, None], (len(open_from), points.points))
            end = np.broadcast_to(closes[:, None], start.shape)
            for from_s, latest in froms:
                if (latest[rows] > open_from).any():
                    start = np.maximum(start, from_s[rows])
            for until_s, earliest in untils:
                if (earliest[rows] < closes).any():
                    end = np.minimum(end, until_s[rows])
            if packed.errors is not None and packed.errors[:, place].any():
                fails = self.phases.of_cohort(cohort, Dimension.ERROR)[rows] < packed.errors[rows, place, None]
                end = np.where(fails, -np.inf, end)
            if mine is not None:
                end = np.where(mine[rows], end, -np.inf)
            if not (end > start).any():
                continue  # Nobody's: what comes and goes often makes many of these.
            yield Slab(
                cohort=cohort,
                weight=points.weight,
                rows=rows,
                start_s=start,
                end_s=end,
                label=packed.label[rows, place],
                region_from_s=None if region.from_s is None else region.from_s[rows],
                region_event=region.event[rows],
                node_seen_s=None if node is None or node.seen_s is None else node.seen_s[rows],
                node_from_s=None if node is None or node.from_s is None else node.from_s[rows],
                node_event=region.event[rows] if node is None else node.event[rows],
                open_from_s=open_from,
                open_event=packed.event[rows, place],
                regions=regions,
                again=None if region.again is None else region.again[rows],
            )


def _last_fault_s(trace: Trace) -> float:
    return max((trace.events[event].at_s for event in trace.fault_events if event != NO_EVENT), default=INF)


def _of(spans: Sequence[Span] | None) -> tuple[Interval, ...]:
    return ALWAYS if spans is None else of_spans(spans)
