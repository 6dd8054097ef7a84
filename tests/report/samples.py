"""A hand-made trial that shows everything a story can tell: a promotion, a split, doubt, and a fault that did nothing."""

from __future__ import annotations

from mrsim.trace import INF, AckSpan, Change, Event, History, Span, StoreTrace, Trace

FAULT_S = 723.4


def sample_trace() -> Trace:
    """Return a trial of two regions in which us-east is isolated, eu-west is promoted and both acknowledge for a while."""
    events = [
        Event(FAULT_S, "fault-starts", "us-east", note="isolation"),
        Event(FAULT_S + 33.2, "verdict-down", "orders-db@us-east", 0, "detection"),
        Event(FAULT_S + 213.2, "decided", "orders-db", 1, "decision"),
        Event(FAULT_S + 240.0, "promoted", "orders-db@eu-west", 2, "promotion"),
        Event(FAULT_S + 275.0, "endpoint-moved", "orders-db", 3, "propagation"),
        Event(FAULT_S + 1800.0, "fault-ends", "us-east", 0, "repair", "heals"),
        Event(FAULT_S + 1900.0, "fenced", "orders-db@us-east", 5, "fencing", "rejoins as standby"),
    ]
    store = StoreTrace(
        histories=[History("us-east", -1, 0.0, -INF), History("eu-west", 0, FAULT_S - 0.04, FAULT_S + 240.0, 3)],
        acks={
            "us-east": [AckSpan(-INF, FAULT_S + 1890.0, FAULT_S + 1900.0, 0, ended_by=6)],
            "eu-west": [AckSpan(FAULT_S + 240.0, INF, INF, 1, began_by=3)],
        },
        reads={"us-east": [Span(-INF, INF)], "eu-west": [Span(-INF, INF)]},
        endpoint={
            "us-east": [Change(-INF, "us-east")],
            "eu-west": [Change(-INF, "us-east"), Change(FAULT_S + 275.0, "eu-west", 4)],
        },
        surviving=1,
        decided=True,
        replicated_until_s=INF,
    )
    return Trace(
        seed=7,
        trial=87,
        horizon_s=14400.0,
        end_s=FAULT_S + 4000.0,
        stopped_early=True,
        fault_s=FAULT_S,
        events=events,
        stores={"orders-db": store},
        front={("eu-users", "eu-west"): [Span(-INF, INF)]},
        links={("eu-west", "eu-west"): [Span(-INF, INF)]},
        answers={"shop": {"us-users": [Change(-INF, "us-east"), Change(FAULT_S + 39.9, "eu-west", 1)]}},
        fault_events=[0, -1],
        fault_effects=[True, False],
    )


SAMPLE_VALUES = {
    "rto_s{service=orders,op=write,clients=95%,of=affected}": 309.0,
    "phase_at_s{service=orders,op=write,clients=95%,part=propagation}": 35.0,
    "phase_at_s{service=orders,op=write,clients=95%,part=detection}": 33.2,
    "phase_at_s{service=orders,op=write,clients=95%,part=decision}": 180.0,
    "phase_at_s{service=orders,op=write,clients=95%,part=fencing}": 0.0,
    "phase_at_s{service=orders,op=write,clients=95%,part=promotion}": 26.8,
    "phase_at_s{service=orders,op=write,clients=95%,part=reconnect}": 34.0,
}
"""Columns of the same trial: the parts add up to the recovery time."""
