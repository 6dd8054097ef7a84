"""Scenarios against drills that they made themselves, and against drills of another world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import mrsim
from mrsim.calibrate import Drills, read_drills, score
from mrsim.calibrate.pit import as_recorded, band, censored, few_inside, ks_distance, transform, uniform_p_value
from mrsim.calibrate.scoring import score_results
from mrsim.errors import MeasurementsError
from mrsim.metrics import METRICS, Metric
from mrsim.study.columns import split_column
from tests.report.samples import SCENARIO_TEXT, sample_results, sample_scenario

ALPHA = 1e-5
"""Chance of a false alarm of each test; the seeds are fixed."""

RTO = "rto_s{service=orders,op=write,clients=95%,of=affected}"
COMPARED = {
    "rto_write_s": RTO,
    "detection_s": "phase_s{service=orders,op=write,part=detection}",
    "decision_s": "phase_s{service=orders,op=write,part=decision}",
    "promotion_s": "phase_s{service=orders,op=write,part=promotion}",
    "loss_s": "data_loss_s{store=orders-db}",
    "split": "split_brain{store=orders-db}",
}


@pytest.fixture(scope="module")
def drills() -> dict[str, np.ndarray]:
    """Return 200 drills of the scenario's own world."""
    results = mrsim.run(sample_scenario(), trials=200, seed=99, workers=1)
    return {short: results.values_of(column) for short, column in COMPARED.items()}


def test_drills_of_the_model_itself_are_foretold_against_itself(drills: dict[str, np.ndarray]) -> None:
    found = score(sample_scenario(), drills, trials=1000, seed=1, workers=1)
    assert {one.written: one.column for one in found.columns} == COMPARED
    for one in found.columns:
        assert one.uniform_p_value > ALPHA, one.written
        assert all(coverage.p_value > ALPHA for coverage in one.coverage), one.written
    rto = found.columns[0]
    assert rto.noticeable == 1.25
    expected = [stats.betabinom(200, round(share * 1001), 1001 - round(share * 1001)).std() for share in (0.5, 0.9)]
    for coverage, spread in zip(rto.coverage, expected, strict=True):
        assert abs(coverage.inside - 200 * coverage.share) < 4.5 * spread


def test_a_few_drills_of_the_model_itself_do_not_contradict_it(drills: dict[str, np.ndarray]) -> None:
    few = {short: values[:5] for short, values in drills.items()}
    found = score(sample_scenario(), few, trials=1000, seed=1, workers=1)
    assert all(one.p_value > ALPHA for one in found.columns)
    assert found.verdict == "inconclusive"
    assert "That is no confirmation." in found.sentence


@pytest.mark.parametrize("factor", [3, 1 / 3])
def test_a_scenario_that_is_wrong_by_a_factor_is_contradicted(drills: dict[str, np.ndarray], factor: float) -> None:
    slow = sample_scenario(
        SCENARIO_TEXT.replace("page: 30s..2min", f"page: {30 * factor:g}s..{120 * factor:g}s")
        .replace(
            "acknowledge: {median: 1min, p95: 3min}",
            f"acknowledge: {{median: {60 * factor:g}s, p95: {180 * factor:g}s}}",
        )
        .replace("assess: 30s..2min", f"assess: {30 * factor:g}s..{120 * factor:g}s")
    )
    ten = {short: drills[short][:10] for short in ("detection_s", "decision_s", "promotion_s")}
    found = score(slow, ten, trials=500, seed=1, workers=1)
    detection, decision, promotion = found.columns
    assert found.verdict == "contradicted"
    assert decision.p_value < 1e-4
    assert "decision_s" in found.sentence
    assert "detection_s" not in found.sentence
    assert detection.p_value > ALPHA
    assert promotion.p_value > ALPHA
    above = sum(one.pit > 0.5 for one in decision.drills)
    assert above <= 1 if factor > 1 else above >= 9


