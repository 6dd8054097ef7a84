"""A management plane against theory: what is redeployed waits until there is one, and then takes its own time."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.measure import Measures, measure
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Trace
from tests.happened import events, when

ALPHA = 1e-5
TEXT = """
name: management
horizon: 6h
regions: [us-east, us-west, eu-west]
network: {rtt: {us-east/us-west: 60ms, us-east/eu-west: 80ms, us-west/eu-west: 140ms}, last_mile: 1ms}
stores:
  db:
    primary: us-east
    standbys: [us-west]
    endpoint: {ttl: 1ms, moved_by: gitops, takes: 40s, reconnect: 1ms}
    wal: {commits: 10/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 5s}
      decide: {by: automatic, delay: 50s}
      promote: {takes: 100s}
      old_primary: {on_return: stays-down}
management:
  gitops: {place: us-east, given_up_after: 300s, mirrored_in: [us-west], takes_over: 100s..200s}
services:
  api: {reads: {db: nearest}, writes: db}
  worker:
    writes: db
    runs_in: writer
    relocates: {schedule: 0s, pull: 20s, start: 5s, managed_by: gitops}
dns:
  www: {serves: api, policy: failover, regions: [us-east, us-west], ttl: 1ms, health_check: route53-fast}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: app, points: 4}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1000.37s, lasts: permanent}
