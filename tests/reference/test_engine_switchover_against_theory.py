"""Planned switchovers against theory: the outage is the sum of its parts, and one that completes loses nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Trace
from tests.happened import events, kinds

ALPHA = 1e-5
TEXT = """
name: planned
horizon: 3h
regions: [us-east, us-west]
network: {rtt: {us-east/us-west: 60ms}, last_mile: 1ms}
stores:
  db:
    product: cloudnative-pg
    primary: us-east
    standbys: [us-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [us-west, operations], probe: write-path, every: 10s, fails: 3, timeout: 4s}
      decide: automatic
      promote: {takes: 11s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: switchover, store: db, to: us-west, at: 1000.37s, drain: 3s, checkpoint: 5s, hands_over: 60s}
"""


LOST = "  - {{kind: region-loss, region: {}, connections: hang, in_flight: lost, at: {}}}\n"


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, trials: int = 40) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(6, 0, trials)


def lost(results: Any) -> np.ndarray:
    found = results.trials
    return (found["lost_writes{store=db}"] + found["divergent_writes{store=db}"]).to_numpy()


def test_the_outage_is_the_sum_of_its_parts() -> None:
    """Drain 3 + checkpoint 5 + token 60 + replay 0 + promotion 11 + endpoint 7 + reconnection 2 s."""
    results = run(scenario(), trials=50, seed=1, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 88.0, atol=0.1)
    assert not lost(results).any()


def test_the_hand_over_is_drawn() -> None:
    changes = {"faults[0].hands_over": "1min..5min"}
    times = run(scenario(changes), trials=1000, seed=1, workers=1).trials[
        "rto_s{service=api,op=write,clients=50%,of=affected}"
    ]
    assert stats.kstest(times.to_numpy() - 28.0 - 60.05, stats.uniform(0.0, 240.0).cdf).pvalue > ALPHA


def test_nobody_fails_over_meanwhile_and_the_old_primary_follows_without_a_rebuild() -> None:
    """Probers of the write path see the outage; the control is held still. Position handed over: nothing to rewind."""
    for trace in traces():
        assert kinds(trace).count("promoted") == 1
        assert "decided" not in kinds(trace)
        attached = events(trace, "standby-attached")[0]
        assert attached.subject == "db@us-east"
        assert attached.note == "its position is behind the fork"
        assert attached.at_s - trace.stores["db"].histories[1].began_s < 5.01


def test_without_the_token_the_same_move_loses() -> None:
    """A failover of a primary whose WAL is held up by 30 s loses what was on the way; the switchover waits for it."""
    slow = {
        "network.wal_bandwidth": {"us-east/*": "150KB/s"},
        "stores.db.wal.bursts": {"every": "30min", "last": "2min", "rate": "2x"},
    }
    loss = {"kind": "region-loss", "region": "us-east", "connections": "hang", "in_flight": "lost", "at": "random"}
    assert lost(run(scenario({**slow, "faults[0]": loss}), trials=100, seed=1, workers=1)).any()
    planned = {**slow, "faults[0].at": "random", "faults[0].max_lag": "2min"}
    results = run(scenario(planned), trials=100, seed=1, workers=1)
    assert not lost(results).any()
    assert (results.trials["kept_writes{store=db}"] > 0).all()


def test_a_standby_nearer_than_the_new_primary_is_not_ahead_of_it() -> None:
    """While the primary drains nobody writes: who got its last WAL sooner holds no more, and needs no rebuild."""
    text = TEXT.replace("[us-east, us-west]", "[us-east, us-west, us-mid]").replace("[us-west]", "[us-west, us-mid]")
    text = text.replace("rtt: {", "rtt: {us-east/us-mid: 10ms, us-west/us-mid: 50ms, ")
    for trace in Simulator(loads(text)).run_chunk(6, 0, 20):
        notes = {event.subject: event.note for event in events(trace, "standby-attached")}
        assert notes == dict.fromkeys(["db@us-east", "db@us-mid"], "its position is behind the fork")


@pytest.mark.parametrize("place", ["us-west", "us-east"])
def test_a_standby_of_the_archive_gets_the_last_segment_too(place: str) -> None:
    """The shutdown archives the segment in progress: no wait for archive_timeout, and nothing lost."""
    archive = {"place": place, "timeout": "5min", "upload": "2s", "poll": "5s", "restore": "1s"}
    store = loads(
        TEXT.replace("standbys: [us-west]", "standbys: [{region: us-west, via: archive}]").replace(
            "    endpoint:", f"    archive: {archive}\n    endpoint:".replace("'", "")
        )
    )
    # What lies in the archive's segment in progress counts as lag.
    results = run(store.with_({"faults[0].max_lag": "10min"}), trials=100, seed=3, workers=1)
    assert not lost(results).any()
    times = results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"]
    assert times.max() < 88.2, "uploaded, polled and restored while the token is on its way"


def test_one_that_cannot_go_on_goes_back() -> None:
    """The new primary is lost midway: after 5 min, and 1 to 3 min more, the old one accepts writes again."""
    text = TEXT.replace(
        "hands_over: 60s}",
        "hands_over: 60s, gives_up_after: 5min}\n" + LOST.format("us-west", "1020s"),
    )
    results = run(loads(text), trials=200, seed=3, workers=1)
    back = results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"].to_numpy()
    assert stats.kstest(back - 300.0 - 60.0, stats.uniform(0.0, 120.0).cdf).pvalue > ALPHA
    assert not lost(results).any()


def test_an_old_primary_that_is_lost_midway_is_left_to_the_failover_control() -> None:
    """Its loss after the writes stopped: until 5 min nobody is primary, then the control acts on what it was told."""
    text = TEXT.replace(
        "hands_over: 60s}",
        "hands_over: 60s, gives_up_after: 5min, goes_back: 10s}\n" + LOST.format("us-east", "1005s"),
    )
    for trace in Simulator(loads(text)).run_chunk(3, 0, 40):
        assert "switchover-given-up" in kinds(trace)
        began = trace.stores["db"].histories[1].began_s - 1000.37
        assert 310.0 + 11.0 < began < 310.0 + 11.0 + 1.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"faults[0].to": "us-east"}, "it is primary already"),
        ({"faults[0].max_lag": "1ms", "network.rtt.us-east/us-west": "60ms"}, "the standby lags too far behind"),
    ],
)
def test_what_speaks_against_it_is_said(change: dict[str, Any], why: str) -> None:
    for trace in traces(change, 3):
        assert [event.note for event in events(trace, "switchover-refused")] == [why]
        assert [span.end_s for spans in trace.stores["db"].acks.values() for span in spans] == [INF]
        assert trace.fault_effects == [False]


# With managers in the regions ----------------------------------------------------------------------------------------

ZONES = TEXT.replace("network:", "zones: {us-east: [a, b], us-west: [c, d]}\nnetwork:").replace(
    "primary: us-east\n    standbys: [us-west]",
    "primary: a\n    standbys: [b, c, d]\n    in_region: {takes: 2s, redirects: 1s, exit_notice: 3s}",
)
ZONES = ZONES.replace("to: us-west", "to: c")


def test_between_clusters_it_takes_as_long_and_loses_nothing() -> None:
    results = run(loads(ZONES), trials=50, seed=1, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 88.0, atol=0.1)
    assert not lost(results).any()
    assert not results.trials["split_brain{store=db}"].any()


def test_the_demoted_cluster_follows_as_a_whole_without_a_rebuild() -> None:
    for trace in Simulator(loads(ZONES)).run_chunk(6, 0, 40):
        assert kinds(trace).count("promoted") == 1
        followers = {event.subject: event.note for event in events(trace, "standby-attached")}
        assert set(followers) == {"db@a", "db@b", "db@d"}
        assert set(followers.values()) == {"its position is behind the fork"}


@pytest.mark.parametrize("to", ["c", "d"])
def test_whichever_node_is_named_its_cluster_s_leader_is_promoted(to: str) -> None:
    """c leads until it dies, then d does; the new region's manager looks after what has become primary there."""
    crash = "  - {kind: process-crash, store: db, region: c, at: 500s}\n"
    for dead in ("", crash):
        for trace in Simulator(loads(ZONES.replace("to: c", f"to: {to}") + dead)).run_chunk(6, 0, 20):
            assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@d" if dead else "db@c"]


