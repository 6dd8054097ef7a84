"""How uncertain durations are written, and what is refused."""

from __future__ import annotations

import pytest

from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform
from mrsim.mixtures import Empirical, Mixture
from mrsim.units import WrittenError
from mrsim.written_distributions import read


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("30s", Constant(30.0)),
        ("30s..2min", Uniform(30.0, 120.0)),
        ("30s .. 2min", Uniform(30.0, 120.0)),
        ("30s..30s", Constant(30.0)),
        ({"median": "1min", "p95": "3min"}, LogNormal.through(0.5, 60.0, 0.95, 180.0)),
        ({"p95": "3min", "p50": "1min"}, LogNormal.through(0.5, 60.0, 0.95, 180.0)),
        ({"p10": "1s", "p99.9": "9s"}, LogNormal.through(0.1, 1.0, 0.999, 9.0)),
        ({"mean": "10s", "sd": "3s"}, LogNormal.from_moments(10.0, 3.0)),
        ({"exponential": {"mean": "30s"}}, Exponential(30.0)),
        ({"pareto": {"min": "60s", "shape": 0.6}}, Pareto(60.0, 0.6)),
        ({"pareto": {"p90": "60s", "p98": "15min"}}, Pareto.through(0.9, 60.0, 0.98, 900.0)),
        ({"values": ["20s", "30s"], "weights": [1, 3]}, Empirical((20.0, 30.0), (0.25, 0.75))),
        ({"values": ["30s", "20s"]}, Empirical((20.0, 30.0), (0.5, 0.5))),
        (
            {"mixture": [{"share": "90%", "of": "5s..10s"}, {"share": "10%", "of": "5min"}]},
            Mixture((0.9, 0.1), (Uniform(5.0, 10.0), Constant(300.0))),
        ),
        (Constant(3.0), Constant(3.0)),
    ],
)
def test_read(written: object, expected: Distribution) -> None:
    assert read(written) == expected


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (30, "30 has no unit"),
        ("2min..30s", "upside down"),
        ("1s..2s..3s", "not a range"),
        ("1s..", "not a duration"),
        ("1s..5MB", "'5MB' is a size"),
        ({}, "no way to write"),
        ({"median": "1min"}, "no way to write"),
        ({"median": "1min", "p95": "3min", "p99": "4min"}, "no way to write"),
        ({"median": "3min", "p95": "1min"}, "higher quantile must be the longer"),
        ({"median": "1min", "p95": "1min"}, "higher quantile must be the longer"),
        ({"median": "0s", "p95": "1min"}, "above zero"),
        ({"p0": "1s", "p95": "1min"}, "no way to write"),
        ({"mean": "10s"}, "no way to write"),
        ({"mean": "10s", "sd": "0s"}, "above zero"),
        ({"exponential": "30s"}, "exponential"),
        ({"exponential": {"mean": "0s"}}, "above zero"),
        ({"exponential": {"rate": "30s"}}, "takes {mean}"),
        ({"pareto": {"min": "60s"}}, "pareto"),
        ({"pareto": {"min": "60s", "shape": "x"}}, "shape"),
        ({"pareto": {"min": "60s", "shape": True}}, "shape"),
        ({"pareto": {"p90": "60s", "p98": "15s"}}, "higher quantile"),
        ({"values": []}, "values"),
        ({"values": ["20s"], "weights": [1, 2]}, "as many numbers"),
        ({"values": ["20s"], "weights": [0]}, "above zero"),
        ({"mixture": []}, "mixture"),
        ({"mixture": [{"share": "90%", "of": "5s"}]}, "add to 90"),
        ({"mixture": [{"share": "100%"}]}, "mixture"),
        ({"mixture": [{"share": "100%", "of": "5s"}, {"share": "0%", "of": "6s"}]}, "0%"),
        (None, "None is not a duration"),
        ([], "is not a duration"),
        (float("nan"), "nan is not a duration"),
    ],
)
def test_refused(written: object, message: str) -> None:
    with pytest.raises(WrittenError) as caught:
        read(written)
    assert message in str(caught.value) + caught.value.hint


def test_mixtures_do_not_nest_without_end() -> None:
    written: object = "5s"
    for _ in range(6):
        written = {"mixture": [{"share": "100%", "of": written}]}
    with pytest.raises(WrittenError, match="nest deeper"):
        read(written)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ({"medain": "1min", "p95": "3min"}, "did you mean 'median'?"),
        ({"exponental": {"mean": "1min"}}, "did you mean 'exponential'?"),
        ({"median": "1min"}, "write 1min, or add another"),
        ({"p0": "1min", "p95": "3min"}, "30s..2min"),
        ({"median": "1min", "p100": "3min"}, "30s..2min"),
        ("1s-5s", "1s..5s"),
        ("1s to 5s", "1s..5s"),
        ("1s\u20265s", "1s..5s"),
    ],
)
def test_what_is_nearly_a_form_is_answered_with_it(written: object, hint: str) -> None:
    with pytest.raises(WrittenError) as refused:
        read(written)
    assert hint in refused.value.hint
    assert "'" not in str(refused.value) or isinstance(written, str), "a mapping is shown as it is written in YAML"
