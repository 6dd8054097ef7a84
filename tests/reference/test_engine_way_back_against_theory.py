"""The way back from a planned switchover against theory: a cut old primary writes again once it can be told to."""

from __future__ import annotations

from itertools import combinations
from math import ceil
from typing import Any

import numpy as np
import pytest

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Trace
from tests.happened import kinds, only

TEXT = """
name: planned
horizon: 3h
regions: [us-east, us-west]
network: {rtt: {us-east/us-west: 60ms}, last_mile: 1ms}
stores:
  db:
    primary: us-east
    standbys: [us-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [us-west, operations], probe: write-path, every: 10s, fails: 3, timeout: 4s}
      decide: {by: automatic, runs_in: operations, delay: 1h}
      promote: {takes: 11s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services:
  api: {writes: db, reads: {db: primary}}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: switchover, store: db, to: us-west, at: 1000.37s, drain: 3s, checkpoint: 5s, hands_over: 60s,
     starts_again: 1h, gives_up_after: 5min, goes_back: 10s}
"""
WRITE = "rto_s{service=api,op=write,clients=50%,of=affected}"
TURNED_S = 1310.37
"""Given up after 5 min, and 10 s more: the first look, with the next ones a second apart."""
# The standby misses the last writes, and operations cannot reach the old primary any more.
CUT = (
    "  - {{kind: partition, between: [us-east], and: [us-west], at: 999s, lasts: {0}, in_flight: lost}}\n"
    "  - {{kind: partition, between: [us-east], and: [operations], at: 1001s, lasts: {1}, in_flight: lost}}\n"
)
HEALED_S = 2001.0
HEALS = CUT.format("1002s", "1000s")
FOR_GOOD = CUT.format("permanent", "permanent")
CRASH = "  - {{kind: process-crash, store: db, region: {}, at: {}, lasts: {}}}\n"
LOST = "  - {kind: region-loss, region: us-west, connections: hang, in_flight: lost, at: 1002s}\n"


def scenario(more: str, changes: dict[str, Any] | None = None, text: str = TEXT) -> Scenario:
    return loads(text + more).with_(changes or {})


def traces(more: str, changes: dict[str, Any] | None = None, text: str = TEXT, trials: int = 20) -> list[Trace]:
    found = Simulator(scenario(more, changes, text)).run_chunk(6, 0, trials)
    for trace in found:
        check_one_writes(trace)
    return found


def check_one_writes(trace: Trace) -> None:
    """No two nodes acknowledge at once."""
    acks = trace.stores["db"].acks
    for one, other in combinations(acks, 2):
        for a in acks[one]:
            for b in acks[other]:
                assert a.end_s <= b.start_s or b.end_s <= a.start_s, (one, a, other, b)


def look_s(healed_s: float) -> float:
    """Return when operations look first after a change."""
    return TURNED_S + ceil(healed_s - TURNED_S)


def resumed_s(trace: Trace) -> float:
    return only(trace, "resumed-as-primary", "db@").at_s


def nodes(trace: Trace) -> list[str]:
    return [history.node for history in trace.stores["db"].histories]


# When it can be reached again ----------------------------------------------------------------------------------------


def test_who_could_not_be_reached_writes_again_a_look_after_the_path_heals() -> None:
    """Cut off from 1001 to 2001 s, looked at 691 s after the first look: 310 + 691 s without writes, nothing lost."""
    results = run(scenario(HEALS), trials=20, seed=1, workers=1)
    np.testing.assert_allclose(results.trials[WRITE], 1001.0, atol=0.05)
    assert not results.trials["lost_writes{store=db}"].any()
    assert not results.trials["split_brain{store=db}"].any()
    for trace in traces(HEALS):
        assert resumed_s(trace) == pytest.approx(2001.37, abs=1e-6)
        assert nodes(trace) == ["db@us-east"]


def test_whenever_the_path_heals() -> None:
    more = CUT.format("1h", "6min..30min")
    for trace in traces(more, trials=200):
        healed = only(trace, "fault-ends", "us-east|operations").at_s
        assert resumed_s(trace) == pytest.approx(look_s(healed), abs=1e-6)


