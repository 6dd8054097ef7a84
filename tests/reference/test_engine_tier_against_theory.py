"""A service that has to be started against theory: what its stages add up to, who starts it, and what stops it."""

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
from tests.happened import events, when

ALPHA = 1e-5
TEXT = """
name: warm-standby
horizon: 6h
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
      old_primary: {on_return: stays-down}
services:
  api:
    reads: {db: nearest}
    writes: db
    scaled_down:
      {regions: us-west, starts_when: promoted, schedule: 1s..100s, pull: 20s, start: 1s..50s, warm: 7s, verify: 30s}
dns:
  www:
    {serves: api, policy: failover, regions: [us-east, us-west], ttl: 1ms,
     health_check: {preset: route53-fast, depth: reachability}}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: app, points: 4}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1000.37s}
"""
RULE = "services.api.scaled_down"
STEPS = ("scheduled", "pulled", "started", "warmed-up", "verified")


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    return loads(TEXT).with_(changes or {})


def traces(changes: dict[str, Any] | None = None, trials: int = 20) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(4, 0, trials)


def served_from(trace: Trace, region: str = "us-west") -> list[float]:
    return [span.start_s for span in trace.serving["api", region] if span.end_s > max(span.start_s, 0.0)]


def recovered_s(changes: dict[str, Any] | None = None, op: str = "write", trials: int = 20) -> Any:
    found = run(scenario(changes), trials=trials, seed=4, workers=1).trials
    return found[f"rto_s{{service=api,op={op},clients=50%,of=affected}}"].to_numpy()


def test_recovery_is_detection_and_promotion_and_every_stage() -> None:
    """Of each trial, to the millisecond that the order, the endpoint's answer and the reconnection take."""
    table = run(scenario(), trials=20, seed=4, workers=1).trials
    for trial, trace in enumerate(traces()):
        began = trace.stores["db"].histories[1].began_s
        assert began - trace.fault_s == pytest.approx(
            when(trace, "verdict-down", "db@us-east") - trace.fault_s + 150.0, abs=0.2
        )
        at = [when(trace, "start-ordered"), *(when(trace, kind) for kind in STEPS)]
        schedule, pull, start, warm, verify = np.diff(at)
        assert at[0] - began == pytest.approx(0.00025, abs=1e-6)
        assert (pull, warm, verify) == pytest.approx((20.0, 7.0, 30.0))
        assert 1.0 <= schedule <= 100.0
        assert 1.0 <= start <= 50.0
        assert served_from(trace) == [at[-1]]
        for op in ("read", "write"):
            labels = f"service=api,op={op}"
            rto = table[f"rto_s{{{labels},clients=99%,of=affected}}"][trial]
            assert rto == pytest.approx(at[-1] - trace.fault_s, abs=0.01)
            part = {name: table[f"phase_s{{{labels},part={name}}}"][trial] for name in ("relocation", "verification")}
            assert part["relocation"] == pytest.approx(at[-2] - began, abs=0.01)
            assert part["verification"] == pytest.approx(30.0, abs=0.01)


def test_the_relocation_is_the_sum_of_its_stages() -> None:
    """U(1, 100) + U(1, 50) + 27 s, by the closed form of the sum of two uniforms (a trapezium)."""
    found = run(scenario(), trials=2000, seed=9, workers=1).trials["phase_s{service=api,op=write,part=relocation}"]
    sum_of_two = stats.trapezoid(c=49 / 148, d=99 / 148, loc=29.0, scale=148.0)
    assert stats.kstest(found.to_numpy() - 0.00025, sum_of_two.cdf).pvalue > ALPHA


def test_started_on_the_decision_it_comes_up_beside_the_promotion() -> None:
    """The outage lasts as long as the slower of the two: the promotion takes 100 s, the stages 59 to 207 s."""
    for trace in traces({f"{RULE}.starts_when": "decided"}):
        decided, ordered = when(trace, "decided"), when(trace, "start-ordered")
        assert ordered - decided == pytest.approx(0.0005)
        assert served_from(trace) == [when(trace, "verified")]
    slower = [
        max(when(trace, "promoted"), when(trace, "verified")) - trace.fault_s
        for trace in traces({f"{RULE}.starts_when": "decided"})
    ]
    assert recovered_s({f"{RULE}.starts_when": "decided"}) == pytest.approx(slower, abs=0.01)
    assert len({value > 190.0 for value in slower}) == 2


def test_started_by_the_front_it_waits_for_no_database() -> None:
    """Reads need no promotion: the verdict on the front door, and the stages."""
    changes = {f"{RULE}.starts_when": "front-down", "services.api.reads": {"db": "nearest"}}
    expected = []
    for trace in traces(changes):
        verdict = when(trace, "verdict-down", "www@us-east")
        assert when(trace, "start-ordered") - verdict == pytest.approx(0.0005)
        expected.append(when(trace, "verified") - trace.fault_s)
    assert recovered_s(changes, "read") == pytest.approx(expected, abs=0.01)


