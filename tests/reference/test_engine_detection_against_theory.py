"""Probers against theory: order statistics of the time to a verdict, published figures, a prober that really probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.sim.health import Outcome, ProberGroup, Timing
from mrsim.sim.records import needed_down
from mrsim.sim.run import Simulator
from mrsim.sim.world import FAULT, Sampler, World
from mrsim.trace import INF

ALPHA = 1e-5
FAULT_AT_S = 1000.37
TRIALS = 2000


def _verdicts(
    timing: Timing,
    places: Sequence[str],
    changes: Sequence[tuple[float, dict[str, Outcome], dict[str, float]]],
    *,
    horizon_s: float,
    trials: int,
    seed: int,
    down: bool = False,
) -> list[list[tuple[float, bool]]]:
    """Return the verdicts (time, down) of each trial of a group whose view changes as told, from time 0 on."""
    sampler = Sampler(Draws(seed, 0, trials))
    found = []
    for row in range(trials):
        world = World(sampler, row, horizon_s)
        view = [changes[0][1], changes[0][2]]
        seen: list[tuple[float, bool]] = []

        def noted(is_down: bool, _: int, world: World = world, seen: list[tuple[float, bool]] = seen) -> None:
            seen.append((world.now, is_down))

        group = ProberGroup(
            world,
            "group",
            "target",
            places,
            timing,
            lambda place, view=view: view[0][place],  # type: ignore[misc]
            lambda place, view=view: view[1][place],  # type: ignore[misc]
            noted,
            down=down,
        )
        for number, (at_s, outcomes, delays) in enumerate(changes[1:]):

            def change(
                outcomes: dict[str, Outcome] = outcomes,
                delays: dict[str, float] = delays,
                view: list[dict] = view,
                group: ProberGroup = group,
            ) -> None:
                view[0], view[1] = outcomes, delays
                group.reassess(-1)

            world.at(at_s, FAULT, f"change/{number:03}", change)
        world.clock.run_to(horizon_s)
        found.append(seen)
    return found


@pytest.mark.parametrize(("down", "count"), [(False, 14), (True, 13)])
def test_a_verdict_says_how_many_probers_report_the_target_down(count: int, *, down: bool) -> None:
    """Of 16, 14 make it down; from all of them, it is up again once the third reports so and 13 are left."""
    world = World(Sampler(Draws(4, 0, 1)), 0, 2000.0)
    outcome = Outcome(float(down), 4.0, 0.02)
    group = ProberGroup(
        world,
        "group",
        "target",
        ("here",) * 16,
        Timing(10.0, False, 3, 3, 4.0, 14),
        lambda _: outcome,
        lambda _: 0.0,
        lambda *_: None,
        down=down,
    )
    outcome = Outcome(float(not down), 4.0, 0.02)
    group.reassess(-1)
    world.clock.run_to(2000.0)
    (event,) = world.events
    assert event.note == f"{count} of 16 probers report it down, it counts as down from 14 on"


# The order statistic of N uncoordinated probers ---------------------------------------------------------------------


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize(("failing_s", "what"), [(4.0, "hanging"), (0.05, "refused")])
@pytest.mark.parametrize(("count", "need"), [(1, 1), (3, 2), (5, 1), (5, 5), (16, 14)])
def test_time_to_verdict_is_an_order_statistic(
    count: int, need: int, failing_s: float, what: str, *, from_end: bool
) -> None:
    """k failures at interval I, each taking tau: I·U(need of count) + (k - 1)·cycle + tau, U the order statistic."""
    every, fails, passing_s = 10.0, 3, 0.02
    timing = Timing(every, from_end, fails, 3, 4.0, need)
    places = ("here",) * count
    good, bad = Outcome(0.0, 4.0, passing_s), Outcome(1.0, failing_s, passing_s)
    changes = [(0.0, {"here": good}, {"here": 0.0}), (FAULT_AT_S, {"here": bad}, {"here": 0.0})]
    found = _verdicts(timing, places, changes, horizon_s=2000.0, trials=TRIALS, seed=11)
    assert all(len(one) == 1 and one[0][1] for one in found), what
    times = np.array([one[0][0] for one in found]) - FAULT_AT_S
    steady = every + (passing_s if from_end else 0.0)
    cycle = every + failing_s if from_end else max(every, failing_s)
    phase = (times - (fails - 1) * cycle - failing_s) / steady
    assert stats.kstest(phase, stats.beta(need, count - need + 1).cdf).pvalue > ALPHA


def test_reports_take_their_path() -> None:
    """A verdict that needs all of two probers with reports of 0.2 s and 3 s waits for the later of the two."""
    timing = Timing(10.0, False, 2, 1, 4.0, 2)
    good, bad = Outcome(0.0, 4.0, 0.02), Outcome(1.0, 0.1, 0.02)
    near_far = {"a": 0.2, "b": 3.0}
    changes = [(0.0, dict.fromkeys("ab", good), near_far), (FAULT_AT_S, dict.fromkeys("ab", bad), near_far)]
    found = _verdicts(timing, ("a", "b"), changes, horizon_s=2000.0, trials=TRIALS, seed=12)
    times = np.array([one[0][0] for one in found]) - FAULT_AT_S - 10.1
    # max(10 U + 0.2, 10 V + 3) has the distribution function clip((x - 0.2) / 10) clip((x - 3) / 10).
    assert stats.kstest(times, lambda x: np.clip((x - 0.2) / 10, 0, 1) * np.clip((x - 3.0) / 10, 0, 1)).pvalue > ALPHA


@pytest.mark.parametrize(
    ("checkers", "above", "need"),
    [(16, 0.18, 14), (3, 0.5, 2), (1, 0.5, 1), (2, 0.5, 1), (4, 0.5, 2), (10, 0.3, 7), (5, 0.0, 5), (100, 0.29, 71)],
)
def test_healthy_needs_more_than_the_share(checkers: int, above: float, need: int) -> None:
    """Healthy while MORE than a share says so: with 10 checkers and 30 %, three are not enough."""
    text = TOPOLOGY.format(check=f"{{checkers: {checkers}, every: 10s, timeout: 4s, healthy_above: {above * 100:g}%}}")
    check = loads(text).dns["shop"].health_check
    assert check is not None
    assert needed_down(check) == need


# Published figures, through whole scenarios -------------------------------------------------------------------------

TOPOLOGY = """\
name: two-regions
horizon: 30min
regions: [us-east, eu-west]
network: {{rtt: aws-2026}}
stores:
  db: {{primary: us-east, standbys: [eu-west], commit: async, wal: {{commits: 10/s}}}}
