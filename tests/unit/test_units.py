"""Quantities with units: what is read, what is refused and with which hint, what is written back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrsim import units
from mrsim.units import Dimension, WrittenError, parse, write


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("75ms", "duration", 0.075),
        ("250us", "duration", 0.00025),
        ("1.5s", "duration", 1.5),
        ("5min", "duration", 300.0),
        ("1min30s", "duration", 90.0),
        ("1h 30min", "duration", 5400.0),
        ("2d", "duration", 172800.0),
        ("30 s", "duration", 30.0),
        ("2KB", "size", 2000.0),
        ("2KiB", "size", 2048.0),
        ("16MB", "size", 16e6),
        ("16MB/s", "bandwidth", 16e6),
        ("40Mbit/s", "bandwidth", 5e6),
        ("200/s", "rate", 200.0),
        ("12/min", "rate", 0.2),
        ("99%", "share", 0.99),
        ("0.1%", "share", 0.001),
        ("20x", "factor", 20.0),
    ],
)
def test_read(text: str, dimension: Dimension, value: float) -> None:
    assert parse(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "dimension", "message", "hint"),
    [
        (30, "duration", "30 has no unit, a duration is needed", "30s"),
        (0.5, "share", "0.5 has no unit, a share is needed", "0.5%"),
        ("30", "duration", "'30' has no unit", "30s"),
        ("5MB", "duration", "'5MB' is a size, a duration is needed", "30s"),
        ("5s", "size", "'5s' is a duration, a size is needed", "2KB"),
        ("16MB", "bandwidth", "'16MB' is a size, a bandwidth is needed", "16MB/s"),
        ("5m", "duration", "ambiguous unit 'm'", "5min or 5ms"),
        ("5S", "duration", "unknown unit 'S'", "did you mean 5s?"),
        ("5mb", "size", "unknown unit 'mb'", "did you mean 5MB?"),
        ("-5s", "duration", "'-5s' is negative", "30s"),
        ("fast", "duration", "'fast' is not a duration", "30s"),
        (True, "duration", "True is not a duration", "30s"),
        (None, "duration", "None is not a duration", "30s"),
        (["5s"], "duration", "['5s'] is not a duration", "30s"),
        ("20years", "duration", "unknown unit 'years'", "30s"),
        ("4000d", "duration", "longer than ten years", "forever"),
        ("1" * 90 + "s", "duration", "too long", "30s"),
        ("٣s", "duration", "is not a duration", "30s"),
        ("1e3s", "duration", "is not a duration", "1000s"),
    ],
)
def test_refused_with_a_hint(text: object, dimension: Dimension, message: str, hint: str) -> None:
    with pytest.raises(WrittenError) as caught:
        parse(text, dimension)
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (0.075, "duration", "75ms"),
        (30.0, "duration", "30s"),
        (1.5, "duration", "1.5s"),
        (60.0, "duration", "1min"),
        (90.0, "duration", "90s"),
        (14400.0, "duration", "4h"),
        (0.0, "duration", "0s"),
        (math.inf, "duration", "forever"),
        (5e6, "bandwidth", "5MB/s"),
        (2000.0, "size", "2KB"),
        (200.0, "rate", "200/s"),
        (0.999, "share", "99.9%"),
        (20.0, "factor", "20x"),
    ],
)
def test_written(value: float, dimension: Dimension, text: str) -> None:
    assert write(value, dimension) == text


@given(
    st.floats(min_value=1e-6, max_value=units.LONGEST_S), st.sampled_from(["duration", "size", "bandwidth", "share"])
)
def test_written_reads_back(value: float, dimension: Dimension) -> None:
    assert parse(write(value, dimension), dimension) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (272.0, "4 min 32 s"),
        (0.075, "75.0 ms"),
        (1e-5, "0.01 ms"),
        (1e-6, "1.00 us"),
        (1.239, "1.24 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (200000.0, "2 d 08 h"),
        (0.0, "0 s"),
        (-3.0, "-3.00 s"),
        (math.inf, "never"),
        (math.nan, "–"),
    ],
)
def test_durations_for_readers(value: float, text: str) -> None:
    assert units.format_seconds(value) == text


@pytest.mark.parametrize(
    ("text", "dimension", "hint"),
    [
        ("30 sec", "duration", "write 30s"),
        ("5 mins", "duration", "write 5min"),
        ("4 Hours", "duration", "write 4h"),
        ("2w", "duration", "write 14d"),
        ("10y", "duration", "write 3650d"),
        ("1e3s", "duration", "write 1000s"),
        ("1,5 s", "duration", "write 1.5s"),
        ("1e99s", "duration", "write 75ms, 30s, 5min or 4h"),
        ("3furlong", "duration", "write 75ms, 30s, 5min or 4h"),
        ("200Mb/s", "bandwidth", "write 200Mbit/s, or 200MB/s if bytes are meant"),
        ("200mbps", "bandwidth", "write 200Mbit/s, or 200MB/s if bytes are meant"),
        ("200MBps", "bandwidth", "write 200MB/s"),
        ("7MB/S", "bandwidth", "write 7MB/s"),
        ("5mb", "size", "did you mean 5MB?"),
        ("200tps", "rate", "write 200/s"),
        ("0.05", "share", "write 5% or 0.05%"),
        (0.05, "share", "write 5% or 0.05%"),
        ("60", "share", "write 60%"),
        ("5 percent", "share", "write 5%"),
    ],
)
def test_units_from_elsewhere_are_answered_with_what_was_meant(text: object, dimension: Dimension, hint: str) -> None:
    with pytest.raises(WrittenError) as refused:
        parse(text, dimension)
    assert refused.value.hint == hint
