"""Readers in a planned switchover against theory: who is shut down answers nobody until it starts again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Trace

ALPHA = 1e-5
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
      decide: automatic
      promote: {takes: 11s}
      old_primary: {on_return: rejoins, starts_after: 10s}
services:
  api: {writes: db, reads: {db: primary}}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: switchover, store: db, to: us-west, at: 1000.37s, drain: 3s, checkpoint: 5s, hands_over: 60s}
"""
ORDERED_S, ENDED_S = 1000.37, 1003.37
READ = "rto_s{service=api,op=read,clients=50%,of=affected}"
WRITE = READ.replace("read", "write")
ZONES = (
    TEXT.replace("network:", "zones: {us-east: [a, b], us-west: [c, d]}\nnetwork:")
    .replace(
        "primary: us-east\n    standbys: [us-west]",
        "primary: a\n    standbys: [b, c, d]\n    in_region: {takes: 2s, redirects: 1s, exit_notice: 3s}",
    )
    .replace("to: us-west", "to: c")
)
LOST = "  - {kind: region-loss, region: us-west, connections: hang, in_flight: lost, at: 1020s}\n"
CNPG = ("    primary:", "    product: cloudnative-pg\n    primary:")


def scenario(text: str = TEXT, **changes: Any) -> Scenario:
    return loads(text).with_({f"faults[0].{key}": value for key, value in changes.items()})