@pytest.mark.parametrize("n", [1, 4])
def test_a_right_scenario_is_contradicted_no_more_often_than_it_says(n: int) -> None:
    """At most 5 % of sets of drills, of two columns each; 120 sets, and a binomial bound of 1e-5."""
    results = sample_results(1000)
    world = sample_results(3000)
    rng = np.random.default_rng(12)
    write, read = RTO, "rto_s{service=storefront,op=read,clients=95%,of=affected}"
    wrong = 0
    for _ in range(120):
        rows = rng.integers(1000, 3000, n)
        few = {name: world.values_of(name)[rows] for name in (write, read)}
        wrong += score_results(results, Drills.of(few, results.scenario)).verdict == "contradicted"
    assert wrong <= stats.binom.isf(ALPHA, 120, 0.05)


def test_drills_longer_than_the_horizon_are_followed_no_longer_than_trials() -> None:
    """Three in ten trials are unfinished, and so are three in ten drills, though somebody saw how they ended."""
    results = sample_results(1000, unfinished=0.3)
    world = sample_results(2000, unfinished=0.3)
    status, values = world.status_of(RTO)[1000:], world.values_of(RTO)[1000:]
    ended = values + np.where(status == 0, 0.0, np.random.default_rng(4).exponential(1e5, 1000))
    (one,) = score_results(results, Drills.of({RTO: ended[:300]}, results.scenario)).columns
    assert 0.2 < one.unfinished < 0.4
    assert one.uniform_p_value > ALPHA
    long = [drill for drill in one.drills if drill.value > 14_400]
    assert len(long) > 50
    assert all(drill.pit > 1 - one.unfinished - 0.01 for drill in long)
    assert max(drill.pit for drill in long) - min(drill.pit for drill in long) > 0.2
    assert one.bands[1][1] == np.inf


def test_records_in_whole_minutes_are_compared_with_whole_minutes(tmp_path: Path) -> None:
    """Recoveries spread over a few minutes only: unrounded, an eighth of the drills would tie with nothing."""
    results = sample_results(1000)
    values = sample_results(1400).values_of(RTO)[1000:]
    path = tmp_path / "drills.csv"
    path.write_text("rto_write_min\n" + "\n".join(f"{value / 60:.0f}" for value in values))
    read = read_drills(path, results.scenario)
    assert read.columns[0].step == 60.0
    (one,) = score_results(results, read).columns
    assert one.uniform_p_value > ALPHA
    assert max(drill.tied for drill in one.drills) > 0.1
    unrounded = transform(np.sort(results.values_of(RTO)), np.round(values / 60) * 60, np.full(400, 0.5))
    assert uniform_p_value(unrounded) < one.uniform_p_value


def test_as_many_fall_into_a_band_as_theory_says() -> None:
    """One more trial: (high - low) / (n + 1) of them; several drills: beta-binomial, whatever the distribution."""
    rng = np.random.default_rng(5)
    for n, share in ((19, 0.9), (20, 0.5), (50, 0.9), (999, 0.9)):
        sets = 4000
        trials, drill = np.sort(rng.exponential(1.0, (sets, n)), axis=1), rng.exponential(1.0, (sets, 4))
        ends = np.array([band(row, share) for row in trials])
        inside = np.sum((drill >= ends[:, :1]) & (drill <= ends[:, 1:]), axis=1)
        for k in range(4):
            expected = few_inside(k, 4, n, share)
            error = 4.9 * np.sqrt(expected * (1 - expected) / sets) + 1e-9
            assert abs(np.mean(inside <= k) - expected) <= error
        assert 1 - few_inside(0, 1, n, share) >= share - 1e-9


def test_bands_of_too_few_trials_have_no_end() -> None:
    assert band(np.arange(1.0, 6.0), 0.9) == (0.0, np.inf)
    assert few_inside(0, 3, 5, 0.9) == 1.0
    assert band(np.arange(1.0, 20.0), 0.9) == (1.0, 19.0)


def test_drills_that_share_few_trials_are_judged_mildly() -> None:
    """With 40 trials and 40 drills, the distance is that of two samples: larger by the root of two."""
    rng = np.random.default_rng(9)
    trials, drills = np.sort(rng.random((2000, 40)), axis=1), rng.random((2000, 40))
    u = rng.random((2000, 40))
    pits = np.array([transform(*one) for one in zip(trials, drills, u, strict=True)])
    small = np.array([uniform_p_value(row, 40) for row in pits]) <= 0.05
    alone = np.array([uniform_p_value(row) for row in pits]) <= 0.05
    assert small.sum() <= stats.binom.isf(ALPHA, 2000, 0.05)
    assert alone.sum() > stats.binom.isf(ALPHA, 2000, 0.05)


