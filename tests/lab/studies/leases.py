"""Patroni: whole scenarios in which a node, its database or its agent is killed."""

from __future__ import annotations

import numpy as np

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import INF
from tests.lab.judge import Floats, Row, distribution, half, pooled
from tests.lab.reading import table

TRIALS = 4000
SEED = 20261103

_SCENARIO = """
name: killed
summary: A leader lease whose holder loses its node, its database or its agent.
horizon: 10min
regions: [a, b, c]
network: {{rtt: {{a/b: 1ms, a/c: 1ms, b/c: 1ms}}}}
stores:
  db:
    primary: a
    standbys: [b, c]
    commit: async
    endpoint: {{ttl: 1ms, moved_by: controller, takes: 0s, reconnect: 0s}}
    wal: {{commits: 200/s}}
    failover:
      decide:
        preset: patroni
        voters: [b]
        ttl: {ttl}s
        loop_wait: {loop_wait}s
        retry_timeout: {retry_timeout}s
      promote: {{takes: {promote}}}
      old_primary: {{on_return: starts-as-primary, starts_after: {restart}}}
services: {{app: {{writes: db}}}}
dns: {{app: {{serves: [app], policy: failover, ttl: 1s}}}}
clients: {{users: {{near: b, share: 100%, resolvers: honest, class: app}}}}
faults: [{{{fault}}}]
"""

FAULTS = {
    "node": "kind: region-loss, region: a, at: 100.37s..130.37s, connections: refused, in_flight: arrives",
    "patroni": "kind: agent-crash, store: db, region: a, at: 100.37s..130.37s",
    # A killed server can be started at once: the agent does so at its next turn, which the engine's lease waits for.
    "pg": "kind: process-crash, store: db, region: a, at: 100.37s..130.37s, lasts: 0.001ms",
}


def predicted(mode: str, ttl: float, loop_wait: float, retry_timeout: float, promote: str, restart: str) -> Floats:
    """Return times from the kill to the first write that succeeds on the primary that follows."""
    fault = FAULTS[mode]
    text = _SCENARIO.format(
        ttl=ttl, loop_wait=loop_wait, retry_timeout=retry_timeout, promote=promote, restart=restart, fault=fault
    )
    found = []
    for trace in Simulator(loads(text)).run_chunk(SEED, 0, TRIALS):
        store = trace.stores["db"]
        spans = [span for node in store.acks.values() for span in node if span.start_s > trace.fault_s]
        found.append(min((span.start_s for span in spans), default=INF) - trace.fault_s)
    return np.array(found)


def study() -> list[Row]:
    """Judge the three ways to die; promotion and restart times come from the even trials."""
    whole = table("patroni_failover")
    even = whole[~half(whole["trial"].to_numpy())]
    led = even[even["mode"] != "pg"]
    gap = (led["first_write_s"] - led["new_leader_key_s"]).to_numpy()
    promote = f"{{values: [{', '.join(f'{x:.3f}s' for x in gap)}]}}"
    # What the lease had left tells when the agent's next turn was; the restart is the rest.
    dead = even[even["mode"] == "pg"]
    turn = dead["lease_ttl_left_at_kill_s"] - (dead["ttl"] - dead["loop_wait"])
    restart = f"{(dead['first_write_s'] - turn).mean():.3f}s"
    rows = []
    for (ttl, loop_wait, retry, mode), group in whole.groupby(["ttl", "loop_wait", "retry_timeout", "mode"]):
        judged = group[half(group["trial"].to_numpy())]["first_write_s"].to_numpy()
        sample = predicted(mode, ttl, loop_wait, retry, promote, restart)
        what = f"{mode} killed, ttl {ttl} s, loop_wait {loop_wait} s asked: first write"
        rows.append(distribution("leases", what, judged, sample))
    return [*rows, pooled("leases", "all three: first write", rows)]
