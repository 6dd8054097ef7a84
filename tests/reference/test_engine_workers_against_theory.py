"""Workers that run beside the primary against theory: how long their work stands still, and who does it twice."""

from __future__ import annotations

from typing import Any

import numpy as np
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

ALPHA = 1e-5
TEXT = """
name: workers
horizon: 3h
regions: [us-east, us-west]
network: {rtt: {us-east/us-west: 60ms}, last_mile: 1ms}
stores:
  db:
    primary: us-east
    standbys: [us-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 1ms, reconnect: 1ms}
    wal: {commits: 10/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 5s}
      decide: {by: automatic, delay: 50s}
      promote: {takes: 100s}
      old_primary: {on_return: rejoins, starts_after: 0s, rebuild: 1min}
services:
  api: {reads: {db: nearest}, writes: db}
  worker: {writes: db, runs_in: writer, relocates: {schedule: 0s, pull: 20s..80s, start: 5s..35s, warm: 0s, verify: 0s}}
dns:
  www: {serves: api, policy: failover, regions: [us-east, us-west], ttl: 1ms, health_check: route53-fast}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: app, points: 4}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1000.37s, lasts: permanent}
"""
CUT = {
    **{"kind": "isolation", "region": "us-east", "cut_from": "rest", "still_reached_by": []},
    **{"at": "1000.37s", "lasts": "900s", "in_flight": "lost"},
}
RTO = "rto_s{service=worker,op=write,clients=50%,of=affected}"


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, trials: int = 20) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(4, 0, trials)


def measured(changes: dict[str, Any] | None = None, trials: int = 20) -> tuple[list[Trace], Measures]:
    asked = scenario(changes)
    found = Simulator(asked).run_chunk(4, 0, trials)
    return found, measure(asked, Population(asked), found, Draws(4, 0, trials))


def when(trace: Trace, kind: str, subject: str) -> float:
    return next((e.at_s for e in trace.events if (e.kind, e.subject) == (kind, subject)), INF)


def test_work_goes_on_after_the_promotion_and_every_stage() -> None:
    """The writers are back 10 ms after the promotion, the workers after pull and start; of each trial, exactly."""
    found, values = measured()
    for trial, trace in enumerate(found):
        promoted = trace.stores["db"].histories[1].began_s
        began = when(trace, "serving", "worker@us-west")
        assert 25.0 <= began - promoted <= 115.001
        assert values.values[RTO][trial] == pytest.approx(began - trace.fault_s, abs=0.01)
        assert values.values[RTO.replace("50%", "99%")][trial] == pytest.approx(began - trace.fault_s, abs=0.01)
        part = values.values["phase_s{service=worker,op=write,part=relocation}"][trial]
        assert part == pytest.approx(began - promoted, abs=0.01)
        assert [span.end_s for span in trace.serving["worker", "us-east"]] == [trace.fault_s]


def test_the_relocation_is_the_sum_of_its_stages() -> None:
    """U(20, 80) + U(5, 35), by the closed form of the sum of two uniforms (a trapezium)."""
    found = run(scenario(), trials=2000, seed=9, workers=1).trials["phase_s{service=worker,op=write,part=relocation}"]
    sum_of_two = stats.trapezoid(c=1 / 3, d=2 / 3, loc=25.0, scale=90.0)
    assert stats.kstest(found.to_numpy() - 0.00025, sum_of_two.cdf).pvalue > ALPHA


def test_workers_that_are_cut_off_go_on_until_somebody_can_tell_them() -> None:
    """Cut off with the old primary, they write to it; once the cut is over they are told to stop."""
    for trace in traces({"faults[0]": CUT}):
        (old,) = trace.serving["worker", "us-east"]
        heals = next(event.at_s for event in trace.events if event.kind == "fault-ends")
        assert heals == pytest.approx(1900.37)
        assert old.end_s == pytest.approx(heals + 0.03, abs=1e-6)
        _, new = trace.serving["worker", "us-west"]
        assert new.start_s < heals
        assert new.end_s == INF