services: {{orders: {{writes: db}}}}
dns:
  shop: {{serves: [orders], policy: latency, ttl: 60s, health_check: {check}}}
clients: {{users: {{near: us-east, share: 100%, resolvers: typical, class: browser}}}}
faults:
  - {{kind: region-loss, region: us-east, at: 1000.37s, lasts: permanent, connections: hang, in_flight: lost}}
"""

FIGURES = [
    ("route53-standard", "hang", (92, 97, 100)),
    ("route53-standard", "refused", (80, 85, 88)),
    ("route53-fast", "hang", (39, 40, 42)),
    ("route53-fast", "refused", (27, 28, 30)),
    ("{preset: route53-standard, interval_from: start}", "hang", (84, 89, 92)),
    ("{preset: route53-fast, interval_from: start}", "hang", (31, 32, 34)),
]


@pytest.mark.parametrize(("check", "connections", "figures"), FIGURES)
def test_route53_figures(check: str, connections: str, figures: tuple[int, int, int]) -> None:
    """p5, p50 and p95 of the time to Route 53's verdict, to the second."""
    text = TOPOLOGY.format(check=check).replace("connections: hang", f"connections: {connections}")
    times = []
    for trace in Simulator(loads(text)).run_chunk(21, 0, 4000):
        down = [
            event.at_s for event in trace.events if event.kind == "verdict-down" and event.subject == "shop@us-east"
        ]
        assert len(down) == 1
        times.append(down[0] - FAULT_AT_S)
    assert np.quantile(times, (0.05, 0.5, 0.95)) == pytest.approx(figures, abs=1.0)
    # The exact law: 14 of 16 checkers, phases uniform over a cycle.
    every = 30.0 if "standard" in check else 10.0
    failing = 4.0 if connections == "hang" else RTT_S
    from_end = "start" not in check
    cycle = every + (failing if from_end else 0.0)
    phase = (np.array(times) - 2 * cycle - failing) / (every + (RTT_S if from_end else 0.0))
    assert stats.kstest(phase, stats.beta(14, 3).cdf).pvalue > ALPHA


