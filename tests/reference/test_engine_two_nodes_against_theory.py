"""A primary and one standby that commits wait for: how long nobody can write when one of the two is lost and returns.

False-alarm rate of every test: ALPHA, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import INF

ALPHA = 1e-5
TRIALS = 500
LASTS_S = 1200.0
TEXT = """\
name: two-nodes
horizon: 2h
regions: [us-east, us-west]
network: {{rtt: {{us-east/us-west: 60ms}}, wal_bandwidth: {{us-east/*: {bandwidth}}}}}
stores:
  db:
    primary: us-east
    standbys: [us-west]
    commit: {{{rule}: 1, of: [us-west], when_short: block}}
    wal: {{commits: 10/s, bytes_per_commit: 2KB}}
    replication: {{retry_interval: 5s, connections: 100}}
    failover:
      detect: {{from: [us-west, operations]}}
      decide: automatic
      promote: {{takes: 10s}}
      old_primary: {{on_return: rejoins, starts_after: 20s, rebuild: 5min}}
services: {{orders: {{writes: db}}}}
faults:
  - {{kind: region-loss, region: {lost}, at: 600.3s, lasts: 20min, connections: hang, in_flight: lost}}
"""


def _stalls(lost: str, rule: str, bandwidth: str) -> np.ndarray:
    """Return, per trial, from the fault to the instant from which commits are acknowledged to the end."""
    stalls = []
    for trace in Simulator(loads(TEXT.format(lost=lost, rule=rule, bandwidth=bandwidth))).run_chunk(29, 0, TRIALS):
        store = trace.stores["db"]
        last = max((span for spans in store.acks.values() for span in spans), key=lambda span: span.start_s)
        assert last.acked_until_s == INF
        assert last.history == store.surviving
        stalls.append(last.start_s - trace.fault_s)
    return np.array(stalls)


@pytest.mark.parametrize("rule", ["any", "first"])
def test_commits_go_on_once_the_only_standby_is_back_and_level(rule: str) -> None:
    """Outage + start + U(0, retry interval) + catch-up: 100 connections of 2 KB wait, and 50 KB/s take 4 s for them.

    A fiftieth of a second of that the standby had received before it was lost.
    """
    stalls = _stalls("us-west", rule, "50KB/s")
    assert stats.kstest(stalls, stats.uniform(LASTS_S + 20.0 + 4.0, 5.0).cdf).pvalue > ALPHA


@pytest.mark.parametrize("rule", ["any", "first"])
def test_the_promoted_standby_commits_once_the_old_primary_has_joined_it(rule: str) -> None:
    """Outage + start + rebuild + U(0, retry interval): the old primary was ahead of the fork; then it is level."""
    stalls = _stalls("us-east", rule, "10MB/s")
    assert stats.kstest(stalls, stats.uniform(LASTS_S + 20.0 + 300.0, 5.0).cdf).pvalue > ALPHA