def test_readers_get_their_primary_back_with_it() -> None:
    """Out from the last session's end, 3 s after the writes."""
    results = run(scenario(HEALS), trials=20, seed=1, workers=1)
    np.testing.assert_allclose(results.trials[WRITE.replace("write", "read")], 998.0, atol=0.05)


def test_one_that_is_cut_off_for_good_ends_the_trial_early() -> None:
    """Nobody looks where nothing can have changed: the outage has no end, instead of one that the horizon cuts off."""
    for trace in traces(FOR_GOOD + LOST, trials=5):
        assert "resumed-as-primary" not in kinds(trace)
        assert trace.stopped_early


def test_one_way_is_not_enough() -> None:
    """The order has to arrive and its outcome to be heard: the path there opens later than the one back."""
    cut = CUT.format("1h", "1000s").replace("at: 1001s,", "at: 1001s, direction: forward,")
    cut += "  - {kind: partition, between: [operations], and: [us-east], at: 1001s, lasts: 1500s, in_flight: lost}\n"
    for trace in traces(cut, trials=5):
        assert resumed_s(trace) == pytest.approx(look_s(2501.0), abs=1e-6)


# Who fails over meanwhile --------------------------------------------------------------------------------------------

AT_ONCE = {"stores.db.failover.decide.delay": "0s"}


@pytest.mark.parametrize("more", [HEALS, FOR_GOOD, CUT.format("2h", "315s")], ids=["later", "never", "meanwhile"])
@pytest.mark.parametrize("returns", ["rejoins", "starts-as-primary", "stays-down"])
def test_a_control_that_acts_has_its_way(more: str, returns: str) -> None:
    """Released at the first look, it promotes 11 s later; a path that heals at 1316 s changes nothing about that."""
    for trace in traces(more, AT_ONCE | {"stores.db.failover.old_primary.on_return": returns}):
        assert nodes(trace) == ["db@us-east", "db@us-west"]
        assert trace.stores["db"].histories[1].began_s == pytest.approx(TURNED_S + 11.0, abs=0.2)
        assert "resumed-as-primary" not in kinds(trace)
        assert len(trace.stores["db"].acks["db@us-east"]) == 1


def test_a_failover_that_nobody_has_decided_yet_is_called_off() -> None:
    for trace in traces(HEALS):
        assert only(trace, "stood-down").at_s == resumed_s(trace)
        assert "decided" not in kinds(trace)


OPERATOR = {"by": "operator", "page": "1min", "acknowledge": "10min", "assess": "5min"}


def test_people_who_were_paged_hear_that_it_is_over() -> None:
    """16 min from the page to a decision: the path heals before it, or after it, when the failover has its way."""
    change = {"stores.db.failover.decide": OPERATOR}
    for trace in traces(HEALS, change):
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)
        assert nodes(trace) == ["db@us-east"]
    decided_s = TURNED_S + 960.0
    for trace in traces(CUT.format("2h", f"{decided_s + 5.0 - 1001.0}s"), change):
        assert trace.stores["db"].histories[1].began_s == pytest.approx(decided_s + 11.0, abs=0.2)
        assert "resumed-as-primary" not in kinds(trace)


def fence(then: str) -> dict[str, Any]:
    rule = {"through": "us-east-control", "takes": "5s", "if_unconfirmed": {"retry": 0, "then": then, "after": "1min"}}
    return AT_ONCE | {"stores.db.failover.fence": rule}


CUT_POINT = (
    "  - {{kind: partition, between: [us-east-control], and: [operations], at: 1001s, lasts: {}, in_flight: lost}}\n"
)


@pytest.mark.parametrize("lasts", ["1000s", "permanent"])
def test_a_failover_that_its_fence_blocks_is_called_off(lasts: str) -> None:
    """Fenced for 30 s every 90 s from the first look on, in vain; at 690.6 s it pauses, and operations are first."""
    for trace in traces(HEALS + CUT_POINT.format(lasts), fence("block")):
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)
        assert not {"fenced", "promoted"}.intersection(kinds(trace))


def test_a_fence_that_is_on_its_way_is_waited_for() -> None:
    """Healed 10 s into an attempt that is lost: that ends after 20 s more, and operations look."""
    healed = TURNED_S + 900.0 + 10.0
    more = CUT.format("2h", f"{healed - 1001.0:.2f}s") + CUT_POINT.format("permanent")
    for trace in traces(more, fence("block")):
        assert 0.0 <= resumed_s(trace) - (healed + 20.0) <= 1.01
        assert nodes(trace) == ["db@us-east"]