RTT_S = 0.02
"""Checkers are one last mile (20 ms) away from every region."""


# A prober that makes every probe ------------------------------------------------------------------------------------


@dataclass
class _Naive:
    """One prober, every probe made: written from the description of a health check, not from the engine."""

    timing: Timing
    name: str
    place: str
    next_s: float
    uniforms: Callable[[str, int, int], list[float]]
    believes_up: bool = True
    surprises: int = 0
    made: int = 0
    flips: list[tuple[float, bool]] = field(default_factory=list)

    def probe(self, view: Outcome) -> None:
        block, inside = divmod(self.made, 64)
        chance = self.uniforms(self.name, 64, 1 + 16 * block)[inside] if 0.0 < view.fails < 1.0 else 0.5
        fails = chance < view.fails
        answered_s = self.next_s + (view.failing_takes_s if fails else view.passing_takes_s)
        self.surprises = self.surprises + 1 if fails == self.believes_up else 0
        if self.surprises == (self.timing.fails if self.believes_up else self.timing.recovers):
            self.believes_up = not self.believes_up
            self.surprises = 0
            self.flips.append((answered_s, self.believes_up))
        self.made += 1
        if self.timing.from_end:
            self.next_s = answered_s + self.timing.every_s
        else:
            self.next_s = max(self.next_s + self.timing.every_s, answered_s)


def _at(changes: Sequence[View], at_s: float) -> tuple[dict[str, Outcome], dict[str, float]]:
    """Return the view in force for a probe or a report that starts at a time."""
    outcomes, delays = changes[0][1], changes[0][2]
    for since_s, later, later_delays in changes[1:]:
        if since_s <= at_s:
            outcomes, delays = later, later_delays
    return outcomes, delays


def _reports(flips: list[tuple[float, bool]], paths: list[tuple[float, float]]) -> list[tuple[float, bool]]:
    """Return when the place of the verdict learns what: a report that a cut catches is sent again after it.

    ``paths`` holds (since, delay), infinite while cut.
    """
    moments = sorted({at_s for at_s, _ in flips} | {since for since, _ in paths[1:]})
    arrivals: list[tuple[float, bool]] = []
    known = True
    for moment in moments:
        delay = next(d for since, d in reversed(paths) if since <= moment)
        cut_again = min((since for since, d in paths if since > moment and d == INF), default=INF)
        state = next((up for at_s, up in reversed(flips) if at_s <= moment), True)
        arrival = moment + delay
        if arrival < INF and arrival <= cut_again and state != known:
            arrivals.append((arrival, state))
            known = state
    return arrivals


def _brute_force(
    timing: Timing,
    places: Sequence[str],
    changes: Sequence[View],
    *,
    horizon_s: float,
    seed: int,
    trial: int,
    trials: int,
) -> list[tuple[float, bool]]:
    sampler = Sampler(Draws(seed, 0, trials))
    began_s = changes[1][0]
    steady = changes[0][1]
    reports: list[tuple[float, str, bool]] = []
    for place in sorted(set(places)):
        here = sorted(places).count(place)
        phases = sampler.uniforms(trial, f"group/{place}", here, 0)
        cycle = timing.every_s + steady[place].passing_takes_s
        if not timing.from_end:
            cycle = max(timing.every_s, steady[place].passing_takes_s)
        for number, phase in enumerate(phases):
            name = f"group/{place}/{number}"
            prober = _Naive(
                timing, name, place, began_s + phase * cycle, lambda n, w, o: sampler.uniforms(trial, n, w, o)
            )
            while prober.next_s < horizon_s:
                prober.probe(_at(changes, prober.next_s)[0][place])
            paths = [(since, delays[place]) for since, _, delays in changes]
            reports += [(at_s, name, up) for at_s, up in _reports(prober.flips, paths)]
    verdicts: list[tuple[float, bool]] = []
    down: set[str] = set()
    is_down = False
    reports.sort()
    for index, (at_s, name, up) in enumerate(reports):
        (down.discard if up else down.add)(name)
        if index + 1 < len(reports) and reports[index + 1][0] == at_s:
            continue
        if (len(down) >= timing.need) != is_down and at_s < horizon_s:
            is_down = not is_down
            verdicts.append((at_s, is_down))
    return verdicts


