"""A link slower than its WAL: what a crash loses, and the lag of a standby, from rates alone."""

from __future__ import annotations

import numpy as np

from mrsim.scenario.stores import Wal
from mrsim.sim.wal import Load, Stream
from mrsim.trace import INF
from tests.lab.judge import Floats, Row, distribution, half, pairs
from tests.lab.reading import table

PAYLOAD = 0.975
"""Share of a link's rate that is WAL: headers and acknowledgements take the rest."""

SLOW_LINK = (
    "at 75 ms the real sender filled only a part of the link during the first seconds; the engine's stream has the "
    "link's rate from its first byte"
)
TAILS = "bursts of TCP and WAL on the way, up to 0.4 s, are not in the engine: its stream has one latency"


class Written(Load):
    """WAL as it was written: the offered load is an input, and full-page images make it fall off."""

    def __init__(self, times_s: Floats, written: Floats) -> None:
        super().__init__(Wal(commits=1.0, bytes_per_commit=1.0), 0.0)
        self._times = times_s
        self._rates = np.append(np.diff(written) / np.diff(times_s), 0.0)
        self.peak_bytes_per_s = float(self._rates.max())

    def piece(self, at_s: float) -> tuple[float, float]:
        """Return the rate at an instant, and until when it holds."""
        index = int(np.searchsorted(self._times, at_s + 1e-9, side="right")) - 1
        index = min(max(index, 0), len(self._rates) - 1)
        until = self._times[index + 1] if index + 1 < len(self._times) else INF
        return max(float(self._rates[index]), 1e-3), float(until)


def lost_s(age_s: Floats, rows_per_s: Floats, row_bytes: float, rate: float, latency_s: float, *, lost: bool) -> Floats:
    """Return for each crash the age of the first row that is lost."""
    found = []
    for age, rows in zip(age_s, rows_per_s, strict=True):
        load = Load(Wal(commits=rows, bytes_per_commit=row_bytes), 0.0)
        stream = Stream(load, rate, INF, latency_s, 0.0)
        stream.broken(age, in_flight_lost=lost)
        found.append(age - stream.received(age))
    return np.array(found)


def crashes() -> list[Row]:
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


def lags() -> list[Row]:
    """Judge the lag of received WAL."""
    rows = []
    for (delay, bits, load), group in table("pg_lag").groupby(["one_way_ms", "rate_bps", "load"]):
        group = group.dropna(subset=["sb_recv_lag_s"])
        measured = group["sb_recv_lag_s"].to_numpy()
        times = group["t_s"].to_numpy()
        what = f"lag, {delay} ms, {load}" + (f", {bits / 1e6:g} Mbit/s" if bits else "")
        if not bits:
            blocks = int(times[-1] - times[0])
            judged = measured[half(times.astype(np.int64))]
            sample = np.full(1000, delay / 1000.0)
            rows.append(distribution("lags", what, judged, sample, blocks=blocks // 2, reason=TAILS))
            continue
        stream = Stream(Written(times, group["wal_bytes"].to_numpy()), bits / 8.0 * PAYLOAD, INF, delay / 1000.0, 0.0)
        ours = np.array([t - stream.received(t) for t in times])
        behind = (measured > 0.5) & (ours > 0.5)
        # One run: its samples are one block.
        rows.append(pairs("lags", f"{what}: while behind", measured[behind], ours[behind], 1))
    return rows


def study() -> list[Row]:
    """Judge crashes and lags."""
    return crashes() + lags()
