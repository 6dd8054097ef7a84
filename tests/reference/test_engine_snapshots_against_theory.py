"""Snapshots against theory: the loss is the age of the last one kept, the outage includes making a node from it."""

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
from mrsim.trace import Trace

ALPHA = 1e-5
TEXT = """
name: backups
horizon: 40h
regions: [us-east, us-west]
network: {rtt: {us-east/us-west: 60ms}, last_mile: 1ms}
stores:
  db:
    primary: us-east
    standbys: [{region: us-west, via: snapshot}]
    snapshots: {place: operations, every: 6h, takes: 30min, size: 360GB, throughput: 100MB/s, prepares: 10min}
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 1/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 5s}
      decide: automatic
      promote: {takes: 11s, attempt_timeout: 5h}
      old_primary: {on_return: stays-down}
services:
  api: {reads: {db: nearest}, writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 1s, health_check: route53-fast}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1000.37s}
"""


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, trials: int = 20) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(4, 0, trials)


def test_the_loss_is_the_age_of_the_last_snapshot_kept() -> None:
    """U(0, every) + takes: what is written after a snapshot's instant is lost until the next one is kept."""
    found = run(scenario(), trials=1500, seed=2, workers=1).trials["data_loss_s{store=db}"].to_numpy()
    # A write per second: the oldest one lost is up to a second younger.
    assert stats.kstest(found - 1800.0 + 0.5, stats.uniform(0.0, 6 * 3600.0).cdf).pvalue > ALPHA


def test_a_node_is_made_before_it_is_promoted() -> None:
    """10 min to prepare and 360 GB at 100 MB/s, then the promotion: nothing serves before, not even reads."""
    for trace in traces():
        commanded = next(event.at_s for event in trace.events if event.kind == "promotion-commanded")
        restored = next(event.at_s for event in trace.events if event.kind == "restored")
        assert restored - commanded == pytest.approx(600.0 + 3600.0, abs=0.1)
        began = trace.stores["db"].histories[1].began_s
        assert began - restored == pytest.approx(11.0)
        assert [span.start_s for span in trace.stores["db"].reads["db@us-west"] if span.end_s > 0.0] == [began]


def test_readers_wait_as_writers_do() -> None:
    results = run(scenario(), trials=50, seed=2, workers=1).trials
    reads = results["rto_s{service=api,op=read,clients=50%,of=affected}"]
    assert (reads > 4200.0).all()


def test_a_place_that_is_lost_too_keeps_nothing() -> None:
    """The snapshots are in the region that is lost: nobody can be made primary before it is back."""
    for trace in traces({"stores.db.snapshots.place": "us-east"}):
        assert len(trace.stores["db"].histories) == 1
        assert "no-candidate" in [event.kind for event in trace.events]


def test_a_backup_is_no_redundancy() -> None:
    for trace in traces({"faults[0].region": "us-west"}, 5):
        assert [span for span in trace.stores["db"].redundant if span.end_s > 0.0] == []


def test_a_standby_that_streams_is_preferred() -> None:
    text = TEXT.replace("[us-east, us-west]", "[us-east, us-west, eu-west]").replace(
        "{us-east/us-west: 60ms}", "{us-east/us-west: 60ms, us-east/eu-west: 80ms, us-west/eu-west: 140ms}"
    )
    text = text.replace("via: snapshot}]", "via: snapshot}, eu-west]")
    for trace in Simulator(loads(text)).run_chunk(4, 0, 10):
        assert [history.node for history in trace.stores["db"].histories] == ["db@us-east", "db@eu-west"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    snapshots: {place", "    archive: {place: operations}\n    snapshot: {place", "snapshots"),
        ("via: snapshot}]", "via: stream}]", "no effect"),
        ("place: operations", "place: operation", "operations"),
    ],
)
def test_what_makes_no_sense_is_said(old: str, new: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        loads(TEXT.replace(old, new))


def test_restores_differ_from_trial_to_trial_only_by_what_is_drawn() -> None:
    changes = {"stores.db.snapshots.prepares": "5min..30min"}
    found = np.array(
        [
            next(event.at_s for event in trace.events if event.kind == "restored")
            - next(event.at_s for event in trace.events if event.kind == "promotion-commanded")
            for trace in traces(changes, 800)
        ]
    )
    assert stats.kstest(found - 3600.0 - 300.0, stats.uniform(0.03, 1500.0).cdf).pvalue > ALPHA


def test_a_snapshot_is_found_whether_or_not_anybody_looked_for_one_before() -> None:
    """Prober and candidate are cut off from a primary that goes on taking snapshots."""
    cut = {"kind": "partition", "between": ["us-east"], "and": ["us-west"], "in_flight": "lost", "at": "1000.37s"}
    changes = {"faults": [cut], "stores.db.failover.detect.from": ["us-west"]}
    for trace in traces(changes):
        assert [event.subject for event in trace.events if event.kind == "promoted"] == ["db@us-west"]
