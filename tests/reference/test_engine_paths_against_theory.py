"""What paths do to probes, WAL and messages of control: too slow, too lossy, cut at the wrong moment."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.sim.tcp import SEGMENT_BYTES, tcp_bytes_per_s
from mrsim.trace import Event, Trace

SYSTEM = """
name: paths
horizon: 4h
regions: [a, b, c]
network: {{rtt: {{a/b: 70ms, a/c: 150ms, b/c: 90ms}}}}
stores:
  db:
    primary: a
    standbys: [b, c]
    endpoint: {{ttl: 5s, moved_by: controller, takes: 1s}}
    wal: {{commits: 200/s, bytes_per_commit: 2KB}}
    failover:
      detect: {{from: [operations], every: 10s, fails: 3, timeout: 4s}}
      decide: {{by: automatic, runs_in: operations}}
      promote: {{takes: {takes}, attempt_timeout: 60s}}
      old_primary: {{on_return: rejoins, starts_after: 1s, rebuild: 1min}}
services: {{orders: {{writes: db}}}}
dns: {{shop: {{serves: [orders], policy: latency, ttl: 60s{check}}}}}
clients: {{users: {{near: a, share: 100%, resolvers: honest, class: browser, points: 4}}}}
faults:
{faults}
"""
GONE = "  - {kind: region-loss, region: a, at: %s, connections: hang, in_flight: lost}"
TRIALS = 20


def traces(*faults: str, takes: str = "5s", check: str = "") -> list[Trace]:
    text = SYSTEM.format(faults="\n".join(faults), takes=takes, check=check)
    return Simulator(loads(text)).run_chunk(3, 0, TRIALS)


def first(trace: Trace, kind: str, subject: str = "", after_s: float = 0.0) -> Event:
    return next(e for e in trace.events if e.kind == kind and subject in e.subject and e.at_s >= after_s)


@pytest.mark.parametrize("loss", [1e-5, 1e-4, 1e-3])
def test_rare_losses_leave_what_mathis_found_against_theory(loss: float) -> None:
    """Mathis et al. 1997: MSS / (RTT sqrt(2 p / 3)), with an acknowledgement for each segment."""
    assert tcp_bytes_per_s(loss, 0.07) == pytest.approx(SEGMENT_BYTES / (0.07 * math.sqrt(2 * loss / 3)), rel=0.1)


def test_frequent_losses_leave_a_segment_per_timeout_against_theory() -> None:
    """Padhye et al. 1998: at p = 0.9 each segment costs about T0 p (1 + 32 p^2) = 24 s of the least timeout's 1 s."""
    slow = tcp_bytes_per_s(0.9, 0.8)
    assert slow == pytest.approx(SEGMENT_BYTES * 0.1 / (0.8 * math.sqrt(0.6) + 0.9 * (1 + 32 * 0.81)), rel=1e-9)
    rates = [tcp_bytes_per_s(p / 100, 0.07) for p in range(1, 100)]
    assert rates == sorted(rates, reverse=True)


def test_wal_over_a_lossy_path_falls_behind_against_theory() -> None:
    """What gets through at 20 % loss is far below 400 kB/s, so the standbys hold what TCP carried."""
    lossy = "  - {kind: link-degradation, from: [a], to: [b, c], loss: 20%, at: 10s, lasts: 1000s}"
    for trace in traces(lossy, GONE % "1000s"):
        lost_s = 1000.0 - trace.stores["db"].histories[1].forked_at_s
        carried = tcp_bytes_per_s(0.2, 0.07) * (1000.0 - 10.0)
        assert lost_s == pytest.approx(990.0 - carried / 400e3, abs=1.0)


def test_probes_that_take_longer_than_their_timeout_fail_against_theory() -> None:
    """Three timeouts of 4 s that begin every 10 s: 24 to 34 s."""
    for trace in traces(
        "  - {kind: link-degradation, from: [operations], to: [a], added_latency: 30s, at: 100s, lasts: 1h}"
    ):
        assert 24.0 - 1e-6 <= first(trace, "verdict-down", "db").at_s - 100.0 <= 34.0 + 0.1


