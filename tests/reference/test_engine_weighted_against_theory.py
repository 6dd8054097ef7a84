"""Weighted records: shares of traffic, draws at every expiry, and steps back, against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.routes import Routes
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import Trace

SIGMAS = 4.5
"""False-alarm rate of a comparison of means: 7e-6."""
FAULT_AT_S = 1000.37
TTL_S = 60.0

TEXT = """\
name: weighted
horizon: 2h
regions: [a, b, c]
network: {{rtt: {{a/b: 20ms, a/c: 30ms, b/c: 20ms}}}}
stores:
  db: {{primary: b, standbys: [a, c], wal: {{commits: 10/s}}}}
services: {{shop: {{reads: {{db: nearest}}}}, orders: {{writes: db}}}}
dns:
  www:
    serves: [shop, orders]
    policy: weighted
    weights: {weights}
    ttl: 60s
    health_check: {{every: 10s, timeout: 4s, applies_after: 0s, {check}}}
    {shift}
clients: {{people: {{near: a, share: 100%, resolvers: honest, class: app, points: 64}}}}
faults:
  - {{kind: region-loss, region: a, at: 1000.37s, lasts: {lasts}, connections: hang, in_flight: lost}}
{fault}
"""
STEPS = "shift_back: {steps: [10%, 50%, 100%], every: 10min, takes: 5s..30s}"


def _scenario(
    weights: str = "{a: 1, b: 1}", shift: str = "", lasts: str = "permanent", check: str = "fails: 8", fault: str = ""
) -> Scenario:
    return loads(TEXT.format(weights=weights, shift=shift, lasts=lasts, check=check, fault=fault))


def _answers(trace: Trace) -> list[tuple[float, dict[str, float]]]:
    """Return when the authority's shares changed, and to what."""
    return [(change.at_s, dict(change.shares)) for change in trace.answers["www"]["people"]]


def _shares(scenario: Scenario, region: str, times_s: np.ndarray, seed: int, count: int) -> np.ndarray:
    """Return the share of people whose reads a region serves at each of the trial's times, shape (times, trials)."""
    draws = Draws(seed, 0, count)
    traces = Simulator(scenario).run_chunk(seed, 0, count, draws)
    population = Population(scenario)
    routes = Routes(scenario, population, population.phases(draws), traces)
    found = np.zeros((len(times_s), count))
    for slab in routes.reads("shop"):
        rows = np.arange(count)[slab.rows]
        mine = np.array([slab.regions[row] == region for row in rows])[:, None]
        for index, moments in enumerate(times_s):
            at = moments[rows, None]
            found[index, rows] += (((slab.start_s <= at) & (at < slab.end_s) & mine) * slab.weight).sum(axis=1)
    return found