def test_one_that_goes_on_without_its_fence_is_waited_for() -> None:
    more = CUT.format("2h", "350s") + CUT_POINT.format("permanent")
    for trace in traces(more, fence("proceed")):
        assert trace.stores["db"].histories[1].began_s == pytest.approx(TURNED_S + 30.0 + 11.0, abs=0.2)
        assert "resumed-as-primary" not in kinds(trace)


@pytest.mark.parametrize("place", ["operations", "us-west"])
def test_a_failover_that_finds_nobody_to_promote_is_called_off(place: str) -> None:
    """The standby is lost too, and with it whoever decides there."""
    for trace in traces(HEALS + LOST, AT_ONCE | {"stores.db.failover.decide.runs_in": place}):
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)
        assert nodes(trace) == ["db@us-east"]


def test_who_decides_where_operations_cannot_tell_goes_on() -> None:
    """The control in us-west would promote at any time: it is waited for until it can be told."""
    apart = "  - {kind: partition, between: [us-west], and: [operations], at: 1001s, lasts: 2000s, in_flight: lost}\n"
    change = {"stores.db.failover.decide.runs_in": "us-west", "stores.db.failover.detect.from": ["us-west"]}
    for trace in traces(HEALS + apart, change):
        assert resumed_s(trace) == pytest.approx(look_s(3001.0), abs=1e-6)


def test_after_going_back_the_control_watches_as_before() -> None:
    """The old primary dies an hour later: seen after 20 to 30 s and a timeout, and the other is promoted."""
    change = {"stores.db.failover.decide.delay": "20min", "horizon": "4h"}
    for trace in traces(HEALS + CRASH.format("us-east", "6000s", "permanent"), change):
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)
        began = trace.stores["db"].histories[1].began_s
        assert 6000.0 + 20.0 + 1200.0 + 11.0 < began < 6000.0 + 35.0 + 1200.0 + 12.0


def test_one_that_dies_as_soon_as_it_is_back_is_failed_over() -> None:
    """The probers never saw it: after a minute the control acts on what it was told."""
    change = {"stores.db.failover.decide.delay": "20min", "horizon": "4h"}
    for trace in traces(HEALS + CRASH.format("us-east", "2001.371s", "permanent"), change):
        assert trace.stores["db"].histories[1].began_s == pytest.approx(2001.37 + 60.0 + 1200.0 + 11.0, abs=0.5)


# An old primary that dies meanwhile ----------------------------------------------------------------------------------


@pytest.mark.parametrize("returns", ["rejoins", "starts-as-primary"])
@pytest.mark.parametrize("lasts", ["1s", "100s"])
def test_one_that_died_out_of_reach_is_started_as_the_primary_that_it_was(lasts: str, returns: str) -> None:
    """10 s after it may run, or after it can ask who is primary; operations, who reach it later, have nothing to do."""
    more = HEALS + CRASH.format("us-east", "1500s", lasts)
    may_start_s = HEALED_S if returns == "rejoins" else 1500.0 + float(lasts[:-1])
    for trace in traces(more, {"stores.db.failover.old_primary.on_return": returns}):
        first, second = trace.stores["db"].acks["db@us-east"]
        assert second.start_s == pytest.approx(may_start_s + 10.0, abs=0.1)
        assert second.end_s == INF
        assert first.end_s == pytest.approx(1000.37, abs=0.1)
        assert "resumed-as-primary" not in kinds(trace)


def test_one_that_died_shut_down_before_it_was_given_up_waits_to_be_reached() -> None:
    """Started again at 1110 s, and still shut down: nobody has called that off yet."""
    change = {"stores.db.failover.old_primary.on_return": "starts-as-primary"}
    for trace in traces(HEALS + CRASH.format("us-east", "1050s", "50s"), change):
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)
        assert len(trace.stores["db"].acks["db@us-east"]) == 2


# Two in a row --------------------------------------------------------------------------------------------------------

AGAIN = (
    "  - {{kind: switchover, store: db, to: us-west, at: {}, drain: 3s, checkpoint: 5s, hands_over: 60s, max_lag: 1h,"
    " gives_up_after: 5min, goes_back: 10s, starts_again: 5s}}\n"
)


