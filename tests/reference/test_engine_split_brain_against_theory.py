"""Two primaries at once: when they must be there, when they never may, and for how long at most."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import INF, Trace

ALPHA = 1e-5
HORIZON_S = 3600.0
AT_S = 600.37
LASTS_S = 900.0

TEXT = """\
name: two-primaries
horizon: 60min
regions: [us-east, eu-west, ap-southeast]
network: {rtt: aws-2026}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    endpoint: {ttl: 30s, moved_by: MOVED_BY}
    wal: {commits: 100/s}
    failover:
FAILOVER
      promote: {takes: 1s}
      old_primary: {on_return: ON_RETURN, starts_after: 10s}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 60s}}
clients:
  us-users: {near: us-east, share: 50%, resolvers: typical, class: browser}
  eu-users: {near: eu-west, share: 50%, resolvers: typical, class: browser}
faults:
FAULTS
"""

AUTOMATIC = """\
detect: {from: [eu-west, ap-southeast], every: 10s, fails: 3, timeout: 4s, verdict: all}
decide: {by: automatic, runs_in: eu-west}
"""
EAGER = AUTOMATIC.replace("every: 10s, fails: 3, timeout: 4s", "every: 2s, fails: 2, timeout: 1s")
LEASE = """\
decide: {by: lease, preset: patroni, voters: VOTERS}
"""
CHECK = "self_check: {sees: [eu-west, ap-southeast], every: 10s, fails: 3, timeout: 2s}\n"
OUTSIDE = "[us-east, eu-west, ap-southeast]"
INSIDE = "[us-east, us-east-control, eu-west]"

ISOLATION = (
    f"{{kind: isolation, region: us-east, at: {AT_S}s, lasts: 15min, cut_from: rest, still_reached_by: [us-users]}}"
)
AGENT_DEAD = "{kind: agent-crash, store: db, region: us-east, at: 300.21s}"
LOSS = f"{{kind: region-loss, region: us-east, at: {AT_S}s, lasts: 15min, connections: hang, in_flight: lost}}"


def _traces(
    failover: str,
    *faults: str,
    trials: int = 1000,
    on_return: str = "starts-as-primary",
    moved_by: str = "controller",
) -> list[Trace]:
    text = TEXT.replace("FAILOVER", "\n".join(f"      {line}" for line in failover.strip().split("\n")))
    text = text.replace("FAULTS", "\n".join(f"  - {fault}" for fault in faults))
    text = text.replace("ON_RETURN", on_return).replace("MOVED_BY", moved_by)
    return Simulator(loads(text)).run_chunk(51, 0, trials)


def _lease(voters: str = OUTSIDE, **more: str) -> str:
    added = "".join(f", {key}: {value}" for key, value in more.items())
    return LEASE.replace("VOTERS", voters + added)


def _overlap_s(trace: Trace) -> float:
    """Return for how long two nodes acknowledged commits at once."""
    acks = trace.stores["db"].acks
    return sum(
        max(0.0, min(a.acked_until_s, b.acked_until_s, HORIZON_S) - max(a.start_s, b.start_s))
        for one, other in combinations(acks, 2)
        for a in acks[one]
        for b in acks[other]
    )


def _began_s(trace: Trace) -> float:
    histories = trace.stores["db"].histories
    assert len(histories) == 2
    return histories[1].began_s


def _stopped_s(trace: Trace) -> float:
    """Return when the old primary's first span ended."""
    return trace.stores["db"].acks["db@us-east"][0].acked_until_s


# No fencing ----------------------------------------------------------------------------------------------------------


def test_isolation_without_fencing_makes_two_primaries() -> None:
    traces = _traces(AUTOMATIC, ISOLATION)
    for trace in traces:
        began_s = _began_s(trace)
        # Three failed probes of 10 s, the last of 4 s, from the later of two; a report, a second of promotion.
        assert AT_S + 25.0 < began_s < AT_S + 36.0
        # Nobody tells the old primary anything: both acknowledge from the promotion to the end.
        assert _overlap_s(trace) == pytest.approx(HORIZON_S - began_s, abs=1e-6)
    phase = np.array([_began_s(trace) for trace in traces]) - AT_S - 24.0 - 1.0
    # The report from Singapore takes up to 0.1 s more than the one from beside the controller.
    late = stats.ks_1samp(phase, lambda x: np.clip(x / 10.0, 0, 1) ** 2, alternative="greater").pvalue
    early = stats.ks_1samp(phase, lambda x: np.clip((x - 0.18) / 10.0, 0, 1) ** 2, alternative="less").pvalue
    assert min(late, early) > ALPHA