@pytest.mark.parametrize(("latency", "red"), [("1900ms", False), ("3s", True)])
def test_an_answer_later_than_asked_for_is_a_failure(latency: str, red: bool) -> None:
    """Route 53 wants the answer within 2 s of connecting, although it waits 4 s for the connection."""
    slow = f"  - {{kind: brownout, region: a, latency: {latency}, at: 100s, lasts: 1h}}"
    for trace in traces(slow, check=", health_check: route53-fast"):
        assert any(e.kind == "verdict-down" and e.subject == "shop@a" for e in trace.events) == red


def test_a_dead_candidate_is_given_up_when_the_attempt_times_out_against_theory() -> None:
    """Nobody tells the controller: it commands the next one 60 s after the command arrived."""
    dies = "  - {kind: region-loss, region: b, at: 145s, connections: hang, in_flight: lost}"
    for trace in traces(GONE % "100s", dies, takes="30s"):
        commands = [e.at_s for e in trace.events if e.kind == "promotion-commanded"]
        if commands[0] > 145.0:
            continue
        assert [e.subject for e in trace.events if e.kind == "promotion-commanded"] == ["db@b", "db@c"]
        assert 60.0 <= commands[1] - commands[0] <= 60.2
    assert any(first(trace, "promotion-commanded").at_s < 145.0 for trace in traces(GONE % "100s", dies, takes="30s"))


def test_promotions_that_fail_are_given_up_and_tried_again_against_theory() -> None:
    """Half of the attempts fail: their number is geometric, each one lost costs its 60 s, and they alternate."""
    text = SYSTEM.format(faults=GONE % "100s", takes="5s, fails: 50%", check="")
    found = Simulator(loads(text)).run_chunk(3, 0, 400)
    attempts = []
    for trace in found:
        commands = [e for e in trace.events if e.kind == "promotion-commanded"]
        assert sum(e.kind == "promotion-failed" for e in trace.events) == len(commands) - 1
        assert sum(e.kind == "promoted" for e in trace.events) == 1
        assert all(60.0 <= later.at_s - earlier.at_s <= 60.4 for earlier, later in pairwise(commands))
        assert all(earlier.subject != later.subject for earlier, later in pairwise(commands))
        attempts.append(len(commands))
    # Of a geometric number with p = 1/2, mean and variance are 2; five deviations are 6e-7.
    assert np.mean(attempts) == pytest.approx(2.0, abs=5.0 * math.sqrt(2.0 / len(found)))


def test_evidence_that_does_not_come_is_waited_for_as_long_as_said() -> None:
    """An operator wants the lost primary confirmed gone, nothing can confirm it, and the wait is the decision's."""
    operator = "{by: operator, page: 10s, acknowledge: 20s, assess: 30s, requires: primary-confirmed-gone}"
    text = SYSTEM.format(faults=GONE % "100s", takes="5s", check="")
    text = text.replace("{by: automatic, runs_in: operations}", operator.replace("gone}", "gone, waits_at_most: 7min}"))
    for trace in Simulator(loads(text)).run_chunk(3, 0, TRIALS):
        decided, waited = first(trace, "decided"), first(trace, "evidence-awaited-in-vain")
        assert waited.at_s == pytest.approx(decided.at_s + 420.0, abs=1e-6)
        assert (waited.phase, waited.note) == ("decision", "goes on without evidence")
        assert trace.events[waited.cause].kind == "decided"
        assert first(trace, "promotion-commanded").at_s == pytest.approx(waited.at_s, abs=1e-6)


