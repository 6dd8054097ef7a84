"""Rare outcomes: what is asked, what is tilted, what is returned, and what is admitted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import mrsim
from mrsim.errors import ScenarioError, SimulationError
from mrsim.measure import Measures, Status
from mrsim.report.rare import rare_json, rare_report
from mrsim.rng import Draws
from mrsim.scenario.loader import load, loads
from mrsim.scenario.model import Scenario
from mrsim.study.outcome import Scores, outcome_asked
from mrsim.study.pilot import everywhere, untilted
from mrsim.study.rare import rare
from mrsim.study.run import run
from mrsim.tilts import EDGES, WIDTHS, Input, Tilt, TiltedDraws, bins_of, uniforms_of
from tests.study import fakes, incidents

ROOT = Path(__file__).resolve().parents[2]
SHORT = Input("db/fence", 1, 0)
LONG = Input("fault/isolation/us-east/lasts", 0, 0)


def _tilt() -> Tilt:
    """Return a defensive mixture that draws one input high, and either that or another low."""
    rising = np.linspace(0.0, 2.0, len(WIDTHS))
    rising /= (rising * WIDTHS).sum()
    flat = np.ones(len(WIDTHS))
    return Tilt(
        np.array([0.1, 0.6, 0.3]), (SHORT, LONG), np.array([[flat, flat], [rising, flat], [rising[::-1], rising]])
    )


# Tilts ---------------------------------------------------------------------------------------------------------------


def test_bins_halve_towards_both_ends() -> None:
    assert EDGES[0] == 0.0
    assert EDGES[-1] == 1.0
    assert (WIDTHS > 0.0).all()
    np.testing.assert_allclose(EDGES, 1.0 - EDGES[::-1])
    assert EDGES[1] == 2.0**-24


def test_what_is_not_tilted_is_bit_identical() -> None:
    plain, tilted = Draws(5, 300, 40), TiltedDraws(5, 300, 40, _tilt())
    assert (plain.uniform("a") == tilted.uniform("a")).all()
    assert (plain.uniform(SHORT.name) == tilted.uniform(SHORT.name)).all(), "another occasion of the same name"
    assert (plain.uniforms("b", 7) == tilted.uniforms("b", 7)).all()
    assert (plain.uniform(SHORT.name, 1) != tilted.uniform(SHORT.name, 1)).any()
    everything = TiltedDraws(5, 300, 40, untilted())
    assert (plain.uniform(SHORT.name, 1) == everything.uniform(SHORT.name, 1)).all()


def test_a_tilted_draw_does_not_depend_on_the_chunk() -> None:
    whole = TiltedDraws(5, 0, 64, _tilt()).uniform(LONG.name)
    parts = [TiltedDraws(5, first, 16, _tilt()).uniform(LONG.name) for first in range(0, 64, 16)]
    assert (whole == np.concatenate(parts)).all()
    assert (whole == uniforms_of(_tilt(), (SHORT, LONG), 5, 0, 64)[:, 1]).all()


def test_tilted_uniforms_have_the_density_that_weighs_them() -> None:
    tilt, n = _tilt(), 40_000
    drawn = uniforms_of(tilt, (SHORT, LONG), 2, 0, n)
    weights = 1.0 / tilt.density((SHORT, LONG), drawn)
    assert (weights <= 10.0 + 1e-9).all()
    assert abs(weights.mean() - 1.0) < 4.42 * weights.std() / math.sqrt(n)
    for column, one in enumerate((SHORT, LONG)):
        density = np.tensordot(tilt.shares, tilt.densities[:, column], 1)
        seen = np.bincount(bins_of(drawn[:, column]), minlength=len(WIDTHS))
        big = n * density * WIDTHS > 5.0
        expected = n * density[big] * WIDTHS[big]
        observed = seen[big]
        assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-5, one
    # Weighted, any function has the expectation that it has untilted: here that of a rare corner.
    corner = (drawn[:, 0] > 0.99) & (drawn[:, 1] > 0.9)
    counted = weights * corner
    assert abs(counted.mean() - 1e-3) < 4.42 * counted.std() / math.sqrt(n)


def test_everything_is_drawn_from_its_tails_at_first() -> None:
    drawn = TiltedDraws(1, 0, 20_000, everywhere()).uniform("anything")
    assert np.mean((drawn < 2.0**-10) | (drawn > 1.0 - 2.0**-10)) > 0.2
    np.testing.assert_allclose((everywhere().others * WIDTHS).sum(axis=1), 1.0)  # type: ignore[operator]
    wide = TiltedDraws(1, 0, 8, everywhere())
    assert (wide.uniforms("probes", 64) == Draws(1, 0, 8).uniforms("probes", 64)).all(), "many draws are no input"
    assert not wide.asked


# What is asked -------------------------------------------------------------------------------------------------------


def test_labels_of_which_there_is_one_may_be_left_out() -> None:
    outcome, _ = outcome_asked(fakes.scenario(), "split_brain")
    assert outcome.text == "split_brain{store=orders-db}"
    outcome, measured = outcome_asked(fakes.scenario(), "rto{op=write, clients=77%} >= 20min")
    assert outcome.column == "rto_s{service=orders,op=write,clients=77%,of=affected}"
    assert (outcome.op, outcome.limit) == (">=", 1200.0)
    assert outcome.column in {budget.column for budget in measured.budgets}
    assert outcome_asked(fakes.scenario(), outcome.text)[0] == outcome


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("split_brian", "split_brain"),
        ("split_brain{store=order-db}", "orders-db"),
        ("split_brain > 3", "it has no limit"),
        ("rpo", "from where on"),
        ("rpo > 3 parsecs", "parsecs"),
        ("rpo > 5h", "beyond the horizon"),
        ("rto > 5min", "needs the label"),
        ("", "not a metric"),
        ("a b c", "not a metric"),
    ],
)
def test_what_cannot_be_asked(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        rare(fakes.scenario(), text)
    assert "\n" not in str(caught.value)


def test_a_score_is_above_zero_with_the_outcome_only() -> None:
    scenario = load(ROOT / "scenarios/active-passive/isolation-no-fencing.yaml")
    columns = run(scenario, trials=64, seed=4, workers=1).trials
    for text, there in [
        ("split_brain", columns["split_brain{store=orders-db}"] > 0.0),
        ("split_brain_s > 20min", columns["split_brain_s{store=orders-db}"] > 1200.0),
        ("divergent_writes >= 1", columns["divergent_writes{store=orders-db}"] >= 1.0),
        ("promoted", columns["promoted{store=orders-db}"] > 0.0),
    ]:
        outcome, measured = outcome_asked(scenario, text)
        scores = outcome(measured)(TiltedDraws(4, 0, 64, untilted()))
        assert ((scores > 0.0) == there).all(), text


@pytest.mark.parametrize(("op", "expected"), [(">", [1, 1, np.nan, -1, -1, 1]), ("<", [-1, -1, np.nan, 1, -1, -1])])
def test_a_trial_that_was_cut_may_leave_it_open(op: str, expected: Sequence[float]) -> None:
    """Seen beyond, cut beyond, cut before, seen before, nothing to see, never over; the limit is 10 s."""
    outcome, _ = outcome_asked(fakes.scenario(), f"rto{{op=write, clients=95%}} {op} 10s")
    values = np.array([20.0, 20.0, 5.0, 5.0, np.nan, np.inf])
    status = np.array(
        [Status.OBSERVED, Status.CENSORED, Status.CENSORED, Status.OBSERVED, Status.NO_EFFECT, Status.NEVER]
    )
    scores = outcome.scores(Measures(0, 6, {fakes.RTO: values}, {fakes.RTO: status}), ())
    np.testing.assert_array_equal(np.sign(scores), np.array(expected))


# What is returned ----------------------------------------------------------------------------------------------------


def test_the_rate_is_the_same_wherever_it_is_made() -> None:
    def made(**where: object) -> mrsim.RareRate:
        build = incidents.one_in_ten_thousand
        return rare(fakes.scenario(), "split_brain", trials=5000, seed=9, build=build, **where)  # type: ignore[arg-type]

    here = made(workers=1)
    assert rare_json(made(workers=2)) == rare_json(here)
    with ThreadPoolExecutor(3) as executor:
        assert rare_json(made(executor=executor)) == rare_json(here)
    assert here.n + here.pilot == here.trials == 5000


def test_a_rate_has_nothing_else_to_offer() -> None:
    found = rare(fakes.scenario(), "split_brain", trials=3000, seed=1, workers=1, build=incidents.one_in_ten_thousand)
    assert not hasattr(found, "sample")
    assert not hasattr(found, "checks")
    assert not hasattr(found, "curves")
    with pytest.raises(FrozenInstanceError):
        found.rate = 0.0  # type: ignore[misc]
    with pytest.raises((TypeError, AttributeError)):
        mrsim.plot.ecdf(found)  # type: ignore[arg-type]


def test_no_trial_is_used_twice() -> None:
    seen: list[int] = []

    def build(scenario: Scenario) -> Scores:
        inner = incidents.one_in_ten_thousand(scenario)

        def scores(draws: TiltedDraws) -> np.ndarray:
            seen.extend(range(draws.first, draws.first + draws.count))
            return inner(draws)

        return scores

    steps: list[tuple[int, int]] = []
    rare(
        fakes.scenario(),
        "split_brain",
        trials=3000,
        seed=1,
        workers=1,
        build=build,
        progress=lambda done, of: steps.append((done, of)),
    )
    assert sorted(seen) == list(range(3000))
    assert steps[-1] == (3000, 3000)


def test_what_never_happens_is_bounded_and_not_called_zero() -> None:
    found = rare(fakes.scenario(), "split_brain", trials=5000, seed=1, workers=1, build=incidents.impossible)
    assert (found.verdict, found.rate, found.low) == ("not found", 0.0, 0.0)
    # Nothing was ever tilted but the pilot's 750 + 5 * 250 trials from the tails, of which a tenth were untilted.
    assert found.high == pytest.approx(-math.log(0.05) / (3000.0 + 0.1 * 2000.0))
    assert math.isnan(found.gain)
    assert "not found: at most 9.4e-4 of trials" in rare_report(found)


def test_what_is_common_is_counted() -> None:
    found = rare(fakes.scenario(), "split_brain", trials=5000, seed=1, workers=1, build=incidents.common)
    assert not found.tilted
    assert found.mean_weight == 1.0
    assert found.low < 0.2 < found.high
    assert found.gain < 1.0
    assert any("not rare" in remark for remark in found.remarks)


def test_what_takes_more_inputs_than_are_tilted_is_uncertain() -> None:
    found = rare(fakes.scenario(), "split_brain", trials=5000, seed=1, workers=1, build=incidents.of_six)
    assert found.verdict == "uncertain"
    assert found.low <= 1e-5 <= found.high
    assert found.high > 1e-3, "what the untilted trials alone allow"
    assert found.remarks
    assert math.isnan(found.gain)


@pytest.mark.parametrize("pairs", [2, 4])
def test_several_ways_into_the_outcome_are_found(pairs: int) -> None:
    found = rare(fakes.scenario(), "split_brain", seed=1, workers=1, build=incidents.in_pairs(pairs))
    assert found.verdict == "found"
    se = math.sqrt(found.rate / found.crude_trials)
    assert abs(found.rate - 1e-5) < 4.42 * se < 2e-6
    assert len(found.tilted) == 2 * pairs


def test_more_ways_than_are_told_apart_are_uncertain() -> None:
    found = rare(fakes.scenario(), "split_brain", seed=1, workers=1, build=incidents.in_pairs(6))
    assert found.verdict == "uncertain"
    assert found.low <= 1e-5 <= found.high
    assert any("more inputs have to do with it than are tilted" in remark for remark in found.remarks)


def test_what_the_horizon_left_open_widens_the_interval() -> None:
    found = rare(fakes.scenario(), "split_brain", trials=5000, seed=1, workers=1, build=incidents.cut_short)
    assert found.rate == pytest.approx(1e-4, rel=0.3)
    assert found.low < 1e-4
    assert found.high > 2e-4
    assert any("cut at the horizon" in remark for remark in found.remarks)


def test_an_error_in_a_tilted_trial_names_it() -> None:
    def build(_: Scenario) -> Scores:
        def scores(draws: TiltedDraws) -> np.ndarray:
            if draws.first <= 700 < draws.first + draws.count:
                raise ZeroDivisionError("by zero")
            return -np.ones(draws.count)

        return scores

    with pytest.raises(SimulationError, match="by zero") as caught:
        rare(fakes.scenario(), "split_brain", trials=3000, seed=1, workers=1, build=build)
    assert caught.value.trial == 700


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"trials": 2999}, ValueError),
        ({"trials": "many"}, TypeError),
        ({"seed": -1}, ValueError),
        ({"workers": 0}, ValueError),
    ],
)
def test_arguments_out_of_range(wrong: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        rare(fakes.scenario(), "split_brain", **wrong)  # type: ignore[arg-type]


def test_a_path_is_no_scenario() -> None:
    with pytest.raises(TypeError, match=r"mrsim\.rare\(mrsim\.load\('x\.yaml'\)\)"):
        rare("x.yaml", "split_brain")  # type: ignore[arg-type]


def test_the_report_and_its_json_agree() -> None:
    found = rare(loads(fakes.TEXT), "split_brain", trials=3000, seed=2, workers=1, build=incidents.one_in_ten_thousand)
    text, document = repr(found), json.loads(rare_json(found))
    assert f"{document['rate']:.1e}".replace("e-0", "e-") in text
    assert "95 % interval" in text
    assert document["metric"] == "split_brain{store=orders-db}"
    assert "--trials 3000 --seed 2" in document["replay"]
    assert {one["name"] for one in document["tilted"]} >= {"fault/isolation/us-east/lasts"}
    assert document["trials"] == document["pilot"] + found.n