@pytest.mark.parametrize("then", ["block", "proceed"])
def test_stonith_through_the_isolated_region(then: str) -> None:
    """The control point is cut off with the region: blocked, nobody is promoted; proceeding, two primaries."""
    fence = (
        f"fence: {{through: us-east-control, takes: 5s, timeout: 15s, if_unconfirmed: {{retry: 1, then: {then}}}}}\n"
    )
    for trace in _traces(AUTOMATIC + fence, ISOLATION, trials=200):
        if then == "block":
            assert len(trace.stores["db"].histories) == 1
            assert _overlap_s(trace) == 0.0
            kinds = [event.kind for event in trace.events]
            assert "fence-unconfirmed" in kinds
            assert "stood-down" in kinds
        else:
            assert _overlap_s(trace) > LASTS_S - 100.0


def test_stonith_through_a_control_point_that_still_reaches_the_region() -> None:
    isolation = ISOLATION.replace("[us-users]", "[us-users, operations, cloud-api]")
    fence = "fence: {through: cloud-api, takes: 5s, if_unconfirmed: block}\n"
    text = AUTOMATIC.replace("runs_in: eu-west", "runs_in: operations") + fence
    scenario = TEXT.replace("stores:\n", "control_points: {cloud-api: {inside: none}}\nstores:\n", 1)
    scenario = scenario.replace("FAILOVER", "\n".join(f"      {line}" for line in text.strip().split("\n")))
    scenario = scenario.replace("FAULTS", f"  - {isolation}").replace("ON_RETURN", "starts-as-primary")
    for trace in Simulator(loads(scenario.replace("MOVED_BY", "controller"))).run_chunk(51, 0, 500):
        fenced = [event.at_s for event in trace.events if event.kind == "fenced"]
        assert len(fenced) == 1
        assert _stopped_s(trace) <= fenced[0] < _began_s(trace)
        assert _overlap_s(trace) == 0.0


# Leases --------------------------------------------------------------------------------------------------------------


def test_a_lease_that_its_holder_enforces_never_overlaps() -> None:
    """ttl 30 s, given up after loop_wait + retry_timeout = 20 s: 10 s between the end of one and the next."""
    traces = _traces(_lease(), ISOLATION, trials=3000)
    assert sum(_overlap_s(trace) > 0.0 for trace in traces) == 0
    gaps = [_began_s(trace) - _stopped_s(trace) for trace in traces]
    # 10 s, the key's removal (0.1 s to 1.1 s), candidates that ask the old primary in vain (2 s), the race (0.1 s to
    # 0.3 s), the promotion (1 s).
    assert min(gaps) > 13.2 - 1e-6
    assert max(gaps) < 14.4 + 0.01
    # The last renewal was up to one loop ago.
    given_up = np.array([_stopped_s(trace) for trace in traces]) - AT_S
    assert stats.kstest(given_up, stats.uniform(10.0, 10.0).cdf).pvalue > ALPHA


@pytest.mark.parametrize(("drift", "overlaps"), [("30%", False), ("49%", False), ("100%", True)])
def test_a_slow_clock_gives_a_lease_up_late(drift: str, *, overlaps: bool) -> None:
    """20 s by a clock that is 49 % slow are less than 30 s; by one that takes twice as long they are not."""
    for trace in _traces(_lease(clock_drift=drift), ISOLATION, trials=500):
        assert (_overlap_s(trace) > 0.0) == overlaps


def test_a_majority_inside_keeps_the_old_primary() -> None:
    for trace in _traces(_lease(INSIDE), ISOLATION, trials=500):
        store = trace.stores["db"]
        assert len(store.histories) == 1
        assert [(span.start_s, span.end_s) for span in store.acks["db@us-east"]] == [(-np.inf, np.inf)]
        assert not store.acks["db@eu-west"]


def test_a_dead_agent_leaves_a_living_database_behind() -> None:
    for trace in _traces(_lease(), AGENT_DEAD, ISOLATION, trials=1000):
        assert _overlap_s(trace) > 0.0
        # Nobody is left to demote it.
        assert _overlap_s(trace) == pytest.approx(HORIZON_S - _began_s(trace), abs=1e-6)


def test_a_watchdog_stops_a_database_without_its_agent() -> None:
    """The watchdog fires 5 s before the lease ends."""
    for trace in _traces(_lease(watchdog="5s"), AGENT_DEAD, ISOLATION, trials=1000):
        assert _overlap_s(trace) == 0.0
        assert _began_s(trace) - _stopped_s(trace) > 5.0


