"""Numbers show the digits that their interval supports: no more, and none less than that."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrsim.report import text
from mrsim.report.cells import alone_text, estimate_text, interval_text, value_text
from mrsim.report.layout import Page
from mrsim.report.numbers import count, duration, event_rate, interval, share
from mrsim.report.tables import LatencyRow
from mrsim.study.statistics import Estimate, Sample, estimate


@pytest.mark.parametrize(
    ("seconds", "half_width_s", "shown"),
    [
        (272.0, 3.5, "4 min 32 s"),
        (82.4, 1.6, "82.4 s"),
        (174.0, 7.5, "2 min 54 s"),
        (272.0, 40.0, "4 min 30 s"),
        (272.0, 0.0, "4 min 32 s"),
        (99.97, 1.0, "1 min 40.0 s"),
        (147.26, 0.1, "2 min 27.3 s"),
        (3720.0, 0.1, "1 h 2 min 0.0 s"),
        (3605.0, 3.0, "1 h 5 s"),
        (14400.0, 0.0, "4 h"),
        (30.0, 0.0, "30 s"),
        (0.0123, 0.0, "12.3 ms"),
        (0.0616, 0.0006, "61.6 ms"),
        (1e-5, 0.0, "10 µs"),
        (3.0, 80.0, "0 s"),
        (0.0, 0.0, "0 s"),
        (-272.0, 0.0, "-4 min 32 s"),
        (math.inf, 0.0, "never"),
        (math.nan, 0.0, "-"),
    ],
)
def test_durations_are_shown_to_their_half_width(seconds: float, half_width_s: float, shown: str) -> None:
    assert duration(seconds, half_width_s) == shown


_SCALES = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6}


def read_back(text: str) -> float:
    """Return the seconds that a shown duration says."""
    parts = re.findall(r"([0-9 ]*[0-9](?:\.[0-9]+)?) (h|min|s|ms|µs)\b", text)
    assert parts, text
    return sum(float(number.replace(" ", "")) * _SCALES[unit] for number, unit in parts)


@given(st.floats(1e-3, 1e5), st.floats(1e-3, 1e4))
def test_what_is_shown_is_within_the_half_width(seconds: float, half_width_s: float) -> None:
    shown = read_back(duration(seconds, half_width_s))
    # Whole seconds above 100 s, whatever the interval: half a second is the most that costs then.
    assert abs(shown - seconds) <= max(half_width_s / 2, 0.5 if seconds >= 99 else 0.0) + 1e-6


@given(st.floats(1e-6, 99.0))
def test_a_number_without_interval_keeps_three_digits(seconds: float) -> None:
    assert read_back(duration(seconds)) == pytest.approx(seconds, rel=6e-3)


@pytest.mark.parametrize(
    ("events", "trials", "low", "high", "shown"),
    [
        (0, 1000, 0.0, 0.002991, "0 of 1000 (<= 0.30 %)"),
        (13, 3000, 0.0026, 0.0069, "13 of 3000 = 0.43 % [0.26 %, 0.69 %]"),
        (1000, 1000, 0.99701, 1.0, "1000 of 1000 (>= 99.70 %)"),
        (0, 10, 0.0, 0.2589, "0 of 10 (<= 26 %)"),
        (0, 0, 0.0, 1.0, "-"),
    ],
)
def test_rates_name_their_events(events: int, trials: int, low: float, high: float, shown: str) -> None:
    assert event_rate(events, trials, low, high) == shown


@given(st.integers(1, 10**6))
def test_the_bound_of_zero_events_is_never_rounded_down(trials: int) -> None:
    high = 1 - 0.05 ** (1 / trials)
    shown = float(re.search(r"<= ([0-9.]+) %", event_rate(0, trials, 0.0, high)).group(1)) / 100  # type: ignore[union-attr]
    assert high <= shown * (1 + 1e-9)
    assert shown <= high * 1.11


def test_shares_and_counts() -> None:
    assert share(0.5) == "50 %"
    assert share(0.0043, 0.002) == "0.43 %"
    assert share(1.0) == "100 %"
    assert count(287012.3, 40.0) == "287 010"
    assert count(12.0) == "12"
    assert interval("duration", 80.9, 84.1) == "[80.9 s, 84.1 s]"


def seen(value: float, low: float, high: float) -> Estimate:
    return Estimate("p95", value, value, low, high, 1000, 0.0, 0)


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        (seen(100.2, 99.99, 100.4), "1 min 40.2 s [1 min 40.0 s, 1 min 40.4 s]"),
        (seen(98.0, 96.1, 101.3), "1 min 38.0 s [1 min 36.1 s, 1 min 41.3 s]"),
        (seen(147.2, 147.2, 147.2), "2 min 27 s [2 min 27 s, 2 min 27 s]"),
        (seen(0.9, 0.8, 1.1), "0.90 s [0.80 s, 1.10 s]"),
        (seen(0.0, 0.0, 0.02), "0 ms [0 ms, 20 ms]"),
        (seen(152.0, 151.0, math.inf), "2 min 32 s [2 min 31 s, ?]"),
        (seen(3600.0, 3400.0, 3900.0), "1 h [56 min 40 s, 1 h 5 min]"),
    ],
)
def test_a_number_and_its_interval_share_unit_and_digits(estimate: Estimate, shown: str) -> None:
    assert estimate_text("duration", estimate) == shown


def test_a_number_without_its_interval_beside_it_is_not_rounded_to_nothing() -> None:
    """Whoever sees the interval knows how little is known; alone, 0 s would be read as none."""
    wide = seen(4.83, 4.6, 1200.0)
    assert value_text("duration", wide) == "0 s"
    assert alone_text("duration", wide) == "5 s"
    assert alone_text("duration", seen(0.0, 0.0, 1200.0)) == "0 s"
    assert alone_text("duration", seen(98.0, 96.1, 101.3)) == value_text("duration", seen(98.0, 96.1, 101.3))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("_states", lambda wide: [("app", "all", wide, wide)]),
        ("_retried", lambda wide: [("app", "read", wide)]),
        ("_readings", lambda wide: [("app", "all", wide, wide)]),
        ("_latency", lambda wide: [LatencyRow("app", "all", "before", 1, {"mean": wide})]),
    ],
)
def test_tables_without_intervals_round_nothing_to_none(
    table: str, rows: Callable[[Estimate], list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        "_states": "state_rows",
        "_retried": "retried_rows",
        "_readings": "reading_rows",
        "_latency": "latency_rows",
    }
    monkeypatch.setattr(text, names[table], lambda _: rows(seen(0.0048, 0.0046, 1.2)))
    page = Page(120)
    getattr(text, table)(page, None)
    assert re.search(r"\b5 ms", page.text())
    assert not re.search(r"\b0 (m?s|%)", page.text())


@given(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 1e4))
def test_an_interval_never_looks_narrower_than_a_digit(value: float, below: float, above: float) -> None:
    """Both ends are rounded to the same step, so that neither is off by more than half of the coarser of the two."""
    low, high = max(0.0, value - below), value + above
    shown = re.fullmatch(r"(.*) \[(.*), (.*)\]", estimate_text("duration", seen(value, low, high)))
    assert shown is not None
    units = [re.findall(r"\b(h|min|s|ms|µs)\b", text) for text in shown.groups()]
    small = [set(of_one) & {"ms", "µs"} for of_one in units]
    assert small[0] == small[1] == small[2]


def test_an_unfinished_quantile_is_beyond_the_horizon() -> None:
    censored = Sample.of([10.0] * 50 + [900.0] * 50, [0] * 50 + [1] * 50)
    assert value_text("duration", estimate(censored, "p95")) == "> horizon"
    assert value_text("duration", estimate(censored, "median")) == "10 s"
    assert "> horizon" in interval_text("duration", estimate(censored, "median"))


def test_what_cannot_change_any_more_is_never() -> None:
    never = Sample.of([10.0] * 50 + [math.inf] * 50, [0] * 50 + [2] * 50)
    assert estimate_text("duration", estimate(never, "p95")) == "never"


def test_too_few_trials_for_a_bound_leave_it_open() -> None:
    few = estimate(Sample.of([1.0, 2.0, 3.0]), "p95")
    assert few.high == math.inf
    assert estimate_text("duration", few).endswith("?]")


def test_no_observations_show_no_number() -> None:
    nothing = Estimate("p95", math.nan, math.nan, 0.0, math.inf, 0, 0.0, 7, reason="no effect in any of 7 trials")
    assert estimate_text("duration", nothing) == "-"


def test_an_interval_of_rounding_error_supports_no_digits() -> None:
    assert duration(60.0, 7e-15) == "60.0 s"
