"""Solving for a value: against a closed form, and honest where there is no answer."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mrsim
from mrsim.errors import ResultsError, ScenarioError
from mrsim.measure import Measures, Status
from mrsim.report.solution import solution_report
from mrsim.rng import Draws
from mrsim.scenario.model import Scenario
from mrsim.study.collect import Chunk
from mrsim.study.executors import RunChunk
from mrsim.study.solve import Solution, solve
from tests.study import fakes

ROOT = Path(__file__).parents[2]
FILE = "scenarios/active-passive/bookstore-region-loss.yaml"
SCENARIO = mrsim.loads(fakes.TEXT)
LIMIT = "rto{service=orders, op=write, clients=95%} p95 < 5min"
DETECTION_S = 30.0
TRUE_TTL_S = (300.0 - DETECTION_S) / 0.95
"""A cache that is always asked holds its answer for a further U(0, TTL): p95 of 30 s + U(0, TTL) is 5 min here."""


def building(recovery: Callable[[float, np.ndarray], np.ndarray]) -> Callable[[Scenario], RunChunk]:
    """Return a builder of studies whose recovery time is a function of the TTL and of a uniform number per trial."""

    def build(scenario: Scenario) -> RunChunk:
        ttl = scenario.dns["shop"].ttl

        def run_chunk(seed: int, first: int, count: int) -> Chunk:
            u = Draws(seed, first, count).uniform("cache/phase")
            values = {fakes.RTO: recovery(ttl, u)}
            status = {fakes.RTO: np.full(count, Status.OBSERVED, dtype=np.int8)}
            measures = Measures(first=first, count=count, values=values, status=status)
            return Chunk(measures, fakes.in_all(count), fakes.in_all(count))

        return run_chunk

    return build


residual_ttl = building(lambda ttl, u: DETECTION_S + ttl * u)


def solved(seed: int, recovery: Callable[[Scenario], RunChunk] = residual_ttl, **more: object) -> Solution:
    """Return the solution for one seed."""
    options = {"trials": 1000, "workers": 1, **more}
    return solve(SCENARIO, "dns.shop.ttl", ("10s", "10min"), LIMIT, seed=seed, build=recovery, **options)  # type: ignore[arg-type]


def test_the_largest_value_is_found_and_confirmed() -> None:
    found = solved(5)
    assert (found.outcome, found.want) == ("found", "largest")
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.crossed_at is not None
    assert found.value <= found.low < found.crossed_at < found.high
    assert found.crossed_at == pytest.approx(TRUE_TTL_S, rel=0.03)
    assert found.confirmations[-1].verdict == "passed"
    assert found.confirmations[-1].seed != found.seed


def test_the_smallest_value_is_found_where_more_is_better() -> None:
    found = solved(5, building(lambda ttl, u: 30.0 + (600.0 - ttl) * u))
    assert (found.outcome, found.want) == ("found", "smallest")
    assert found.crossed_at == pytest.approx(600.0 - TRUE_TTL_S, rel=0.03)
    assert found.value is not None
    assert found.high is not None
    assert found.value >= found.high


@pytest.mark.parametrize(
    ("recovery", "outcome", "words"),
    [
        (lambda ttl, u: 400.0 + ttl * u, "nowhere", "no value does"),
        (lambda ttl, u: 0.1 * ttl * u, "everywhere", "every value tried keeps"),
        (
            lambda ttl, u: np.where((ttl > 50.0) & (ttl < 500.0), 400.0, 200.0) + u,
            "not monotone",
            "is not monotone: holds at 10s to 27.83s, does",
        ),
    ],
)
def test_what_has_no_answer_says_so(
    recovery: Callable[[float, np.ndarray], np.ndarray], outcome: str, words: str
) -> None:
    found = solved(1, building(recovery))
    assert found.outcome == outcome
    assert found.value is None
    assert found.confirmations == ()
    assert words in solution_report(found)


def test_too_few_trials_to_show_anything_are_refused() -> None:
    with pytest.raises(ResultsError, match="cannot be shown with 79 trials: 80 are needed"):
        solved(1, trials=79)


def test_the_same_seed_gives_the_same_answer() -> None:
    assert solved(9) == solved(9)


def test_counts_are_searched_one_by_one() -> None:
    def build(scenario: Scenario) -> RunChunk:
        return building(lambda _, u: 60.0 * scenario.stores["orders-db"].failover.detect.fails + u)(scenario)  # type: ignore[union-attr]

    bookstore = mrsim.load(ROOT / FILE)
    path, limit = "stores.orders-db.failover.detect.fails", "rto{service=orders, op=write, clients=95%} p95 < 330s"
    found = solve(bookstore, path, (1, 12), limit, trials=100, seed=1, workers=1, build=build)
    assert (found.outcome, found.text, found.low, found.high) == ("found", "5", 5.0, 6.0)


@pytest.mark.parametrize(
    ("path", "between", "until", "message"),
    [
        ("dns.shop.ttl", ("10min", "10s"), LIMIT, "is empty"),
        ("dns.shop.tll", ("10s", "10min"), LIMIT, "unknown key 'tll'"),
        (
            "dns.shop.ttl",
            ("10s", "10min"),
            "rto{service=orders, op=write, clients=95%}",
            "is not <aggregation> <op> <value>",
        ),
        (
            "dns.shop.ttl",
            ("10s", "10min"),
            "rto{service=order, op=write, clients=95%} p95 < 5min",
            "did you mean 'orders'",
        ),
    ],
)
def test_wrong_questions_are_refused(path: str, between: tuple[str, str], until: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        solve(SCENARIO, path, between, until, trials=100, seed=1, workers=1, build=residual_ttl)


def coverage(seeds: range, trials: int) -> tuple[float, float, float]:
    """Return the share of searches whose interval covers the truth, the widest, and the share of values that hold."""
    covered, widths, good = 0, [], 0
    for seed in seeds:
        found = solved(seed, trials=trials, precision=0.002)
        assert found.outcome in ("found", "not confirmed")
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= TRUE_TTL_S <= found.high
        widths.append((found.high - found.low) / TRUE_TTL_S)
        good += found.value is None or found.value <= TRUE_TTL_S
    return covered / len(seeds), max(widths), good / len(seeds)


def test_the_interval_covers_the_closed_form_in_few_searches() -> None:
    """Against theory, fast: 16 seeds, 90 % - 5 standard errors."""
    covered, _, good = coverage(range(16), 1500)
    assert covered >= 0.9 - 5.0 * math.sqrt(0.9 * 0.1 / 16)
    assert good >= 0.9 - 5.0 * math.sqrt(0.9 * 0.1 / 16)


@pytest.mark.slow
def test_the_interval_covers_the_closed_form() -> None:
    """Against theory: over 200 seeds, 90 % - 3 standard errors, with a width of at most 2 %; what is named holds."""
    covered, widest, good = coverage(range(1000, 1200), 5000)
    assert covered >= 0.9 - 3.0 * math.sqrt(0.9 * 0.1 / 200)
    assert widest <= 0.02
    assert good >= 0.95 - 3.0 * math.sqrt(0.95 * 0.05 / 200), "a recommended value is wrong in 5 % at most"


def mrsim_(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


FEW = ("--trials", "128", "--seed", "7", "--workers", "1")
READS = "rto{service=storefront, op=read, clients=90%}"


def test_the_command_answers_and_its_replay_runs(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    done = mrsim_(
        "solve", FILE, "--vary", "dns.shop.ttl=3min..5min", "--until", f"{READS} p95 < 5min", *FEW, "--json", path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(path.read_text(encoding="utf-8"))
    assert f"dns.shop.ttl = {document['text']}, confirmed on a fresh seed" in done.stdout
    assert 180.0 < document["value"] < 300.0
    [replay] = [line.strip() for line in done.stdout.splitlines() if line.startswith("  mrsim run")]
    assert f"--set dns.shop.ttl={document['text']} " in replay
    again = subprocess.run(
        [sys.executable, "-m", *replay.replace("'", "").split(" --set budgets")[0].split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert again.returncode in (0, 1, 3), again.stderr


@pytest.mark.parametrize(
    ("vary", "until", "code", "words"),
    [
        ("dns.shop.ttl=10s..20s", f"{READS} p95 < 1s", 1, "no value does"),
        ("dns.shop.ttl=10s..20s", f"{READS} p95 < 1h", 0, "every value tried keeps"),
        ("dns.shop.ttl=10s", f"{READS} p95 < 1h", 2, "is not a range"),
        ("dns.shop.ttl=10s..20s", "p95 < 1h", 2, "unknown metric 'p95'"),
        ("dns.shop.ttl=10s..20s", f"{READS} p99 < 1h", 2, "cannot be shown with 128 trials: 408 are needed"),
    ],
)
def test_the_exit_code_says_what_became_of_it(vary: str, until: str, code: int, words: str) -> None:
    done = mrsim_("solve", FILE, "--vary", vary, "--until", until, *FEW)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
