"""Nodes that have to be rebuilt from a new primary, and what standbys hold of a primary that stopped by itself."""

from __future__ import annotations

import pytest
from scipy import stats

from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.build import Builder
from mrsim.sim.run import Simulator
from mrsim.sim.world import Sampler, World
from mrsim.trace import History, Trace
from tests.happened import events, only, when

ALPHA = 1e-5
REBUILD_S, RETRY_S, STARTS_S = 600.0, 5.0, 20.0
TEXT = """\
name: rejoin
horizon: 6h
regions: [a, b, c]
network: {rtt: {a/b: 20ms, a/c: 60ms, b/c: 60ms}}
stores:
  db:
    primary: a
    standbys: [b, c]
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    replication: {retry_interval: 5s}
    failover:
      detect: {from: [operations]}
      decide: {by: automatic, runs_in: operations}
      promote: {takes: 10s, order: [b]}
      old_primary: {on_return: rejoins, starts_after: 20s, rebuild: 10min}
services: {orders: {writes: db}}
faults:
"""


def _traces(faults: list[str], trials: int, text: str = TEXT) -> list[Trace]:
    return Simulator(loads(text + "".join(f"  - {{{fault}}}\n" for fault in faults))).run_chunk(23, 0, trials)


def _partition(between: str, and_: str, at: str, lasts: str) -> str:
    return f"kind: partition, between: [{between}], and: [{and_}], at: {at}, lasts: {lasts}, in_flight: lost"


def _attached(traces: list[Trace], node: str) -> list[float]:
    found = [only(trace, "standby-attached", node) for trace in traces]
    assert {event.note for event in found} == {"it was ahead of the fork and has been rebuilt"}
    return [event.at_s for event in found]


def test_an_old_primary_that_knows_of_the_new_one_is_rebuilt_once_it_reaches_it() -> None:
    """Cut from operations for ten minutes, so that b is promoted, and from b for two hours: pg_rewind needs a way."""
    cuts = [_partition("a", "operations", "1000.3s", "10min"), _partition("a", "b", "1000.3s", "2h")]
    traces = _traces(cuts, 300)
    assert all(when(trace, "demoted", "db@a") == pytest.approx(1600.3 + STARTS_S) for trace in traces)
    attached_s = _attached(traces, "db@a")
    assert stats.kstest(attached_s, stats.uniform(8200.3 + REBUILD_S, RETRY_S).cdf).pvalue > ALPHA


def test_a_rebuild_that_the_path_breaks_off_is_begun_again() -> None:
    """The path is cut 100 s before the rebuild would be over, and for five minutes."""
    cut = _partition("a", "operations", "1000.3s", "10min")
    again = _partition("a", "b", f"{1600.3 + STARTS_S + 500.0}s", "5min")
    traces = _traces([cut, again], 300)
    heals_s = 1600.3 + STARTS_S + 500.0 + 300.0
    assert stats.kstest(_attached(traces, "db@a"), stats.uniform(heals_s + REBUILD_S, RETRY_S).cdf).pvalue > ALPHA


def test_a_standby_that_was_down_at_the_promotion_is_rebuilt_once_it_is_back() -> None:
    """It was ahead of the one that was promoted, as everybody who was not stalled is."""
    faults = [
        "kind: replication-stall, store: db, region: b, at: 900.3s, lasts: permanent",
        "kind: region-loss, region: a, at: 1000.3s, lasts: permanent, connections: hang, in_flight: lost",
        "kind: node-loss, store: db, region: c, at: 1000.3s, lasts: 1h",
    ]
    attached_s = _attached(_traces(faults, 300), "db@c")
    ready_s = 4600.3 + STARTS_S + REBUILD_S
    assert stats.kstest(attached_s, stats.uniform(ready_s, RETRY_S).cdf).pvalue > ALPHA


def test_a_standby_that_is_cut_off_with_the_old_primary_goes_on_with_it() -> None:
    """Nobody has told it of another: it answers reads, and its old primary's commits, until the path is whole."""
    cut = _partition("a, c", "b, operations", "1000.3s", "30min")
    text = TEXT.replace("standbys: [b, c]", "standbys: [b, c]\n    commit: {any: 1, of: [c, b]}")
    traces = _traces([cut], 300, text)
    acked_s = [trace.stores["db"].acks["db@a"][-1].acked_until_s for trace in traces]
    assert stats.kstest(acked_s, stats.uniform(2800.3 - 0.06, RETRY_S + 0.06).cdf).pvalue > ALPHA
    assert {round(trace.stores["db"].reads["db@c"][0].end_s, 6) for trace in traces} == {2800.3}
    attached_s = _attached(traces, "db@c")
    assert stats.kstest(attached_s, stats.uniform(2800.3 + REBUILD_S, RETRY_S).cdf).pvalue > ALPHA