def test_a_deep_check_lets_nobody_in_before_it_is_served() -> None:
    """With a check of the application the answers change after the service is up, three good probes of 10 s later."""
    changes = {"dns.www.health_check.depth": "application"}
    for trace in traces(changes):
        (first, moved) = trace.answers["www"]["users"]
        assert (first.target, moved.target) == ("us-east", "us-west")
        assert 20.0 < moved.at_s - served_from(trace)[0] < 31.0
    for trace in traces():
        assert trace.answers["www"]["users"][1].at_s < when(trace, "promoted")


def test_people_near_a_region_that_sleeps_are_sent_elsewhere() -> None:
    changes = {
        "dns.www.policy": "latency",
        "dns.www.health_check.depth": "application",
        "clients.users.near": "us-west",
    }
    for trace in traces(changes | {"faults[0].region": "us-west", "faults[0].lasts": "10min"}, 5):
        assert [change.target for change in trace.answers["www"]["users"]] == ["us-east"]
        assert served_from(trace) == []


def test_an_order_waits_for_a_way() -> None:
    """Whoever decides is cut off from the region for an hour: nothing starts there before the way is open again."""
    cut = {"kind": "partition", "between": ["operations"], "and": ["us-west"], "at": "1000s", "lasts": "1h"}
    changes = {f"{RULE}.starts_when": "decided", "stores.db.failover.decide.runs_in": "operations"}
    for trace in traces(changes | {"faults[1]": cut | {"in_flight": "lost"}}, 5):
        decided, ordered = when(trace, "decided"), when(trace, "start-ordered")
        assert decided < 1200.0
        assert ordered == pytest.approx(4600.0, abs=0.1)
        assert trace.events[events(trace, "start-ordered")[0].cause].kind == "fault-ends"


def test_a_region_that_is_lost_while_it_starts_begins_anew() -> None:
    """Lost for 10 min in the middle of the stages: what had been started is gone, the order is not."""
    lost = {"kind": "region-loss", "region": "us-west", "connections": "hang", "in_flight": "lost"}
    for trace in traces({"faults[1]": lost | {"at": "1230.11s", "lasts": "600s"}}):
        assert when(trace, "start-ordered") < 1230.11
        assert when(trace, "start-lost") == pytest.approx(1230.11)
        (began,) = served_from(trace)
        stages = began - 1830.11
        assert 59.0 <= stages <= 207.0
        scheduled = [event.at_s for event in events(trace, "scheduled")]
        assert scheduled[-1] > 1830.11


def test_a_region_that_is_lost_serves_again_after_it_has_started_anew() -> None:
    lost = {"kind": "region-loss", "region": "us-west", "connections": "hang", "in_flight": "lost"}
    for trace in traces({"faults[1]": lost | {"at": "2000.11s", "lasts": "600s"}}):
        first, second = (span for span in trace.serving["api", "us-west"] if span.end_s > max(span.start_s, 0.0))
        assert first.end_s == pytest.approx(2000.11)
        assert 59.0 <= second.start_s - 2600.11 <= 207.0


def test_stages_that_take_no_time_change_nothing_but_the_order() -> None:
    """Everything at 0 s: recovery is that of a service that is there already."""
    nothing = {f"{RULE}.{name}": "0s" for name in ("schedule", "pull", "start", "warm", "verify")}
    text = TEXT.replace(TEXT[TEXT.index("    scaled_down:") : TEXT.index("dns:")], "")
    there = run(loads(text), trials=20, seed=4, workers=1).trials
    column = "rto_s{service=api,op=write,clients=50%,of=affected}"
    assert recovered_s(nothing) == pytest.approx(there[column].to_numpy(), abs=0.001)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({f"{RULE}.regions": ["us-west", "us-west"]}, "named twice"),
        ({f"{RULE}.regions": ["us-wets"]}, "did you mean 'us-west'"),
        ({f"{RULE}.regions": ["us-east", "us-west"]}, "nowhere"),
        ({"services.api.runs_in": ["us-east"]}, "not meant for 'us-west'"),
        ({f"{RULE}.starts_when": "front-down", "dns.www.health_check": None}, "front doors"),
        ({f"{RULE}.starts_when": "promotd"}, "promoted"),
        ({"dns.www.policy": "latency"}, "scaled down"),
        ({"dns.www.regions": ["us-west", "us-east"]}, "people would be sent to 'us-west'"),
        ({f"{RULE}.shedule": "5s"}, "schedule"),
        ({f"{RULE}.pull": "5"}, "duration"),
        (
            {f"{RULE}.starts_when": "decided", "stores.db.failover.decide": {"by": "lease", "voters": ["operations"]}},
            "lease",
        ),
    ],
)
def test_what_makes_no_sense_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        scenario(changes)


def test_nobody_who_promotes_starts_nothing() -> None:
    text = TEXT[: TEXT.index("    failover:")] + TEXT[TEXT.index("services:") :]
    with pytest.raises(ScenarioError, match="nobody decides"):
        loads(text)
