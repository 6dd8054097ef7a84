"""What ``validate`` says of a scenario that is valid, against the engine's own runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mrsim.cli import commands
from mrsim.report.remarks import blocked_once_promoted, remarks_on
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator

SCENARIO = """\
name: remarked
horizon: 1h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: {us-east/eu-west: 70ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    commit: RULE
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    failover: {detect: {from: operations}, decide: automatic, promote: {fails: 0%, order: [FIRST]}}
services: {orders: {writes: db}}
faults:
  - {kind: region-loss, region: us-east, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}
"""


@pytest.mark.parametrize("first", ["eu-west", "ap-southeast"])
@pytest.mark.parametrize(
    "rule",
    [
        "async",
        "{any: 1, of: [eu-west]}",
        "{any: 1, of: [eu-west, ap-southeast]}",
        "{any: 2, of: [eu-west, ap-southeast]}",
        "{first: 2, of: [eu-west, ap-southeast]}",
        "{any: 1, of: [eu-west], when_short: degrade}",
    ],
)
def test_a_primary_that_could_not_commit_is_remarked_on(rule: str, first: str, tmp_path: Path) -> None:
    """Exactly those scenarios in which the promoted primary, its predecessor gone for good, never opens."""
    text = SCENARIO.replace("RULE", rule).replace("FIRST", first)
    scenario = loads(text)
    store = Simulator(scenario).run_chunk(1, 0, 1)[0].stores["db"]
    assert len(store.histories) == 2
    commits = bool(store.acks[f"db@{first}"])
    assert (first in blocked_once_promoted(scenario.stores["db"])) != commits
    (tmp_path / "remarked.yaml").write_text(text)
    said = CliRunner().invoke(commands, ["validate", str(tmp_path / "remarked.yaml")], standalone_mode=False).output
    assert (f"once promoted, {first} cannot acknowledge commits" in said) != commits


@pytest.mark.parametrize(("commits", "connections"), [(200, 13), (200, 16), (2000, 100), (2000, 150), (200, 1)])
def test_connections_too_few_for_the_round_trip_are_remarked_on(commits: int, connections: int) -> None:
    """Little's law with a round trip of 70 ms and flushes of 1 ms each: 1389 commits/s for 100 connections."""
    text = SCENARIO.replace("RULE", "{any: 1, of: [eu-west, ap-southeast]}").replace("FIRST", "eu-west")
    times = f"{{local_flush: 1ms, remote_flush: 1ms, connections: {connections}}}"
    scenario = loads(
        text.replace("commits: 200/s", f"commits: {commits}/s").replace("    wal", f"    replication: {times}\n    wal")
    )
    carried = connections / 0.072
    said = [remark for remark in remarks_on(scenario) if "connections" in remark]
    assert bool(said) == (carried < commits)
    assert all(f"{carried:.0f} commits/s" in remark for remark in said)