def test_verdicts_say_for_what_they_hold() -> None:
    results = sample_results(1000)
    values = sample_results(1100).values_of(RTO)[1000:]
    many = score_results(results, Drills.of({"rto_write_s": values}, results.scenario))
    assert (many.verdict, many.columns[0].noticeable) == ("consistent", 1.25)
    assert "100 drills" in many.sentence
    assert "a factor of 1.25 in rto_write_s would have shown. A smaller error would not" in many.sentence
    one = score_results(results, Drills.of({"rto_write_s": values[:1]}, results.scenario))
    assert one.verdict == "inconclusive"
    assert "1 drill" in one.sentence
    flags = score_results(results, Drills.of({"split": np.zeros(30)}, results.scenario))
    assert flags.verdict == "inconclusive"
    assert "how far off split might be, so few drills cannot tell" in flags.sentence
    # A column that says little keeps the verdict open, however well the other is known.
    usual = float(np.median(results.values_of("data_loss_s{store=orders-db}")))
    once = {"rto_write_s": values, "loss_s": np.r_[usual, np.full(99, np.nan)]}
    both = score_results(results, Drills.of(once, results.scenario))
    assert both.verdict == "inconclusive"
    far = score_results(results, Drills.of({"rto_write_s": 3 * values[:6]}, results.scenario))
    assert far.verdict == "contradicted"
    assert "rto_write_s is above the middle of the trials in 6 of 6" in far.sentence


def test_what_is_foretold_does_not_depend_on_workers_and_repeats(drills: dict[str, np.ndarray]) -> None:
    few = {"rto_write_s": drills["rto_write_s"][:3]}
    assert score(sample_scenario(), few, trials=60, seed=4, workers=1) == score(
        sample_scenario(), few, trials=60, seed=4, workers=2
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "at least one column"),
        ({"rto_write_s": [1.0, 2.0], "loss_s": [1.0]}, "as many values in each"),
        ({"rto_write_s": [-1.0]}, "none negative"),
        ({"rto_write_s": [np.inf]}, "finite"),
        ({"rto_write_s": [np.nan]}, "at least one"),
        ({"rto_wrte_s": [1.0]}, "did you mean 'rto_write_s'"),
        ({"rto_s": [1.0], "recovery_write_s": [1.0]}, "are both"),
        ({"rto_write_s{service=order}": [1.0]}, "did you mean 'orders'"),
        ({"detection_s{service=order}": [1.0]}, "no service 'order'"),
        ({"skipped_changes": [1.0]}, r"name one feed \(none\)"),
        ({"loss_s{store=db}": [1.0]}, "unknown store 'db'"),
        ({"rto_write_s{clients}": [1.0]}, "is no label"),
        ({"detection_s{clients=95%}": [1.0]}, "takes service and op"),
    ],
)
def test_drills_that_cannot_be_used(columns: dict[str, list[float]], said: str) -> None:
    with pytest.raises(MeasurementsError, match=said):
        Drills.of(columns, sample_scenario())


@pytest.mark.parametrize("metric", [metric for metric in METRICS if not metric.needs], ids=lambda metric: metric.name)
def test_drills_may_record_any_metric_and_leave_out_what_has_a_usual_value(metric: Metric) -> None:
    """Labels that name something are given; every other one is filled in."""
    given = {"service": "orders", "store": "orders-db", "feed": "search-eu"}
    inside = ", ".join(f"{label.name}={given[label.name]}" for label in metric.labels if label.name in given)
    scenario = mrsim.load("scenarios/feeds/bookstore-search-gap.yaml")
    found = Drills.of({f"{metric.name}{{{inside}}}": [0.5]}, scenario).columns[0].target
    name, labels = split_column(found.column)
    assert (name, list(labels)) == (metric.name, [label.name for label in metric.labels])


def test_helpers_round_and_censor() -> None:
    assert as_recorded(np.array([89.0, 91.0]), 60.0).tolist() == [60.0, 120.0]
    assert as_recorded(np.array([89.0]), 0.0).tolist() == [89.0]
    assert censored(np.array([1.0, 2.0]), 2.0).tolist() == [1.0, np.inf]
    assert float(ks_distance(np.array([0.5]))) == 0.5