def outages(found: Scenario, trials: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return how long clients could not read, and not write, per trial."""
    results = run(found, trials=trials, seed=1, workers=1).trials
    return results[READ].to_numpy(), results[WRITE].to_numpy()


def gaps(trace: Trace, node: str) -> list[tuple[float, float]]:
    """Return when a node answered no reads."""
    spans = trace.stores["db"].reads[node]
    assert spans[0].start_s == -INF
    ends = [*(span.start_s for span in spans[1:]), INF]
    return [(span.end_s, start) for span, start in zip(spans, ends, strict=True) if span.end_s < INF]


def test_readers_of_the_primary_are_out_from_its_shutdown_to_the_new_one() -> None:
    """Checkpoint 5 + token 60 + promotion 11 + endpoint 7 + reconnection 2 s: as for writes, less the drain of 3 s."""
    reads, writes = outages(scenario(starts_again="1h"))
    np.testing.assert_allclose(reads, 85.0, atol=0.1)
    np.testing.assert_allclose(writes - reads, 3.0, atol=0.01)


def test_the_parts_of_their_outage_are_those_of_the_writes_less_the_drain() -> None:
    results = run(scenario(starts_again="1h"), trials=20, seed=1, workers=1).trials
    parts = {"drain": 5.0, "decision": 60.0, "promotion": 11.0, "propagation": 7.0, "reconnect": 2.0, "restore": 0.0}
    for part, expected in parts.items():
        np.testing.assert_allclose(results[f"phase_s{{service=api,op=read,part={part}}}"], expected, atol=0.1)


def test_how_long_they_are_out_is_drawn_with_the_checkpoint_and_the_hand_over() -> None:
    reads, _ = outages(scenario(starts_again="1h", hands_over="1min..5min"), trials=1000)
    assert stats.kstest(reads - 25.0 - 60.05, stats.uniform(0.0, 240.0).cdf).pvalue > ALPHA


def test_a_read_only_standby_is_what_they_find_once_the_old_primary_has_started_again() -> None:
    """CloudNativePG lifts the fence once there is a token: checkpoint 5 s, and 4 s to start; later they move."""
    text = TEXT.replace(*CNPG)
    reads, writes = outages(scenario(text, starts_again="4s"))
    np.testing.assert_allclose(reads, 9.0, atol=0.1)
    np.testing.assert_allclose(writes, 88.0, atol=0.1)
    for trace in Simulator(scenario(text, starts_again="4s")).run_chunk(6, 0, 5):
        assert gaps(trace, "db@us-east") == [(pytest.approx(ENDED_S, abs=0.1), pytest.approx(ENDED_S + 9.0, abs=0.1))]


def test_elsewhere_the_old_primary_starts_again_once_there_is_another() -> None:
    """And follows it then, not before: a standby that is not there is no redundancy."""
    for trace in Simulator(scenario(starts_again="40s")).run_chunk(6, 0, 20):
        began_s = trace.stores["db"].histories[1].began_s
        assert gaps(trace, "db@us-east") == [(pytest.approx(ENDED_S, abs=0.1), pytest.approx(began_s + 40.0, abs=1e-6))]
        (attached,) = [event.at_s for event in trace.events if event.kind == "standby-attached"]
        assert began_s + 40.0 <= attached <= began_s + 45.01


def test_readers_of_the_nearest_copy_go_elsewhere_meanwhile() -> None:
    results = run(loads(TEXT.replace("{db: primary}", "{db: nearest}")), trials=20, seed=1, workers=1)
    assert not results.trials["affected_share{service=api,op=read}"].any()


def test_readers_who_reach_no_other_copy_are_out_while_it_is_down() -> None:
    """Checkpoint 5 + token 60 + promotion 11 + start 40 s: services of the old region cannot go elsewhere."""
    text = TEXT.replace("{db: primary}", "{db: nearest}") + (
        "  - {kind: partition, between: [us-east, users], and: [us-west], at: 1001s, lasts: 1h, in_flight: lost}\n"
    )
    # By then the standby has everything, and whoever does the work reaches both.
    reads, _ = outages(scenario(text, starts_again="40s"))
    np.testing.assert_allclose(reads, 116.0, atol=0.2)


def test_one_that_is_called_off_gives_readers_their_primary_back() -> None:
    """The new primary is lost midway: given up after 5 min, and 1 to 3 min more; reads failed 3 s less than writes."""
    reads, writes = outages(scenario(TEXT + LOST, gives_up_after="5min", starts_again="1h"), trials=200)
    assert stats.kstest(reads + 3.03 - 300.0 - 60.0, stats.uniform(0.0, 120.0).cdf).pvalue > ALPHA
    np.testing.assert_allclose(writes - reads, 3.0, atol=0.01)


def test_inside_a_region_the_others_go_on_answering() -> None:
    """Checkpoint 5 + promotion 2 + service 1 + reconnection 2 s."""
    inside = scenario(ZONES, to="b", starts_again="1h")
    reads, _ = outages(inside)
    np.testing.assert_allclose(reads, 10.0, atol=0.1)
    for trace in Simulator(inside).run_chunk(6, 0, 5):
        assert [gaps(trace, f"db@{site}") for site in "bcd"] == [[], [], []]


def test_between_clusters_all_of_the_old_one_is_shut_down() -> None:
    """CloudNativePG fences all instances of a cluster that it demotes, and lifts that with the token."""
    text = ZONES.replace("    primary: a", "    product: cloudnative-pg\n    primary: a")
    for trace in Simulator(scenario(text, starts_again="4s")).run_chunk(6, 0, 5):
        (first,), (second,) = gaps(trace, "db@a"), gaps(trace, "db@b")
        assert first == second == (pytest.approx(ENDED_S, abs=0.1), pytest.approx(ENDED_S + 9.0, abs=0.1))
        assert gaps(trace, "db@c") == gaps(trace, "db@d") == []
        followers = {event.subject for event in trace.events if event.kind == "standby-attached"}
        assert followers == {"db@a", "db@b", "db@d"}


LEASE = """
      decide: {preset: patroni, voters: [us-east, us-west, operations], race: 0.2s}
      promote: {takes: 1s}
      old_primary: {on_return: rejoins, starts_after: 10s}
"""


def under_a_lease(**changes: Any) -> Scenario:
    start, end = TEXT.index("      detect:"), TEXT.index("services:")
    text = TEXT[:start].rstrip() + LEASE + TEXT[end:].replace("hands_over: 60s", "hands_over: 0s")
    return scenario(text, **changes)


def test_under_a_lease_too() -> None:
    """Checkpoint 5 + race 0.2 + promotion 1 + endpoint 7 + reconnection 2 s."""
    reads, writes = outages(under_a_lease(starts_again="1h"))
    np.testing.assert_allclose(reads, 15.2, atol=0.2)
    np.testing.assert_allclose(writes - reads, 3.0, atol=0.01)


def test_under_a_lease_it_starts_again_once_it_has_released_the_key() -> None:
    for trace in Simulator(under_a_lease(starts_again="2s")).run_chunk(6, 0, 20):
        (released,) = [event.at_s for event in trace.events if event.kind == "lease-released"]
        assert gaps(trace, "db@us-east") == [(pytest.approx(ENDED_S, abs=0.1), pytest.approx(released + 2.0, abs=1e-6))]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"starts_again": 5}, "has no unit"),
        ({"follows": "promotion"}, "after-promotion"),
        ({"start_again": "5s"}, "did you mean 'starts_again'"),
    ],
)
def test_what_makes_no_sense_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        scenario(**change)
