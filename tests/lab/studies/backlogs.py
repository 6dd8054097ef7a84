"""A link slower than its WAL: what a crash loses, from rates alone."""

from __future__ import annotations

import numpy as np

from mrsim.scenario.stores import Wal
from mrsim.sim.wal import Load, Pace, Stream
from mrsim.trace import INF
from tests.lab.judge import Floats, Row, half, pairs
from tests.lab.reading import table

PAYLOAD = 0.975
"""Share of a link's rate that is WAL: headers and acknowledgements take the rest."""

SLOW_LINK = (
    "at 75 ms the real sender filled only a part of the link during the first seconds; the engine's stream has the "
    "link's rate from its first byte"
)


def lost_s(age_s: Floats, rows_per_s: Floats, row_bytes: float, rate: float, latency_s: float, *, lost: bool) -> Floats:
    """Return for each crash the age of the first row that is lost."""
    found = []
    for age, rows in zip(age_s, rows_per_s, strict=True):
        load = Load(Wal(commits=rows, bytes_per_commit=row_bytes), 0.0)
        stream = Stream(load, Pace(rate, INF, latency_s), 0.0)
        stream.broken(age, in_flight_lost=lost)
        found.append(age - stream.received(age))
    return np.array(found)


def study() -> list[Row]:
    """Judge crashes with a backlog; fitted on even trials: bytes per row and the time before the load began."""
    whole = table("pg_crash_backlog")
    even = whole[~half(whole["trial"].to_numpy())]
    row_bytes = float((even["wal_bytes_lost"] / even["lost_acked"]).median())
    rate = 16e6 / 8.0 * PAYLOAD

    def ours(group: object, idle_s: float) -> Floats:
        age = group["acked"] / group["tps_actual"]  # type: ignore[index]
        loading = age - idle_s
        rows = group["acked"] / loading  # type: ignore[index]
        delay, lost = group["one_way_ms"].iloc[0] / 1000.0, group["mode"].iloc[0] == "cut"  # type: ignore[index]
        return lost_s(loading.to_numpy(), rows.to_numpy(), row_bytes, rate, delay, lost=lost)

    near = even[even["one_way_ms"] == 1]

    def apart(idle_s: float) -> float:
        errors = [np.abs(ours(g, idle_s) / g["rpo_first_lost_s"] - 1.0) for _, g in near.groupby("mode")]
        return float(np.median(np.concatenate(errors)))

    idle_s = min((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), key=apart)
    rows = []
    for (mode, delay), group in whole.groupby(["mode", "one_way_ms"]):
        judged = group[half(group["trial"].to_numpy())]
        measured = judged["rpo_first_lost_s"].to_numpy()
        what = f"crash with a backlog, {mode}, {delay} ms: age of the first lost row"
        reason = SLOW_LINK if delay > 1 else ""
        rows.append(pairs("backlogs", what, measured, ours(judged, idle_s), len(judged), reason=reason))
    return rows
