"""Hand-made traces of a two-region system, and the scenario they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from mrsim.measure import Measures, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.trace import INF, NO_EVENT, AckSpan, Change, Event, History, Span, StoreTrace, Trace

HORIZON_S = 7200.0
FAULT_S = 100.0
WEST, EAST = "db@west", "db@east"

TEXT = """
name: two-regions
summary: Two regions for tests.
horizon: 2h
regions: [west, east]
network: {{rtt: {{west/east: 80ms}}}}
stores:
  db:
    primary: west
    standbys: [east]
    commit: {commit}
    endpoint: {{ttl: 30s, moved_by: controller, takes: 1s, reconnect: {reconnect}}}
    wal: {{commits: 10/s, bytes_per_commit: 2KB{bursts}}}
services:
  front: {{reads: {{db: nearest}}}}
  api: {{writes: db}}
dns:
  shop: {{serves: [front, api], policy: latency, ttl: 60s}}
clients:
  west-users: {{near: west, share: 60%, resolvers: honest, class: app, points: 8}}
  east-users: {{near: east, share: 40%, resolvers: honest, class: app, points: 8}}
{more_clients}
faults:
  - {{kind: region-loss, region: west, at: 100s, connections: hang, in_flight: lost}}
{budgets}
"""


@cache
def scenario(
    *, commit: str = "async", reconnect: str = "2s", bursts: str = "", more_clients: str = "", budgets: str = ""
) -> Scenario:
    """The two-region scenario, varied."""
    fields = {"commit": commit, "reconnect": reconnect, "bursts": bursts, "more_clients": more_clients}
    return loads(TEXT.format(budgets=budgets, **fields))


def event(at_s: float, kind: str, cause: int = NO_EVENT, phase: str = "", subject: str = "west") -> Event:
    """An event in a few words."""
    return Event(at_s, kind, subject, cause, phase)


def store(
    *,
    acks: dict[str, list[AckSpan]] | None = None,
    histories: Sequence[History] = (),
    reads: dict[str, list[Span]] | None = None,
    endpoint: Sequence[Change] = (),
    surviving: int = 0,
    decided: bool = True,
    replicated_until_s: float = INF,
) -> StoreTrace:
    """A store whose primary is west from the beginning; by default nothing ever happens to it."""
    answers = [Change(-INF, WEST), *endpoint]
    return StoreTrace(
        histories=[History(WEST, NO_EVENT, INF, -INF), *histories],
        acks={WEST: [AckSpan(-INF, INF, INF, 0)], EAST: []} | (acks or {}),
        reads={WEST: [Span(-INF, INF)], EAST: [Span(-INF, INF)]} | (reads or {}),
        endpoint={"west": list(answers), "east": list(answers)},
        surviving=surviving,
        decided=decided,
        replicated_until_s=replicated_until_s,
    )


def trace(db: StoreTrace, *, trial: int = 0, moves: Sequence[Change] = (), **more: Any) -> Trace:
    """A trial; ``moves`` are the changes of the record's answer to the users of the west."""
    fields: dict[str, Any] = {
        "horizon_s": HORIZON_S,
        "end_s": HORIZON_S,
        "stopped_early": False,
        "fault_s": FAULT_S,
        "events": [event(FAULT_S, "fault-starts")],
        "front": {},
        "links": {},
    }
    answers = {"west-users": [Change(-INF, "west"), *moves], "east-users": [Change(-INF, "east")]}
    answers["nobody"] = answers["east-users"]
    return Trace(seed=1, trial=trial, stores={"db": db}, answers={"shop": answers}, **(fields | more))


def lost_west(**more: Any) -> Trace:
    """The west is lost at 100 s for good, the record moves at 130 s, the east is promoted at 200 s, findable at 210 s.

    The fork is at 99 s, so one second of commits is lost.
    """
    events = [
        event(100.0, "fault-starts"),
        event(125.0, "verdict-down", 0, "detection"),
        event(130.0, "answer-changed", 1, "propagation"),
        event(140.0, "verdict-down", 0, "detection"),
        event(180.0, "decided", 3, "decision"),
        event(200.0, "promoted", 4, "promotion"),
        event(210.0, "endpoint-moved", 5, "propagation"),
    ]
    gone = [Span(-INF, 100.0, NO_EVENT, 0)]
    db = store(
        acks={WEST: [AckSpan(-INF, 100.0, 100.0, 0, NO_EVENT, 0)], EAST: [AckSpan(200.0, INF, INF, 1, 5)]},
        histories=[History(EAST, 0, 99.0, 200.0, 5)],
        reads={WEST: gone},
        endpoint=[Change(210.0, EAST, 6)],
        surviving=1,
    )
    paths = {
        "front": {("west-users", "west"): gone, ("east-users", "west"): gone},
        "links": {("east", WEST): gone, ("west", EAST): gone, ("west", WEST): gone},
    }
    fields: dict[str, Any] = {"events": events, "end_s": 300.0, "stopped_early": True} | paths | more
    return trace(db, moves=[Change(130.0, "east", 2)], **fields)


def measured(traces: Sequence[Trace], model: Scenario | None = None, *, first: int = 0, seed: int = 1) -> Measures:
    """Measure hand-made traces as consecutive trials."""
    model = model or scenario()
    return measure(model, Population(model), traces, Draws(seed, first, len(traces)))
