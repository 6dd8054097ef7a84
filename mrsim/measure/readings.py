"""What readers were shown: how old it was, and how often they missed what they had written themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.scenario.places import region_of
from mrsim.trace import INF, site_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.measure.columns import Measures
    from mrsim.routes import Routes
    from mrsim.scenario.services import Read
    from mrsim.slabs import Layer
    from mrsim.spans import Interval
    from mrsim.trace import Reading, StoreTrace

    Floats = NDArray[np.float64]


def put_readings(measures: Measures, service: str, routes: Routes) -> None:
    """Add how old what a service's readers saw was, and the share of their reads that missed their own write.

    Of several stores that it reads, the first one that says for how long a writer reads from the primary counts.
    """
    reads = routes.scenario.services[service].reads
    store = next((name for name, read in reads.items() if read.primary_for is not None), None)
    if store is None:
        return
    looks = _Looks(routes, service, store, reads[store])
    cohorts = routes.population.cohorts
    sums = {name: np.zeros((4, measures.count)) for name in cohorts}
    for trial in range(measures.count):
        for name in cohorts:
            sums[name][:, trial] = looks.of(trial, name)
    everyone = np.add.reduce([sums[name] * cohort.share for name, cohort in cohorts.items()])
    for who, (age, read, missed, again) in (("all", everyone), *sums.items()):
        labels = {"service": service, "from": who}
        with np.errstate(invalid="ignore"):
            measures.put("staleness_s", labels, age / np.where(read > 0.0, read, np.nan))
            measures.put("ryow_violations", labels, missed / np.where(again > 0.0, again, np.nan))


class _Looks:
    """Reads of one service and store in a chunk of trials, one sample after the other."""

    def __init__(self, routes: Routes, service: str, store: str, read: Read) -> None:
        self._routes = routes
        self._service = service
        self._store = store
        self._read = read
        self._stretches: dict[str, list[tuple[Layer, tuple[str, ...], NDArray[np.bool_] | None]]] = {}
        scenario = routes.scenario
        nodes = dict.fromkeys(node for trace in routes.traces for node in trace.stores[store].reads)
        homes = {node: region_of(scenario, site_of(node)) for node in nodes}
        self._nearest = {
            region: sorted(nodes, key=lambda node: scenario.network.path_s(region, homes[node]))
            for region in scenario.regions
        }
        self._may_serve = scenario.services[service].may_serve

    def of(self, trial: int, cohort: str) -> tuple[float, float, float, float]:
        """Return weighted sums over a trial's samples: ages, reads, own writes missed, own writes read again."""
        history = self._routes.traces[trial].stores[self._store]
        age = read = missed = again = 0.0
        for reading in history.readings:
            if reading.service not in ("", self._service):
                continue
            if reading.service and not _committed(history, reading.wrote_s):
                continue
            for region, weight in self._whereabouts(trial, cohort, reading.at_s):
                node = self._node(trial, cohort, region, reading)
                if node is None:
                    continue
                sees_s = reading.sees_s[node]
                if reading.service:
                    again += weight
                    missed += weight * (sees_s <= reading.wrote_s)
                else:
                    read += weight
                    age += weight * max(0.0, reading.at_s - sees_s)
        return age, read, missed, again

    def _whereabouts(self, trial: int, cohort: str, at_s: float) -> list[tuple[str, float]]:
        """Return the regions that a cohort's requests go to at an instant, with the share of the cohort."""
        points = self._routes.population.cohorts[cohort]
        weight = points.weight_within
        if cohort not in self._stretches:
            self._stretches[cohort] = list(self._routes.regions(self._service, cohort))
        stretches = self._stretches[cohort]
        if len(stretches) == 1 and stretches[0][2] is None:
            return [(stretches[0][1][trial], 1.0)]
        found: dict[str, float] = {}
        for layer, regions, mine in stretches:
            here = np.ones(points.points, dtype=np.bool_) if mine is None else mine[trial]
            if layer.from_s is not None:
                here = here & (layer.from_s[trial] <= at_s)
            if layer.until_s is not None:
                here = here & (at_s < layer.until_s[trial])
            if here.any():
                found[regions[trial]] = found.get(regions[trial], 0.0) + float(weight[here].sum() / weight.sum())
        return list(found.items())

    def _node(self, trial: int, cohort: str, region: str, reading: Reading) -> str | None:
        """Return the node that answers a read; None if none does. Who wrote within the window asks the primary."""
        routes, at_s = self._routes, reading.at_s
        if not region or not self._may_serve(region) or not _holds(routes.front(cohort, region)[trial], at_s):
            return None
        if not _holds(routes.serving(self._service, region)[trial], at_s):
            return None
        window_s = self._read.primary_for or 0.0
        within = bool(reading.service) and self._read.again_after is not None and at_s - reading.wrote_s < window_s
        for node in self._nearest[region]:
            if (within or self._read.route == "primary") and reading.sees_s[node] < INF:
                continue
            readable = _holds(routes.readable(self._store, node)[trial], at_s)
            if readable and _holds(routes.link(region, node)[trial], at_s):
                return node
        return None


def _holds(intervals: Sequence[Interval], at_s: float) -> bool:
    return any(start <= at_s < end for start, end, _ in intervals)


def _committed(store: StoreTrace, at_s: float) -> bool:
    """Whether any node acknowledged commits at an instant."""
    return any(span.start_s <= at_s < span.acked_until_s for spans in store.acks.values() for span in spans)
