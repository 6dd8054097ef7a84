"""When acknowledged writes survive a lost region, and the near misses that look as if they did."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.study.results import Results
from mrsim.study.run import run
from tests.acceptance.variants import of_store, variant

SEED = 8
TRIALS = 300
RATE_PER_S = 200.0
NEAR_S, FAR_S = 0.0697 / 2, 0.226 / 2
"""One way from us-east to eu-west, and to ap-southeast."""

NO_QUORUM = ("commit: {any: 1, of: [eu-west, ap-southeast], level: on, when_short: block}", "commit: async")
WRONG_ORDER = ("order: most-advanced", "order: [ap-southeast, eu-west]")
BOTH = ("commit: {any: 1,", "commit: {any: 2,")


def _study(*changes: tuple[str, str]) -> Results:
    study = run(variant("sync-any-region-loss", *changes), trials=TRIALS, seed=SEED, workers=1)
    assert study.values_of(of_store("promoted")).all()
    return study


def _lost(study: Results) -> np.ndarray:
    return study.values_of(of_store("lost_writes"))


@pytest.mark.parametrize("changes", [(), (BOTH, WRONG_ORDER)], ids=["most advanced of a quorum", "any of all"])
def test_a_candidate_that_has_every_acknowledged_write_loses_none(changes: tuple[tuple[str, str], ...]) -> None:
    """ANY 1 of 2 and the more advanced of both (1 + 2 > 2); or ANY 2 of 2, and then either (2 + 1 > 2)."""
    study = _study(*changes)
    assert _lost(study).max() == 0.0
    assert study.values_of(of_store("divergent_writes")).max() == 0.0
    assert study.values_of(of_store("data_loss_s")).max() == 0.0


def test_a_fixed_order_behind_a_quorum_loses_what_the_other_acknowledged() -> None:
    """eu-west's flush is back before ap-southeast has the commit: what was told in between is gone.

    At the fault, ap-southeast holds what is older than one far way; told was what is older than a near round trip and
    a flush of 1.2 ms to 2.6 ms.
    """
    study = _study(WRONG_ORDER)
    _lost_what_only_eu_west_had(study)


def _lost_what_only_eu_west_had(study: Results) -> None:
    told_s = FAR_S - 2 * NEAR_S
    _lost_between(study, told_s - 0.0036, told_s - 0.0012)


def _lost_between(study: Results, shortest_s: float, longest_s: float) -> None:
    """In all trials together as many as came in windows of these lengths, at a risk of 1e-6 (Poisson) on each side."""
    lost = int(_lost(study).sum())
    assert stats.poisson(TRIALS * RATE_PER_S * shortest_s).cdf(lost) > 1e-6
    assert stats.poisson(TRIALS * RATE_PER_S * longest_s).sf(lost) > 1e-6


def test_the_most_advanced_of_those_in_reach_can_be_the_wrong_one() -> None:
    """ANY 1 of 2 with one of two in reach (1 + 1 = 2): the standby that acknowledged is lost at the same moment."""
    fault = (
        "  - {kind: region-loss, region: us-east, at: random, lasts: permanent, connections: hang, in_flight: lost}",
        "  - {kind: region-loss, region: us-east, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}\n"
        "  - {kind: region-loss, region: eu-west, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}",
    )
    watched = ("detect: {from: [eu-west, ap-southeast],", "detect: {from: ap-southeast,")
    _lost_what_only_eu_west_had(_study(fault, watched))


def test_asynchronous_commits_lose_what_was_on_the_wire() -> None:
    """One way's worth of commits, less the flush before the acknowledgement."""
    study = _study(NO_QUORUM)
    _lost_between(study, NEAR_S - 0.0008, NEAR_S)
    assert study.values_of(of_store("data_loss_s")).max() <= NEAR_S + 1e-9


PARTITIONED = """\
name: promoted-beside-a-living-primary
horizon: 1h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: aws-2026, wal_bandwidth: {us-east/*: 1Gbit/s}}
stores:
  orders-db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    commit: {any: 1, of: [eu-west], level: on, when_short: block}
    failover:
      detect: {from: [ap-southeast], every: 5s}
      decide: automatic
      promote: {order: [eu-west], takes: 60s}
services: {orders: {writes: orders-db}}
faults: [{kind: partition, between: us-east, and: ap-southeast, at: random, lasts: permanent, in_flight: lost}]
"""


def test_a_candidate_acknowledges_nothing_from_the_start_of_its_promotion() -> None:
    """A promotion ends the stream at once (PostgreSQL, ``PromoteIsTriggered``), however long it takes: none is lost."""
    for trace in Simulator(loads(PARTITIONED)).run_chunk(SEED, 0, 100):
        store = trace.stores["orders-db"]
        (commanded_s,) = [event.at_s for event in trace.events if event.kind == "promotion-commanded"]
        assert store.histories[1].began_s >= commanded_s + 60.0
        assert store.acks["orders-db@us-east"][-1].acked_until_s <= store.histories[1].forked_at_s
        assert store.histories[1].forked_at_s <= commanded_s + 0.2