def test_what_they_do_meanwhile_is_done_twice() -> None:
    """Half of the work is done on either side from the new workers' start to the end of the cut: a second writer.

    People are all outside the cut, so that nobody else writes to the old primary: its divergent writes are the workers'
    alone. They have half of the store's 10 commits per second, all until the new ones work and then half of it.
    """
    found, values = measured({"faults[0]": CUT}, trials=100)
    without = run(
        loads(TEXT.replace(TEXT[TEXT.index("  worker:") : TEXT.index("dns:")], "")).with_({"faults[0]": CUT}),
        trials=5,
        seed=4,
        workers=1,
    )
    assert not without.trials["split_brain{store=db}"].any()
    expected = [
        5.0 * (when(trace, "serving", "worker@us-west") - trace.stores["db"].histories[1].began_s)
        + 2.5 * (1900.37 - when(trace, "serving", "worker@us-west"))
        for trace in found
    ]
    divergent = values.values["divergent_writes{store=db}"]
    # Poisson variables with known means: their normalised sum is a standard normal variable.
    z = (divergent.sum() - np.sum(expected)) / np.sqrt(np.sum(expected))
    assert abs(z) < stats.norm.isf(ALPHA / 2)
    assert values.values["split_brain{store=db}"].all()
    # people write to the new primary from its first instant
    both_s = [1900.37 - trace.stores["db"].histories[1].began_s for trace in found]
    assert values.values["split_brain_s{store=db}"] == pytest.approx(both_s, abs=0.5)


def test_work_that_is_cut_off_stands_still_only_for_what_is_kept() -> None:
    """Workers beside the old primary lose 30 ms when they are told to stop; nothing that they did meanwhile is kept."""
    _, values = measured({"faults[0]": CUT})
    assert np.all(values.values[RTO.replace("50%", "99%")] < 0.5)
    durable = values.values[RTO.replace("rto_s", "rto_durable_s").replace("50%", "99%")]
    assert durable == pytest.approx(np.full(20, 900.0), abs=0.5)


def test_workers_begin_anew_in_a_region_that_comes_back_in_time() -> None:
    """Lost for 60 s, before anybody decides: they are started again where they were, image and all."""
    changes = {"faults[0].lasts": "60s", "stores.db.failover.decide.delay": "10min"}
    for trace in traces(changes):
        assert len(trace.stores["db"].histories) == 1
        first, second = trace.serving["worker", "us-east"]
        assert first.end_s == trace.fault_s
        assert 25.0 <= second.start_s - (trace.fault_s + 60.0) <= 115.0


def test_workers_follow_a_planned_switchover() -> None:
    plan = {"kind": "switchover", "store": "db", "to": "us-west", "at": "1000.37s"}
    for trace in traces({"faults[0]": plan}):
        promoted = trace.stores["db"].histories[1].began_s
        assert when(trace, "stopped", "worker@us-east") == pytest.approx(promoted + 0.03)
        assert 25.0 <= when(trace, "serving", "worker@us-west") - promoted <= 115.001


def test_an_older_declaration_does_not_undo_a_newer_one() -> None:
    """There and back by two switchovers while nothing is cut: one region works in the end, the first."""
    plan = {"kind": "switchover", "store": "db"}
    changes = {
        "faults[0]": plan | {"to": "us-west", "at": "1000.37s"},
        "faults[1]": plan | {"to": "us-east", "at": "5000.37s"},
    }
    for trace in traces(changes, 5):
        if len(trace.stores["db"].histories) == 3:
            assert trace.serving["worker", "us-east"][-1].end_s == INF
            assert trace.serving["worker", "us-west"][-1].end_s < INF


def test_latency_of_work_has_no_way_to_people_in_it() -> None:
    _, values = measured(trials=1)
    flush = scenario().stores["db"].replication.local_flush.mean()
    assert values.values["write_latency_s{service=worker,from=all,writes=mean,when=before}"][0] == pytest.approx(
        flush + 0.0005, abs=0.0005
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"services.worker.runs_in": "us-east"}, "what runs where it is told follows nobody"),
        ({"services.worker.runs_in": "us-eats"}, "us-east"),
        ({"services.worker.runs_in": "writers"}, "unknown region 'writers'"),
        ({"dns.www.serves": ["api", "worker"]}, "no people are sent there"),
        ({"services.worker.scaled_down": {"regions": "us-west"}}, "scaled down everywhere else already"),
        ({"services.worker.retries": {"after": "10s", "gives_up_after": "0s"}}, "nobody tries again"),
        ({"services.worker.reads": {"db": {"primary_for": "5s"}}}, "nobody reads again"),
        ({"services.worker.batch": {"every": "1h", "takes": "5min"}}, "runs where it is told"),
        ({"services.worker.relocates.pul": "5s"}, "pull"),
        ({"services.worker.writes": "d"}, "unknown store"),
    ],
)
def test_what_makes_no_sense_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        scenario(changes)
