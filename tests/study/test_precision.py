"""How many trials are enough: known before the run where it can be, and honest where none would be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mrsim
from mrsim.errors import ResultsError
from mrsim.measure import Measures, Status
from mrsim.report.precision import precision_report
from mrsim.scenario.budgets import Budget
from mrsim.scenario.model import Scenario
from mrsim.study.collect import Chunk
from mrsim.study.executors import RunChunk
from mrsim.study.precision import Precise, Precision, fewest_for_interval, read_precision, until_precision
from tests.study import fakes

ROOT = Path(__file__).parents[2]
FILE = "scenarios/active-passive/bookstore-region-loss.yaml"


def precise(*budgets: Budget, to: tuple[str, ...] = ("5%",), **more: object) -> Precise:
    """Return a known study that was made long enough."""
    options = {"trials": 250, "most": 4000, "seed": 5, "workers": 1, "build": fakes.build, **more}
    return until_precision(fakes.scenario(*budgets), *to, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["5%"], Precision(relative=0.05)),
        (["10s"], Precision(absolute_s=10.0)),
        (["2%", "1min"], Precision(0.02, 60.0)),
    ],
)
def test_precisions_are_relative_or_absolute(texts: list[str], wanted: Precision) -> None:
    assert read_precision(texts) == wanted


@pytest.mark.parametrize("text", ["5", "0%", "fast", "2x", "0s", "-5%"])
def test_what_is_no_precision_is_refused(text: str) -> None:
    with pytest.raises(ResultsError, match="is no precision"):
        read_precision([text])


@pytest.mark.parametrize(
    ("aggregation", "fewest"), [("p95", 59), ("p99", 299), ("p5", 59), ("mean", 30), ("trials", 1)]
)
def test_the_fewest_trials_are_known_before_the_run(aggregation: str, fewest: int) -> None:
    assert fewest_for_interval(aggregation) == fewest


def test_too_low_a_cap_is_refused_before_the_run() -> None:
    budget = fakes.budget(fakes.LOSS, "p99 < 20")
    with pytest.raises(ResultsError, match="p99 needs at least 299 trials, not 298"):
        precise(budget, trials=298, most=298)
    with pytest.raises(ResultsError, match="comes before the first"):
        precise(budget, most=100)
    with pytest.raises(ResultsError, match="has no budget"):
        precise()
    assert precise(budget, trials=10, most=299).looks == (299,), "the first look is one that can tell something"


def test_it_stops_as_soon_as_everything_is_known_well_enough() -> None:
    loose, tight = (precise(fakes.budget(fakes.LOSS, "mean < 9"), to=(to,)) for to in ("5%", "3%"))
    assert loose.reached
    assert tight.reached
    assert 250 <= loose.results.n < tight.results.n <= 4000
    for found, share in ((loose, 0.05), (tight, 0.03)):
        [one] = found.known
        assert one.half_width <= share * one.estimate.value_low
        assert one.estimate.low < 5.0 < one.estimate.high
        assert one.estimate.confidence == pytest.approx(1.0 - 0.05 / len(found.looks))


def test_a_half_width_in_seconds_is_for_durations() -> None:
    found = precise(
        fakes.budget(fakes.LOSS, "mean < 9"),
        fakes.budget(fakes.SPLIT, "trials < 5%".replace("5%", "0.05")),
        to=("0.2s",),
    )
    assert found.reached
    assert found.known[0].half_width <= 0.2
    assert np.isnan(found.known[1].target), "nothing was asked of rates"
    assert "any" in precision_report(found)


def test_either_of_two_will_do() -> None:
    assert precise(fakes.budget(fakes.LOSS, "mean < 9"), to=("0.1%", "1s")).results.n == 250


def test_the_precision_of_a_rate_is_relative_to_its_limit_where_nothing_happened() -> None:
    never = fakes.budget(fakes.SPLIT, "trials <= 0.05")
    found = precise(never, to=("20%",), build=building(lambda n: np.zeros(n)), most=8000)
    [one] = found.known
    assert one.target == pytest.approx(0.2 * 0.05)
    assert found.reached
    assert "0 of 250 (<= " in precision_report(found) or "0 of 500 (<= " in precision_report(found)
    nothing = precise(fakes.budget(fakes.SPLIT, "trials <= 0"), build=building(lambda n: np.zeros(n)))
    assert nothing.known[0].state == "out of reach"
    assert "no share of nothing" in nothing.known[0].reason
    assert nothing.results.n == 250


def building(values: Callable[[int], np.ndarray], column: str = fakes.SPLIT) -> Callable[[Scenario], RunChunk]:
    """Return a builder of studies of one column, of a function of the number of trials."""

    def build(_: Scenario) -> RunChunk:
        def run_chunk(seed: int, first: int, count: int) -> Chunk:
            of_all = values(first + count)[first:]
            status = {column: np.where(np.isinf(of_all), Status.NEVER, Status.OBSERVED).astype(np.int8)}
            measures = Measures(first=first, count=count, values={column: of_all}, status=status)
            return Chunk(measures, fakes.in_all(count), fakes.in_all(count))

        return run_chunk

    return build


def test_what_more_trials_cannot_tell_ends_it() -> None:
    p95 = fakes.budget(fakes.LOSS, "p95 < 100")
    jump = precise(
        p95, build=building(lambda n: np.where(np.arange(n) % 20 == 0, 300.0, 60.0) + np.arange(n) * 1e-4, fakes.LOSS)
    )
    assert jump.known[0].state == "out of reach"
    assert "the distribution jumps there: no trial lies between 60" in jump.known[0].reason
    assert jump.results.n <= 500
    never = precise(p95, build=building(lambda n: np.where(np.arange(n) % 10 == 0, np.inf, 60.0), fakes.LOSS))
    assert "a longer horizon would tell" in never.known[0].reason
    assert not never.reached


def test_an_atom_is_known_exactly() -> None:
    found = precise(fakes.budget(fakes.LOSS, "p95 <= 60"), build=building(lambda n: np.full(n, 60.0), fakes.LOSS))
    assert found.reached
    assert found.known[0].half_width == 0.0


def mrsim_(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_the_command_says_what_was_reached_and_a_plain_run_repeats_it(tmp_path: Path) -> None:
    path = tmp_path / "r.mrsim"
    few = ("--seed", "7", "--workers", "1")
    done = mrsim_(
        "run", FILE, "--until-precision", "20%", "--trials", "32", "--max-trials", "600", "--save", path, *few
    )
    assert done.returncode in (0, 1, 3), done.stderr
    assert "Precision: " in done.stdout
    saved = mrsim.Results.load(path)
    assert f"{saved.n} trials; looks were planned at " in done.stdout
    again = mrsim.run(mrsim.load(ROOT / FILE), trials=saved.n, seed=7, workers=1)
    assert again.trials.to_numpy().tobytes() == saved.trials.to_numpy().tobytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until-precision", "fast"), "is no precision"),
        (("--max-trials", "100"), "--max-trials is for --until-precision"),
        (("--until-precision", "5%", "--trials", "20", "--max-trials", "100"), "needs at least"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    done = mrsim_("run", FILE, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