View = tuple[float, dict[str, Outcome], dict[str, float]]
"""From when, what a probe from each place sees, and how long a report from there takes (infinite while cut)."""

History = tuple[Timing, tuple[str, ...], list[View]]

VIEWS = {
    "ok": (0.0, 2.0),
    "hangs": (1.0, 2.0),
    "refuses": (1.0, 0.11),
    "refuses at once": (1.0, 0.0),
    "lossy": (0.35, 2.0),
    "very lossy": (0.8, 2.0),
}
DELAY_S = {"a": 0.05, "b": 0.09, "c": 0.1, "here": 0.0}
RTT = {"a": 0.12, "b": 0.2, "c": 0.3, "here": 0.0}
"""Above the delays, so that two changes of a prober's mind are never on their way at the same time."""


@st.composite
def _histories(draw: st.DrawFn) -> History:
    uncertain = draw(st.booleans())
    places = tuple(draw(st.lists(st.sampled_from(list(RTT)[: 3 if uncertain else 4]), min_size=1, max_size=5)))
    timing = Timing(
        every_s=draw(st.sampled_from([2.5, 7.0, 10.0])),
        from_end=draw(st.booleans()),
        fails=draw(st.integers(1, 4)),
        recovers=draw(st.integers(1, 3)),
        timeout_s=2.0,
        need=draw(st.integers(1, len(places))),
    )
    kinds = ["ok", "hangs", "refuses", "refuses at once"] + (["lossy", "very lossy"] if uncertain else [])
    same_for_all = draw(st.booleans())
    changes = [(0.0, {p: Outcome(0.0, 2.0, RTT[p]) for p in places}, {p: DELAY_S[p] for p in places})]
    at_s = draw(st.floats(0.5, 60.0))
    for number in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(kinds[1:] if number == 0 and same_for_all else kinds))
        views = {p: VIEWS[kind if same_for_all else draw(st.sampled_from(kinds))] for p in places}
        delays = {p: INF if draw(st.integers(0, 4)) == 0 else DELAY_S[p] for p in places}
        changes.append((at_s, {p: Outcome(*views[p], RTT[p]) for p in places}, delays))
        # Further apart than a report travels; often closer than a probe takes.
        at_s += draw(st.floats(0.31, 45.0))
    return timing, places, changes


def _differs(changes: list[View]) -> bool:
    return changes[1][1:] != changes[0][1:]