def test_events_at_one_instant_come_in_the_order_of_their_names() -> None:
    """Two standbys that crashed start together and reconnect at once, whichever of them was declared first."""
    crashes = [f"  - {{kind: process-crash, store: db, region: {r}, at: 50s, lasts: 10min}}" for r in "bc"]
    text = SYSTEM.format(faults="\n".join(crashes), takes="5s", check="")
    text = text.replace("standbys: [b, c]", "standbys: [c, b]\n    replication: {retry_interval: 0s}")
    for trace in Simulator(loads(text)).run_chunk(3, 0, 3):
        back = [e for e in trace.events if e.kind in {"node-up", "stream-resumed"}]
        # Within an instant what happens on paths precedes what happens to databases.
        assert [(e.kind, e.subject) for e in back] == [
            ("node-up", "db@b"),
            ("stream-resumed", "db@b"),
            ("node-up", "db@c"),
            ("stream-resumed", "db@c"),
        ]
        assert {e.at_s for e in back} == {651.0}


def test_standbys_attach_to_a_new_primary_in_the_order_of_their_names() -> None:
    """Two of them do so at once, the instant the third is promoted, whichever was declared first."""
    text = SYSTEM.format(faults=GONE % "100s", takes="5s", check="")
    text = text.replace("[a, b, c]", "[a, b, c, d]").replace("b/c: 90ms", "b/c: 90ms, a/d: 90ms, b/d: 90ms, c/d: 90ms")
    text = text.replace("standbys: [b, c]", "standbys: [d, b, c]\n    replication: {retry_interval: 0s}")
    text = text.replace("promote: {", "promote: {order: [b], ")
    for trace in Simulator(loads(text)).run_chunk(3, 0, 3):
        attached = [e for e in trace.events if e.kind == "standby-attached"]
        assert [e.subject for e in attached] == ["db@c", "db@d"]
        assert {e.at_s for e in attached} == {first(trace, "promoted").at_s}


def test_a_brownout_that_no_probe_sees_has_an_effect() -> None:
    slow = "  - {kind: brownout, region: a, errors: 5%, at: 100s, lasts: 1h}"
    for trace in traces(slow):
        assert trace.fault_effects == [True]


def test_candidates_that_come_back_are_asked_again() -> None:
    crashes = [f"  - {{kind: process-crash, store: db, region: {r}, at: 50s, lasts: 10min}}" for r in "bc"]
    for trace in traces(GONE % "100s", *crashes):
        back = first(trace, "node-up").at_s
        assert back > 600.0
        assert first(trace, "promotion-commanded").at_s == pytest.approx(back, abs=1e-6)


def test_an_old_primary_that_can_be_asked_hears_of_the_new_one_at_once() -> None:
    """The cut ends while the other is promoted; the old primary goes read-only as soon as the promotion is known."""
    cut = "  - {kind: isolation, region: a, cut_from: [operations], still_reached_by: rest, at: 100s, lasts: 40s}"
    for trace in traces(cut, takes="30s"):
        if not any(e.kind == "promoted" for e in trace.events):
            continue
        promoted = first(trace, "promoted").at_s
        if promoted > 140.0:
            assert first(trace, "demoted", "db@a").at_s - promoted < 5.0
    assert any(e.kind == "promoted" for trace in traces(cut, takes="30s") for e in trace.events)


def test_a_fault_that_only_probers_notice_has_an_effect() -> None:
    """Checkers are cut from every region: nothing else is, but their verdicts take all regions out of the answers."""
    text = """
name: blind
horizon: 1h
regions: [a, b]
network: {rtt: {a/b: 10ms}}
stores:
  db:
    primary: a
    endpoint: {moved_by: controller}
    wal: {commits: 1/s}
services: {web: {writes: db}}
dns:
  www:
    serves: [web]
    policy: failover
    ttl: 60s
    health_check: {preset: route53-fast, when_all_unhealthy: answer-none}
clients: {users: {near: a, share: 100%, resolvers: honest, class: browser}}
faults: [{kind: partition, between: [checkers], and: [a, b], at: 100s}]
"""
    for trace in Simulator(loads(text)).run_chunk(1, 0, 3):
        assert trace.fault_effects == [True]
        assert any(event.kind == "answer-changed" for event in trace.events)