"""
PLANE = "management.gitops"
REBUILT = {"place": "us-east", "given_up_after": "300s", "rebuilt_in": ["us-west"], "rebuild": "1000s..2000s"}
THROUGH = {"stores.db.endpoint.managed_by": "gitops"}


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, trials: int = 20) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(4, 0, trials)


def measured(changes: dict[str, Any] | None = None, trials: int = 20) -> tuple[list[Trace], Measures]:
    asked = scenario(changes)
    found = Simulator(asked).run_chunk(4, 0, trials)
    return found, measure(asked, Population(asked), found, Draws(4, 0, trials))


def rto(values: Measures, service: str) -> Any:
    return values.values[f"rto_s{{service={service},op=write,clients=50%,of=affected}}"]


def test_workers_wait_for_a_copy_that_takes_over() -> None:
    """5 min until it is given up and 100 to 200 s for the copy, while the promotion is done within 3 min."""
    found, values = measured()
    for trial, trace in enumerate(found):
        moved = when(trace, "management-moved")
        assert when(trace, "management-given-up") - trace.fault_s == pytest.approx(300.0)
        assert 400.0 <= moved - trace.fault_s <= 500.0
        assert when(trace, "promoted") < moved - 100.0
        assert when(trace, "serving", "worker@us-west") == pytest.approx(moved + 25.0, abs=0.01)
        assert rto(values, "worker")[trial] == pytest.approx(moved + 25.0 - trace.fault_s, abs=0.01)
        part = {
            p: values.values[f"phase_s{{service=worker,op=write,part={p}}}"][trial] for p in ("detection", "relocation")
        }
        assert part["detection"] == pytest.approx(300.0)
        assert part["relocation"] == pytest.approx(moved - trace.fault_s - 300.0 + 25.0, abs=0.01)


def test_one_that_is_built_anew_takes_as_much_longer_as_building_does() -> None:
    """The same trials but for the plane: U(1000, 2000) less U(100, 200), trial by trial and in distribution."""
    column = "rto_s{service=worker,op=write,clients=50%,of=affected}"
    mirrored = run(scenario(), trials=1000, seed=5, workers=1).trials[column].to_numpy()
    rebuilt = run(scenario({PLANE: REBUILT}), trials=1000, seed=5, workers=1).trials[column].to_numpy()
    # the same draw of how long it takes, mapped by the one distribution and by the other
    assert rebuilt - 325.0 == pytest.approx(10.0 * (mirrored - 325.0), abs=0.1)
    assert stats.kstest(rebuilt - 325.0, stats.uniform(1000.0, 1000.0).cdf).pvalue > ALPHA


def test_who_needs_no_plane_does_not_wait() -> None:
    found, values = measured({PLANE: REBUILT})
    for trial, trace in enumerate(found):
        assert when(trace, "endpoint-moved") == pytest.approx(when(trace, "promoted") + 40.0, abs=0.01)
        assert rto(values, "api")[trial] < 260.0


def test_an_endpoint_that_goes_through_the_plane_waits_too() -> None:
    """Its own 40 s begin once the plane acts: the shop waits as its workers do."""
    found, values = measured(THROUGH)
    for trial, trace in enumerate(found):
        moved = when(trace, "management-moved")
        assert when(trace, "endpoint-moved") == pytest.approx(moved + 40.0, abs=0.01)
        assert rto(values, "api")[trial] == pytest.approx(moved + 40.0 - trace.fault_s, abs=0.02)


def test_a_plane_outside_the_region_is_there_all_along() -> None:
    for place in ("operations", "us-west", "eu-west"):
        for trace in traces({PLANE: {"place": place}}):
            assert when(trace, "management-given-up") == INF
            assert when(trace, "serving", "worker@us-west") == pytest.approx(when(trace, "promoted") + 25.0, abs=0.2)


def test_without_another_place_everything_waits_for_the_region() -> None:
    changes = {PLANE: {"place": "us-east", "given_up_after": "300s"}, "faults[0].lasts": "2h"}
    for trace in traces(changes):
        assert when(trace, "management-moved") == INF
        assert when(trace, "serving", "worker@us-west") == pytest.approx(1000.37 + 7200.0 + 25.0, abs=0.2)
    for trace in traces({PLANE: {"place": "us-east"}}):
        assert when(trace, "serving", "worker@us-west") == INF


def test_one_that_answers_again_in_time_is_left_alone() -> None:
    """Back after 250 s: nobody has given it up. Back after 350 s, while the copy is being made to act: called off."""
    for lasts in (250, 350):
        for trace in traces({"faults[0].lasts": f"{lasts}s"}):
            assert when(trace, "management-moved") == INF
            assert (when(trace, "management-given-up") < INF) == (lasts > 300)
            assert when(trace, "serving", "worker@us-west") == pytest.approx(1000.37 + lasts + 25.0, abs=0.2)


def test_a_plane_that_is_cut_off_is_given_up_by_those_who_do_not_see_it() -> None:
    """Isolated, it lives on; seen by operations but not by the region, nobody gives it up and the order waits."""
    cut = {"kind": "isolation", "region": "us-east", "cut_from": "rest", "at": "1000.37s", "in_flight": "lost"}
    for trace in traces({"faults[0]": cut | {"still_reached_by": [], "lasts": "1h"}}):
        assert 400.0 <= when(trace, "management-moved") - trace.fault_s <= 500.0
        assert when(trace, "serving", "worker@us-west") == pytest.approx(
            when(trace, "management-moved") + 25.0, abs=0.2
        )
    part = {"kind": "partition", "between": ["us-east"], "and": ["us-west"], "at": "1000.37s", "in_flight": "lost"}
    plan = {"kind": "node-loss", "store": "db", "region": "us-east", "at": "1001.37s"}
    for trace in traces({"faults[0]": part | {"lasts": "1h"}, "faults[1]": plan}):
        assert when(trace, "promoted") < 1300.0
        assert when(trace, "management-given-up") == INF
        assert when(trace, "serving", "worker@us-west") == pytest.approx(1000.37 + 3600.0 + 25.0, abs=0.2)


def test_the_first_copy_that_answers_takes_over() -> None:
    """us-west is lost as well, for 20 min: the copy in eu-west acts, and the worker starts once its region is back."""
    also = {"kind": "region-loss", "region": "us-west", "connections": "hang", "in_flight": "lost"}
    changes = {f"{PLANE}.mirrored_in": ["us-west", "eu-west"], "faults[1]": also | {"at": "1200.37s", "lasts": "20min"}}
    for trace in traces(changes, 10):
        event = events(trace, "management-moved")[0]
        assert "eu-west" in event.note


def test_a_copy_that_is_lost_in_turn_is_replaced() -> None:
    also = {"kind": "region-loss", "region": "us-west", "connections": "hang", "in_flight": "lost"}
    changes = {f"{PLANE}.mirrored_in": ["us-west", "eu-west"], "faults[1]": also | {"at": "3000.37s", "lasts": "2h"}}
    for trace in traces(changes, 10):
        first, second = events(trace, "management-moved")
        assert ("us-west" in first.note, "eu-west" in second.note) == (True, True)
        assert 400.0 <= second.at_s - 3000.37 <= 500.0


def test_a_service_that_is_scaled_down_waits_as_well() -> None:
    rule = {
        "regions": "us-west",
        "schedule": "60s",
        "pull": "20s",
        "start": "5s",
        "verify": "30s",
        "managed_by": "gitops",
    }
    changes = {"services.api.scaled_down": rule}
    for trace in traces(changes):
        assert when(trace, "serving", "api@us-west") == pytest.approx(when(trace, "management-moved") + 115.0, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({f"{PLANE}.place": "us-eats"}, "us-east"),
        ({f"{PLANE}.rebuilt_in": ["eu-west"]}, "not built anew"),
        ({f"{PLANE}.mirrored_in": ["us-east"]}, "named twice"),
        ({f"{PLANE}.rebuild": "5min"}, "no effect without places"),
        ({f"{PLANE}.watched_from": "us-east-control"}, "lost with it"),
        ({"services.worker.relocates.managed_by": "gitop"}, "unknown management plane 'gitop'"),
        ({"management.spare": {"place": "us-west"}}, "nothing is managed by it"),
        (THROUGH | {"stores.db.endpoint.moved_by": "controller"}, "goes through no management plane"),
    ],
)
def test_what_makes_no_sense_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        scenario(changes)