def test_prober_group_against_itself_with_every_probe_made() -> None:
    """The engine computes when a verdict changes; making every probe and sending every report must give the same."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300)
    @given(_histories(), st.integers(0, 2**32))
    def check(history: History, seed: int) -> None:
        timing, places, changes = history
        while len(changes) > 2 and not _differs(changes):
            del changes[1]
        assume(_differs(changes))
        horizon_s = changes[-1][0] + 120.0
        found = _verdicts(timing, places, changes, horizon_s=horizon_s, trials=2, seed=seed)
        for trial in range(2):
            expected = _brute_force(timing, places, changes, horizon_s=horizon_s, seed=seed, trial=trial, trials=2)
            assert [down for _, down in found[trial]] == [down for _, down in expected]
            assert [at for at, _ in found[trial]] == pytest.approx([at for at, _ in expected], abs=1e-9)
            seen["verdicts"] += len(expected)
            seen["more than one verdict"] += len(expected) > 1
            seen["uncertain"] += any(0.0 < view.fails < 1.0 for _, views, _ in changes for view in views.values())
            seen["cut"] += any(delay == INF for _, _, delays in changes for delay in delays.values())

    check()
    assert seen["verdicts"] > 300
    assert min(seen["more than one verdict"], seen["uncertain"], seen["cut"]) > 80, seen


# Loss: verdicts without a fault -------------------------------------------------------------------------------------


def _first_run_cdf(loss: float, run: int, probes: int) -> np.ndarray:
    """Return P(a run of losses has ended by probe n): f(n) = f(n - 1) + (1 - f(n - 1 - run)) (1 - p) p^run."""
    cdf = np.zeros(probes + 1)
    if probes >= run:
        cdf[run] = loss**run
    for n in range(run + 1, probes + 1):
        cdf[n] = cdf[n - 1] + (1.0 - cdf[n - 1 - run]) * (1.0 - loss) * loss**run
    return cdf


@pytest.mark.parametrize(("loss", "run"), [(0.3, 3), (0.1, 2), (0.6, 5), (0.05, 1)])
def test_verdicts_by_loss_alone_come_at_the_rate_of_runs(loss: float, run: int) -> None:
    """One prober that loses probes independently reports down at the first run of k losses (Feller I, XIII.7)."""
    every, probes = 10.0, 400
    timing = Timing(every, False, run, 1, 4.0, 1)
    view = {"here": Outcome(loss, 4.0, 0.02)}
    found = _verdicts(timing, ("here",), [(0.0, view, {"here": 0.0})], horizon_s=every * probes, trials=TRIALS, seed=31)
    # Probe n ends at phase + (n - 1) · every + timeout, phase uniform in one interval.
    ended = [int((one[0][0] - 4.0) // every) + 1 if one else probes + 1 for one in found]
    cdf = _first_run_cdf(loss, run, probes)
    edges = [int(np.searchsorted(cdf, share)) for share in (0.2, 0.4, 0.6, 0.8)]
    edges = [edge for edge in sorted(set(edges)) if run <= edge < probes - 2]
    assert edges
    observed = [sum(number <= edge for number in ended) for edge in edges]
    for edge, count in zip(edges, observed, strict=True):
        assert stats.binomtest(count, TRIALS, float(cdf[edge])).pvalue > ALPHA / 4, (edge, count)


LOSSY = """\
name: lossy
horizon: 25min
regions: [us-east, eu-west]
network: {rtt: aws-2026, loss: 8%}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    wal: {commits: 10/s}
    failover:
      detect: {from: [checkers, operations], every: 10s, fails: 3, timeout: 4s, verdict: any}
      decide: {by: automatic, delay: 1h}
services: {orders: {writes: db}}
"""


def test_false_alarms_of_a_whole_scenario_by_loss() -> None:
    """Loss of 8 % each way fails a probe with 1 - 0.92²; the first false alarm of two probers is the earlier run."""
    trials = 600
    traces = Simulator(loads(LOSSY)).run_chunk(32, 0, trials)
    assert all(trace.fault_s == INF for trace in traces)
    first = [min((e.at_s for e in trace.events if e.kind == "verdict-down"), default=INF) for trace in traces]
    cdf = _first_run_cdf(1.0 - 0.92**2, 3, 200)
    for probes in (30, 60, 120):
        # When the n-th probe of a prober of phase 0 has failed, every prober has made n probes or one less.
        at_s = 10.0 * (probes - 1) + 4.0
        low, high = (1.0 - (1.0 - cdf[n]) ** 2 for n in (probes - 1, probes))
        count = sum(at <= at_s for at in first)
        assert stats.binom.sf(count - 1, trials, high) > ALPHA / 6
        assert stats.binom.cdf(count, trials, low) > ALPHA / 6


def test_a_prober_beside_what_it_probes() -> None:
    """Within a region a probe takes no time: its verdict comes with the probe's start, and the trial ends."""
    text = LOSSY.replace("loss: 8%", "loss: 0%").replace("[checkers, operations]", "[us-east, eu-west]")
    crash = "faults: [{kind: process-crash, store: db, region: us-east, at: 100.3s, lasts: 2min}]\n"
    for trace in Simulator(loads(text + crash)).run_chunk(33, 0, 200):
        down, up = (next(e.at_s for e in trace.events if e.kind == kind) for kind in ("verdict-down", "verdict-up"))
        back = next(e.at_s for e in trace.events if e.kind == "node-up")
        assert 120.3 < down < 130.4
        assert back < up < back + 10.1
