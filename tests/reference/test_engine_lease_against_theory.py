"""Leader leases against the arithmetic of the products: when they are given up, when they are taken, and by whom."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.lease_store import exchange_fails, tries
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
      old_primary: {on_return: rejoins, starts_after: STARTS}
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
    lease: str,
    *faults: str,
    trials: int = 1000,
    promote: str = "1s",
    starts_after: str = "10s",
    bandwidth: str = "",
    bursts: str = "",
    horizon: str = "60min",
) -> list[Trace]:
    text = TEXT.replace("LEASE", lease).replace("FAULTS", "\n".join(f"  - {fault}" for fault in faults))
    text = text.replace("PROMOTE", promote).replace("WAL_BANDWIDTH", bandwidth).replace("BURSTS", bursts)
    text = text.replace("STARTS", starts_after).replace("horizon: 60min", f"horizon: {horizon}")
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


def test_candidates_stand_back_while_wal_of_the_old_primary_reaches_them() -> None:
    """The key of a dead agent's living database is raced for 9 s later than that of a lost one."""
    dead = f"{{kind: agent-crash, store: db, region: us-east, at: {AT_S}s}}"
    for fault, stands_back_s in [(dead, 9.0), (LOSS, 0.0)]:
        for trace in _traces(PATRONI + ", race_backoff: 9s", fault, trials=20):
            waited_s = _at_s(trace, "lease-acquired")[0] - _at_s(trace, "lease-expired")[0]
            # 2 s for the member that is silent in both cases, and the store's answer.
            assert waited_s == pytest.approx(2.0 + stands_back_s, abs=0.5)


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


# Patroni: who may take it ---------------------------------------------------------------------------------------------

BANDWIDTH = ", wal_bandwidth: {us-east/*: 40Mbit/s}"
BURST = ", bursts: {every: 30min, last: 2min, rate: 20x, phase: 0%}"


def _lost_at(at_s: float) -> str:
    return LOSS.replace(f"{AT_S}s", f"{at_s}s")


def _bursting(at_s: float, trials: int, lease: str = PATRONI) -> list[Trace]:
    return _traces(lease, _lost_at(at_s), trials=trials, bandwidth=BANDWIDTH, bursts=BURST)


def test_a_standby_too_far_behind_the_last_report_may_not_take_the_lease() -> None:
    """A burst of 8 MB/s over 5 MB/s leaves 3 MB/s behind for 2 min, which drains at 5 - 0.4 MB/s in 78 s."""
    drained = 1920.0 + 120.0 * (8.0 - 5.0) / (5.0 - 0.4)
    assert drained == pytest.approx(1998.26, abs=0.01)
    cases = [(1799.0, True), (1840.0, False), (1919.0, False), (drained - 11.0, False), (drained + 11.0, True)]
    for at_s, promoted in cases:
        for trace in _bursting(at_s, 60):
            assert (len(trace.stores["db"].histories) == 2) == promoted, at_s
            assert bool(_at_s(trace, "no-candidate")) != promoted
    for trace in _bursting(1919.0, 60, f"{PATRONI}, max_lag_bytes: 1GB"):
        assert len(trace.stores["db"].histories) == 2


@pytest.mark.parametrize("into", [3.0, 7.0, 12.0])
def test_the_lag_is_that_at_the_last_renewal(into: float) -> None:
    """The holder writes its position when it renews; what it wrote since then does not count.

    x s into the burst the nearer standby has 5 MB/s (x - 34 ms to 40 ms) of it. A report that is a s old says
    8 MB/s (x - a), so the standby lags by more than 1 MiB if a < x - (5 (x - latency) + 1.05) / 8; a is U(0, 10).
    """
    promoted = sum(len(trace.stores["db"].histories) == 2 for trace in _bursting(1800.0 + into, 2000))
    nearest, farthest = (1.0 - (into - (5.0 * (into - late) + 1.048576) / 8.0) / 10.0 for late in (0.045, 0.03))
    assert nearest < farthest
    assert stats.binomtest(promoted, 2000, nearest, alternative="less").pvalue > ALPHA
    assert stats.binomtest(promoted, 2000, farthest, alternative="greater").pvalue > ALPHA