def test_the_new_region_s_manager_looks_after_the_new_primary() -> None:
    """Its process dies half an hour later: reported after 3 s, another of the region writes after 2 s."""
    crash = "  - {kind: process-crash, store: db, region: c, at: 2800s}\n"
    for trace in Simulator(loads(ZONES + crash)).run_chunk(6, 0, 40):
        history = trace.stores["db"].histories[-1]
        assert history.node == "db@d"
        assert history.began_s == pytest.approx(2805.0, abs=0.5)


def test_a_failback_brings_the_primary_home() -> None:
    back = "  - {kind: switchover, store: db, to: a, at: 4000s, drain: 3s, checkpoint: 5s, hands_over: 60s}\n"
    found = loads(ZONES + back)
    for trace in Simulator(found).run_chunk(6, 0, 40):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@c", "db@a"]
        assert not {"given-up", "switchover-refused"}.intersection(kinds(trace))
    assert not lost(run(found, trials=40, seed=6, workers=1)).any()


def test_a_manager_leaves_a_cluster_that_is_being_demoted_alone() -> None:
    """The old primary dies before its shutdown: no token, no other primary; after 5 min and 10 s its manager acts."""
    crash = "  - {kind: process-crash, store: db, region: a, at: 1003s}\n"
    found = loads(ZONES + crash).with_({"faults[0].gives_up_after": "5min", "faults[0].goes_back": "10s"})
    for trace in Simulator(found).run_chunk(6, 0, 40):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@b"]
        began = trace.stores["db"].histories[1].began_s - 1000.37
        assert began == pytest.approx(310.0 + 3.0 + 2.0, abs=0.5)
    assert not lost(run(found, trials=40, seed=6, workers=1)).any()


