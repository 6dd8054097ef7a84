"""What follows a retry after a partition: windows sent one by one, and a whole scenario that waits for them."""

from __future__ import annotations

import pytest

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.sim.tcp import SEGMENT_BYTES, slow_start_s
from mrsim.trace import INF


@pytest.mark.parametrize("segments", [*range(40), 100, 1000])
@pytest.mark.parametrize("part", [0.5, 1.0])
def test_a_backlog_follows_in_windows_that_double(segments: int, part: float) -> None:
    """The retry is a window of one; then every round trip sends twice as many segments, until none is left."""
    left, window, trips = segments, 1, 0
    while True:
        trips += 1
        window *= 2
        left -= window
        if left <= 0:
            break
    backlog = max(segments - 1 + part, 0.0) * SEGMENT_BYTES if segments else 0.0
    expected = trips if segments else 0
    assert slow_start_s(backlog, 0.08) == pytest.approx(0.08 * expected)


def test_the_window_stops_growing_at_what_fills_the_path() -> None:
    """40 Mbit/s and 80 ms hold 276 segments: 2 + 4 + … + 256 = 510 segments in 8 round trips."""
    assert slow_start_s(1e12, 0.08, 5e6) == pytest.approx(8 * 0.08)
    assert slow_start_s(1e12, 0.08, INF) > 2.0


SCENARIO = """
name: cut
summary: A standby that a commit waits for is cut off for four seconds, with connections for all commits of them.
horizon: 10min
regions: [a, b]
network: {rtt: {a/b: 80ms}, wal_bandwidth: {a/b: 100Mbit/s}}
stores:
  db:
    primary: a
    standbys: [b]
    commit: {any: 1, of: [b]}
    endpoint: {ttl: 1s, moved_by: controller, takes: 0s, reconnect: 0s}
    wal: {commits: 100/s, bytes_per_commit: SIZE}
    replication: {connections: 1000}
    failover: {detect: {from: [b], every: 5min, fails: 3, timeout: 1s}, decide: {by: automatic}}
services: {app: {writes: db}}
dns: {app: {serves: [app], policy: failover, ttl: 1s}}
clients: {users: {near: a, share: 100%, resolvers: honest, class: app}}
faults: [{kind: partition, between: [a], and: [b], at: 100.3s, lasts: 4s}]
"""


def test_commits_resume_when_the_backlog_is_through() -> None:
    """The same retries with more WAL per commit: later by the further windows, and by no more."""
    resumed = {}
    for size in ("1KB", "16KB"):
        traces = Simulator(loads(SCENARIO.replace("SIZE", size))).run_chunk(5, 0, 50)
        for trial, trace in enumerate(traces):
            (event,) = [x for x in trace.events if x.kind == "stream-resumed"]
            resumed[size, trial] = event.at_s
    for trial in range(50):
        assert resumed["1KB", trial] > 104.3 + 0.08
        # 450 kB or so are 300 segments, 8 round trips; 7 MB are cut to the path's 1 MB, 691 segments, 9.
        assert resumed["16KB", trial] - resumed["1KB", trial] == pytest.approx(0.08, abs=1e-6)
