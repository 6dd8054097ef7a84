"""Answers by location: each cohort has a list of its own, and leaves it for no other region."""

from __future__ import annotations

import pytest

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator

TEXT = """
name: geography
horizon: 2h
regions: [a, b, c]
network: {{rtt: {{a/b: 20ms, a/c: 30ms, b/c: 20ms}}}}
stores:
  db: {{primary: c, standbys: [a, b], wal: {{commits: 10/s}}}}
services: {{shop: {{reads: {{db: nearest}}}}, orders: {{writes: db}}}}
dns:
  www:
    serves: [shop, orders]
    policy: geography
    regions: [b, c, a]
    locations: {{pinned: a, free: [a, c]}}
    ttl: 60s
    health_check: {{every: 10s, timeout: 4s, fails: 3, applies_after: 0s, when_all_unhealthy: {rule}}}
clients:
  pinned: {{near: b, share: 40%, resolvers: honest, class: app}}
  free: {{near: b, share: 30%, resolvers: honest, class: app}}
  others: {{near: a, share: 30%, resolvers: honest, class: app}}
faults: [{{kind: region-loss, region: a, at: 1000.37s, lasts: 30min, connections: hang, in_flight: lost}}]
"""


@pytest.mark.parametrize(("rule", "alone"), [("answer-all", "a"), ("answer-none", "")])
def test_each_location_goes_down_its_own_list(rule: str, alone: str) -> None:
    """Nobody is answered with the nearest; who has a second region goes there, and who has none waits for the first."""
    for trace in Simulator(loads(TEXT.format(rule=rule))).run_chunk(3, 0, 10):
        answers = {cohort: [change.target for change in changes] for cohort, changes in trace.answers["www"].items()}
        assert answers["free"] == ["a", "c", "a"]
        assert answers["others"] == ["b"]
        assert answers["pinned"] == (["a"] if alone == "a" else ["a", alone, "a"])