def _means_agree(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the mean over trials is that of the law, by the trials' own scatter."""
    left = found - expected
    return bool(abs(left.mean()) <= SIGMAS * left.std(ddof=1) / np.sqrt(left.size) + 1e-9)


@pytest.mark.parametrize("weights", ["{a: 1, b: 1}", "{a: 3, b: 1}", "{a: 1, b: 2, c: 5}"])
def test_traffic_is_shared_by_weight(weights: str) -> None:
    """Before the fault, and after it: the lost region is still among the answers and goes on drawing its share."""
    scenario = _scenario(weights)
    count = 300
    shares = dict(_answers(Simulator(scenario).run_chunk(1, 0, 1)[0])[0][1])
    total = sum(scenario.dns["www"].weights.values())
    assert shares == pytest.approx({name: weight / total for name, weight in scenario.dns["www"].weights.items()})
    for region, share in shares.items():
        late = np.full(count, FAULT_AT_S + 70.0)
        before, after = _shares(scenario, region, np.array([np.full(count, 500.0), late]), 1, count)
        assert _means_agree(before, np.full(count, share)), region
        assert _means_agree(after, np.full(count, 0.0 if region == "a" else share)), region
    # one point of 64 keeps an even share of a lattice: no trial is far from its weight
    assert before.std() < 1.0 / 64.0


def test_who_is_hit_follows_from_the_draws_before_the_region_leaves_the_answers() -> None:
    """Untouched is who draws the other region n + 1 times; n expiries fit between the fault and the change it sees."""
    scenario = _scenario()
    count = 1000
    result = run(scenario, trials=count, seed=5, workers=1)
    affected = result.values_of("affected_share{service=shop,op=read}")
    down_s = result.values_of("unavailability{service=shop,op=read}") * scenario.horizon
    detected = np.array([_answers(trace)[1][0] for trace in Simulator(scenario).run_chunk(5, 0, count)]) - FAULT_AT_S
    whole, part = np.divmod(detected / TTL_S, 1.0)
    untouched = 0.5 ** (1 + whole) * (1.0 - part) + 0.5 ** (2 + whole) * part
    assert _means_agree(affected, 1.0 - untouched)
    # Half of all requests fail until then, and of those who have not looked again, on average half a TTL longer.
    assert _means_agree(down_s, 0.5 * (detected + TTL_S / 2.0))


def test_outages_end_and_begin_again_by_luck() -> None:
    """With detection so slow that it never ends, an outage is as long as draws of the lost region follow each other."""
    scenario = _scenario(check="fails: 900")
    count = 400
    result = run(scenario, trials=count, seed=6, workers=1)
    # First outage: the rest of the TTL if it began with the fault, else whole TTLs: geometric with chance 1/2.
    rows = result.values_of("rto_s{service=shop,op=read,clients=50%,of=affected}")
    assert (rows >= TTL_S - 1.0).mean() > 0.5
    assert (rows <= 2.0 * TTL_S).all()
    late = _shares(scenario, "b", np.array([np.full(count, FAULT_AT_S + 1200.5)]), 6, count)[0]
    assert _means_agree(late, np.full(count, 0.5))


def test_each_step_moves_its_share_over_one_ttl() -> None:
    """10 %, 50 %, 100 % of a weight of 1 beside 1: 1/11, 1/3, 1/2 of the answers; half of the way after half a TTL."""
    scenario = _scenario(shift=STEPS, lasts="30min", check="fails: 3")
    count = 400
    traces = Simulator(scenario).run_chunk(7, 0, count)
    given = [0.0, 1.0 / 11.0, 1.0 / 3.0, 0.5]
    changes = np.array([[at_s for at_s, shares in _answers(trace)[2:]] for trace in traces])
    for trace in traces:
        assert [shares.get("a", 0.0) for _, shares in _answers(trace)[1:]] == pytest.approx(given)
    assert stats.kstest((changes[:, 1] - changes[:, 0] - 600.0 - 5.0) / 25.0, "uniform").pvalue > 1e-5
    for step in range(3):
        for after_s in (1.0, 30.0, 59.0, 75.0):
            share = given[step] + (given[step + 1] - given[step]) * min(after_s / TTL_S, 1.0)
            found = _shares(scenario, "a", (changes[:, step] + after_s)[None, :], 7, count)[0]
            assert _means_agree(found, np.full(count, share)), (step, after_s)


def test_a_weight_that_nobody_could_edit_comes_back_at_once() -> None:
    """The control plane is cut off while the region is out: its weight is whole when it is healthy again."""
    cut = "  - {kind: partition, between: [operations], and: [endpoint-authority], at: 900s, lasts: 40min}"
    scenario = _scenario(shift=STEPS, lasts="30min", check="fails: 3", fault=cut)
    for trace in Simulator(scenario).run_chunk(8, 0, 20):
        assert [shares.get("a", 0.0) for _, shares in _answers(trace)] == [0.5, 0.0, 0.5]


def test_a_step_waits_for_the_control_plane() -> None:
    """The second step falls into a cut of the way to the control plane, and is made the moment that is over."""
    cut = "  - {kind: partition, between: [operations], and: [endpoint-authority], at: 50min, lasts: 30min}"
    scenario = _scenario(shift=STEPS, lasts="30min", check="fails: 3", fault=cut)
    for trace in Simulator(scenario).run_chunk(9, 0, 20):
        assert _answers(trace)[3][0] == pytest.approx(80 * 60.0)


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        ("answer-all", {"a": 0.25, "b": 0.75}),
        ("answer-none", {}),
        ("answer-fallback, fallback: b", {"b": 1.0}),
    ],
)
def test_when_all_are_unhealthy_the_rule_is_followed(rule: str, last: dict[str, float]) -> None:
    """Both regions are lost, for good."""
    both = "  - {kind: region-loss, region: b, at: 1000.37s, lasts: permanent, connections: hang, in_flight: lost}"
    scenario = _scenario("{a: 1, b: 3}", check=f"fails: 3, when_all_unhealthy: {rule}", fault=both)
    for trace in Simulator(scenario).run_chunk(10, 0, 20):
        assert _answers(trace)[-1][1] == pytest.approx(last)


def test_weight_zero_is_a_reserve() -> None:
    """A region of weight 0 is answered only once no other is healthy."""
    scenario = _scenario("{a: 1, b: 0, c: 0}", check="fails: 3")
    for trace in Simulator(scenario).run_chunk(11, 0, 20):
        assert [shares for _, shares in _answers(trace)] == [{"a": 1.0}, {"b": 0.5, "c": 0.5}]
