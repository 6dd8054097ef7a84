"""Crash and promotion under a steady load: what is lost, and what survives in doubt."""

from __future__ import annotations

import numpy as np

from mrsim.measure import measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from tests.lab.judge import Floats, Row, distribution, half, share
from tests.lab.reading import table

STRAY = "one crash lost rows that had been sent; its cause is not established"

TRIALS = 1000
SEED = 20261105

FAULTS = {
    "proc": "kind: process-crash, store: db, region: p, in_flight: arrives",
    "region": "kind: region-loss, region: p, connections: refused, in_flight: arrives",
    "cut": "kind: region-loss, region: p, connections: refused, in_flight: lost",
}

_SCENARIO = """
name: crash
summary: A primary dies; one of four standbys at different delays is promoted.
horizon: 5min
regions: [p, s1, s20, s40, s75]
network:
  rtt: {{p/s1: 2ms, p/s20: 40ms, p/s40: 80ms, p/s75: 150ms, s1/s20: 40ms, s1/s40: 80ms, s1/s75: 150ms,
        s20/s40: 80ms, s20/s75: 150ms, s40/s75: 150ms}}
stores:
  db:
    primary: p
    standbys: [s1, s20, s40, s75]
    commit: {commit}
    endpoint: {{ttl: 1ms, moved_by: controller, takes: 0s, reconnect: 0s}}
    wal: {{commits: {rate}/s, bytes_per_commit: 0.3KB}}
    failover:
      detect: {{from: [{to}], every: 1s, fails: 1, timeout: 1s}}
      decide: {{by: automatic, delay: 1s}}
      promote: {{order: [{to}], takes: 50ms}}
      old_primary: {{on_return: stays-down}}
services: {{app: {{writes: db}}}}
dns: {{app: {{serves: [app], policy: failover, ttl: 1s}}}}
clients: {{users: {{near: p, share: 100%, resolvers: honest, class: app}}}}
faults: [{{{fault}, at: 100.37s..101.37s}}]
"""


def predicted(mode: str, sync: str, one_way_ms: int, rate_per_s: float) -> dict[str, Floats]:
    """Return the age of the first lost row, and how many rows survived unacknowledged."""
    level = "remote_apply" if sync == "remote_apply" else "on"
    # The synchronous standby of the measurements stood at 40 ms: half of the median acknowledgement.
    commit = "async" if sync == "async" else f"{{any: 1, of: [s40], level: {level}}}"
    to = f"s{one_way_ms}"
    scenario = loads(_SCENARIO.format(commit=commit, to=to, fault=FAULTS[mode], rate=f"{rate_per_s:g}"))
    draws = Draws(SEED, 0, TRIALS)
    traces = Simulator(scenario).run_chunk(SEED, 0, TRIALS, draws)
    values = measure(scenario, Population(scenario), traces, draws).values
    return {name: values[f"{name}{{store=db}}"] for name in ("data_loss_s", "in_doubt_survived")}


def study() -> list[Row]:
    """Judge each way to crash, commit rule and delay."""
    rows = []
    for (mode, sync, delay), group in table("pg_crash").groupby(["mode", "sync", "one_way_ms"]):
        judged = group[half(group["trial"].to_numpy())]
        ours = predicted(mode, sync, delay, float(group["tps_target"].iloc[0]))
        what = f"{mode}, {sync}, {delay} ms"
        nothing = float(np.mean(ours["data_loss_s"] == 0.0))
        known = STRAY if mode != "cut" else ""
        none = int((judged["lost_acked"] == 0).sum())
        rows.append(share("crashes", f"{what}: nothing lost", none, len(judged), nothing, reason=known))
        if none < len(judged) and nothing < 1.0:
            lost = judged[judged["lost_acked"] > 0]["rpo_first_lost_s"].to_numpy()
            expected = ours["data_loss_s"][ours["data_loss_s"] > 0.0]
            rows.append(distribution("crashes", f"{what}: age of the first lost row", lost, expected, reason=known))
        if sync != "async":
            survived = judged["unacked_survived"].to_numpy(dtype=np.float64)
            rows.append(
                distribution(
                    "crashes", f"{what}: in doubt, survived (rows)", survived, ours["in_doubt_survived"], reason=known
                )
            )
    return rows
