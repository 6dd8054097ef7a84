"""A standby that is fed by a WAL archive alone: what is lost when it is promoted."""

from __future__ import annotations

import numpy as np

from mrsim.measure import measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from tests.lab.judge import Floats, Row, distribution, half
from tests.lab.reading import table

TRIALS = 4000
SEED = 20261109

_SCENARIO = """
name: archived
summary: A primary dies; what its archive holds is restored and promoted.
horizon: 5min
regions: [p, s]
network: {{rtt: {{p/s: 1ms}}}}
stores:
  db:
    primary: p
    standbys: [{{region: s, via: archive}}]
    archive: {{place: s, timeout: {timeout}s, upload: {ship}s, poll: 1s, restore: 0.05s}}
    endpoint: {{ttl: 1ms, moved_by: controller, takes: 0s, reconnect: 0s}}
    wal: {{commits: {rate}/s, bytes_per_commit: 0.3KB}}
    failover:
      detect: {{from: [s], every: 1s, fails: 1, timeout: 1s}}
      decide: {{by: automatic, delay: 1s}}
      promote: {{order: [s], takes: 50ms}}
      old_primary: {{on_return: stays-down}}
services: {{app: {{writes: db}}}}
dns: {{app: {{serves: [app], policy: failover, ttl: 1s}}}}
clients: {{users: {{near: p, share: 100%, resolvers: honest, class: app}}}}
faults: [{{kind: process-crash, store: db, region: p, in_flight: arrives, at: 100.37s..130.37s}}]
"""


def predicted(timeout_s: float, ship_s: float, rate_per_s: float) -> Floats:
    """Return the ages of the first lost row."""
    scenario = loads(_SCENARIO.format(timeout=f"{timeout_s:g}", ship=f"{ship_s:g}", rate=f"{rate_per_s:g}"))
    draws = Draws(SEED, 0, TRIALS)
    traces = Simulator(scenario).run_chunk(SEED, 0, TRIALS, draws)
    return measure(scenario, Population(scenario), traces, draws).values["data_loss_s{store=db}"]


def study() -> list[Row]:
    """Judge all crashes of odd trials; nothing is fitted."""
    rows = []
    for (timeout, ship, rate), group in table("pg_archive").groupby(["archive_timeout_s", "ship_delay_s", "tps"]):
        judged = group[half(group["trial"].to_numpy())]["rpo_s"].to_numpy()
        what = f"archive_timeout {timeout:g} s, shipping {ship:g} s: age of the first lost row"
        rows.append(distribution("archives", what, judged, np.asarray(predicted(timeout, ship, rate))))
    return rows
