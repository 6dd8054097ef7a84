"""Hand-made inputs of reports: a trial with a promotion, a split and doubt; a study with all that tables show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.study.results import Results
from mrsim.trace import INF, AckSpan, Change, Event, History, Span, StoreTrace, Trace

FAULT_S = 723.4


def sample_trace() -> Trace:
    """Return a trial in which us-east is isolated, eu-west is promoted and both acknowledge for a while."""
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


SCENARIO_TEXT = """\
name: bookstore-three-region
summary: One PostgreSQL writer in us-east, two streaming standbys, DNS failover; us-east is lost.
horizon: 4h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: aws-2026, wal_bandwidth: {us-east/*: 40Mbit/s}}
stores:
  orders-db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    commit: async
    endpoint: {ttl: 30s, moved_by: gitops, takes: 30s..60s}
    wal: {commits: 200/s, bytes_per_commit: 2KB, bursts: {every: 30min, last: 2min, rate: 20x, phase: random}}
    failover:
      detect:  {from: [eu-west, ap-southeast], probe: write-path, every: 10s, fails: 3, timeout: 4s, verdict: all}
      decide:  {by: operator, page: 30s..2min, acknowledge: {median: 1min, p95: 3min}, assess: 30s..2min,
                requires: primary-confirmed-gone, waits_at_most: 10min, misjudges: 2%}
      fence:   {by: stonith, through: us-east-control, takes: 5s..15s,
                if_unconfirmed: {retry: 2, then: operator-override, after: 60s}}
      promote: {order: [eu-west, ap-southeast], takes: {median: 15s, p95: 30s}, fails: 1%}
      old_primary: {on_return: stays-down}
services:
  storefront: {reads: {orders-db: nearest}}
  orders:     {writes: orders-db}
dns:
  shop: {serves: [storefront, orders], policy: latency, ttl: 60s, health_check: route53-fast}
clients:
  us-users: {near: us-east, share: 50%, resolvers: typical, class: browser}
  eu-users: {near: eu-west, share: 30%, resolvers: typical, class: browser}
  ap-users: {near: ap-southeast, share: 20%, resolvers: typical, class: jvm}
faults:
  - {kind: region-loss, region: us-east, at: random, lasts: permanent, connections: hang, in_flight: lost}
budgets:
  rto{service=storefront, op=read,  clients=90%}: [p95 < 5min]
  rto{service=orders,     op=write, clients=90%}: [p95 < 10min]
  rpo{store=orders-db}: [p50 < 1s, p99 < 2min]
  split_brain{store=orders-db}: [trials <= 1%]
"""


def sample_scenario(text: str = SCENARIO_TEXT, path: str = "bookstore.yaml") -> Scenario:
    """Return the scenario of the sample study."""
    return loads(text, path=path)


def sample_results(
    n: int = 1000, scenario: Scenario | None = None, *, unfinished: float = 0.0, effect: bool = True, slow: float = 1.0
) -> Results:
    """Return a study with made-up values: log-normal recoveries whose parts add up, rare loss, no split.

    Parameters
    ----------
    n
        Trials.
    scenario
        The bookstore if not given.
    unfinished
        Share of trials whose writes had not recovered at the horizon.
    effect
        Whether the fault did anything.
    slow
        Factor on every recovery.
    """
    rng = np.random.default_rng(11)
    scenario = scenario or sample_scenario()
    values: dict[str, np.ndarray] = {}
    status: dict[str, np.ndarray] = {}
    cut = rng.random(n) < unfinished
    for service, op, scale in (("storefront", "read", 90.0), ("orders", "write", 400.0)):
        base = slow * scale * np.exp(0.25 * rng.standard_normal(n))
        labels = f"service={service},op={op}"
        values[f"affected_share{{{labels}}}"] = np.full(n, 0.5 if op == "read" else 1.0) * effect
        values[f"unavailability{{{labels}}}"] = base / 14400
        for clients, factor in (("50%", 0.8), ("90%", 0.95), ("95%", 1.0), ("99%", 1.6)):
            for metric in ("rto_s", "rto_durable_s"):
                column = f"{metric}{{{labels},clients={clients},of=affected}}"
                values[column] = (
                    np.where(cut & (op == "write"), 13000.0, base * factor) if effect else np.full(n, np.nan)
                )
                status[column] = np.where(cut & (op == "write"), 1, 0) if effect else np.full(n, 3)
        values[f"rto_mean_s{{{labels}}}"] = base * 0.85
        parts = {
            "detection": 0.2,
            "decision": 0.5,
            "promotion": 0.1,
            "propagation": 0.15,
            "reconnect": 0.05,
            "unresolved": 0.0,
        }
        for part, share in parts.items():
            values[f"phase_s{{{labels},part={part}}}"] = base * 0.85 * share
            values[f"phase_at_s{{{labels},clients=95%,part={part}}}"] = base * share
    loss = np.where(rng.random(n) < 0.1, 60.0 * rng.random(n), 0.05 + 0.02 * rng.random(n))
    store = "{store=orders-db}"
    for metric in ("data_loss_s", "data_loss_at_fault_s"):
        values[metric + store] = loss
        status[metric + store] = np.zeros(n)
    lost = np.floor(loss * 200)
    ledger = {"attempted": 2.9e6, "acknowledged": 2.7e6, "divergent": 0.0, "pending": 0.0, "refused": 2e5}
    for name, count in ledger.items():
        values[f"{name}_writes{store}"] = np.full(n, count)
    values[f"kept_writes{store}"] = ledger["acknowledged"] - lost
    values[f"lost_writes{store}"] = lost
    for name in ("in_doubt_survived", "in_doubt_gone", "split_brain", "split_brain_s", "exposed_s", "dual_belief_s"):
        values[name + store] = np.zeros(n)
    values[f"promoted{store}"] = np.ones(n)
    values[f"false_failover{store}"] = (rng.random(n) < 0.01).astype(float)
    values[f"premature_failover{store}"] = np.zeros(n)
    values["write_latency_s{service=orders,from=all,writes=mean,when=before}"] = np.full(n, 0.0871)
    index = pd.RangeIndex(n, name="trial")
    times = np.concatenate([[0.0], np.geomspace(1.0, 13000.0, 95)])
    curves = {
        f"restored{{service={service},op={op}}}": np.clip(
            times / np.maximum(values[f"rto_s{{service={service},op={op},clients=99%,of=affected}}"][:, None], 1), 0, 1
        ).astype(np.float32)
        for service, op in (("storefront", "read"), ("orders", "write"))
    }
    with_effect = n if effect else 0
    return Results(
        scenario=scenario,
        trials=pd.DataFrame(values, index=index),
        status=pd.DataFrame(status, index=index).astype(np.int8),
        episodes=pd.DataFrame({"trial": np.array([], dtype=np.int64)}),
        curves=curves,
        curve_times_s=times,
        faults=pd.DataFrame({"kind": ["region-loss"], "began": [n], "with_effect": [with_effect]}),
        provenance={"seed": 7, "trials_asked": n, "mrsim": "0.1.0"},
    )
