"""Verdicts: against the bounds they follow from, and what each kind of doubt does to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mrsim.errors import ResultsError
from mrsim.measure import Status
from mrsim.scenario.budgets import Budget
from mrsim.study.claims import MeanClaim, ShareClaim, claim_of, fewest_trials, holm
from mrsim.study.collect import Collected
from mrsim.study.results import Results
from mrsim.study.statistics import Sample, estimate
from mrsim.study.verdict import exit_code, judge, judge_all
from tests.study import fakes

OPS = ["<", "<=", ">", ">="]
NAN, INF = math.nan, math.inf


def results(
    column: str,
    values: Sequence[float],
    *budgets: Budget,
    status: Sequence[int] | None = None,
    with_effect: int = 1,
) -> Results:
    """Return results of one column."""
    n = len(values)
    collected = Collected(
        trial=np.arange(n),
        columns=(column,),
        values=np.array(values, dtype=np.float64).reshape(n, 1),
        status_columns=() if status is None else (column,),
        status=np.zeros((n, 0), np.int8) if status is None else np.array(status, dtype=np.int8).reshape(n, 1),
        episodes={},
        curves={},
        curve_times_s=np.zeros(0),
        faults_began=np.array([n]),
        faults_with_effect=np.array([with_effect]),
    )
    return Results.of(fakes.scenario(*budgets), collected, {"seed": 7, "trials_asked": n, "trials": n})


def holds(op: str, value: float, limit: float) -> bool:
    return {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[op]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(list(Status))), min_size=1, max_size=120),
    st.sampled_from(["p10", "median", "p90"]),
    st.sampled_from(OPS),
    st.integers(0, 13),
)
def test_quantile_verdicts_against_their_bounds(
    rows: list[tuple[int, Status]], aggregation: str, op: str, limit: int
) -> None:
    """The binomial test and the order-statistic interval are two views of one thing; they agree with ties and cuts."""
    sample = Sample.of([value for value, _ in rows], [status for _, status in rows], support=(-INF, INF))
    claim = claim_of(sample, aggregation, op, limit)
    if claim is None:
        assert sample.n == 0
        return
    seen = estimate(sample, aggregation)
    bad, good = (seen.high, seen.low) if op in ("<", "<=") else (seen.low, seen.high)
    assert (claim.p_pass() <= 1 - 0.95) == holds(op, bad, limit)
    assert (claim.p_fail() <= 1 - 0.95) == (not holds(op, good, limit))


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from(OPS), st.floats(0.001, 0.999))
def test_rate_verdicts_against_clopper_and_pearson(events: int, n: int, op: str, limit: float) -> None:
    events = min(events, n)
    values = np.zeros(n)
    values[:events] = 1.0
    sample = Sample.of(values, support=(0.0, 1.0))
    claim, seen = claim_of(sample, "trials", op, limit), estimate(sample, "trials")
    assert claim is not None
    bad, good = (seen.high, seen.low) if op in ("<", "<=") else (seen.low, seen.high)
    if min(abs(bad - limit), abs(good - limit)) > 1e-9:
        assert (claim.p_pass() <= 1 - 0.95) == holds(op, bad, limit)
        assert (claim.p_fail() <= 1 - 0.95) == (not holds(op, good, limit))


@given(st.integers(30, 200), st.floats(-3, 3), st.floats(0.1, 5), st.sampled_from(OPS))
def test_mean_verdicts_against_the_t_interval(n: int, shift: float, sd: float, op: str) -> None:
    values = 10.0 + sd * np.linspace(-1.0, 1.0, n)
    limit = 10.0 + shift * sd / math.sqrt(n)
    sample = Sample.of(values)
    claim, seen = claim_of(sample, "mean", op, limit), estimate(sample, "mean")
    assert claim is not None
    bad, good = (seen.high, seen.low) if op in ("<", "<=") else (seen.low, seen.high)
    if min(abs(bad - limit), abs(good - limit)) > 1e-9:
        assert (claim.p_pass() <= 1 - 0.95) == holds(op, bad, limit)
        assert (claim.p_fail() <= 1 - 0.95) == (not holds(op, good, limit))


@pytest.mark.parametrize(("op", "passes"), [("<", False), ("<=", True), (">", False), (">=", True)])
def test_a_mean_without_spread_is_one_point(op: str, passes: bool) -> None:
    claim = MeanClaim(100, 5.0, 0.0, 5.0, below=op in ("<", "<="), strict=op in ("<", ">"))
    assert (claim.p_pass() <= 0.05) == passes
    assert (claim.p_fail() <= 0.05) == (not passes)


def test_holm_by_hand() -> None:
    # 4 * 0.01 = 0.04 is rejected at 0.05; 3 * 0.02 = 0.06 is not, and nothing after it.
    assert holm([0.04, 0.01, 0.03, 0.02], 0.05) == [False, True, False, False]
    assert holm([0.01, 0.01, 0.03, 0.005], 0.05) == [True, True, True, True]
    assert holm([], 0.05) == []


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.2))
def test_holm_against_its_adjusted_p_values(p_values: list[float], alpha: float) -> None:
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    running = np.maximum.accumulate(np.array(p_values)[order] / (alpha / factors)) if p_values else np.zeros(0)
    expected = [False] * len(p_values)
    for rank, index in enumerate(order):
        expected[index] = bool(running[rank] <= 1.0)
    # An adjusted value within rounding of the limit may fall on either side of it.
    if not np.any(np.abs(running - 1.0) < 1e-12):
        assert holm(p_values, alpha) == expected


@pytest.mark.parametrize(
    ("aggregation", "op", "limit", "fewest"),
    [("p95", "<", 9.0, 59), ("p99", "<=", 9.0, 299), ("p5", ">", 9.0, 59), ("trials", "<=", 0.001, 2995),
     ("trials", ">=", 0.999, 2995), ("trials", "<=", 0.0, None), ("mean", "<", 9.0, 30)],
)  # fmt: skip
def test_fewest_trials_that_can_pass(aggregation: str, op: str, limit: float, fewest: int | None) -> None:
    assert fewest_trials(aggregation, op, limit) == fewest


def test_needed_trials_decide_with_the_power_they_promise() -> None:
    """At the share seen, the number asked for passes in about 80 % of studies (exactly, by enumeration)."""
    claim = ShareClaim(n=1000, good_low=960, good_high=960, need=0.95)
    needed = claim.needed_trials(0.05)
    assert needed is not None
    good = np.arange(needed + 1)
    decides = np.array([ShareClaim(needed, int(k), int(k), 0.95).p_pass() <= 0.05 for k in good])
    power = stats.binom.pmf(good, needed, 0.96)[decides].sum()
    assert 0.75 < power < 0.85


def test_no_number_of_trials_helps_at_the_limit_itself() -> None:
    assert ShareClaim(100, 95, 95, 0.95).needed_trials(0.05) is None


def test_a_budget_that_holds_passes() -> None:
    check = judge(results(fakes.LOSS, [1.0] * 59), fakes.budget(fakes.LOSS, "p95 < 2"))
    assert (check.verdict, check.needed_trials, check.reason) == ("passed", None, "")
    assert check.estimate.high == 1.0
    assert (check.seed, check.scenario) == (7, "fake")


def test_one_trial_fewer_does_not_suffice_and_says_so() -> None:
    check = judge(results(fakes.LOSS, [1.0] * 58), fakes.budget(fakes.LOSS, "p95 < 2"))
    assert (check.verdict, check.needed_trials) == ("inconclusive", 59)
    assert check.reason == "at least 59 trials are needed to show it, got 58"


def test_a_budget_that_is_broken_fails() -> None:
    check = judge(results(fakes.LOSS, list(range(100))), fakes.budget(fakes.LOSS, "p95 < 50"))
    assert check.verdict == "failed"
    assert check.worst_trials == (99, 98, 97, 96, 95)


def test_in_between_is_inconclusive_and_asks_for_more() -> None:
    check = judge(results(fakes.LOSS, list(range(1000))), fakes.budget(fakes.LOSS, "p95 < 955"))
    assert check.verdict == "inconclusive"
    assert check.reason == "more trials needed"
    assert check.needed_trials is not None
    assert check.needed_trials > 1000


def test_unfinished_trials_alone_can_forbid_a_verdict() -> None:
    values = [1.0] * 900 + [4.0] * 100
    status = [Status.OBSERVED] * 900 + [Status.CENSORED] * 100
    check = judge(results(fakes.RTO, values, status=status), fakes.budget(fakes.RTO, "p95 < 5"))
    assert (check.verdict, check.needed_trials) == ("inconclusive", None)
    assert "10.0% of trials unfinished" in check.reason
    assert "longer horizon" in check.reason


def test_censored_in_every_trial_fails_a_limit_below_the_cut_and_never_passes_one_above() -> None:
    study = results(fakes.RTO, [100.0] * 200, status=[Status.CENSORED] * 200)
    assert judge(study, fakes.budget(fakes.RTO, "p95 < 50")).verdict == "failed"
    assert judge(study, fakes.budget(fakes.RTO, "p95 < 500")).verdict == "inconclusive"
    assert judge(study, fakes.budget(fakes.RTO, "p95 > 50")).verdict == "passed"


def test_never_fails_every_limit() -> None:
    study = results(fakes.RTO, [INF] * 200, status=[Status.NEVER] * 200)
    check = judge(study, fakes.budget(fakes.RTO, "p99 < 1e9"))
    assert (check.verdict, check.reason) == ("failed", "")


def test_a_mean_that_never_varied_passes_with_a_warning() -> None:
    check = judge(results(fakes.LOSS, [0.0] * 100), fakes.budget(fakes.LOSS, "mean < 1"))
    assert check.verdict == "passed"
    assert "cannot see what is rarer" in check.reason


def test_a_mean_over_unfinished_trials_is_no_verdict() -> None:
    study = results(fakes.RTO, [1.0] * 200, status=[Status.CENSORED, *[Status.OBSERVED] * 199])
    check = judge(study, fakes.budget(fakes.RTO, "mean < 1000"))
    assert check.verdict == "inconclusive"
    assert "refused" in check.reason


def test_nobody_affected_is_never_green() -> None:
    check = judge(results(fakes.RTO, [NAN] * 500, status=[Status.NO_EFFECT] * 500), fakes.budget(fakes.RTO, "p95 < 9"))
    assert check.verdict == "inconclusive"
    assert check.reason == "no effect in any of 500 trials"
    assert check.worst_trials == ()


def test_a_fault_without_effect_makes_no_budget_green_and_hides_no_failure() -> None:
    study = results(fakes.LOSS, [1.0] * 500, with_effect=0)
    check = judge(study, fakes.budget(fakes.LOSS, "p95 < 2"))
    assert check.verdict == "inconclusive"
    assert "nothing was tested" in check.reason
    assert judge(study, fakes.budget(fakes.LOSS, "p95 < 0.5")).verdict == "failed"


def test_zero_events_pass_a_rate_only_with_enough_trials() -> None:
    limit = fakes.budget(fakes.SPLIT, "trials <= 0.01")
    assert judge(results(fakes.SPLIT, [0.0] * 299), limit).verdict == "passed"
    few = judge(results(fakes.SPLIT, [0.0] * 100), limit)
    assert (few.verdict, few.needed_trials) == ("inconclusive", 299)


def test_a_rate_of_zero_can_be_refuted_but_not_shown() -> None:
    limit = fakes.budget(fakes.SPLIT, "trials <= 0")
    check = judge(results(fakes.SPLIT, [0.0] * 1000), limit)
    assert (check.verdict, check.needed_trials) == ("inconclusive", None)
    assert "no number of trials" in check.reason
    seen = judge(results(fakes.SPLIT, [0.0] * 999 + [1.0]), limit)
    assert (seen.verdict, seen.worst_trials) == ("failed", (999,))


def test_the_worst_trials_of_a_lower_limit_are_the_smallest() -> None:
    check = judge(results(fakes.LOSS, [5.0, 1.0, 3.0, 2.0, 4.0, 6.0]), fakes.budget(fakes.LOSS, "p5 > 9"))
    assert check.worst_trials == (1, 3, 2, 4, 0)


def test_unfinished_trials_are_the_worst() -> None:
    status = [Status.OBSERVED, Status.CENSORED, Status.NEVER, Status.CENSORED, Status.NO_EFFECT]
    study = results(fakes.RTO, [900.0, 5.0, INF, 7.0, NAN], status=status)
    assert judge(study, fakes.budget(fakes.RTO, "p95 < 9")).worst_trials == (2, 3, 1, 0)


def test_failures_are_corrected_for_their_number_and_passes_are_not() -> None:
    """63 of 1000 above a p95: p = 0.038 on its own, which one of ten budgets shows by chance in 32 % of runs."""
    values = [0.0] * 937 + [10.0] * 63
    borderline = fakes.budget(fakes.LOSS, "p95 < 5")
    easy = [fakes.budget(fakes.LOSS, f"p95 < {limit}") for limit in range(20, 29)]
    assert judge(results(fakes.LOSS, values), borderline).verdict == "failed"
    checks = judge_all([results(fakes.LOSS, values, borderline, *easy)])
    assert [check.verdict for check in checks] == ["inconclusive"] + ["passed"] * 9
    assert "would fail on its own, but not among 10 checks" in checks[0].reason
    assert checks[0].needed_trials is not None


def test_the_correction_spans_all_studies_of_an_invocation() -> None:
    values = [0.0] * 937 + [10.0] * 63
    study = results(fakes.LOSS, values, fakes.budget(fakes.LOSS, "p95 < 5"))
    other = results(fakes.LOSS, [0.0] * 100, *[fakes.budget(fakes.LOSS, "p95 < 5")] * 9)
    assert study.checks[0].verdict == "failed"
    assert judge_all([study, other])[0].verdict == "inconclusive"


def test_the_chance_of_any_false_failure_is_kept() -> None:
    """Twenty budgets exactly at their limits: at most 5 % of studies show a failure (alpha of this test <= 1e-5)."""
    rng, runs, n, budgets = np.random.default_rng(15), 2000, 200, 20
    at_limit = [
        [ShareClaim(n, int(k), int(k), 0.95).p_fail() for k in rng.binomial(n, 0.95, budgets)] for _ in range(runs)
    ]
    false = sum(any(holm(p_values, 0.05)) for p_values in at_limit)
    uncorrected = sum(min(p_values) <= 0.05 for p_values in at_limit)
    assert false <= stats.binom.isf(1e-5, runs, 0.05)
    assert uncorrected > runs / 4


def test_budgets_that_are_off_are_not_judged_and_warnings_do_not_count() -> None:
    off = fakes.budget(fakes.LOSS, "p95 < 1", "off")
    warn = fakes.budget(fakes.LOSS, "p95 < 1", "warn")
    study = results(fakes.LOSS, [2.0] * 100, off, warn)
    assert [(check.budget.level, check.verdict) for check in study.checks] == [("warn", "failed")]
    assert exit_code(study.checks) == 0


@pytest.mark.parametrize(
    ("limits", "code"),
    [((), 0), (("p95 < 3",), 0), (("p95 < 3", "p99 < 3"), 3), (("p99 < 3", "p95 < 1"), 1), (("p99 < 3",), 3)],
)
def test_exit_codes(limits: tuple[str, ...], code: int) -> None:
    study = results(fakes.LOSS, [2.0] * 100, *[fakes.budget(fakes.LOSS, limit) for limit in limits])
    assert exit_code(study.checks) == code


def test_a_column_that_was_not_measured_is_an_error_with_the_nearest_one() -> None:
    study = results(fakes.LOSS, [2.0] * 100)
    with pytest.raises(ResultsError, match=r"no column 'data_loss_s\{store=orders\}' \(nearest: 'data_loss_s"):
        judge(study, fakes.budget("data_loss_s{store=orders}", "p95 < 1"))


def test_checks_are_a_table_too() -> None:
    study = results(fakes.LOSS, [2.0] * 100, fakes.budget(fakes.LOSS, "p95 < 3"))
    table = study.checks_table()
    assert isinstance(table, pd.DataFrame)
    assert table.loc[0, ["verdict", "limit", "high", "n"]].tolist() == ["passed", "p95 < 3", 2.0, 100]