NOBODY_PROBES = {"stores.db.failover.detect.every": "2h"}


def test_a_second_one_that_is_refused_changes_nothing() -> None:
    for trace in traces(HEALS + AGAIN.format("1600s"), NOBODY_PROBES):
        assert only(trace, "switchover-refused").note == "one of the two cannot be reached"
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)


def test_a_second_one_takes_over_what_the_first_left_shut_down() -> None:
    """It begins between the heal and the next look; the last writes are those before the first, and all arrive."""
    for trace in traces(HEALS + AGAIN.format("2001.2s"), NOBODY_PROBES):
        assert "resumed-as-primary" not in kinds(trace)
        assert nodes(trace) == ["db@us-east", "db@us-west"]
        assert len(trace.stores["db"].acks["db@us-east"]) == 1
        assert trace.stores["db"].histories[1].forked_at_s == pytest.approx(1000.37, abs=0.1)
        # Position handed over 68 s later, promoted in 11 s.
        assert trace.stores["db"].histories[1].began_s == pytest.approx(2001.2 + 68.0 + 11.0, abs=1.2)


def test_a_second_one_that_is_given_up_too_goes_back_for_both() -> None:
    """It takes over at 2001.2 s, the standby is lost then: 5 min, and 10 s more."""
    lost = LOST.replace("1002s", "2001.3s")
    for trace in traces(HEALS + AGAIN.format("2001.2s") + lost, NOBODY_PROBES):
        assert resumed_s(trace) == pytest.approx(2001.2 + 310.0, abs=1e-6)
        assert trace.stores["db"].reads["db@us-east"][-1].end_s == INF


def test_one_after_going_back_finds_a_primary_as_any() -> None:
    """At 3000 s: position handed over after 68 s, promoted in 11 s, and nothing lost."""
    more = HEALS + AGAIN.format("3000s")
    assert not run(scenario(more), trials=20, seed=1, workers=1).trials["lost_writes{store=db}"].any()
    for trace in traces(more):
        assert nodes(trace) == ["db@us-east", "db@us-west"]
        assert trace.stores["db"].histories[1].began_s == pytest.approx(3079.0, abs=1.2)


# With managers in the regions ----------------------------------------------------------------------------------------

ZONES = TEXT.replace("network:", "zones: {us-east: [a, b], us-west: [c, d]}\nnetwork:").replace(
    "primary: us-east\n    standbys: [us-west]",
    "primary: a\n    standbys: [b, c, d]\n    in_region: {takes: 2s, redirects: 1s, exit_notice: 3s}",
)
ZONES = ZONES.replace("to: us-west", "to: c")


def reads_from_s(trace: Trace, node: str) -> float:
    """Return since when a node has answered reads in the end."""
    span = trace.stores["db"].reads[node][-1]
    assert span.end_s == INF
    return span.start_s


def test_a_cluster_that_was_demoted_comes_back_as_a_whole() -> None:
    for trace in traces(HEALS, text=ZONES):
        assert resumed_s(trace) == reads_from_s(trace, "db@a") == reads_from_s(trace, "db@b")
        assert resumed_s(trace) == pytest.approx(look_s(HEALED_S), abs=1e-6)
        assert nodes(trace) == ["db@a"]


def test_a_cluster_that_cannot_be_reached_is_left_to_the_control_after_its_manager() -> None:
    """A minute for the manager, which finds nothing wrong with its host; then the other cluster's leader in 11 s."""
    for trace in traces(FOR_GOOD, AT_ONCE, text=ZONES):
        assert nodes(trace) == ["db@a", "db@c"]
        assert trace.stores["db"].histories[1].began_s == pytest.approx(TURNED_S + 60.0 + 11.0, abs=0.2)


@pytest.mark.parametrize("place", ["operations", "us-west"])
def test_the_others_of_a_dead_primary_s_cluster_are_let_in_so_that_one_can_replace_it(place: str) -> None:
    """It dies once its sessions have ended, and b with it was shut down: reported in 3 s, promoted in 2 s."""
    crash = CRASH.format("a", "1005s", "permanent")
    for trace in traces(crash, {"stores.db.failover.decide.runs_in": place}, text=ZONES):
        assert nodes(trace) == ["db@a", "db@b"]
        assert trace.stores["db"].histories[1].began_s == pytest.approx(TURNED_S + 5.0, abs=0.5)
        assert reads_from_s(trace, "db@b") == pytest.approx(TURNED_S, abs=1e-6)


