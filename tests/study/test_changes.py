"""What became of a baseline: whose doing it is, from where on it is a regression, and what is bit-identical."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML
from scipy.stats import multinomial

import mrsim
from mrsim.errors import BaselineError, ResultsError
from mrsim.measure import Measures, Status
from mrsim.rng import Draws
from mrsim.scenario.budgets import Budget
from mrsim.scenario.loader import load, loads
from mrsim.scenario.model import Scenario
from mrsim.study.baseline import Baseline
from mrsim.study.baseline_file import document_of
from mrsim.study.changes import Changes, against
from mrsim.study.collect import Chunk
from mrsim.study.executors import RunChunk
from mrsim.study.paired import hall_interval, mean_above, mean_difference, trinomial_above, trinomial_low
from mrsim.study.run import run
from mrsim.study.shifts import Change, Tolerance, _mean_above, read_tolerance
from tests.study import fakes
from tests.study.test_paired import observed

ROOT = Path(__file__).parents[2]
BOOKSTORE = ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"
INTERVAL = "stores.orders-db.failover.detect.every"

Column = tuple[NDArray[np.float64], NDArray[np.int8]]
Law = Callable[[float, NDArray[np.float64]], dict[str, Any]]


def building(law: Law) -> Callable[[Scenario], RunChunk]:
    """Return a builder of studies whose columns are a function of the TTL and of four uniform numbers per trial."""

    def build(scenario: Scenario) -> RunChunk:
        def run_chunk(seed: int, first: int, count: int) -> Chunk:
            columns = law(scenario.dns["shop"].ttl, Draws(seed, first, count).uniforms("fake", 4))
            values = {name: column[0] if isinstance(column, tuple) else column for name, column in columns.items()}
            status = {
                name: column[1] if isinstance(column, tuple) else np.full(count, Status.OBSERVED, dtype=np.int8)
                for name, column in columns.items()
                if name == fakes.RTO
            }
            measures = Measures(first=first, count=count, values=values, status=status)
            return Chunk(measures, fakes.in_all(count), fakes.in_all(count))

        return run_chunk

    return build


def scenario(ttl: str, *budgets: Budget, name: str = "fake") -> Scenario:
    """Return a small scenario; its TTL is what the laws of these tests depend on."""
    return loads(fakes.TEXT).with_({"dns.shop.ttl": ttl}).model_copy(update={"budgets": budgets, "name": name})


MEAN, P95 = fakes.budget(fakes.RTO, "mean < 900"), fakes.budget(fakes.RTO, "p95 < 900")


def compared(
    law: Law, budget: Budget, ttl: str = "61s", trials: int = 400, seed: int = 5, **more: Any
) -> tuple[Changes, Change]:
    """Return what a longer TTL did to a budget, and that alone."""
    build = building(law)
    baseline = Baseline.of([run(scenario("60s", budget), trials=trials, seed=seed, workers=1, build=build)])
    found = against(scenario(ttl, budget), baseline, workers=1, build=build, **more)
    [change] = [change for _, _, change in found.verdicts() if change.by == "scenario"]
    return found, change


def shifted(by: float, spread: float = 100.0, jitter: float = 0.5) -> Law:
    """Return recovery times around 200 s, of which a TTL of 61 s instead of 60 s adds some seconds, more or less."""
    return lambda ttl, u: {fakes.RTO: 200.0 + spread * u[:, 0] + (ttl - 60.0) * (by + jitter * (u[:, 1] - 0.5))}


@pytest.mark.parametrize(
    ("by", "verdict", "code"), [(5.0, "regressed", 1), (1.0, "held", 0), (-1.0, "held", 0), (-5.0, "better", 0)]
)
@pytest.mark.parametrize("budget", [MEAN, P95])
def test_a_change_beyond_the_tolerance_is_one(by: float, verdict: str, code: int, budget: Budget) -> None:
    """The mean is 250 s, so that 1 % are 2.5 s."""
    found, change = compared(shifted(by), budget)
    assert change.verdict == verdict
    assert found.exit_code == code
    assert change.tolerance == pytest.approx(2.5, rel=0.02)
    assert change.difference.value_low == pytest.approx(by, abs=0.1)
    assert change.differing == 400
    assert change.worse == (400 if by > 3.0 else 0)


def test_a_limit_from_below_gets_worse_by_less() -> None:
    found, change = compared(shifted(-5.0), fakes.budget(fakes.RTO, "mean > 100"))
    assert (change.verdict, found.exit_code) == ("regressed", 1)
    assert compared(shifted(5.0), fakes.budget(fakes.RTO, "mean > 100"))[1].verdict == "better"


def test_a_change_that_sits_on_the_tolerance_is_inconclusive() -> None:
    found, change = compared(shifted(2.5, jitter=20.0), MEAN)
    assert (change.verdict, found.exit_code) == ("inconclusive", 3)
    assert change.reason == "the interval reaches beyond the tolerance"


def test_a_warning_never_counts() -> None:
    assert compared(shifted(5.0), fakes.budget(fakes.RTO, "mean < 900", "warn"))[0].exit_code == 0


@pytest.mark.parametrize(("texts", "verdict"), [((), "regressed"), ("3%", "held"), (("0%", "6s"), "held")])
def test_the_tolerance_can_be_chosen(texts: str | tuple[str, ...], verdict: str) -> None:
    assert compared(shifted(5.0), MEAN, tolerance=texts)[1].verdict == verdict


@pytest.mark.parametrize("text", ["5", "much", "-1%", "5MB"])
def test_a_tolerance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ResultsError, match="is no tolerance"):
        read_tolerance([text])


def test_what_is_not_shown_is_not_asked_for() -> None:
    """A mean that is known to ± 12 s is shown to 1 s, and one that is zero without a spread has no digit to hide in."""
    rough = Tolerance(relative=0.0)
    assert rough.of("duration", 200.0, 12.0) == 1.0
    assert rough.of("duration", 0.0, 0.0) == 0.0
    assert rough.of("flag", 0.0, 0.003) == pytest.approx(0.001)
    assert Tolerance(absolute_s=5.0).of("share", 0.1, 0.0) == pytest.approx(0.001)
    assert Tolerance(absolute_s=5.0).of("duration", 100.0, 0.0) == 5.0


def test_a_zero_that_is_no_longer_zero_has_regressed() -> None:
    law: Law = lambda ttl, u: {fakes.LOSS: (ttl - 60.0) * 0.01 * (1.0 + 0.1 * u[:, 0])}  # noqa: E731
    assert compared(law, fakes.budget(fakes.LOSS, "p99 < 5"))[1].verdict == "regressed"


def test_the_same_shift_in_every_trial_is_seen() -> None:
    law: Law = lambda ttl, u: {fakes.RTO: np.full(len(u), 200.0) + 5.0 * (ttl - 60.0)}  # noqa: E731
    assert compared(law, MEAN)[1].verdict == "regressed"
    assert compared(law, MEAN, ttl="60.2s")[1].verdict == "held"


def test_a_shift_is_seen_though_a_few_trials_go_astray() -> None:
    """A few trials of 400 move far back, all others by 60 s: the mean has no interval, and there is no doubt."""

    def law(ttl: float, u: NDArray[np.float64]) -> dict[str, Any]:
        moved = np.where(u[:, 1] < 0.005, -1000.0, 60.0) * (ttl - 60.0)
        return {fakes.RTO: 4000.0 + 1000.0 * u[:, 0] + moved}

    _, change = compared(law, MEAN, tolerance=Tolerance(relative=0.005))
    assert math.isinf(change.difference.low)
    assert "hangs on about" in change.reason
    assert change.verdict == "regressed"


def test_a_few_trials_that_move_far_are_inconclusive_until_they_cross_the_limit() -> None:
    def law(far: float) -> Law:
        return lambda ttl, u: {fakes.RTO: 200.0 + u[:, 0] + np.where(u[:, 1] < 0.03, far * (ttl - 60.0), 0.0)}

    _, below = compared(law(600.0), P95)
    assert (below.verdict, below.crossings.out if below.crossings else -1) == ("inconclusive", 0)
    assert below.needed_trials is not None
    assert below.needed_trials > 400
    _, beyond = compared(law(900.0), P95)
    assert beyond.crossings is not None
    assert beyond.crossings.out == beyond.differing > 5
    assert beyond.verdict == "regressed"


def test_what_crosses_the_limit_within_the_tolerance_is_not_counted() -> None:
    _, change = compared(shifted(2.0, jitter=0.1), fakes.budget(fakes.RTO, "p50 < 250"))
    assert change.crossings is not None
    assert (change.crossings.out, change.crossings.back, change.verdict) == (0, 0, "held")


def test_unfinished_trials_count_as_long_as_the_first_that_was_cut() -> None:
    def law(ttl: float, u: NDArray[np.float64]) -> dict[str, Any]:
        cut = u[:, 1] < 0.02
        codes = np.where(cut, Status.CENSORED, Status.OBSERVED).astype(np.int8)
        return {fakes.RTO: (np.where(cut, 14000.0 + u[:, 2], 200.0 + 50.0 * u[:, 0] + 30.0 * (ttl - 60.0)), codes)}

    _, change = compared(law, P95, tolerance=Tolerance(relative=0.01))
    assert "unfinished trials count as 14000" in change.reason
    assert change.verdict == "regressed"
    assert change.difference.value_low == pytest.approx(29.4, abs=0.6)


def test_flags_are_compared_by_their_rate() -> None:
    def law(more: float) -> Law:
        return lambda ttl, u: {fakes.SPLIT: (u[:, 0] < 0.01 + more * (ttl - 60.0)).astype(float)}

    limit = fakes.budget(fakes.SPLIT, "trials <= 0.1")
    assert compared(law(0.03), limit)[1].verdict == "regressed"
    assert compared(law(-0.01), limit)[1].verdict in ("held", "better")
    assert compared(law(0.0), limit)[1].verdict == "same"
    found, one = compared(law(0.008), limit)
    assert (one.verdict, found.exit_code) == ("inconclusive", 3), "a trial or two that split now, and did not before"


def test_the_engines_doing_is_told_from_the_scenarios() -> None:
    """The engine adds 6 s to everything, the new TTL 5 s."""
    budget = P95
    old = Baseline.of([run(scenario("60s", budget), trials=300, seed=5, workers=1, build=building(shifted(5.0)))])

    def slower(ttl: float, u: NDArray[np.float64]) -> dict[str, Any]:
        return {fakes.RTO: shifted(5.0)(ttl, u)[fakes.RTO] + 6.0}

    found = against(scenario("61s", budget), old, workers=1, build=building(slower))
    by = {change.by: change for _, _, change in found.verdicts()}
    assert {name: change.verdict for name, change in by.items()} == {"scenario": "regressed", "engine": "regressed"}
    assert by["scenario"].difference.value_low == pytest.approx(5.0, abs=0.1)
    assert by["engine"].difference.value_low == pytest.approx(6.0, abs=0.01)
    same = against(scenario("60s", budget), old, workers=1, build=building(slower))
    assert [change.verdict for _, _, change in same.verdicts()] == ["same", "regressed"]
    assert same.exit_code == 1


def test_regressions_are_corrected_for_all_that_is_compared() -> None:
    """Seven trials that split now: a regression alone, and among twenty scenarios that stayed the same none (Holm)."""
    law: Law = lambda ttl, u: {fakes.SPLIT: (u[:, 0] < 0.01 * (ttl - 60.0)).astype(float)}  # noqa: E731
    budget, build = fakes.budget(fakes.SPLIT, "trials <= 0.1"), building(law)
    names = ["fake", *(f"other-{index}" for index in range(40))]
    studies = [run(scenario("60s", budget, name=name), trials=400, seed=5, workers=1, build=build) for name in names]
    moved = [scenario("61.8s" if name == "fake" else "60s", budget, name=name) for name in names]
    for count, verdict in ((1, "regressed"), (41, "inconclusive")):
        found = against(moved[:count], Baseline.of(studies[:count]), workers=1, build=build)
        assert next(found.verdicts())[2].verdict == verdict
    assert "not among" in next(found.verdicts())[2].reason


DIFFERENCES: dict[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "normal": lambda rng, n: rng.normal(2.0, 3.0, n),
    "skewed": lambda rng, n: rng.exponential(2.0, n),
    "all alike but for a few": lambda rng, n: 2.0 + rng.normal(0.0, 1e-3, n) + 50.0 * (rng.random(n) < 0.02) - 1.0,
}
"""Differences whose mean is exactly 2 s."""


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_mean_that_moves_by_the_tolerance_is_rarely_a_regression(name: str) -> None:
    """Against theory: the truth exactly on the tolerance; 5 % + 5 standard errors of 1000 studies (alpha < 1e-5)."""
    rng = np.random.default_rng(3)
    regressed = 0
    for _ in range(1000):
        pairs = observed(np.zeros(200), DIFFERENCES[name](rng, 200))
        regressed += _mean_above(pairs, mean_difference(pairs), 1.0, 2.0) <= 0.05
    assert regressed / 1000 <= 0.05 + 5.0 * math.sqrt(0.05 * 0.95 / 1000)
    assert regressed > 0 or name.startswith("all"), "a test that never rejects shows nothing"


def test_a_rate_that_moves_by_the_tolerance_is_rarely_a_regression() -> None:
    """Against theory: the probability of every outcome that is called one, summed; without any error of sampling."""
    n, tolerance = 30, 0.05
    for back in (0.0, 0.05, 0.2):
        out = back + tolerance
        called = 0.0
        for plus in range(n + 1):
            for minus in range(n + 1 - plus):
                if plus > minus and trinomial_above(minus, n - plus - minus, plus, tolerance) <= 0.05:
                    called += float(multinomial.pmf([minus, n - plus - minus, plus], n, [back, 1.0 - back - out, out]))
        assert called <= 0.05
        assert called > 0.0


@pytest.mark.parametrize("counts", [(0, 395, 5), (2, 380, 18), (0, 0, 30), (30, 340, 30), (5, 395, 0)])
def test_p_values_agree_with_the_bounds(counts: tuple[int, int, int]) -> None:
    low = trinomial_low(*counts)
    assert trinomial_above(*counts, low - 1e-6) < 0.05 or counts[2] == 0
    assert trinomial_above(*counts, low + 1e-6) > 0.05
    sample = np.random.default_rng(1).exponential(2.0, 80)
    low, _ = hall_interval(sample)
    assert mean_above(sample, low) == pytest.approx(0.05, abs=1e-9)


def test_what_is_new_removed_renamed_or_absent_is_said() -> None:
    loss = fakes.budget(fakes.LOSS, "p99 < 50")
    law: Law = lambda ttl, u: {fakes.RTO: 200.0 + u[:, 0], fakes.LOSS: u[:, 1] * (ttl - 59.0)}  # noqa: E731
    build = building(law)
    was = [scenario("60s", P95, name="a"), scenario("60s", P95, name="b"), scenario("60s", P95, name="c")]
    baseline = Baseline.of(
        [run(one, trials=100, seed=5, workers=1, build=build) for one in was], ["a.yaml", "b.yaml", "c.yaml"]
    )
    tighter = fakes.budget(fakes.RTO, "p95 < 800")
    now = [
        scenario("61s", tighter, loss, name="renamed").model_copy(update={"path": "a.yaml"}),
        scenario("60s", loss, name="b").model_copy(update={"path": "elsewhere.yaml"}),
        scenario("80s", P95, name="new").model_copy(update={"path": "new.yaml"}),
    ]
    found = against(now, baseline, workers=1, build=build)
    assert [one.before for one in found.scenarios] == ["a", "b", ""]
    states = [[(of.budget.text, of.state, of.was) for of in one.budgets] for one in found.scenarios]
    assert states[0] == [("p95 < 800", "kept", "p95 < 900"), ("p99 < 50", "new", "")]
    assert states[1] == [("p99 < 50", "new", ""), ("p95 < 900", "removed", "")]
    assert states[2] == [("p95 < 900", "new", "")]
    assert [change.verdict for change in found.scenarios[0].budgets[1].changes] == ["regressed"], "old-now measured it"
    assert found.scenarios[2].budgets[0].changes == ()
    assert found.absent == (("c", "c.yaml"),)
    assert [(one.path, one.was, one.now) for one in found.scenarios[0].edits] == [("dns.shop.ttl", 60.0, 61.0)]


def test_a_removed_budget_never_counts() -> None:
    build = building(shifted(5.0))
    baseline = Baseline.of([run(scenario("60s", P95), trials=100, seed=5, workers=1, build=build)])
    found = against(scenario("61s"), baseline, workers=1, build=build)
    [(_, of, change)] = [each for each in found.verdicts() if each[2].by == "scenario"]
    assert (of.state, change.verdict, found.exit_code) == ("removed", "regressed", 0)


def test_a_scenario_under_another_name_and_in_another_file_is_found() -> None:
    baseline = Baseline.of(
        [run(scenario("60s", P95), trials=40, seed=5, workers=1, build=building(shifted(5.0)))], ["a.yaml"]
    )
    found = against(scenario("60s", P95, name="moved"), baseline, workers=1, build=building(shifted(5.0)))
    assert found.scenarios[0].before == "fake"
    assert {change.verdict for _, _, change in found.verdicts()} == {"same"}


def test_two_scenarios_with_one_name_are_refused() -> None:
    baseline = Baseline.of([run(scenario("60s", P95), trials=40, seed=5, workers=1, build=building(shifted(5.0)))])
    with pytest.raises(BaselineError, match="have the same name"):
        against([scenario("60s"), scenario("61s")], baseline, workers=1)


QUICK = {
    "stores.orders-db.failover.decide": "automatic",
    "stores.orders-db.failover.fence.if_unconfirmed": "{retry: 0, then: proceed, after: 5s}",
    "stores.orders-db.failover.promote.takes": "{median: 20s, p95: 60s}",
}
"""The bookstore without its operator: how long the promotion takes is what differs most from trial to trial."""


def unpaired(found: Changes, change: Change) -> float:
    """Return half the width of the 90 % interval of the same difference between two studies with different seeds."""
    [scenario_] = found.scenarios
    column = scenario_.budgets[1].budget.column
    one, other = (
        run(each, trials=change.n, seed=seed, workers=1).values_of(column)
        for each, seed in ((scenario_.scenario, 21), (scenario_.scenario, 22))
    )
    return 1.645 * math.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / change.n)


def interval(settings: dict[str, str], tolerance: Tolerance, trials: int) -> tuple[Changes, Change]:
    """Return what an interval of 11 s instead of 10 s does to the writers of a bookstore."""
    before = load(BOOKSTORE).with_(settings)
    baseline = Baseline.of([run(before, trials=trials, seed=7, workers=1)])
    found = against(before.with_({INTERVAL: "11s"}), baseline, tolerance=tolerance, workers=1)
    change = found.scenarios[0].budgets[1].changes[0]
    return found, change


def test_an_interval_of_eleven_seconds_instead_of_ten_is_red() -> None:
    """In 200 trials, beyond 1 %; two studies that do not share their outages could not tell."""
    found, change = interval(QUICK, Tolerance(), 200)
    assert (change.verdict, found.exit_code) == ("regressed", 1)
    assert [(one.path, one.was, one.now) for one in found.scenarios[0].edits] == [(INTERVAL, 10.0, 11.0)]
    assert {one.verdict for _, _, one in found.verdicts() if one.by == "engine"} == {"same"}
    shift, half = change.difference.value_low, unpaired(found, change)
    assert 2.0 < shift < 3.5, "three failed probes, and the wait for the first"
    assert change.difference.low > change.tolerance
    assert shift - half < change.tolerance < shift + half, "unpaired it is inconclusive"
    assert half > 10.0 * (change.difference.high - change.difference.low) / 2.0


def test_beside_an_operator_it_is_less_than_a_percent_and_red_where_that_is_asked_for() -> None:
    found, change = interval({}, Tolerance(), 200)
    assert (change.verdict, found.exit_code) == ("held", 0)
    assert 0.005 < change.difference.value_low / change.difference.a[0] < 0.01
    found, change = interval({}, Tolerance(relative=0.005), 200)
    assert (change.verdict, found.exit_code) == ("regressed", 1)
    half = unpaired(found, change)
    assert half > change.difference.value_low, "unpaired it is not even known to be one"


def variations() -> list[tuple[str, str]]:
    """Return 200 texts of the bookstore, each changed in one to three ways that change no number, and what was done."""
    bookstore = YAML(typ="safe").load(BOOKSTORE.read_text(encoding="utf-8"))
    rng = random.Random(2026)
    made = []
    for index in range(200):
        kinds = rng.sample(sorted(WITHOUT_EFFECT), 1 + index % 3)
        data = deepcopy(bookstore)
        for kind in sorted(kinds):
            data = WITHOUT_EFFECT[kind](data, rng)
        made.append((", ".join(kinds), _written(data, rng, comments="comments" in kinds)))
    return made


def _written(data: dict[str, Any], rng: random.Random, *, comments: bool) -> str:
    """Return a scenario as JSON, which is YAML too, with comments between its lines."""
    lines = json.dumps(data, indent=2).splitlines()
    if comments:
        lines = [line for one in lines for line in ((f"# {rng.random()}", one, "") if rng.random() < 0.2 else (one,))]
    return "\n".join(lines) + "\n"


def _reordered(data: Any, rng: random.Random) -> Any:
    if isinstance(data, dict):
        keys = list(data)
        rng.shuffle(keys)
        return {key: _reordered(data[key], rng) for key in keys}
    return [_reordered(one, rng) for one in data] if isinstance(data, list) else data


def _put(*path: str) -> Callable[..., Any]:
    def put(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        inside = data
        for part in path:
            inside = inside.setdefault(part, {})
        name = f"added-{rng.randrange(1000)}"
        cohort = data["clients"]["us-users"]
        inside |= {
            "witnesses": lambda: {name: {"rtt": f"{rng.randrange(10, 200)}ms"}},
            "control_points": lambda: {name: {"inside": rng.choice(data["regions"])}},
            "clients": lambda: {name: {**cohort, "near": rng.choice(data["regions"]), "share": "0%"}},
            "budgets": lambda: {
                "affected_share{service=orders, op=write}": [f"mean <= {rng.randrange(80, 100)}%"],
                f"rto{{service=orders, op=write, clients={rng.randrange(51, 90)}%}}": ["p95 < 1h"],
            },
        }[path[0]]()
        return data

    return put


def _region(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    data["dns"]["shop"]["regions"] = data["regions"]  # else the record would send people there
    return data | {"regions": [*data["regions"], "us-west"]}


def _summary(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    return data | {"summary": f"Another sentence, {rng.random()}."}


WITHOUT_EFFECT: dict[str, Callable[..., Any]] = {
    "a region nobody uses": _region,
    "a reordered file": _reordered,
    "a summary": _summary,
    "comments": lambda data, rng: data,
    "a witness that nobody asks": _put("witnesses"),
    "a control point that nobody uses": _put("control_points"),
    "a cohort of share 0": _put("clients"),
    "another metric": _put("budgets"),
}


def test_two_hundred_changes_without_effect_leave_every_bit() -> None:
    bookstore = load(BOOKSTORE)
    trials = 4
    base = run(bookstore, trials=trials, seed=7, workers=1)
    baseline = Baseline.of([base])
    wrong, ran, simulated = [], 0, set()
    for index, (what, text) in enumerate(variations()):
        changed = loads(text, str(BOOKSTORE))
        key = repr(sorted(document_of(changed).items()))
        if index % 20 == 0:
            found = against(changed, baseline, workers=1)
            assert {one.verdict for _, _, one in found.verdicts()} == {"same"}, what
            assert found.exit_code == 0
        if key in simulated:  # the file says the same, and the same is simulated
            continue
        simulated.add(key)
        ran += 1
        now = run(changed, trials=trials, seed=7, workers=1)
        wrong += [
            (what, column)
            for column in base.columns
            if now.values_of(column).tobytes() != base.values_of(column).tobytes()
            or now.status_of(column).tobytes() != base.status_of(column).tobytes()
        ]
    assert not wrong
    assert ran > 60, "most change what is simulated, and nothing that is measured"


def test_a_changed_engine_is_named() -> None:
    baseline = Baseline.of([run(scenario("60s", P95), trials=40, seed=5, workers=1, build=building(shifted(5.0)))])
    older = replace(baseline, engine=baseline.engine | {"mrsim": "0.0.1", "lock": "other"})
    found = against(scenario("60s", P95), older, workers=1, build=building(shifted(5.0)))
    assert [name for name, _, _ in found.engine_edits] == ["mrsim", "lock"]
    assert found.engine_edits[0] == ("mrsim", "0.0.1", mrsim.__version__)
    assert found.exit_code == 0
