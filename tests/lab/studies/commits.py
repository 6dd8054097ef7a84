"""Commit latency by ``synchronous_commit`` and clients: one round trip (as pinged) and the machine's own time."""

from __future__ import annotations

import numpy as np

from mrsim.scenario.presets import show
from mrsim.scenario.stores import CommitRule
from mrsim.sim.commit import Member, acknowledge
from mrsim.written_distributions import read
from tests.lab.judge import Floats, Row, distribution, half
from tests.lab.reading import table

MILLISECOND = (
    "off by a millisecond or two, which is wider than these distributions; why the machine's own time differs by "
    "delay and clients is not established"
)


PRESET = (
    "the preset draws from a range that holds all settings, which is wider than any one of them; off by a millisecond "
    "or so"
)
DRAWS = 20_000
SEED = 20261106


def study() -> list[Row]:
    """Judge every remote mode; the machine's time comes from even rows at 1 ms, mode on, 8 clients."""
    whole = table("pg_commit_latency")
    rtt_s = (table("net_calibration").groupby("one_way_ms_set")["rtt_ms"].median() / 1000.0).to_dict()
    rule = CommitRule(any=1, of=("there",))
    basis = whole[(whole["mode"] == "on") & (whole["one_way_ms"] == 1) & (whole["clients"] == 8)]
    fitted = basis[~half(np.arange(len(basis)))]["latency_us"].to_numpy() / 1e6 - rtt_s[1]
    rows = []
    remote = whole[~whole["mode"].isin(["off", "local"])]
    for (delay, mode, clients), group in remote.groupby(["one_way_ms", "mode", "clients"]):
        judged = group[half(np.arange(len(group)))]["latency_us"].to_numpy() / 1e6
        waits = [
            acknowledge(rule, [Member("there", flowing=True, silent=False, wait_s=rtt_s[delay] + x)]).wait_s
            for x in fitted
        ]
        what = f"{mode}, {clients} clients, {delay} ms"
        rows.append(distribution("commits", what, judged, np.array(waits), reason=MILLISECOND))
        if (mode, clients) == ("on", 8):
            ours = by_preset(rtt_s[delay])
            rows.append(distribution("commits", f"preset `postgresql`: {what}", judged, ours, reason=PRESET))
    return rows


def by_preset(rtt_s: float) -> Floats:
    """Return commit latencies as a scenario has them that names the product and nothing else."""
    flushes = {entry.key: str(entry.value) for entry in show("postgresql").entries}
    u = np.random.default_rng(SEED).random((2, DRAWS))
    local, remote = (read(flushes[key]) for key in ("local_flush", "remote_flush"))
    return local.quantile(u[0]) + rtt_s + remote.quantile(u[1])