def test_a_primary_that_dies_after_its_shutdown_no_longer_matters() -> None:
    """Its last position is handed over already: the other cluster goes on, and nothing is lost."""
    crash = "  - {kind: process-crash, store: db, region: a, at: 1030s}\n"
    results = run(loads(ZONES + crash), trials=40, seed=6, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 88.0, atol=0.1)
    assert not lost(results).any()


CRASH = "  - {{kind: process-crash, store: db, region: us-east, at: {}, lasts: {}}}\n"


@pytest.mark.parametrize("follows", ["after-shutdown", "after-promotion"])
@pytest.mark.parametrize("lasts", ["2s", "20s", "200s"])
def test_a_primary_that_is_shut_down_does_not_come_back_as_one(follows: str, lasts: str) -> None:
    """It dies when its position has been handed over, and is started again: it writes nothing that nobody would get."""
    text = TEXT.replace("hands_over: 60s", f"hands_over: 60s, follows: {follows}") + CRASH.format("1030s", lasts)
    results = run(loads(text), trials=20, seed=6, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 88.0, atol=0.1)
    assert not lost(results).any()
    for trace in Simulator(loads(text)).run_chunk(6, 0, 20):
        store = trace.stores["db"]
        assert [span.end_s < 1001.0 for span in store.acks["db@us-east"]] == [True]
        assert store.reads["db@us-east"][-1].end_s == INF, "it answers reads in the end"


