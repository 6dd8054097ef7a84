"""A healed partition: when TCP sends again. Inputs: delay, length of the partition, commits per second.

One calibration: WAL per commit, from the even trials. When the backlog is through and the primary knows follows.
"""

from __future__ import annotations

import numpy as np

from mrsim.sim.tcp import LARGEST_TICK_S, next_retransmission_s, slow_start_s, timer_starts_s
from tests.lab.judge import Floats, Row, distribution, half, pooled
from tests.lab.reading import table

TRIALS = 20_000
SEED = 20261104

RENO = (
    "the next retry spreads wider than the kernel's timers alone; a calibrated excess of the sender's round-trip "
    "estimate was tried on the even trials, ended at the edge of its range and was dropped"
)
BBR = (
    "the engine's sender follows Linux's timers whatever its congestion control; under BBR part of the probes left up "
    "to 0.2 s earlier, by a rule that these data do not settle, and the backlog followed in fewer round trips than "
    "windows that double"
)
BACKLOG = (
    "besides the first retry's spread, the backlog takes a round trip or two more or less than windows that double: "
    "a Reno sender's threshold is not in the engine"
)


def predicted(one_way_s: float, partition_s: float, rate_per_s: float, commit_bytes: float) -> tuple[Floats, Floats]:
    """Return times from the heal to the first new byte on the standby, and to the end of the backlog."""
    u = np.random.default_rng(SEED).random((TRIALS, 3))
    rtt = 2.0 * one_way_s
    found, through = np.empty(TRIALS), np.empty(TRIALS)
    for trial, (acked, sent, grid) in enumerate(u):
        started = timer_starts_s(0.0, rtt, rate_per_s, acked, sent)
        found[trial] = next_retransmission_s(started, partition_s, rtt, grid * LARGEST_TICK_S)
        through[trial] = found[trial] + slow_start_s(found[trial] * rate_per_s * commit_bytes, rtt)
    return found - partition_s + one_way_s, through - partition_s + one_way_s


def study() -> list[Row]:
    """Judge the first byte, the end of the backlog and the first acknowledgement of each setting."""
    rows: list[Row] = []
    whole = table("pg_partition_heal")
    even = whole[~half(whole["trial"].to_numpy())]
    commit_bytes = float((even["backlog_bytes_at_heal"] / (even["tps"] * even["partition_s"])).median())
    for (cc, tps, delay, length), group in whole.groupby(["cc", "tps", "one_way_ms", "partition_s"]):
        judged = group[half(group["trial"].to_numpy())]
        first, through = predicted(delay / 1000.0, length, tps, commit_bytes)
        what = f"{cc}, {tps:g} commits/s, {delay} ms, cut for {length:g} s"
        known = BBR if cc == "bbr" else ""
        rows.append(
            distribution(
                "partitions", f"{what}: first byte", judged["first_byte_after_heal_s"].to_numpy(), first, reason=known
            )
        )
        for column, label, extra in (
            ("caught_up_after_heal_s", "caught up", 0.0),
            ("primary_sees_flush_after_heal_s", "flush known to the primary", delay / 1000.0),
        ):
            sample = judged[column].to_numpy()
            rows.append(
                distribution("partitions", f"{what}: {label}", sample, through + extra, reason=known or BACKLOG)
            )
    return [*rows, _together(rows, "reno", RENO), _together(rows, "bbr", BBR)]


def _together(rows: list[Row], cc: str, reason: str) -> Row:
    chosen = [row for row in rows if row.what.startswith(cc) and row.what.endswith("first byte")]
    return pooled("partitions", f"{cc}, all settings: first byte", chosen, reason=reason)