# Patroni: a dead database beside a living agent -----------------------------------------------------------------------


def _crash(lasts: str) -> str:
    return f"{{kind: process-crash, store: db, region: us-east, at: {AT_S}s, lasts: {lasts}}}"


def test_a_database_that_cannot_be_started_is_given_up_at_the_next_turn() -> None:
    """The agent's next turn is U(0, loop_wait) later; the key is deleted, not left to run out."""
    traces = _traces(PATRONI, _crash("permanent"), trials=3000)
    released = np.array([_at_s(trace, "lease-released")[0] for trace in traces]) - AT_S
    assert stats.kstest(released, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA
    for trace, at_s in zip(traces, released, strict=True):
        # Everybody answers: two round trips over the longest path are all there is to wait for.
        assert _began_s(trace) - AT_S - at_s - PROMOTE_S == pytest.approx(0.35, abs=0.3)
        assert not _at_s(trace, "lease-expired")


def test_a_database_that_starts_in_time_keeps_its_lease() -> None:
    for trace in _traces(PATRONI, _crash("1ms"), trials=300):
        assert len(trace.stores["db"].histories) == 1
        assert not _at_s(trace, "lease-released")


def test_a_start_that_takes_too_long_is_given_up_after_its_timeout() -> None:
    """U(0, loop_wait) to the attempt, then start_timeout."""
    slow = _traces(PATRONI, _crash("1ms"), starts_after="20min")
    released = np.array([_at_s(trace, "lease-released")[0] for trace in slow]) - AT_S - 300.0
    assert stats.kstest(released, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA


# The store and the paths to it ----------------------------------------------------------------------------------------


def _alone(at_s: float, lasts: str) -> list[str]:
    """Return faults that leave each member of the store on its own."""
    places = {"us-east", "eu-west", "ap-southeast", "w1", "w2", "w3"}
    return [
        f"{{kind: partition, between: {one}, and: [{', '.join(sorted(places - {one}))}], at: {at_s}s, lasts: {lasts}}}"
        for one in ("w1", "w2")
    ]


def test_a_store_without_a_majority_ends_no_lease() -> None:
    """After the outage the old holder sees its key at its next turn, U(0, loop_wait), and is promoted again."""
    traces = _traces(PATRONI, *_alone(AT_S, "10min"), trials=3000)
    back = np.array([_at_s(trace, "resumed-as-primary")[0] for trace in traces]) - AT_S - 600.0
    assert stats.kstest(back, stats.uniform(PROMOTE_S, 10.0).cdf).pvalue > ALPHA
    for trace in traces:
        assert len(trace.stores["db"].histories) == 1
        assert not _at_s(trace, "lease-expired")


def test_a_store_with_a_majority_again_gives_a_lease_its_whole_ttl() -> None:
    """The holder dies during the outage, after which its lease lasts 30 s; a shorter one extends it too."""
    for lasts_s, death_s in ((600.0, 900.0), (25.0, 610.0)):
        outage = _alone(AT_S, f"{lasts_s:g}s")
        for trace in _traces(PATRONI, *outage, _lost_at(death_s), trials=100):
            (expired,) = _at_s(trace, "lease-expired")
            assert expired == pytest.approx(AT_S + lasts_s + 30.0, abs=1e-6)


def test_a_kubernetes_lease_is_timed_by_its_candidates() -> None:
    """They count from what they last saw, whether the store works or not, and take it when it works again."""
    for trace in _traces(KUBERNETES, *_alone(AT_S, "10min"), trials=100):
        assert _at_s(trace, "lease-expired")[0] < AT_S + 15.0 + 1e-6


@pytest.mark.parametrize(
    ("retry_timeout", "members", "expected"),
    [(10.0, 3, (1, 10 / 3)), (10.0, 1, (3, 10 / 3)), (10.0, 2, (2, 2.5)), (3.0, 2, (1, 1.5)), (3.0, 5, (1, 1.0))],
)
def test_tries_of_a_renewal(retry_timeout: float, members: int, expected: tuple[int, float]) -> None:
    """As ``_calculate_timeouts`` of Patroni's ``dcs/etcd.py`` divides the time."""
    assert tries(retry_timeout, members, "patroni") == pytest.approx(expected)
    assert tries(retry_timeout, members, "kubernetes") == (1, retry_timeout / 2.0)


def test_a_request_is_repeated_over_its_connection() -> None:
    """Against a simulation of both directions; sent again after 0.22 s, 0.22 s more, and then waits that double."""
    rng, n = np.random.default_rng(5), 200_000
    there, back = rng.geometric(1.0 - 0.7, n) - 1, rng.geometric(1.0 - 0.4, n) - 1
    sent = np.concatenate(([0.0], 0.22 * 2.0 ** np.arange(60)))
    late = int((sent[np.minimum(there, 60)] + sent[np.minimum(back, 60)] + 0.02 > 1.5).sum())
    assert stats.binomtest(late, n, exchange_fails(0.7, 0.4, 0.02, 1.5)).pvalue > ALPHA
    assert exchange_fails(0.0, 0.0, 0.02, 1.5) == 0.0


def _degraded(what: str) -> str:
    return f"{{kind: link-degradation, from: us-east, to: [w1, w2, w3], at: {AT_S}s, lasts: permanent, {what}}}"


@pytest.mark.parametrize(("latency", "renews"), [("3.25s", True), ("3.35s", False)])
def test_a_renewal_has_its_share_of_the_retry_timeout(latency: str, *, renews: bool) -> None:
    """10 s for three members are 3.33 s for each: 20 ms there and back, 20 ms among the members, and the delay."""
    for trace in _traces(PATRONI, _degraded(f"added_latency: {latency}"), trials=50):
        assert (len(trace.stores["db"].histories) == 1) == renews
        assert bool(_at_s(trace, "lease-expired")) != renews


def test_lost_packets_spoil_renewals_one_by_one() -> None:
    """Within 3.33 s a request is sent at 0, 0.22, 0.44, 0.88 and 1.76 s, to three members: it fails with q¹⁵.

    With q = 85 % that is 8.7 %: the number of renewals that work before is geometric, with a mean of (1 - p) / p.
    """
    p = 0.85**15
    # Longer than 20 min all renewals work with a probability of 2e-5.
    traces = _traces(PATRONI, _degraded("loss: 85%"), trials=1000, horizon="30min")
    demoted = np.array([_at_s(trace, "demoted")[0] for trace in traces])
    worked = np.ceil((demoted - 20.0 - AT_S - 1e-4) / 10.0)
    assert stats.binomtest(int((worked == 0).sum()), 1000, p).pvalue > ALPHA
    assert stats.binomtest(int((worked > 10).sum()), 1000, (1.0 - p) ** 11).pvalue > ALPHA
    assert worked.mean() == pytest.approx((1.0 - p) / p, abs=5.0 * np.sqrt(1.0 - p) / p / np.sqrt(1000))


def test_a_single_member_is_tried_three_times() -> None:
    """Each of the three tries has 3.33 s too, at the same member: the same chance as one at each of three."""
    p = 0.85**15
    traces = _traces(PATRONI.replace("[w1, w2, w3]", "w1"), _degraded("loss: 85%"), trials=500, horizon="30min")
    worked = np.ceil((np.array([_at_s(trace, "demoted")[0] for trace in traces]) - 20.0 - AT_S - 1e-4) / 10.0)
    assert stats.binomtest(int((worked == 0).sum()), 500, p).pvalue > ALPHA


def test_a_node_that_its_watchdog_reset_boots_again() -> None:
    """After starts_after, 10 s, with a living agent, which follows the new primary."""
    agent = f"{{kind: agent-crash, store: db, region: us-east, at: {AT_S}s, lasts: permanent}}"
    for trace in _traces(f"{PATRONI}, watchdog: 5s", agent, trials=300):
        (down,), (up,) = _at_s(trace, "node-down"), _at_s(trace, "node-up")
        assert up - down == pytest.approx(10.0, abs=1e-6)
        assert trace.stores["db"].acks["db@us-east"][-1].acked_until_s <= down