def test_a_standby_that_is_rebuilt_answers_its_old_primary_no_more() -> None:
    """The controller alone is cut from a primary that goes on; pg_rewind needs a database that is shut down.

    The standby hears of the promotion within the retry interval, and from then on nobody answers the old primary.
    """
    text = TEXT.replace("standbys: [b, c]", "standbys: [b, c]\n    commit: {any: 1, of: [c, b]}")
    traces = _traces([_partition("a", "operations", "1000.3s", "1h")], 300, text)
    since_s = [trace.stores["db"].acks["db@a"][-1].acked_until_s - when(trace, "promoted", "db@b") for trace in traces]
    assert stats.kstest(since_s, stats.uniform(-0.06, RETRY_S + 0.06).cdf).pvalue > ALPHA
    assert all(when(trace, "commits-blocked", "db@a") < when(trace, "standby-attached", "db@c") for trace in traces)


def test_an_old_primary_that_is_lost_after_its_shutdown_follows_once_it_is_back() -> None:
    """Its position has been handed over when its region is lost, so that it is not ahead: it is a standby at once."""
    faults = [
        "kind: switchover, store: db, to: b, at: 1000.3s, drain: 5s, checkpoint: 10s, hands_over: 2min",
        "kind: region-loss, region: a, at: 1060.3s, lasts: 1h, connections: hang, in_flight: lost",
    ]
    traces = _traces(faults, 300)
    attached_s = [when(trace, "standby-attached", "db@a") for trace in traces]
    assert stats.kstest(attached_s, stats.uniform(4660.3 + STARTS_S, RETRY_S).cdf).pvalue > ALPHA


LEASED = """\
name: demoted
horizon: 3h
regions: [a, b]
zones: {a: [a-1, a-2, a-3]}
network: {rtt: {a/b: 200ms}}
stores:
  db:
    primary: a-1
    standbys: [a-2, a-3, b]
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    in_region: {decide: {by: lease, preset: patroni, voters: zones}}
    failover:
      detect: {from: [operations], probe: write-path}
      decide: automatic
      promote: {takes: 10s}
      old_primary: {on_return: rejoins, starts_after: 20s, rebuild: 10min}
services: {orders: {writes: db}}
faults:
"""


@pytest.mark.parametrize("in_flight", ["lost", "arrives"])
def test_a_primary_that_steps_down_has_sent_what_it_wrote(in_flight: str) -> None:
    """Two zones' loss takes the lease's store; a shutdown waits for the standbys, whatever was on the wire before.

    So nothing is lost though the other region is 100 ms away, and the old primary follows without being rebuilt.
    """
    zone = f"kind: zone-loss, at: 1000.3s, lasts: permanent, connections: hang, in_flight: {in_flight}, zone: "
    for trace in _traces([zone + "a-2", zone + "a-3"], 10, LEASED):
        store = trace.stores["db"]
        demoted = only(trace, "demoted", "db@a-1")
        assert store.histories[1].node == "db@b"
        assert store.histories[1].forked_at_s == demoted.at_s
        assert "behind the fork" in events(trace, "standby-attached", "db@a-1")[0].note


@pytest.mark.parametrize(("ahead_s", "on_it"), [(0.0, True), (1e-12, True), (1e-6, False)])
def test_a_position_at_the_fork_is_not_ahead_of_it(ahead_s: float, *, on_it: bool) -> None:
    """Two standbys that hold all of the old primary's WAL stand at the fork, each by sums of its own."""
    scenario = loads(TEXT + f"  - {{{_partition('a', 'b', '600s', '60s')}}}\n")
    world = World(Sampler(Draws(1, 0, 1)), 0, scenario.horizon)
    database = Builder(scenario).build(world)[0].databases["db"]
    database.histories.append(History("db@b", 0, forked_at_s=610.1, began_s=620.0))
    assert database.on_line(0, 610.1 + ahead_s, 1) == on_it