def test_they_are_let_in_once_they_can_be_reached() -> None:
    """Cut off too: their manager cannot replace it before operations reach b.

    Once paths have changed it looks after the dead one for 10 s and a timeout of 5 s first; b is promoted in 2 s.
    """
    for trace in traces(HEALS + CRASH.format("a", "1005s", "permanent"), text=ZONES):
        assert reads_from_s(trace, "db@b") == pytest.approx(look_s(HEALED_S), abs=1e-6)
        assert nodes(trace) == ["db@a", "db@b"]
        assert trace.stores["db"].histories[1].began_s == pytest.approx(HEALED_S + 15.0 + 2.0, abs=0.1)


ZONE_CUT = (
    "  - {{kind: partition, between: [a], and: [b], at: 999s, lasts: {1}, in_flight: lost}}\n"
    "  - {{kind: partition, between: [a], and: {0}, at: 1001s, lasts: {1}, in_flight: lost}}\n"
)
INSIDE = {"faults[0].to": "b", "faults[0].max_lag": "1h"}
APART = "[us-east, us-west, operations]"


@pytest.mark.parametrize("more", [ZONE_CUT.format(APART, "permanent"), ZONE_CUT.format(APART, "500s")])
def test_a_manager_that_misses_its_host_replaces_it(more: str) -> None:
    """Inside the region: b misses the last writes, and a cannot be reached; given back to its manager, that acts."""
    for trace in traces(more, INSIDE, text=ZONES):
        assert nodes(trace) == ["db@a", "db@b"]
        assert TURNED_S < trace.stores["db"].histories[1].began_s < TURNED_S + 60.0
        assert not [e for e in trace.events if e.note == "called off"]


def test_a_manager_that_sees_its_host_again_in_time_stands_down() -> None:
    """It waits for 1 h before it promotes; once it hears the host again the old primary goes on."""
    change = INSIDE | {"stores.db.in_region.delay": "1h"}
    for trace in traces(ZONE_CUT.format(APART, "1000s"), change, text=ZONES):
        assert nodes(trace) == ["db@a"]
        # A host says every 10 s that it is there; then the process on it is looked at.
        assert HEALED_S < resumed_s(trace) <= HEALED_S + 30.0
        assert 0.0 <= resumed_s(trace) - only(trace, "stood-down", "db/us-east").at_s <= 1.0


def test_inside_a_region_without_any_failover_between_regions() -> None:
    text = ZONES.replace("[b, c, d]", "[b]").replace("to: c", "to: b")
    text = text[: text.index("    failover:")] + text[text.index("services:") :]
    cut = ZONE_CUT.format("[us-east, operations]", "1000s")
    change = {"stores.db.in_region.delay": "1h", "faults[0].max_lag": "1h"}
    for trace in traces(cut, change, text=text):
        assert nodes(trace) == ["db@a"]
        assert HEALED_S < resumed_s(trace) <= HEALED_S + 30.0


# Under a lease -------------------------------------------------------------------------------------------------------

LEASED = """
      decide: {preset: patroni, voters: [us-east, us-west, operations], race: 0.2s, status_timeout: 0s}
      promote: {takes: 1s}
      old_primary: {on_return: rejoins, starts_after: 10s}
"""
LEASE = TEXT[: TEXT.index("      detect:")].rstrip() + LEASED + TEXT[TEXT.index("services:") :]
CUT_OFF = "  - {{kind: partition, between: [us-east], and: [operations], at: {}, lasts: {}, in_flight: lost}}\n"
BEHIND = "  - {kind: partition, between: [us-east], and: [us-west], at: 999s, lasts: permanent, in_flight: lost}\n"
AGENT = "  - {{kind: agent-crash, store: db, region: us-east, at: {}, lasts: {}}}\n"


