"""A record that a person edits: the sum of its parts, a control plane that is out of reach, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from mrsim.measure import measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace
from tests.happened import events

TEXT = """
name: edited
horizon: 8h
regions: [a, b]
network: {{rtt: {{a/b: 20ms}}}}
stores:
  db:
    primary: a
    standbys: [b]
    wal: {{commits: 10/s}}
    endpoint: {{moved_by: controller}}
    failover:
      detect: {{from: [b], every: 10s, fails: 3, timeout: 2s}}
      decide: automatic
      promote: {{takes: 10s}}
      old_primary: {{on_return: rejoins, starts_after: 10s, rebuild: 5min}}
services: {{shop: {{reads: {{db: nearest}}}}, orders: {{writes: db}}}}
dns:
  www: {{serves: [shop, orders], policy: failover, ttl: 60s, {record}}}
clients:
  people: {{near: a, share: 100%, resolvers: honest, class: app}}
faults: [{faults}]
"""
CHECK = "health_check: {every: 10s, timeout: 4s, fails: 3, recovers: 3, applies_after: 0s}"
PLAN = "takes: 5min..15min, back: 20min, propagates: 0s..60s"
LOST = "{{kind: region-loss, region: {region}, at: 1000.37s, lasts: {lasts}, connections: hang, in_flight: lost}}"
CUT = "{kind: partition, between: [operations], and: [endpoint-authority], at: 900s, lasts: 1h, in_flight: arrives}"


def traces_of(record: str, faults: str, trials: int = 20) -> list[Trace]:
    return Simulator(loads(TEXT.format(record=record, faults=faults))).run_chunk(11, 0, trials)


def at_s(trace: Trace, kind: str, index: int = 0) -> float:
    """When something of a kind happened."""
    return events(trace, kind, "www@a" if kind.startswith("verdict") else "")[index].at_s


def targets(trace: Trace) -> list[str]:
    return [change.target for change in trace.answers["www"]["people"]]


def test_an_edit_takes_the_person_the_control_plane_and_the_caches() -> None:
    """A reader's outage: a verdict, U(5, 15) min, U(0, 1) min, and what is left of a TTL of 1 min, U(0, 1) min.

    The mean over 400 trials of the sum of the last three is 11 min; its standard error is that of independent draws.
    """
    trials = 400
    scenario = loads(TEXT.format(record=f"{CHECK}, edited: {{{PLAN}}}", faults=LOST.format(region="a", lasts="4h")))
    traces = Simulator(scenario).run_chunk(11, 0, trials)
    found = measure(scenario, Population(scenario), traces, Draws(11, 0, trials)).values
    verdict_s = np.array([at_s(trace, "verdict-down") - trace.fault_s for trace in traces])
    after_s = found["rto_mean_s{service=shop,op=read}"] - verdict_s
    error_s = np.sqrt((600.0**2 + 60.0**2) / 12.0 / trials)  # caches are a lattice: their mean does not vary
    assert abs(after_s.mean() - 660.0) < 4.42 * error_s + 1.0
    decision = found["phase_s{service=shop,op=read,part=decision}"]
    edited_s = np.array([at_s(trace, "record-edited") for trace in traces])
    np.testing.assert_allclose(decision, edited_s - verdict_s - np.array([t.fault_s for t in traces]), atol=1e-6)
    assert (decision >= 300.0).all()
    assert (decision <= 900.0).all()


def test_people_are_led_back_by_hand() -> None:
    """Nothing flips back with the region's health; the second edit is made 20 min after it."""
    for trace in traces_of(f"{CHECK}, edited: {{{PLAN}}}", LOST.format(region="a", lasts="2h")):
        assert targets(trace) == ["a", "b", "a"]
        assert at_s(trace, "record-edited", 1) == pytest.approx(at_s(trace, "verdict-up") + 1200.0)


def test_who_cannot_reach_the_control_plane_edits_when_it_can() -> None:
    """The partition ends at 4,500 s: later than any person would take, so that every edit is made at that instant."""
    record = f"{CHECK}, edited: {{{PLAN}}}"
    for trace in traces_of(record, f"{CUT}, {LOST.format(region='a', lasts='4h')}"):
        assert at_s(trace, "record-edited") == pytest.approx(4500.0)
        assert trace.answers["www"]["people"][1].at_s >= 4500.0


def test_an_edit_that_is_no_longer_needed_is_not_made() -> None:
    """A region that is back within four minutes was in the answers all along."""
    for trace in traces_of(f"{CHECK}, edited: {{{PLAN}}}", LOST.format(region="a", lasts="4min")):
        assert targets(trace) == ["a"]
        assert not events(trace, "record-edited")


def test_the_last_region_stays_until_another_is_back() -> None:
    """Both lost: nobody edits the last one out; once the other is led back to, the one that is still gone leaves."""
    second = LOST.format(region="b", lasts="permanent").replace("1000.37s", "3000.37s")
    for trace in traces_of(f"{CHECK}, edited: {{{PLAN}}}", f"{LOST.format(region='a', lasts='2h')}, {second}"):
        assert targets(trace) == ["a", "b", "a"]
        assert [event.note for event in events(trace, "record-edited")][:2] == [
            "without a",
            "with a again",
        ]


def test_a_person_follows_the_primary() -> None:
    """After a promotion, and after the failback, the record leads to the primary's region, and to that alone."""
    back = "{kind: switchover, at: 3h, store: db, to: a}"
    record = f"edited: {{{PLAN}, when: promoted}}"
    for trace in traces_of(record, f"{LOST.format(region='a', lasts='1h')}, {back}"):
        promoted = [event.at_s for event in events(trace, "promoted")]
        edits = [event.at_s for event in events(trace, "record-edited")]
        assert len(promoted) == len(edits) == 2
        assert 300.0 <= edits[0] - promoted[0] <= 900.0
        assert edits[1] - promoted[1] == pytest.approx(1200.0)
        assert targets(trace) == ["a", "b", "a"]


def test_nobody_hears_of_a_promotion_that_there_is_no_way_from() -> None:
    cut = "{kind: partition, between: [operations], and: [b], at: 900s, lasts: 1h, in_flight: arrives}"
    record = f"edited: {{{PLAN}, when: promoted}}"
    for trace in traces_of(record, f"{cut}, {LOST.format(region='a', lasts='permanent')}"):
        assert at_s(trace, "promoted") < 1200.0
        assert 300.0 <= at_s(trace, "record-edited") - 4500.0 <= 900.0