def test_a_lease_that_only_gates_promotion_fences_nobody() -> None:
    for trace in _traces(_lease(enforced_by="nobody"), ISOLATION, trials=1000):
        assert AT_S + 22.0 < _began_s(trace) < AT_S + 35.0
        assert _overlap_s(trace) == pytest.approx(HORIZON_S - _began_s(trace), abs=1e-6)


# Isolation self-check ------------------------------------------------------------------------------------------------


def test_a_self_check_bounds_the_overlap() -> None:
    """Every 10 s, third failure, each of 2 s: an isolated primary stops 22 s to 32 s later."""
    traces = _traces(EAGER + CHECK, ISOLATION, on_return="stays-down")
    stopped = np.array([_stopped_s(trace) for trace in traces]) - AT_S
    assert stats.kstest(stopped, stats.uniform(22.0, 10.0).cdf).pvalue > ALPHA
    for trace in traces:
        overlap_s = _overlap_s(trace)
        assert 0.0 < overlap_s <= 32.0 - (_began_s(trace) - AT_S)
        assert overlap_s == pytest.approx(_stopped_s(trace) - _began_s(trace), abs=1e-6)


def test_a_primary_alone_because_all_that_it_should_see_is_lost_stops_too() -> None:
    """Nothing near it has changed: its check is the same all the same, and off again if one of them is back in time."""
    lost = f"{{kind: region-loss, region: eu-west, at: {AT_S}s, lasts: LASTS, connections: hang, in_flight: lost}}"
    beside = lost.replace("eu-west", "ap-southeast").replace("LASTS", "permanent")
    traces = _traces(EAGER + CHECK, lost.replace("LASTS", "permanent"), beside)
    stopped = np.array([_stopped_s(trace) for trace in traces]) - AT_S
    assert stats.kstest(stopped, stats.uniform(22.0, 10.0).cdf).pvalue > ALPHA
    for trace in _traces(EAGER + CHECK, lost.replace("LASTS", "21s"), beside, trials=100):
        assert _stopped_s(trace) == INF


def test_a_primary_that_starts_alone_stops_as_well() -> None:
    """Its database was down when the paths were cut: its check begins as it starts, 10 s after the crash is over."""
    crash = f"{{kind: process-crash, store: db, region: us-east, at: {AT_S - 5.0}s, lasts: 15s, in_flight: arrives}}"
    for trace in _traces(AUTOMATIC + CHECK, crash, ISOLATION, trials=100):
        stops = [event.at_s for event in trace.events if event.kind == "node-down" and event.subject == "db@us-east"]
        assert len(stops) == 2
        assert 22.0 <= stops[1] - (AT_S + 20.0) <= 32.0


# The old primary's return --------------------------------------------------------------------------------------------


def _answers(trace: Trace) -> list[str]:
    return [change.target for change in trace.stores["db"].endpoint["ap-southeast"]]


def test_an_endpoint_that_follows_health_goes_back_to_the_old_primary() -> None:
    for trace in _traces(AUTOMATIC, LOSS, trials=1000, moved_by="health"):
        assert _answers(trace) == ["db@us-east", "db@eu-west", "db@us-east"] or _answers(trace) == [
            "db@us-east",
            "db@ap-southeast",
            "db@us-east",
        ]
        back_s = AT_S + LASTS_S + 10.0
        assert _overlap_s(trace) == pytest.approx(HORIZON_S - back_s, abs=1e-6)
        assert trace.stores["db"].endpoint["ap-southeast"][2].at_s > back_s


def test_an_endpoint_that_its_controller_moves_stays() -> None:
    """Both acknowledge all the same, but nobody is sent to the old primary."""
    for trace in _traces(AUTOMATIC, LOSS, trials=300):
        assert len(_answers(trace)) == 2
        assert _overlap_s(trace) == pytest.approx(HORIZON_S - AT_S - LASTS_S - 10.0, abs=1e-6)


@pytest.mark.parametrize("on_return", ["stays-down", "rejoins"])
@pytest.mark.parametrize("moved_by", ["health", "controller"])
def test_a_return_that_asks_first_makes_no_second_primary(on_return: str, moved_by: str) -> None:
    for trace in _traces(AUTOMATIC, LOSS, trials=300, on_return=on_return, moved_by=moved_by):
        assert _overlap_s(trace) == 0.0
        assert len(_answers(trace)) == 2
        assert len(trace.stores["db"].acks["db@us-east"]) == 1
