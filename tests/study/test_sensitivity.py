"""What an answer depends on: against closed forms, and honest about what does nothing or cannot be varied."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mrsim
from mrsim.errors import ResultsError, ScenarioError
from mrsim.measure import Measures, Status
from mrsim.report.sensitivity import sensitivity_json, sensitivity_report, short_ends
from mrsim.report.sensitivity_plots import sensitivity_pictures, tornado
from mrsim.rng import Draws
from mrsim.scenario.model import Scenario
from mrsim.study.collect import Chunk
from mrsim.study.executors import RunChunk
from mrsim.study.parameters import parameters_of
from mrsim.study.sensitivity import Sensitivity, sensitivity
from mrsim.study.sobol import sobol
from tests.study import fakes

ROOT = Path(__file__).parents[2]
FILE = "scenarios/active-passive/bookstore-region-loss.yaml"
SCENARIO = mrsim.loads(fakes.TEXT)
BOOKSTORE = mrsim.load(ROOT / FILE)
ANSWER = "rto{service=orders, op=write, clients=95%} mean"
TTL, COMMITS, BYTES = "dns.shop.ttl", "stores.orders-db.wal.commits", "stores.orders-db.wal.bytes_per_commit"
BOTH = {TTL: ("20s", "80s"), COMMITS: ("50/s", "150/s")}


def building(recovery: Callable[[float, float, np.ndarray], np.ndarray]) -> Callable[[Scenario], RunChunk]:
    """Return a builder of studies whose recovery time is a function of TTL, commits and a uniform number per trial."""

    def build(scenario: Scenario) -> RunChunk:
        ttl, commits = scenario.dns["shop"].ttl, scenario.stores["orders-db"].wal.commits

        def run_chunk(seed: int, first: int, count: int) -> Chunk:
            u = Draws(seed, first, count).uniform("cache/phase")
            values = {fakes.RTO: recovery(ttl, commits, u)}
            status = {fakes.RTO: np.full(count, Status.OBSERVED, dtype=np.int8)}
            measures = Measures(first=first, count=count, values=values, status=status)
            return Chunk(measures, fakes.in_all(count), fakes.in_all(count))

        return run_chunk

    return build


def analysed(recovery: Callable[[float, float, np.ndarray], np.ndarray], **more: object) -> Sensitivity:
    """Return the analysis of a known answer."""
    options = {"of": ANSWER, "vary": BOTH, "trials": 100, "seed": 3, "workers": 1, **more}
    return sensitivity(SCENARIO, build=building(recovery), **options)  # type: ignore[arg-type]


def test_bars_are_the_answers_at_the_ends_longest_first() -> None:
    found = analysed(lambda ttl, commits, u: 3.0 * ttl + commits + u)
    assert [bar.parameter.name for bar in found.bars] == [TTL, COMMITS]
    assert [bar.swing for bar in found.bars] == pytest.approx([180.0, 100.0])
    assert [(bar.low_text, bar.high_text) for bar in found.bars] == [("20s", "80s"), ("50/s", "150/s")]
    assert [bar.differing for bar in found.bars] == [100, 100]
    mean = float(np.mean(Draws(3, 0, 100).uniform("cache/phase")))
    assert found.base.value_low == pytest.approx(3.0 * 60.0 + 200.0 + mean)
    assert found.bars[0].difference.value_low == pytest.approx(180.0)


def test_indices_of_a_sum_are_the_shares_of_variance() -> None:
    """Against theory: of a sum of independent uniforms each has w²/12 of the variance, alone and in company."""
    found = sobol(lambda x: float(2.0 * x[0] + 3.0 * x[1] + 1.0), 3, 2048, seed=5)
    assert found is not None
    truth = np.array([4.0, 9.0, 0.0]) / 13.0
    assert found[0, 0] == pytest.approx(truth, abs=0.01)
    assert found[0, 1] == pytest.approx(truth, abs=0.01)
    assert (found[1] <= found[0]).all()
    assert (found[0] <= found[2]).all()


def test_indices_of_a_product_show_what_comes_of_company() -> None:
    """Against theory: of x y, first is m²s² / V and total is (m²s² + s²s²) / V, with V their sum over both."""
    middle = sobol(lambda x: float((x[0] - 0.5) * (x[1] - 0.5)), 2, 2048, seed=5)
    assert middle is not None
    assert middle[0, 0] == pytest.approx([0.0, 0.0], abs=0.05), "around the middle neither does anything alone"
    assert middle[0, 1] == pytest.approx([1.0, 1.0], abs=0.05)
    product = sobol(lambda x: float((1.0 + x[0]) * (3.0 + x[1])), 2, 2048, seed=5)
    assert product is not None
    variance = 1.0 / 12.0
    alone = np.array([variance * 3.5**2, variance * 1.5**2])
    whole = alone.sum() + variance**2
    assert product[0, 0] == pytest.approx(alone / whole, abs=0.01)
    assert product[0, 1] == pytest.approx((alone + variance**2) / whole, abs=0.01)
    assert sobol(lambda _: 3.0, 2, 16, seed=5) is None


def test_intervals_of_indices_cover() -> None:
    """Against theory: over 30 seeds and 32 points, 90 % intervals cover in 90 % - 5 standard errors or more."""
    truth = np.array([4.0, 9.0]) / 13.0
    covered = np.zeros((2, 2))
    for seed in range(30):
        found = sobol(lambda x: float(2.0 * x[0] + 3.0 * x[1]), 2, 32, seed)
        assert found is not None
        covered += (found[1] <= truth) & (truth <= found[2])
    assert (covered / 30 >= 0.9 - 5.0 * np.sqrt(0.09 / 30)).all()


def test_indices_of_an_answer_are_those_of_its_numbers() -> None:
    found = analysed(lambda ttl, commits, u: 2.0 * ttl + 3.0 * commits + u, points=16)
    direct = sobol(lambda x: float(2.0 * (20.0 + 60.0 * x[0]) + 3.0 * (50.0 + 100.0 * x[1])), 2, 16, seed=3)
    assert direct is not None
    assert [index.parameter.name for index in found.indices] == [COMMITS, TTL], "the largest total first"
    assert [one.first for one in found.indices[::-1]] == pytest.approx(list(direct[0, 0]), abs=1e-3)
    assert [one.total_high for one in found.indices[::-1]] == pytest.approx(list(direct[2, 1]), abs=1e-3)


def test_what_changes_nothing_is_said_to_be_idle() -> None:
    found = analysed(lambda ttl, commits, u: ttl + u + 1e-13 * commits)
    assert [bar.parameter.name for bar in found.bars] == [TTL]
    assert [one.name for one in found.idle] == [COMMITS], "rounding is no effect"
    assert f"Without effect in any trial: 1 of 2 numbers\n  {COMMITS}" in sensitivity_report(found)
    nothing = analysed(lambda ttl, commits, u: 100.0 + u)
    assert nothing.bars == ()
    assert "no number that was varied changes anything" in sensitivity_report(nothing)
    assert list(sensitivity_pictures(nothing)) == []
    with pytest.raises(ResultsError, match="nothing to draw"):
        tornado(nothing)


def test_without_names_every_written_and_assumed_number_is_varied() -> None:
    found = analysed(lambda ttl, commits, u: ttl * commits / 100.0 + u, vary=None, points=4)
    assert {bar.parameter.name for bar in found.bars} == {TTL, COMMITS}
    assert {index.parameter.name for index in found.indices} == {TTL, COMMITS}
    assert BYTES in {one.name for one in found.idle}
    assert [(bar.low_text, bar.high_text) for bar in found.bars if bar.parameter.name == TTL] == [("30s", "2min")]


def test_a_factor_scales_every_form_of_a_number() -> None:
    ends = {one.name: (one.at(0.0), one.at(1.0)) for one in parameters_of(BOOKSTORE, 2.0)}
    decide = "stores.orders-db.failover.decide"
    assert ends[f"{decide}.page"] == ("10s..40s", "40s..160s")
    assert ends[f"{decide}.acknowledge"] == ({"median": "30s", "p95": "112.5s"}, {"median": "2min", "p95": "450s"})
    assert ends[f"{decide}.misjudges"] == ("1%", "4%")
    assert ends["stores.orders-db.failover.detect.fails"] == ("2", "6")
    assert ends["clients.us-users.resolvers.dnsmasq.lookups"] == ("0.5/min", "2/min")
    asked_rather_than_assumed = [name for name in ends if name.startswith(("budgets", "horizon", "regions"))]
    assert asked_rather_than_assumed == []
    assert not [name for name in ends if name.endswith("share")], "shares add up to a whole"
    for name, pair in ends.items():
        for end in pair:
            BOOKSTORE.with_({name: end})


def test_ends_that_are_no_scenario_are_left_out_unless_they_were_named() -> None:
    four_to_one = {"horizon": ("1s", "4h")}
    with pytest.raises(ScenarioError, match="horizon"):
        analysed(lambda ttl, commits, u: ttl + u, vary=four_to_one)
    short = SCENARIO.with_({"dns.shop.ttl": "3000d"})
    found = sensitivity(short, ANSWER, build=building(lambda ttl, commits, u: commits + u), trials=8, seed=3, workers=1)
    assert [one.name for one, _ in found.refused] == [TTL], "twice as much is longer than ten years"
    assert "Not varied: an end is no valid scenario" in sensitivity_report(found)


def test_an_answer_beyond_the_horizon_has_no_variance_to_share_out() -> None:
    found = analysed(lambda ttl, commits, u: np.where(ttl > 70.0, np.inf, ttl) + u, of=ANSWER.replace("mean", "p95"))
    [bar] = found.bars
    assert np.isinf(bar.swing)
    with pytest.raises(ResultsError, match="beyond the horizon for some values"):
        analysed(lambda ttl, commits, u: np.where(ttl > 70.0, np.inf, ttl) + u, of=ANSWER[:-4] + "p95", points=8)
    assert json.loads(sensitivity_json(found))["alone"][0]["swing"] is None


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"of": "rto{service=order, op=write, clients=95%} p95"}, ScenarioError, "did you mean 'orders'"),
        ({"of": "rto{service=orders, op=write, clients=95%}"}, ScenarioError, r"not said \(write rto.* p95\)"),
        ({"of": None}, ResultsError, "the scenario has no budget"),
        ({"points": 6}, ResultsError, "no power of two"),
        ({"factor": 1.0}, ResultsError, "between 1 and 10"),
        ({"vary": {TTL: ("1min", "1s")}}, ScenarioError, "is empty"),
    ],
)
def test_wrong_questions_are_refused(more: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        analysed(lambda ttl, commits, u: ttl + u, **more)


def test_the_answer_of_the_first_budget_is_asked_by_default() -> None:
    found = sensitivity(BOOKSTORE, vary={TTL: ("30s", "2min")}, trials=32, seed=1, workers=1)
    assert found.asked is BOOKSTORE.budgets[0]
    assert found.bars[0].swing > 20.0, "readers wait for the TTL"
    assert found == sensitivity(BOOKSTORE, vary={TTL: ("30s", "2min")}, trials=32, seed=1, workers=1)


def test_names_are_shortened_as_far_as_they_stay_apart() -> None:
    assert short_ends(["a.b.c.d", "x.b.c.d", "q.e", "d"]) == ["a.b.c.d", "x.b.c.d", "q.e", "d"]
    assert short_ends(["clients.us.resolvers.cap.ttl", "clients.eu.resolvers.cap.ttl", "dns.shop.ttl"]) == [
        "us.resolvers.cap.ttl",
        "eu.resolvers.cap.ttl",
        "shop.ttl",
    ]


def test_the_tornado_names_the_ends() -> None:
    ax = tornado(analysed(lambda ttl, commits, u: 3.0 * ttl + commits + u))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["shop.ttl", "wal.commits"]
    assert {text.get_text() for text in ax.texts} == {"20s", "80s", "50/s", "150/s"}


def mrsim_(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_the_command_writes_text_json_and_the_tornado(tmp_path: Path) -> None:
    few = ("--trials", "16", "--seed", "7", "--workers", "1")
    vary = ("--vary", f"{TTL}=30s..2min", "--vary", "stores.orders-db.failover.detect.fails=2..6", "--together", "2")
    done = mrsim_("sensitivity", FILE, *vary, *few, "--json", tmp_path / "s.json", "--plot", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert {bar["path"] for bar in document["alone"]} | set(document["without_effect"]) == {
        TTL,
        "stores.orders-db.failover.detect.fails",
    }
    assert len(document["together"]) == len(document["alone"]) + len(document["without_effect"])
    assert [path.name[:8] for path in (tmp_path / "pictures").iterdir()] == ["tornado-"]
    assert max(len(line) for line in done.stdout.splitlines() if "mrsim compare" not in line) <= 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--vary", "dns.shop.ttl=10s"), "is not a range"),
        (("--together", "3"), "is not 0 or a power of two"),
        (("--of", "rpo{store=orders} p95"), "did you mean 'orders-db'"),
        (("--factor", "1"), "not in the range"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], message: str) -> None:
    done = mrsim_("sensitivity", FILE, *arguments, "--trials", "16")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
