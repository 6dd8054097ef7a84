"""Bounds and verdicts over thousands of repeated studies with known answers: do they err as often as they say?

What is simulated are the measured values, not scenarios. Seeds are fixed. A bound that errs in exactly 5 % of studies
goes beyond 5 % and 3 standard errors in one test of 740; the tolerances here are those, and the seeds are known to
pass, so a failure is a change of the method.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mrsim.rng import Draws
from mrsim.scenario.model import Scenario
from mrsim.study.collect import Collected
from mrsim.study.gate import judged, looks_of
from mrsim.study.precision import Precision, lengthened
from mrsim.study.results import Results
from mrsim.study.statistics import Sample, binomial_cdf, clopper_pearson, estimate, lower_rank, upper_rank
from mrsim.study.verdict import judge_all
from tests.study import fakes

STUDIES = 2000
ALPHA = 0.05
MOST = ALPHA + 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / STUDIES)
"""Share of studies that may err, by chance too: 6.5 %."""

Values = Callable[[NDArray[np.float64]], NDArray[np.float64]]
DISTRIBUTIONS: dict[str, Values] = {
    "exponential": lambda u: -200.0 * np.log1p(-u),
    "heavy": lambda u: (1.0 - u) ** -0.8,
    "two modes": lambda u: np.where(u < 0.9, 60.0 + 10.0 * u, 600.0 + 100.0 * u),
    "atoms": lambda u: np.ceil(10.0 * u) * 30.0,
}
"""Quantile functions: the truth at a level is their value there."""


def uniforms(study: int, trials: int) -> NDArray[np.float64]:
    """Return the random numbers of one study."""
    return Draws(study, 0, trials).uniform("coverage")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
@pytest.mark.parametrize(
    ("aggregation", "level", "trials"), [("p95", 0.95, 200), ("median", 0.5, 80), ("p99", 0.99, 500)]
)
def test_bounds_of_quantiles_miss_as_often_as_they_say(name: str, aggregation: str, level: float, trials: int) -> None:
    quantile = DISTRIBUTIONS[name]
    truth = float(quantile(np.array([level]))[0])
    low = high = 0
    for study in range(STUDIES):
        seen = estimate(Sample.of(quantile(uniforms(study, trials))), aggregation)
        assert math.isfinite(seen.high), "an infinite interval is no answer"
        low += seen.low > truth
        high += seen.high < truth
    assert low / STUDIES <= MOST
    assert high / STUDIES <= MOST
    if name != "atoms":
        under, over = lower_rank(trials, level), upper_rank(trials, level)
        assert under is not None
        assert over is not None
        exact = 1.0 - binomial_cdf(under - 1, trials, level), 1.0 - binomial_cdf(over - 1, trials, level)
        for share, missed in ((1.0 - exact[0], low), (exact[1], high)):
            assert abs(missed / STUDIES - share) <= 4.0 * math.sqrt(share * (1.0 - share) / STUDIES)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "trials"), [(0.01, 400), (0.2, 100), (0.001, 3000)])
def test_bounds_of_rates_miss_as_often_as_they_say(rate: float, trials: int) -> None:
    low = high = 0
    for study in range(STUDIES):
        events = uniforms(study, trials) < rate
        seen = estimate(Sample.of(events.astype(np.float64), support=(0.0, 1.0)), "trials")
        low += seen.low > rate
        high += seen.high < rate
    assert low / STUDIES <= MOST
    assert high / STUDIES <= MOST
    chances = [math.comb(trials, k) * rate**k * (1.0 - rate) ** (trials - k) for k in range(min(trials, 60))]
    bounds = [clopper_pearson(k, trials) for k in range(len(chances))]
    for missed, share in (
        (low, sum(p for p, (end, _) in zip(chances, bounds, strict=True) if end > rate)),
        (high, sum(p for p, (_, end) in zip(chances, bounds, strict=True) if end < rate)),
    ):
        assert abs(missed / STUDIES - share) <= 4.0 * math.sqrt(max(share, 1e-4) / STUDIES), "the binomial coverage"


@pytest.mark.slow
def test_bounds_are_as_wide_as_exact_ones() -> None:
    """Against SciPy's exact intervals: the median width over studies is at most 1.15 times theirs."""
    ratios = []
    for study in range(200):
        values = DISTRIBUTIONS["exponential"](uniforms(study, 200))
        seen = estimate(Sample.of(values), "p95")
        exact = [
            stats.quantile_test(values, p=0.95, alternative=side).confidence_interval(0.95)
            for side in ("greater", "less")
        ]
        ratios.append((seen.high - seen.low) / (exact[1].high - exact[0].low))
        events = int(np.count_nonzero(values > 500.0))
        rate = estimate(Sample.of((values > 500.0).astype(np.float64), support=(0.0, 1.0)), "trials")
        interval = stats.binomtest(events, 200).proportion_ci(0.9, "exact")
        assert (rate.low, rate.high) == pytest.approx((interval.low, interval.high))
    assert np.median(ratios) <= 1.15