@pytest.mark.parametrize("fault", [CUT_OFF, AGENT], ids=["store", "agent"])
def test_a_holder_goes_back_once_its_agent_can_renew_its_lease(fault: str) -> None:
    """It could not at the first look; 2 s later it can, long before its lease has run out."""
    for trace in traces(BEHIND + fault.format("1305s", "7s"), text=LEASE):
        assert resumed_s(trace) == pytest.approx(TURNED_S + 2.0, abs=0.01)
        assert "lease-expired" not in kinds(trace)
        assert trace.stores["db"].acks["db@us-east"][-1].end_s == INF


def test_a_holder_without_any_store_is_primary_again_with_it() -> None:
    """The only other database is lost too: it steps down, and is promoted a turn after the heal."""
    for trace in traces(LOST + CUT_OFF.format("1305s", "600s"), text=LEASE):
        assert nodes(trace) == ["db@us-east"]
        assert 1905.0 < resumed_s(trace) < 1905.0 + 10.0 + 10.0 + 1.0 + 0.5


@pytest.mark.parametrize("enforced", ["holder", "nobody"])
@pytest.mark.parametrize("fault", [CUT_OFF, AGENT], ids=["store", "agent"])
@pytest.mark.parametrize("at", ["1001s", "1100s", "1305s"])
def test_a_holder_that_loses_its_lease_while_it_is_shut_down_does_not_write_on(
    fault: str, at: str, enforced: str
) -> None:
    """Nobody has demoted it, because its agent is dead or nobody enforces the lease: it stays as it was."""
    change = {"stores.db.failover.decide.enforced_by": enforced}
    for lasts in ("permanent", "500s"):
        for trace in traces(BEHIND + fault.format(at, lasts), change, text=LEASE):
            assert nodes(trace) == ["db@us-east", "db@us-west"]
            assert [span.end_s for span in trace.stores["db"].acks["db@us-east"]] == [pytest.approx(1000.37, abs=0.1)]


MEMBERS = (
    "  - {kind: replication-stall, store: db, region: us-west, at: 999s}\n"
    "  - {kind: partition, between: [us-east, us-west], and: [w1, w2, w3], at: 1305s, lasts: 1h, in_flight: lost}\n"
)


@pytest.mark.parametrize("failsafe", [True, False])
def test_a_holder_goes_back_without_the_store_if_all_members_accept_that(failsafe: bool) -> None:
    """10 to 20 s after the store is gone its retries have failed: then it asks the standby, or steps down."""
    text = LEASE.replace("network:", "witnesses: {w1: {rtt: 10ms}, w2: {rtt: 10ms}, w3: {rtt: 10ms}}\nnetwork:")
    text = text.replace("voters: [us-east, us-west, operations]", "voters: [w1, w2, w3]")
    for trace in traces(MEMBERS, {"stores.db.failover.decide.failsafe_mode": failsafe}, text=text):
        assert nodes(trace) == ["db@us-east"]
        first, second = trace.stores["db"].acks["db@us-east"]
        assert first.end_s == pytest.approx(1000.37, abs=0.1)
        assert second.end_s == INF
        if failsafe:
            assert 1315.0 <= resumed_s(trace) == second.start_s <= 1326.4
        else:
            assert 4905.0 < second.start_s < 4905.0 + 10.0 + 10.0 + 1.0 + 0.5


def test_one_that_nobody_could_replace_writes_again_with_its_agent() -> None:
    """The standby is lost: the lease runs out without it, and is taken again by the agent that is back."""
    for enforced in ("holder", "nobody"):
        change = {"stores.db.failover.decide.enforced_by": enforced}
        for trace in traces(LOST + AGENT.format("1100s", "600s"), change, text=LEASE):
            assert nodes(trace) == ["db@us-east"]
            assert 1700.0 < trace.stores["db"].acks["db@us-east"][-1].start_s < 1700.0 + 25.0


def test_one_that_died_and_is_back_is_not_shut_down_by_what_was_planned() -> None:
    """It dies in its checkpoint, and its agent starts it again at once: it is primary, and hands nothing over."""
    change = {"stores.db.failover.old_primary.starts_after": "0s", "faults[0].checkpoint": "60s"}
    for trace in traces(CRASH.format("us-east", "1010s", "1ms"), change, text=LEASE):
        assert nodes(trace) == ["db@us-east"]
        assert not {"shut-down", "lease-released"}.intersection(kinds(trace))
        assert trace.stores["db"].acks["db@us-east"][-1].end_s == INF
