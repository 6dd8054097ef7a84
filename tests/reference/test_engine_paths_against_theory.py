"""What paths do to probes, WAL and messages of control: too slow, too lossy, cut at the wrong moment."""

from __future__ import annotations

import math

import pytest

from mrsim.scenario.loader import loads
from mrsim.sim.network import SEGMENT_BYTES, tcp_bytes_per_s
from mrsim.sim.run import Simulator
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
