"""A TTL lowered ahead of planned work: what is left of the old life at the work, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.instances import endpoint_seen_s
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.slabs import padded_changes
from mrsim.trace import Trace

ALPHA = 1e-5
OLD_S, NEW_S = 300.0, 30.0
START_S = 1000.37
TRIALS = 600

TEXT = """\
name: switchover
horizon: 2h
regions: [a, b]
network: {{rtt: {{a/b: 20ms}}}}
stores:
  db:
    primary: a
    standbys: [b]
    endpoint: {{ttl: 5min, takes: 5s..15s, reconnect: 2s}}
    wal: {{commits: 10/s}}
    failover: {{detect: {{from: [b], every: 60s, fails: 60}}, decide: automatic, promote: {{takes: 2s..10s}}}}
services: {{orders: {{writes: db}}}}
dns: {{www: {{serves: [orders], policy: failover, ttl: 60s{check}}}}}
clients: {{people: {{near: a, share: 100%, resolvers: honest, class: app, points: 1}}}}
faults:
  - kind: switchover
    store: db
    to: b
    at: 1000.37s
    drain: 1s..5s
    checkpoint: 1s
    hands_over: 10s..20s
    {lowers}
{fault}
"""


def _scenario(lowers: str = "", fault: str = "", check: str = "") -> Scenario:
    return loads(TEXT.format(lowers=lowers, fault=fault, check=check))


def _residuals(scenario: Scenario, seed: int = 41) -> tuple[np.ndarray, np.ndarray, list[Trace]]:
    """Return, per trial, when the endpoint moved, how long after that an instance saw it, and the traces."""
    draws = Draws(seed, 0, TRIALS)
    traces = Simulator(scenario).run_chunk(seed, 0, TRIALS, draws)
    changes = padded_changes([trace.stores["db"].endpoint["a"] for trace in traces])
    endpoint = scenario.stores["db"].endpoint
    lives_s = changes.lives_from(endpoint.ttl)
    phases = Population(scenario).phases(draws)
    seen, works = endpoint_seen_s(
        phases, "people", changes.changes_s, lives_s, endpoint.reconnect, changes.cached, changes.moves
    )
    assert works[:, -1] == pytest.approx(seen[:, -1] + 2.0)
    assert works[:, :-1] == pytest.approx(seen[:, :-1])
    moved = np.array([next(one.at_s for one in trace.events if one.kind == "endpoint-moved") for trace in traces])
    return moved, seen[:, -1, 0] - moved, traces


@pytest.mark.parametrize("ahead_s", [0.0, 60.0, 200.0, 280.0, 400.0, 2000.0])
def test_what_is_left_is_the_old_life_less_the_lead_or_the_new_life(ahead_s: float) -> None:
    """r of U(0, old) at the lowering: r − a is left when the endpoint moves, or what is left of a new life."""
    moved, found, _ = _residuals(_scenario(f"lowers_ttl: {{to: 30s, ahead: {ahead_s:g}s}}"))
    lead = moved - (START_S - ahead_s)
    left = OLD_S * np.random.default_rng(7).random((200, TRIALS))
    law = np.where(left >= lead, left - lead, (left - lead) % NEW_S).ravel()
    assert stats.ks_2samp(found, law).pvalue > ALPHA
    assert (found <= np.maximum(OLD_S - lead, NEW_S)).all()
    # Not later than anybody could hold the old answer, and really as late where the lead was too short.
    if ahead_s < 200.0:
        assert found.max() > 0.9 * (OLD_S - lead.min())


def test_without_it_the_old_life_counts() -> None:
    """Nothing lowered: U(0, 300 s), and no event of it."""
    _, found, traces = _residuals(_scenario())
    assert stats.kstest(found / OLD_S, "uniform").pvalue > ALPHA
    assert not [event for trace in traces for event in trace.events if event.kind == "ttl-lowered"]


def test_nothing_is_lowered_while_the_authority_cannot_be_reached() -> None:
    """The edit waits for the path, and the lead is what is left of it."""
    cut = "  - {kind: partition, between: [operations], and: [endpoint-authority], at: 100s, lasts: 850s}"
    moved, found, traces = _residuals(_scenario("lowers_ttl: {to: 30s, ahead: 10min}", cut))
    lowered = [event.at_s for trace in traces for event in trace.events if event.kind == "ttl-lowered"]
    assert lowered == pytest.approx([950.0] * TRIALS)
    left = OLD_S * np.random.default_rng(8).random((200, TRIALS))
    lead = moved - 950.0
    assert stats.ks_2samp(found, np.where(left >= lead, left - lead, (left - lead) % NEW_S).ravel()).pvalue > ALPHA


def test_a_deep_probe_keeps_the_old_life_too() -> None:
    """The instance that answers probes sees the move as late as any other: green again after what is left to it."""
    check = ", health_check: {every: 10s, fails: 3, recovers: 1, timeout: 4s, applies_after: 0s, depth: write-path}"
    scenario = _scenario("lowers_ttl: {to: 30s, ahead: 60s}", check=check)
    moved, _, traces = _residuals(scenario)
    up = np.array([next(one.at_s for one in t.events if one.kind == "verdict-up") for t in traces])
    dice = np.random.default_rng(9)
    left = OLD_S * dice.random((2, 200, TRIALS))
    lead = moved - (START_S - 60.0)
    each = np.where(left >= lead, left - lead, (left - lead) % NEW_S) + 10.0 * dice.random(left.shape)
    # Of two regions the first to be green again.
    assert stats.ks_2samp(up - moved - 2.0, each.min(axis=0).ravel()).pvalue > ALPHA
