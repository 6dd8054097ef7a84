"""Leader leases against the arithmetic of the products: when they are given up, when they are taken, and by whom."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

ALPHA = 1e-5
AT_S = 600.37
PROMOTE_S = 1.0

TEXT = """\
name: leased
horizon: 60min
regions: [us-east, eu-west, ap-southeast]
witnesses: {w1: {rtt: 20ms}, w2: {rtt: 20ms}, w3: {rtt: 20ms}}
network: {rtt: aws-2026WAL_BANDWIDTH}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    endpoint: {ttl: 30s, moved_by: controller}
    wal: {commits: 200/s, bytes_per_commit: 2KBBURSTS}
    failover:
      decide: {LEASE, expiry_lag: 0s, race: 0s}
      promote: {takes: PROMOTE}
      old_primary: {on_return: rejoins, starts_after: 10s}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 60s}}
clients: {users: {near: eu-west, share: 100%, resolvers: typical, class: browser}}
faults:
FAULTS
"""

PATRONI = "preset: patroni, voters: [w1, w2, w3]"
KUBERNETES = "preset: kubernetes, voters: [w1, w2, w3]"
CUT = f"{{kind: partition, between: us-east, and: [w1, w2, w3], at: {AT_S}s, lasts: permanent}}"
LOSS = f"{{kind: region-loss, region: us-east, at: {AT_S}s, lasts: permanent, connections: hang, in_flight: lost}}"


def _traces(
    lease: str, *faults: str, trials: int = 1000, promote: str = "1s", bandwidth: str = "", bursts: str = ""
) -> list[Trace]:
    text = TEXT.replace("LEASE", lease).replace("FAULTS", "\n".join(f"  - {fault}" for fault in faults))
    text = text.replace("PROMOTE", promote).replace("WAL_BANDWIDTH", bandwidth).replace("BURSTS", bursts)
    return Simulator(loads(text)).run_chunk(77, 0, trials)


def _began_s(trace: Trace) -> float:
    return trace.stores["db"].histories[1].began_s


def _stopped_s(trace: Trace) -> float:
    return trace.stores["db"].acks["db@us-east"][0].acked_until_s


def _at_s(trace: Trace, kind: str) -> list[float]:
    return [event.at_s for event in trace.events if event.kind == kind]


# Kubernetes: client-go's election -------------------------------------------------------------------------------------


def test_a_kubernetes_holder_gives_up_after_a_period_and_the_deadline() -> None:
    """The attempt that fails begins RetryPeriod (2 s) after the last renewal and lasts RenewDeadline (10 s)."""
    given_up = np.array([_stopped_s(trace) for trace in _traces(KUBERNETES, CUT, trials=3000)]) - AT_S
    assert stats.kstest(given_up, stats.uniform(10.0, 2.0).cdf).pvalue > ALPHA


def _polled(trials: int) -> NDArray[np.float64]:
    """Follow candidates poll by poll from long before the last renewal at 0, each 2 to 4.4 s after the one before."""
    rng = np.random.default_rng(8)
    found = np.empty(trials)
    for trial in range(trials):
        at, seen = -100.0, np.inf
        while at < seen + 15.0:
            at += 2.0 + 2.4 * rng.random()
            if at >= 0.0 and seen == np.inf:
                seen = at
        found[trial] = at
    return found


def test_a_kubernetes_candidate_takes_over_at_a_poll() -> None:
    """15 s from when it saw the last renewal, and on to its next poll: 15 s to 23.8 s, in the mean about 18.35 s.

    Both waits for a poll have the mean E[X²] / 2 E[X] of what is left of an interval X on [2 s, 4.4 s]: 1.675 s.
    """
    traces = _traces(KUBERNETES, CUT, trials=3000)
    taken = np.array([_began_s(trace) - PROMOTE_S - (_stopped_s(trace) - 12.0) for trace in traces])
    assert taken.min() >= 15.0
    assert taken.max() <= 15.0 + 2 * 4.4
    assert taken.mean() == pytest.approx(15.0 + 2 * 1.675, abs=5 * taken.std() / np.sqrt(3000) + 0.05)
    assert stats.ks_2samp(taken, _polled(20_000)).pvalue > ALPHA


# Patroni: the race ----------------------------------------------------------------------------------------------------


def test_a_member_that_is_silent_costs_its_timeout() -> None:
    """Candidates ask every member: a host that refuses costs a round trip, one that hangs costs 2 s."""
    hung = [_began_s(trace) for trace in _traces(PATRONI, LOSS, trials=200)]
    refused = [_began_s(trace) for trace in _traces(PATRONI, LOSS.replace("hang", "refused"), trials=200)]
    later = np.array(hung) - np.array(refused)
    # Standbys in Ireland and Singapore ask each other over a new connection, two round trips of 0.17 s to 0.18 s.
    assert later == pytest.approx(2.0 - 0.35, abs=0.03)


def test_a_holder_that_dies_while_it_is_promoted_leaves_its_lease_to_run_out() -> None:
    """Nobody deletes a dead node's key: 30 s from the renewal before its death, to the instant."""
    second = "{kind: region-loss, region: eu-west, at: 645s, lasts: permanent, connections: refused, in_flight: lost}"
    twice = 0
    for trace in _traces(PATRONI, LOSS, second, trials=400, promote="40s"):
        acquired = _at_s(trace, "lease-acquired")
        if acquired[0] > 645.0:
            continue
        twice += 1
        assert len(acquired) == 2
        renewed = acquired[0] + 10.0 * np.floor((645.0 - acquired[0]) / 10.0)
        assert _at_s(trace, "lease-expired")[1] == pytest.approx(renewed + 30.0, abs=1e-6)
        assert acquired[1] > renewed + 30.0
    assert twice > 300
