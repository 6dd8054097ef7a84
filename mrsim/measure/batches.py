"""Runs of a batch job beside the writer: which were missed, and which were done more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.scenario.places import region_of
from mrsim.spans import intersect
from mrsim.trace import INF, NO_EVENT, site_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.measure.columns import Measures
    from mrsim.rng import Draws
    from mrsim.routes import Routes
    from mrsim.scenario.services import Batch
    from mrsim.spans import Interval
    from mrsim.trace import AckSpan

Run = tuple[float, float]
"""When a run started and when whoever ran it could no longer write."""


def put_batches(measures: Measures, service: str, rule: Batch, routes: Routes, draws: Draws) -> None:
    """Add how many runs of a service's batch job were due, missed, made up for, and done more than once.

    A run is due at the same instant in every region that the service runs in, at a random phase. It is done if somebody
    starts it and can write until it is through; who is broken off has done a part of it.
    """
    phase = draws.uniform(f"{service}/batch")
    found = np.zeros((4, measures.count))
    for trial in range(measures.count):
        runners = _Runners(routes, service, rule, trial)
        horizon_s = routes.traces[trial].horizon_s
        due_s = np.arange(float(phase[trial]) * rule.every, horizon_s, rule.every).tolist()
        for at_s in due_s:
            runs = runners.at(at_s)
            done = any(until_s >= at_s + rule.takes for _, until_s in runs)
            late = not done and rule.catches_up and runners.made_up(at_s, runs)
            found[:, trial] += (1, not done and not late, late, len(runs) + late > 1)
    labels = {"service": service}
    for metric, values in zip(("due_runs", "missed_runs", "late_runs", "doubled_runs"), found, strict=True):
        measures.put(metric, labels, values)


class _Runners:
    """Who would run a job in one trial: the service's regions, and when a database took their writes."""

    def __init__(self, routes: Routes, service: str, rule: Batch, trial: int) -> None:
        scenario = routes.scenario
        model = scenario.services[service]
        store = model.writes or ""
        history = routes.traces[trial].stores[store]
        self._rule = rule
        self._able: list[tuple[Interval, ...]] = []
        regions = [region for region in scenario.regions if model.may_serve(region)]
        for region in regions:
            serves = routes.serving(service, region)[trial]
            changes = history.endpoint.get(region, ())
            ends = [*(change.at_s for change in changes[1:]), INF]
            answers = [(change.at_s, end, change.target) for change, end in zip(changes, ends, strict=False)]
            for node, spans in history.acks.items():
                if rule.leader == "writer":
                    ways = serves if region_of(scenario, site_of(node)) == region else ()
                else:
                    led = [(since_s, until_s, NO_EVENT) for since_s, until_s, target in answers if target == node]
                    ways = intersect(intersect(led, serves), routes.link(region, node)[trial])
                self._able.append(intersect(_able(spans, routes.readable(store, node)[trial]), ways))

    def at(self, at_s: float) -> list[Run]:
        """Return who starts a run that is due."""
        return [(at_s, end) for able in self._able for start, end, _ in able if start <= at_s < end]

    def made_up(self, at_s: float, broken: Sequence[Run]) -> bool:
        """Return whether somebody does a run later, before the next is due, if it has the time."""
        rule = self._rule
        since_s = max((until_s for _, until_s in broken), default=at_s)
        able = [(max(start, since_s), end) for ways in self._able for start, end, _ in ways]
        return any(start < at_s + rule.every and end - start >= rule.takes for start, end in able)


def _able(spans: list[AckSpan], alive: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return when a node took writes; commits that only waited for standbys held a run up and did not break it off."""
    found: list[Interval] = []
    last: AckSpan | None = None
    for span in spans:
        if span.acked_until_s <= span.start_s:
            continue
        went_on = last is not None and last.history == span.history
        if went_on and any(start <= found[-1][1] and span.start_s <= end for start, end, _ in alive):
            found[-1] = (found[-1][0], span.acked_until_s, NO_EVENT)
        else:
            found.append((span.start_s, span.acked_until_s, NO_EVENT))
        last = span
    return tuple(found)