@pytest.mark.parametrize("at", ["1001.5s", "1005s"])
def test_one_that_dies_before_it_is_shut_down_comes_back_and_writes_on(at: str) -> None:
    """Drain 3 and checkpoint 5 s were not over: it was primary all along, and what was begun is given up."""
    text = TEXT.replace("hands_over: 60s", "hands_over: 60s, gives_up_after: 5min, goes_back: 10s")
    text += CRASH.format(at, "5s")
    assert not lost(run(loads(text), trials=20, seed=6, workers=1)).any()
    for trace in Simulator(loads(text)).run_chunk(6, 0, 20):
        assert "promoted" not in kinds(trace)
        spans = trace.stores["db"].acks["db@us-east"]
        assert len(spans) == 2
        assert spans[1].start_s == pytest.approx(float(at[:-1]) + 5.0 + 10.0, abs=0.1)
        assert spans[1].end_s == INF


def test_one_that_cannot_be_started_in_time_is_primary_again_once_it_can() -> None:
    """Nobody was promoted, because the new primary is gone too: what was called off holds nothing down."""
    text = TEXT.replace("hands_over: 60s", "hands_over: 2min, gives_up_after: 90s, goes_back: 10s")
    text = text.replace("decide: automatic", "decide: {by: automatic, delay: 1h}") + CRASH.format("1030s", "10min")
    for trace in Simulator(loads(text)).run_chunk(6, 0, 20):
        spans = trace.stores["db"].acks["db@us-east"]
        assert len(spans) == 2
        assert spans[1].start_s == pytest.approx(1030.0 + 600.0 + 10.0, abs=0.1)


# Inside a region -----------------------------------------------------------------------------------------------------

INSIDE = {"faults[0].to": "b"}


def test_inside_a_region_nothing_is_handed_over_by_people() -> None:
    """Drain 3 + checkpoint 5 + promotion 2 + service 1 + reconnection 2 s: no token, no endpoint, nothing lost."""
    results = run(loads(ZONES).with_(INSIDE), trials=50, seed=1, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 13.0, atol=0.1)
    assert not lost(results).any()
    for trace in Simulator(loads(ZONES).with_(INSIDE)).run_chunk(6, 0, 40):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@b"]
        assert not {"decided", "token-arrived", "endpoint-moved"}.intersection(kinds(trace))
        followers = {event.subject: event.note for event in events(trace, "standby-attached")}
        assert followers == dict.fromkeys(["db@a", "db@c", "db@d"], "its position is behind the fork")


def test_who_is_still_shut_down_is_not_promoted() -> None:
    """The new primary dies, and no other standby is near: the old one takes over once it has started."""
    text = ZONES + "  - {kind: process-crash, store: db, region: b, at: 1020s}\n"
    late = {"faults[0].starts_again": "60s", "stores.db.failover.decide.delay": "1h"}
    for trace in Simulator(loads(text).with_(INSIDE | late)).run_chunk(6, 0, 20):
        (started,) = events(trace, "started-again")
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@b", "db@a"]
        assert trace.stores["db"].histories[2].began_s == pytest.approx(started.at_s + 2.0, abs=0.1)


def test_inside_a_single_region_it_needs_no_failover() -> None:
    text = ZONES.replace("[b, c, d]", "[b]").replace("to: c", "to: b")
    text = text[: text.index("    failover:")] + text[text.index("services:") :]
    results = run(loads(text), trials=50, seed=1, workers=1)
    np.testing.assert_allclose(results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"], 13.0, atol=0.1)


def test_the_manager_takes_over_from_a_switchover_inside_that_fails() -> None:
    """The standby dies on the way: after 1 min and 10 s the old primary, which lives, accepts writes again."""
    crash = "  - {kind: process-crash, store: db, region: b, at: 1003s}\n"
    plan = {**INSIDE, "faults[0].gives_up_after": "1min", "faults[0].goes_back": "10s"}
    for trace in Simulator(loads(ZONES + crash).with_(plan)).run_chunk(6, 0, 40):
        resumed = events(trace, "resumed-as-primary")[0]
        assert resumed.at_s == pytest.approx(1070.37, abs=0.1)
        assert [history.node for history in trace.stores["db"].histories] == ["db@a"]
