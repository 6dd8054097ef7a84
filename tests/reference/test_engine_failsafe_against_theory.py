"""Patroni's failsafe mode against its rules: who has to accept, how often they are asked, and who waits for what."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.lease_store import exchange_fails
from mrsim.sim.run import Simulator
from mrsim.trace import Trace
from tests.happened import events, only, when

ALPHA = 1e-5
AT_S = 600.37
FAR_S = 0.07
"""Round trip between any two sites."""
TURN_S = 10.0 + 2 * FAR_S
"""From one question to the next: the time of the retries, and the answers over new connections."""

TEXT = """\
name: failsafe
horizon: 40min
regions: [here, near, far]
witnesses: {w1: {rtt: 20ms}, w2: {rtt: 20ms}, w3: {rtt: 20ms}}
network: {rtt: {here/near: 70ms, here/far: 70ms, near/far: 70ms}}
stores:
  db:
    primary: here
    standbys: [near, far]
    endpoint: {ttl: 1s, moved_by: controller, reconnect: 0s}
    wal: {commits: 20/s, bytes_per_commit: 2KB}
    failover:
      decide: {preset: patroni, failsafe_mode: MODE, voters: [w1, w2, w3], expiry_lag: 0s, race: 0sOPTIONS}
      promote: {takes: 1s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services: {orders: {writes: db}}
dns: {shop: {serves: [orders], policy: latency, ttl: 60s}}
clients: {users: {near: near, share: 100%, resolvers: typical, class: browser}}
faults:
FAULTS
"""

CUT = f"{{kind: partition, between: here, and: [w1, w2, w3], at: {AT_S}s, lasts: LASTS}}"


def cut(lasts: str = "permanent") -> str:
    return CUT.replace("LASTS", lasts)


def no_majority(lasts: str) -> list[str]:
    places = {"here", "near", "far", "w1", "w2", "w3"}
    return [
        f"{{kind: partition, between: {one}, and: [{', '.join(sorted(places - {one}))}], at: {AT_S}s, lasts: {lasts}}}"
        for one in ("w1", "w2")
    ]


def lost(region: str, at_s: float, connections: str = "hang") -> str:
    how = f"connections: {connections}, in_flight: lost"
    return f"{{kind: region-loss, region: {region}, at: {at_s}s, lasts: permanent, {how}}}"


def run(*faults: str, trials: int = 100, mode: str = "true", options: str = "") -> list[Trace]:
    text = TEXT.replace("FAULTS", "\n".join(f"  - {fault}" for fault in faults)).replace("MODE", mode)
    return Simulator(loads(text.replace("OPTIONS", options))).run_chunk(5, 0, trials)


def since(traces: list[Trace], kind: str, at_s: float = AT_S, subject: str = "") -> NDArray[np.float64]:
    return np.array([when(trace, kind, subject) for trace in traces]) - at_s


def acknowledges_all_the_while(trace: Trace) -> bool:
    spans = trace.stores["db"].acks["db@here"]
    return len(spans) == 1 and spans[0].acked_until_s >= trace.end_s


@pytest.mark.parametrize("faults", [no_majority("15min"), [cut("15min")], no_majority("permanent"), [cut()]])
def test_with_all_members_there_an_outage_of_the_store_stops_nobody(faults: list[str]) -> None:
    """Whether the store has failed or only its holder is cut off from it: nobody steps down, and nobody races."""
    for trace in run(*faults, trials=30):
        assert len(trace.stores["db"].histories) == 1
        assert acknowledges_all_the_while(trace)
    for trace in run(*faults, trials=30, mode="false"):
        assert not acknowledges_all_the_while(trace)


def test_a_holder_that_reaches_the_store_again_has_its_key_at_once() -> None:
    """Cut off alone, its key goes 30 s after its last renewal; the others take it for alive until it is back."""
    for trace in run(cut("15min")):
        gone_s, back = when(trace, "lease-expired"), only(trace, "lease-acquired")
        assert 20.0 <= gone_s - AT_S <= 30.0
        assert (back.subject, back.at_s) == ("db@here", pytest.approx(AT_S + 900.0, abs=1e-6))


def test_all_are_asked_first_after_the_retries() -> None:
    """10 s after the last renewal the next fails, and is tried again for 10 s."""
    asked = since(run(cut(), trials=2000), "failsafe")
    assert stats.kstest(asked, stats.uniform(10.0, 10.0).cdf).pvalue > ALPHA


@pytest.mark.parametrize(("connections", "noticed_s"), [("hang", 4.0), ("refused", FAR_S)])
def test_a_member_that_is_lost_ends_it_at_the_next_turn(connections: str, noticed_s: float) -> None:
    """One that refuses costs a round trip; to one that is silent two connections are tried, 2 s each."""
    lost_s = AT_S + 300.0
    traces = run(cut(), lost("far", lost_s, connections), trials=2000)
    assert stats.kstest(since(traces, "demoted", lost_s), stats.uniform(noticed_s, TURN_S).cdf).pvalue > ALPHA


def test_the_others_wait_for_a_ttl_after_they_were_asked_last() -> None:
    """Then the next turn of whoever is ahead, 2 s for each silent member's position, and the promotion."""
    lost_s = AT_S + 300.0
    traces = run(cut(), lost("far", lost_s, "refused"), trials=2000)
    asked = since(traces, "demoted", 0.0) - FAR_S
    began = np.array([trace.stores["db"].histories[1].began_s for trace in traces])
    assert stats.kstest(began - asked - 30.0 - 2 * FAR_S - 1.0, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA
    assert all(only(trace, "lease-acquired").subject == "db@near" for trace in traces)


def test_one_that_steps_down_may_be_the_next() -> None:
    """The store works again before the others stop waiting: who stepped down was told of no leader, and is promoted."""
    lost_s = AT_S + 300.0
    for trace in run(*no_majority("330s"), lost("far", lost_s, "refused")):
        assert only(trace, "resumed-as-primary").subject == "db@here"
        assert len(trace.stores["db"].histories) == 1


@pytest.mark.parametrize(("before_s", "goes_on"), [(60.0, True), (10.0, False)])
def test_who_has_been_away_for_a_ttl_is_no_member(before_s: float, *, goes_on: bool) -> None:
    """Its key in the store is gone by then, and with the next renewal it is off the list."""
    for trace in run(lost("far", AT_S - before_s), cut()):
        assert acknowledges_all_the_while(trace) == goes_on
        assert bool(events(trace, "demoted")) != goes_on


@pytest.mark.parametrize(("latency", "goes_on"), [("1.9s", True), ("1.95s", False)])
def test_a_member_has_two_seconds_to_answer(latency: str, *, goes_on: bool) -> None:
    """Not configurable: 70 ms there and back and the delay. Patroni's users met it with 5 s."""
    slow = f"{{kind: link-degradation, from: here, to: [far], at: {AT_S}s, lasts: permanent, added_latency: {latency}}}"
    for trace in run(cut(), slow, trials=30):
        assert acknowledges_all_the_while(trace) == goes_on
        if not goes_on:
            assert 14.0 <= when(trace, "demoted") - AT_S <= 24.0


def test_packets_that_are_lost_spoil_a_question() -> None:
    """Over the 2 s of an answer, as often as a request that is repeated over its connection fails."""
    loss = f"{{kind: link-degradation, from: here, to: [far], at: {AT_S}s, lasts: permanent, loss: 70%}}"
    fails = exchange_fails(0.7, 0.0, FAR_S, 2.0)
    traces = run(cut(), loss, trials=1000)
    at_once = sum(not events(trace, "failsafe") for trace in traces)
    assert 0.1 < fails < 0.9
    assert stats.binomtest(at_once, len(traces), fails).pvalue > ALPHA


def test_a_watchdog_counts_from_when_all_accepted() -> None:
    """An agent that dies no longer asks: its host is reset 25 s after it last was accepted, before anybody may race."""
    dead_s = AT_S + 300.0
    dead = f"{{kind: agent-crash, store: db, region: here, at: {dead_s}s, lasts: permanent}}"
    traces = run(cut(), dead, trials=2000, options=", watchdog: 5s")
    down = since(traces, "node-down", dead_s)
    assert stats.kstest(down, stats.uniform(25.0 - TURN_S, TURN_S).cdf).pvalue > ALPHA
    began = np.array([trace.stores["db"].histories[1].began_s for trace in traces]) - dead_s
    assert (began > down + 5.0).all()


def test_without_a_watchdog_a_dead_agent_leaves_two_primaries() -> None:
    """The members stop waiting a ttl after they were asked last, and nobody stops a database without an agent."""
    dead = f"{{kind: agent-crash, store: db, region: here, at: {AT_S + 300.0}s, lasts: permanent}}"
    for trace in run(cut(), dead, trials=30):
        began_s = trace.stores["db"].histories[1].began_s
        assert trace.stores["db"].acks["db@here"][-1].acked_until_s > began_s


def test_nobody_takes_part_who_was_not_on_the_list() -> None:
    """A member that comes back while the holder goes on is not asked, and may not race when the holder dies."""
    away = lost("far", AT_S - 120.0).replace("permanent", "5min")
    dead_s = AT_S + 600.0
    for trace in run(away, cut(), lost("here", dead_s), lost("near", dead_s + 1.0), trials=30):
        assert trace.stores["db"].acks["db@here"][0].acked_until_s == pytest.approx(dead_s, abs=1.0)
        assert len(trace.stores["db"].histories) == 1
