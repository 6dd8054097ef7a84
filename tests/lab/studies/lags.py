"""The lag of received WAL: one latency while the link is wide, and t − A⁻¹(delivered bytes) while it is not."""

from __future__ import annotations

import numpy as np

from mrsim.scenario.stores import Wal
from mrsim.sim.wal import Load, Pace, Stream
from mrsim.trace import INF
from tests.lab.judge import Floats, Row, distribution, half, pairs
from tests.lab.reading import table
from tests.lab.studies.backlogs import PAYLOAD

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


def study() -> list[Row]:
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
        stream = Stream(
            Written(times, group["wal_bytes"].to_numpy()), Pace(bits / 8.0 * PAYLOAD, INF, delay / 1000.0), 0.0
        )
        ours = np.array([t - stream.received(t) for t in times])
        behind = (measured > 0.5) & (ours > 0.5)
        # One run: its samples are one block.
        rows.append(pairs("lags", f"{what}: while behind", measured[behind], ours[behind], 1))
    return rows
