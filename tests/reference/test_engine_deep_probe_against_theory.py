"""Health checks that ask for a write: what depends on one primary is unhealthy everywhere once that is lost."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

ALPHA = 1e-5
FAULT_AT_S = 1000.37
TRIALS = 400
REGIONS = ("us-east", "eu-west", "ap-southeast")

THREE = """\
name: three-regions
horizon: 1h
regions: [us-east, eu-west, ap-southeast]
network: {{rtt: {{us-east/eu-west: 80ms, us-east/ap-southeast: 220ms, eu-west/ap-southeast: 160ms}}}}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    endpoint: {{ttl: 30s, takes: 3s, reconnect: 2s}}
    wal: {{commits: 10/s}}
    failover:
      detect: {{from: [eu-west], every: 10s, fails: 30, timeout: 4s}}
      decide: {{by: automatic, delay: 0s}}
      promote: {{order: [eu-west], takes: 5s}}
services:
  orders: {{writes: db}}
  shop: {{reads: {{db: nearest}}}}
dns:
  www:
    serves: [orders, shop]
    policy: latency
    ttl: 60s
    health_check: {{every: 10s, timeout: 4s, applies_after: 0s, {check}}}
clients:
  us: {{near: us-east, share: 50%, resolvers: honest, class: app}}
  eu: {{near: eu-west, share: 30%, resolvers: honest, class: app}}
  ap: {{near: ap-southeast, share: 20%, resolvers: honest, class: app}}
faults:
  - {fault}
"""
LOST = "{{kind: region-loss, region: us-east, at: 1000.37s, lasts: permanent, connections: {}, in_flight: lost}}"
HANG = LOST.format("hang")
KILLED = "{kind: process-crash, store: db, region: us-east, at: 1000.37s, lasts: permanent}"


@cache
def _traces(check: str, fault: str = HANG, seed: int = 31) -> list[Trace]:
    return Simulator(loads(THREE.format(check=check, fault=fault))).run_chunk(seed, 0, TRIALS)


def _times(traces: list[Trace], kind: str, region: str) -> np.ndarray:
    """Return when a region's first verdict of a kind was in each trial; infinite if there was none."""
    first = {"verdict-down": {}, "verdict-up": {}}[kind]
    for trial, trace in enumerate(traces):
        for event in trace.events:
            if event.kind == kind and event.subject == f"www@{region}":
                first.setdefault(trial, event.at_s)
    return np.array([first.get(trial, np.inf) for trial in range(len(traces))])


@pytest.mark.parametrize(("fault", "takes_s"), [(HANG, 4.0), (LOST.format("refused"), 0.02), (KILLED, 0.02)])
def test_the_loss_of_the_primary_turns_every_region_unhealthy_within_the_detection_time(
    fault: str, takes_s: float
) -> None:
    """Each region: a phase, two intervals more, and what the last probe takes, as for a lost front."""
    traces = _traces("depth: write-path", fault)
    rtt_s = {"us-east": 0.0005, "eu-west": 0.08, "ap-southeast": 0.22}
    for region in REGIONS:
        way_s = 0.0 if takes_s == 4.0 or (region == "us-east" and fault != KILLED) else rtt_s[region]
        phase = (_times(traces, "verdict-down", region) - FAULT_AT_S - 20.0 - takes_s - way_s) / 10.0
        assert stats.kstest(phase, "uniform").pvalue > ALPHA, region
    # Independent checkers: nobody is late because another is.
    pair = [_times(traces, "verdict-down", region) for region in REGIONS[:2]]
    assert stats.spearmanr(*pair).pvalue > ALPHA


def test_a_probe_of_the_application_keeps_the_other_regions() -> None:
    """The same loss, seen by a probe that needs no primary: one region of three."""
    traces = _traces("depth: application")
    assert np.isfinite(_times(traces, "verdict-down", "us-east")).all()
    assert np.isinf(_times(traces, "verdict-down", "eu-west")).all()
    assert np.isinf(_times(traces, "verdict-down", "ap-southeast")).all()


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        ("answer-all", {"us": "us-east", "eu": "eu-west", "ap": "ap-southeast"}),
        ("answer-none", {"us": "", "eu": "", "ap": ""}),
        ("answer-fallback", {"us": "ap-southeast", "eu": "ap-southeast", "ap": "ap-southeast"}),
        ("answer-fallback, fallback: eu-west", {"us": "eu-west", "eu": "eu-west", "ap": "eu-west"}),
    ],
)
def test_the_provider_decides_what_is_answered_when_all_are_unhealthy(rule: str, answers: dict[str, str]) -> None:
    """From the last verdict on, at most 30 s after the loss hangs, and until a region is healthy again."""
    traces = _traces(f"depth: write-path, when_all_unhealthy: {rule}")
    all_down = np.max([_times(traces, "verdict-down", region) for region in REGIONS], axis=0)
    first_up = np.min([_times(traces, "verdict-up", region) for region in REGIONS], axis=0)
    assert (all_down - FAULT_AT_S <= 34.0).all()
    assert (first_up > all_down).all()
    for trace, since_s, until_s in zip(traces, all_down, first_up, strict=True):
        for cohort, target in answers.items():
            given = [change.target for change in trace.answers["www"][cohort] if change.at_s <= since_s][-1]
            assert given == target
            assert not [one for one in trace.answers["www"][cohort] if since_s < one.at_s < until_s]


def test_a_region_is_healthy_again_once_its_instance_has_found_the_new_primary() -> None:
    """The endpoint moves; then U(0, TTL), a reconnection, the phase of a probe, and the successes that are needed."""
    traces = _traces("depth: write-path, recovers: 2")
    moved = np.array([next(one.at_s for one in trace.events if one.kind == "endpoint-moved") for trace in traces])
    way_s = {"eu-west": 0.02 + 0.0005 + 0.0005, "ap-southeast": 0.02 + 0.16 + 0.0005}
    dice = np.random.default_rng(3)
    for region, takes_s in way_s.items():
        found = _times(traces, "verdict-up", region) - moved - 2.0 - 10.0 - takes_s
        law = 30.0 * dice.random(200_000) + 10.0 * dice.random(200_000)
        assert stats.ks_2samp(found, law).pvalue > ALPHA, region
    assert np.isinf(_times(traces, "verdict-up", "us-east")).all()


def test_a_write_that_waits_too_long_fails_the_probe() -> None:
    """A round trip of 220 ms is a failure where the application has 200 ms to answer, and from the start."""
    traces = _traces("depth: write-path, answer_within: 200ms", KILLED.replace("1000.37s", "3000s"))
    down = _times(traces[:50], "verdict-down", "ap-southeast")
    assert (down < 34.0).all()
    assert (_times(traces[:50], "verdict-down", "eu-west") >= 3000.0).all()


def test_a_planned_switchover_is_seen_as_an_outage_everywhere() -> None:
    """A database that hands over refuses writes: a deep probe takes every region out."""
    plan = "{kind: switchover, store: db, to: eu-west, at: 1000.37s, drain: 5s, checkpoint: 5s, hands_over: 60s}"
    traces = _traces("depth: write-path", plan)[:200]
    for region in REGIONS:
        assert np.isfinite(_times(traces, "verdict-down", region)).all()
        assert np.isfinite(_times(traces, "verdict-up", region)).all()
