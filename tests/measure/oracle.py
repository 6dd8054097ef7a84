"""The slow way: one client, one instant at a time, straight from the definitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mrsim.instances import endpoint_seen_s
from mrsim.population import Dimension, Population, moved_s, seen_s
from mrsim.rng import Draws
from mrsim.scenario.model import Scenario
from mrsim.trace import AckSpan, Change, Span, StoreTrace, Trace


def real_changes(answers: list[Change]) -> list[Change]:
    """Changes of the answer: those to the same target are none."""
    found = [answers[0]]
    for change in answers[1:]:
        if change.target != found[-1].target:
            found.append(change)
    return found


def holds(spans: list[Span] | None, at_s: float) -> bool:
    return spans is None or any(span.start_s <= at_s < span.end_s for span in spans)


@dataclass
class Client:
    """One point in one trial: what it and the instances that serve it believed, and when."""

    scenario: Scenario
    trace: Trace
    cohort: str
    weight: float
    error: float
    regions: list[tuple[float, str]]
    nodes: dict[str, list[tuple[float, float, str]]]
    cuts: list[float] = field(default_factory=list)

    def region(self, at_s: float, *, reading: bool) -> str:
        region = [target for since, target in self.regions if since <= at_s][-1]
        edge = self.scenario.dns["shop"].edge
        if edge is None or not (reading or edge.writes):
            return region
        tries = self.trace.tries.get("shop", {}).get((self.cohort, region), [Change(-np.inf, "")])
        return [change.target for change in tries if change.at_s <= at_s][-1] or region

    def node(self, region: str, at_s: float) -> str:
        _, works, target = [entry for entry in self.nodes[region] if entry[0] <= at_s][-1]
        return target if works <= at_s else ""

    def served_by(self, region: str, at_s: float, service: str) -> bool:
        """The region's front door is reached, the service's instances serve, and the request meets no error there."""
        share = sum(p for start, end, p in self.trace.error_rate.get(region, []) if start <= at_s < end)
        there = holds(self.trace.front.get((self.cohort, region)), at_s)
        there = there and holds(self.trace.serving.get((service, region)), at_s)
        return bool(region) and there and not self.error < share

    def reads(self, at_s: float) -> bool:
        region, db = self.region(at_s, reading=True), self.trace.stores["db"]
        nodes = [n for n in db.reads if holds(self.trace.links.get((region, n)), at_s) and holds(db.reads[n], at_s)]
        return self.served_by(region, at_s, "front") and bool(nodes)

    def commits_in(self, at_s: float) -> AckSpan | None:
        """The span of commits that a write at that instant would fall into."""
        region = self.region(at_s, reading=False)
        node = self.node(region, at_s) if region else ""
        reached = bool(node) and holds(self.trace.links.get((region, node)), at_s)
        if not reached or not self.served_by(region, at_s, "api"):
            return None
        spans = self.trace.stores["db"].acks[node]
        return next((span for span in spans if span.start_s <= at_s < span.end_s), None)


def clients(scenario: Scenario, traces: list[Trace], draws: Draws) -> list[list[Client]]:
    """Every client of every trial."""
    population = Population(scenario)
    phases = population.phases(draws)
    endpoint = scenario.stores["db"].endpoint
    found: list[list[Client]] = []
    for index, trace in enumerate(traces):
        row = []
        for name, points in population.cohorts.items():
            moves = real_changes(trace.answers["shop"][name])
            times = np.full((len(traces), len(moves) - 1), np.inf)
            times[index] = [change.at_s for change in moves[1:]]
            record = scenario.dns["shop"]
            if record.converges is not None:
                seen = moved_s(phases, name, times, record.converges)[index]
            else:
                seen = seen_s(phases, name, times, record.ttl)[index]
            errors = phases.of_cohort(name, Dimension.ERROR)[index]
            instances = {}
            for region, answers in trace.stores["db"].endpoint.items():
                changes = real_changes(answers)
                times = np.full((len(traces), len(changes) - 1), np.inf)
                times[index] = [change.at_s for change in changes[1:]]
                sees, works = endpoint_seen_s(phases, name, times, endpoint.ttl, endpoint.reconnect)
                instances[region] = (changes, sees[index], works[index])
            for point in range(points.points):
                row.append(
                    Client(
                        scenario,
                        trace,
                        name,
                        points.weight[point],
                        errors[point],
                        list(zip([-np.inf, *seen[:, point]], [move.target for move in moves], strict=True)),
                        {
                            region: list(
                                zip(
                                    [-np.inf, *s[:, point]],
                                    [-np.inf, *w[:, point]],
                                    [c.target for c in changes],
                                    strict=True,
                                )
                            )
                            for region, (changes, s, w) in instances.items()
                        },
                    )
                )
        found.append(row)
    return found


def instants(client: Client) -> list[float]:
    """All times at which anything can change for a client, and 0."""
    trace, db = client.trace, client.trace.stores["db"]
    cuts = {0.0, trace.horizon_s, trace.fault_s, db.replicated_until_s}
    cuts |= {since for since, _ in client.regions} | {history.forked_at_s for history in db.histories}
    cuts |= {change.at_s for ways in trace.tries.values() for changes in ways.values() for change in changes}
    cuts |= {t for entries in client.nodes.values() for seen, works, _ in entries for t in (seen, works)}
    groups = [*trace.front.values(), *trace.links.values(), *trace.serving.values(), *db.reads.values()]
    cuts |= {t for spans in groups for span in spans for t in (span.start_s, span.end_s)}
    cuts |= {t for spans in db.acks.values() for s in spans for t in (s.start_s, s.acked_until_s, s.end_s)}
    cuts |= {t for spans in trace.error_rate.values() for start, end, _ in spans for t in (start, end)}
    return sorted(cut for cut in cuts if 0.0 <= cut < np.inf)


def stretches(client: Client, op: str) -> list[tuple[float, float, bool]]:
    """When requests got through, with what lies between; the last stretch is endless."""
    cuts = instants(client)
    found: list[tuple[float, float, bool]] = []
    for start, end in zip(cuts, [*cuts[1:], np.inf], strict=True):
        middle = (start + end) / 2 if end < np.inf else start + 1.0
        if op == "read":
            good = client.reads(middle)
        else:
            span = client.commits_in(middle)
            good = span is not None and middle < span.acked_until_s
            if op == "durable":
                good = good and fate(client.trace.stores["db"], span, middle) == "kept"
        if found and found[-1][2] == good:
            found[-1] = (found[-1][0], end, good)
        else:
            found.append((start, end, good))
    return found


def fate(store: StoreTrace, span: AckSpan | None, at_s: float) -> str:
    """What became of a commit at that instant."""
    if span is None:
        return "refused"
    chain, index, until = {}, store.surviving, np.inf
    while index >= 0:
        chain[index], until, index = until, store.histories[index].forked_at_s, store.histories[index].parent
    kept = at_s < chain.get(span.history, -np.inf)
    pending = span.history == store.surviving and not store.decided and at_s >= store.replicated_until_s
    if at_s >= span.acked_until_s:
        return "survived" if kept and not pending else "gone"
    if kept:
        return "pending" if pending else "kept"
    mine = next(node for node, spans in store.acks.items() if any(s is span for s in spans))
    others = [s for node, spans in store.acks.items() if node != mine for s in spans]
    return "divergent" if any(s.start_s <= at_s < s.acked_until_s for s in others) else "lost"


def masses(client: Client) -> dict[str, float]:
    """Seconds of a client's writes by their fate."""
    found: dict[str, float] = {}
    cuts = [cut for cut in instants(client) if cut <= client.trace.horizon_s]
    for start, end in pairwise(cuts):
        middle = (start + end) / 2
        name = fate(client.trace.stores["db"], client.commits_in(middle), middle)
        found[name] = found.get(name, 0.0) + end - start
    return found


def outage(client: Client, op: str) -> tuple[float, float, float, float]:
    """First failed instant, recovery, longest outage and downtime of a client."""
    trace, stable = client.trace, client.scenario.stable_for
    first, recovered, longest, downtime = np.inf, np.inf, 0.0, 0.0
    for start, end, good in stretches(client, op):
        until = min(end, trace.horizon_s)
        if good and first < np.inf and recovered == np.inf:
            lasts = end - start >= stable or (end >= trace.horizon_s and start < trace.horizon_s)
            recovered = start if lasts and start >= first else np.inf
        if not good and until > start:
            downtime += until - start
            if until > trace.fault_s:
                first = min(first, max(start, trace.fault_s))
                longest = max(longest, until - max(start, trace.fault_s))
    return first, recovered, longest, downtime
