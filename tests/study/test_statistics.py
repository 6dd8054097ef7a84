"""What a sample keeps of the unfinished, and what an estimate says where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrsim.measure import Status
from mrsim.study.statistics import Sample, estimate, level_of

NAN, INF = math.nan, math.inf


def test_the_unfinished_stand_at_their_cut_below_and_at_infinity_above() -> None:
    status = [Status.OBSERVED, Status.CENSORED, Status.NEVER, Status.NO_EFFECT]
    sample = Sample.of([5.0, 3.0, INF, NAN], status)
    assert sample.lower.tolist() == [3.0, 5.0, INF]
    assert sample.upper.tolist() == [5.0, INF, INF]
    assert (sample.n, sample.unfinished, sample.no_effect) == (3, 2, 1)


def test_never_is_infinite_whatever_the_value_says() -> None:
    assert Sample.of([7.0], [Status.NEVER]).lower.tolist() == [INF]


def test_a_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN although"):
        Sample.of([1.0, NAN], [Status.OBSERVED, Status.OBSERVED])


def test_without_status_nan_means_nothing_to_measure() -> None:
    sample = Sample.of([1.0, NAN])
    assert (sample.n, sample.no_effect) == (1, 1)


def test_point_estimates_are_inverted_cdf_without_interpolation() -> None:
    sample = Sample.of(np.arange(1.0, 101.0))
    for aggregation, value in (("median", 50.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 100.0), ("p7", 7.0)):
        seen = estimate(sample, aggregation)
        assert (seen.value_low, seen.value_high) == (value, value)


def test_point_bounds_differ_where_the_unfinished_reach_the_quantile() -> None:
    values = np.arange(1.0, 101.0)
    status = np.where(values == 60.0, Status.CENSORED, Status.OBSERVED)
    median = estimate(Sample.of(values, status), "median")
    assert (median.value_low, median.value_high) == (50.0, 50.0)
    p60 = estimate(Sample.of(values, status), "p60")
    assert (p60.value_low, p60.value_high) == (60.0, 61.0)
    p999 = estimate(Sample.of(values, status), "p99.9")
    assert (p999.value_low, p999.value_high) == (100.0, INF)
    assert p999.unfinished == 0.01


def test_too_few_trials_have_no_upper_bound_and_say_how_many_it_takes() -> None:
    seen = estimate(Sample.of(np.arange(58.0)), "p95")
    assert seen.high == INF
    assert "at least 59" in seen.reason
    assert math.isfinite(seen.low)
    assert estimate(Sample.of(np.arange(4.0)), "median").low == 0.0


def test_a_share_is_bounded_by_one() -> None:
    assert estimate(Sample.of(np.full(10, 0.5), support=(0.0, 1.0)), "p95").high == 1.0


def test_a_mean_over_unfinished_trials_is_refused() -> None:
    seen = estimate(Sample.of(np.ones(100), [Status.CENSORED] * 2 + [Status.OBSERVED] * 98), "mean")
    assert math.isnan(seen.value_low)
    assert math.isnan(seen.value_high)
    assert (seen.low, seen.high) == (0.0, INF)
    assert seen.reason == "2 of 100 trials unfinished: a mean over them is refused"


def test_a_mean_of_few_trials_has_no_interval() -> None:
    seen = estimate(Sample.of([1.0, 1.0]), "mean")
    assert (seen.value_low, seen.low, seen.high) == (1.0, 0.0, INF)
    assert "at least 30" in seen.reason


def test_nothing_observed_says_so() -> None:
    seen = estimate(Sample.of([NAN] * 7), "p95")
    assert seen.n == 0
    assert math.isnan(seen.value_low)
    assert seen.reason == "no effect in any of 7 trials"


def test_a_rate_counts_trials_with_an_event() -> None:
    seen = estimate(Sample.of([0.0, 2.0, 1.0, 0.0], support=(0.0, 1.0)), "trials")
    assert (seen.value_low, seen.value_high) == (0.5, 0.5)


@pytest.mark.parametrize("bad", ["p0", "p100", "p-5", "q95", "p", "max", "pnan", ""])
def test_other_aggregations_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="is not an aggregation"):
        level_of(bad)


@pytest.mark.parametrize("bad", [0.0, 0.5, 1.0, 95.0, NAN])
def test_a_confidence_is_a_share_above_a_half(bad: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        estimate(Sample.of([1.0]), "p95", bad)


STATUS = st.sampled_from([Status.OBSERVED, Status.CENSORED, Status.NEVER, Status.NO_EFFECT])


@given(
    st.lists(st.tuples(st.floats(0, 1e6), STATUS), min_size=1, max_size=200),
    st.sampled_from(["p5", "median", "p95", "p99"]),
    st.sampled_from([0.6, 0.9, 0.95, 0.999]),
)
def test_bounds_enclose_the_estimate_and_widen_with_confidence(
    rows: list[tuple[float, Status]], aggregation: str, confidence: float
) -> None:
    sample = Sample.of([value for value, _ in rows], [status for _, status in rows])
    assert np.all(sample.lower <= sample.upper)
    assert sample.n + sample.no_effect == len(rows)
    seen, wider = estimate(sample, aggregation, confidence), estimate(sample, aggregation, 0.9999)
    if sample.n == 0:
        assert math.isnan(seen.value_low)
        return
    assert seen.value_low <= seen.value_high
    assert wider.low <= seen.low <= seen.value_high
    assert seen.value_low <= seen.high <= wider.high