LOOKS = looks_of(200, 800)
LIMITS = {"p95": -200.0 * math.log(0.05), "mean": 5.0, "trials": 0.02}
COLUMNS = {"p95": fakes.RTO, "mean": fakes.LOSS, "trials": fakes.SPLIT}
ON_THE_LIMIT = [fakes.budget(COLUMNS[name], f"{name} < {limit}") for name, limit in LIMITS.items()]
"""Budgets that sit exactly on the truth: both verdicts are wrong."""


def columns_of(study: int) -> NDArray[np.float64]:
    """Return exponential, uniform and Bernoulli values, shape ``(trials, 3)``."""
    u = Draws(study, 1, LOOKS[-1]).uniforms("gate", 3)
    return np.column_stack(
        [-200.0 * np.log1p(-u[:, 0]), 10.0 * u[:, 1], (u[:, 2] < LIMITS["trials"]).astype(np.float64)]
    )


def growing(scenario: Scenario, values: NDArray[np.float64]) -> Callable[[int], Results]:
    """Return a study of known values that can be made longer."""

    def to(trials: int) -> Results:
        collected = Collected(
            trial=np.arange(trials),
            columns=tuple(COLUMNS.values()),
            values=values[:trials],
            status_columns=(),
            status=np.zeros((trials, 0), np.int8),
            episodes={},
            curves={},
            curve_times_s=np.zeros(0),
            faults_began=np.array([trials]),
            faults_with_effect=np.array([trials]),
        )
        return Results.of(scenario, collected, {"seed": 0, "trials_asked": trials, "trials": trials})

    return to


@pytest.mark.slow
def test_the_gate_with_all_its_looks_errs_as_often_as_it_says() -> None:
    """With the truth on the limit, each budget passes in 5 % + 3 standard errors at most, and any fails likewise."""
    scenario, verdicts = fakes.scenario(*ON_THE_LIMIT), []
    for study in range(STUDIES):
        gate = judged([growing(scenario, columns_of(study))], LOOKS)
        verdicts.append([check.verdict for check in gate.checks])
    passed = (np.array(verdicts) == "passed").mean(axis=0)
    failed = (np.array(verdicts) == "failed").any(axis=1).mean()
    assert (passed <= MOST).all(), passed
    assert failed <= MOST
    assert (passed > 0.0).all(), "a gate that never decides would err never"


@pytest.mark.slow
def test_looking_without_a_plan_would_err_more_often() -> None:
    """What the looks are fixed for: each at 5 %, the first verdict taken, passes a wrong budget too often."""
    scenario, passed = fakes.scenario(ON_THE_LIMIT[1]), 0
    for study in range(400):
        to = growing(scenario, columns_of(study))
        passed += any(judge_all([to(trials)])[0].verdict == "passed" for trials in LOOKS)
    assert passed / 400 > MOST


@pytest.mark.slow
def test_a_study_that_stops_at_a_precision_keeps_its_bounds() -> None:
    """A p95 to 10 % of itself: each bound misses in 5 % + 3 standard errors at most, wherever the study stopped."""
    scenario, looks = fakes.scenario(ON_THE_LIMIT[0]), looks_of(250, 2000)
    low = high = 0
    stops = set()
    for study in range(STUDIES):
        values = DISTRIBUTIONS["exponential"](uniforms(study, looks[-1]))
        found = lengthened(growing(scenario, np.column_stack([values] * 3)), Precision(relative=0.1), looks)
        [one] = found.known
        low += one.estimate.low > LIMITS["p95"]
        high += one.estimate.high < LIMITS["p95"]
        stops.add(found.results.n)
    assert low / STUDIES <= MOST
    assert high / STUDIES <= MOST
    assert len(stops) > 2, "the data decide where"
