"""Files of measurements: what is read from each format, and what a wrong file is told."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mrsim.calibrate import Samples, fit, read_samples
from mrsim.calibrate import table as tables
from mrsim.calibrate.cells import quantity
from mrsim.calibrate.forms import NAMES
from mrsim.calibrate.rounding import thinned
from mrsim.errors import MeasurementsError
from mrsim.scenario.loader import loads
from tests.report.samples import SCENARIO_TEXT

Write = Callable[..., Path]

REPLICATION = """\
now,application_name,sent_lsn,replay_lsn,write_lag,flush_lag,replay_lag
2024-05-01 10:00:00,eu,0/3000148,0/3000000,00:00:00.012,00:00:00.014,00:00:00.5
2024-05-01 10:00:00,ap,1/0,0/FFFFFF00,,,
2024-05-01 10:00:10,eu,1/10,1/0,00:00:01.25,00:00:01.5,1 day 02:00:03
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(text: str | bytes, name: str = "lag.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to


def test_intervals_of_postgresql(write: Write) -> None:
    found = read_samples(write(REPLICATION), "write_lag")
    assert found.values.tolist() == [0.012, 1.25]
    assert any("1 empty cells left out" in note for note in found.notes)
    assert any("round trip" in note and "--one-way" in note for note in found.notes)
    assert read_samples(write(REPLICATION), "replay_lag").values.tolist() == [0.5, 93603.0]


def test_round_trips_are_halved_when_asked(write: Write) -> None:
    found = read_samples(write(REPLICATION), "write_lag", one_way=True)
    assert found.values.tolist() == [0.006, 0.625]
    assert not any("--one-way" in note for note in found.notes)


def test_positions_in_the_wal_become_seconds_at_a_rate(write: Write) -> None:
    path = write(REPLICATION)
    found = read_samples(path, "sent_lsn", minus="replay_lsn", wal_bytes_per_s=8.0)
    # 0/3000148 - 0/3000000 = 0x148 = 328 bytes; 1/0 - 0/FFFFFF00 = 256 bytes across the high word; 1/10 - 1/0 = 16.
    assert [series.tolist() for series in found.series] == [[41.0, 2.0], [32.0]]
    with pytest.raises(MeasurementsError, match=r"in bytes \(p50 256, p99 328\).*--wal-rate"):
        read_samples(path, "sent_lsn", minus="replay_lsn")


def test_standbys_are_series_of_their_own(write: Write) -> None:
    """Neighbours in a file that belong to different standbys are not neighbours in time."""
    rng = np.random.default_rng(1)
    eu = np.exp(np.repeat(rng.standard_normal(40), 10))
    rows = [f"eu,{x:.6f}\nap,{y:.6f}" for x, y in zip(eu, rng.exponential(1.0, 400), strict=True)]
    found = fit(read_samples(write("application_name,lag_s\n" + "\n".join(rows)), "lag_s"))
    assert found.n_effective < 0.7 * found.n
    one = read_samples(write("application_name,lag_s\n" + "\n".join(rows)), "lag_s", where=[("application_name", "ap")])
    assert one.n == 400


@pytest.mark.parametrize(
    ("cell", "unit", "seconds", "step"),
    [
        ("12.50", "ms", 0.0125, 1e-5),
        ("3", "min", 180.0, 60.0),
        ("1e-3", "s", 0.001, 0.001),
        ("12.5ms", None, 0.0125, 1e-4),
        ("1min30s", None, 90.0, 1.0),
        ("00:04:10", None, 250.0, 1.0),
        ("2 days 00:00:00.5", None, 172800.5, 0.1),
    ],
)
def test_cells(cell: str, unit: str | None, seconds: float, step: float) -> None:
    found = quantity(cell, unit)
    assert (found.measure, found.value) == ("s", pytest.approx(seconds))
    assert found.step == pytest.approx(step)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_dialects(write: Write, comma: str, mark: str, ending: str) -> None:
    text = mark + ending.join([f"at{comma} lag_ms ", f"1{comma}2", "", f'2{comma}"4.5"', ""])
    assert read_samples(write(text), "lag_ms").values.tolist() == pytest.approx([0.002, 0.0045])


def prometheus(*series: tuple[dict[str, str], list[str]]) -> str:
    result = [
        {"metric": {"__name__": "pg_lag_seconds", **labels}, "values": [[60 * i, v] for i, v in enumerate(values)]}
        for labels, values in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_prometheus_says_nan_where_there_was_nothing_and_they_are_counted(write: Write) -> None:
    text = prometheus(({}, ["0.5", "NaN", "1"]), ({"instance": "ap"}, ["NaN", "2"]), ({"instance": "sa"}, ["NaN"]))
    found = read_samples(write(text, "lag.json"))
    assert [values.tolist() for values in found.series] == [[0.5, 1.0], [2.0]]
    assert any(note.startswith("3 samples are NaN") for note in found.notes)
    whole = read_samples(write(prometheus(({}, ["0.5"])), "whole.json"))
    assert not any("NaN" in note for note in whole.notes)


def test_range_queries_of_prometheus(write: Write) -> None:
    path = write(prometheus(({"instance": "eu"}, ["0.5", "1e-3"]), ({"instance": "ap"}, ["2"])), "lag.json")
    found = read_samples(path)
    assert [one.tolist() for one in found.series] == [[0.5, 0.001], [2.0]]
    assert any("2 series taken together" in note and "--where instance=" in note for note in found.notes)
    assert read_samples(path, where=[("instance", "ap")]).values.tolist() == [2.0]
    assert read_samples(path, unit="ms").values.tolist() == pytest.approx([1e-6, 5e-4, 2e-3])


VECTOR = '{"status": "success", "data": {"resultType": "vector", "result": []}}'
HISTOGRAM = '{"data": {"resultType": "matrix", "result": [{"metric": {}, "histograms": []}]}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": is empty"),
        (" \n\n", ": is empty"),
        ("lag_ms\n", "no row below it"),
        ("lag_ms\n1\nNaN\n", ":3: lag_ms: 'NaN' is no number"),
        ("lag_ms\n1\n-inf\n", ":3: lag_ms: '-inf' is no number"),
        ("lag_ms\n1\n\n-2\n", ":4: lag_ms: '-2' is negative"),
        ("lag_ms\n-00:00:01\n", ":2: lag_ms: '-00:00:01' is negative"),
        ("lag_ms\n1\nquick\n", ":3: lag_ms: 'quick' is no number and no duration"),
        ("lag_ms\n1e300\n", ":2: lag_ms: '1e300' is longer than ten years"),
        ("lag_ms\n1e999\n", ":2: lag_ms: '1e999' is too large"),
        ("lag\n1\n", ":2: lag: '1' has no unit"),
        ("lag_ms\n1,5\n", ":2: 2 cells, but the header names 1 column; is that a decimal comma?"),
        ("lag_ms;x\n1,5;2\n", ":2: lag_ms: '1,5' has a decimal comma (write 1.5)"),
        ("lag_ms,x\n1,2\n3\n", ":3: 1 cell, but the header names 2 columns"),
        ('lag_ms\n1\n"2\n', ":3: is no CSV"),
        ("lag_ms,lag_ms\n1,2\n", ":1: there are 2 columns 'lag_ms'"),
        ("lag_MS2\n1\n", ":1: there is no column 'lag_ms' (did you mean 'lag_MS2'?)"),
        ("lag_ms\n\n\nx\n", ":4: lag_ms"),
        (" lag_ms \n--------\n 1\n", ":2: is psql's aligned output; export it with psql --csv"),
        ("lag_ms,x\n,1\n", "has no value in any row"),
        (b"\xff\xfel\x00", "is no UTF-8 text (byte 0)"),
        (b"lag_ms\n1\x00\n", "is no text"),
        ("lag_ms\n0/3000148\n", "is a position in the WAL, no distance (take another off it"),
        ("{ oops", ":1: is no JSON"),
        ("[1]", "is no answer of Prometheus"),
        ('{"status": "error", "error": "parse error at 3"}', "the query failed: parse error at 3"),
        (VECTOR, "resultType is 'vector', not 'matrix'; ask /api/v1/query_range"),
        (HISTOGRAM, "samples in 'values'"),
        (prometheus(), "the query found no series"),
        (
            prometheus(({}, ["1", "+Inf"])),
            "series 1 (pg_lag_seconds), sample 2: '+Inf' is no number (leave such samples",
        ),
        (prometheus(({}, ["NaN", "NaN"])), "every sample is NaN"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_a_wrong_file_is_told(write: Write, text: str | bytes, said: str) -> None:
    path = write(text)
    column = None if isinstance(text, str) and text.startswith(("{", "[")) else "lag_ms"
    if text in ("lag\n1\n",):
        column = "lag"
    with pytest.raises(MeasurementsError) as caught:
        read_samples(path, column)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_other_questions_that_cannot_be_answered(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(REPLICATION)
    for arguments, said in (
        ({"column": None}, "name one of the columns with --column: now, application_name"),
        ({"column": "replay_lagg"}, "did you mean 'replay_lag'"),
        ({"column": "replay_lsn", "minus": "sent_lsn"}, ":2: replay_lsn: '0/3000000' less '0/3000148' is negative"),
        ({"column": "sent_lsn", "minus": "write_lag"}, "cannot be taken off"),
        ({"column": "write_lag", "where": [("application_name", "nl")]}, "no row has application_name=nl"),
        ({"column": "write_lag", "where": [("app", "nl")]}, "there is no column 'app'"),
    ):
        with pytest.raises(MeasurementsError, match=said.replace("(", r"\(")):
            read_samples(path, **arguments)
    monkeypatch.setattr(tables, "LARGEST_BYTES", 100)
    with pytest.raises(MeasurementsError, match="is larger than"):
        read_samples(path, "write_lag")


def test_a_unit_against_the_columns_name_is_said(write: Write) -> None:
    found = read_samples(write("lag_ms\n1\n"), unit="s")
    assert found.values.tolist() == [1.0]
    assert "promises ms" in " ".join(found.notes)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [1.0, -1.0], [[1.0]], [float("inf")]])
def test_arrays_that_are_no_samples(values: list[float]) -> None:
    with pytest.raises(MeasurementsError):
        fit(values)


FORMS = [form for form in NAMES if form != "auto"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [3e-4, 0.07, 1.0, 250.0, 90_000.0])
def test_the_snippet_reads_back_in_a_scenario(form: str, scale: float) -> None:
    rng = np.random.default_rng(2)
    x = scale * np.exp(0.7 * rng.standard_normal(300))
    found = fit(np.where(rng.random(300) < 0.2, 0.0, x) if form == "mixture" else x, form=form)
    text = SCENARIO_TEXT.replace("takes: {median: 15s, p95: 30s}", found.snippet())
    assert text != SCENARIO_TEXT
    promote = loads(text).stores["orders-db"].failover.promote
    levels = np.arange(1, 1000) / 1000
    np.testing.assert_allclose(promote.takes.quantile(levels), found.distribution.quantile(levels), rtol=1e-6)
    block = SCENARIO_TEXT.replace(
        "promote: {order: [eu-west, ap-southeast], takes: {median: 15s, p95: 30s}, fails: 1%}",
        "promote:\n        order: [eu-west, ap-southeast]\n" + textwrap.indent(found.snippet(), 8 * " "),
    )
    assert loads(block).stores["orders-db"].failover.promote.takes == promote.takes


def test_samples_that_are_of_no_form_are_written_as_they_are() -> None:
    """Two clusters far apart: no form comes within 5 % of probability."""
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.uniform(1.0, 1.2, 300), rng.uniform(80.0, 90.0, 100)])
    found = fit(x)
    assert found.form == "values"
    assert "where chance explains" in found.reason
    assert found.distribution.mean() == pytest.approx(float(np.mean(x)), rel=1e-3)
    assert sum(found.weights) == len(x)
    assert len(found.weights) < 60


def test_few_different_samples_are_written_one_by_one() -> None:
    assert thinned(np.array([1.0, 1.0, 2.5])) == ((1.0, 2), (2.5, 1))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 29])
def test_few_samples_come_with_a_warning_and_no_upper_bound(n: int) -> None:
    found = fit(np.exp(np.random.default_rng(n).standard_normal(n)))
    assert any("below 30" in warning for warning in found.warnings)
    assert found.quantiles[2].observed_high == np.inf
    if 1 < n < 8:
        assert found.form == "log-normal"
        assert "cannot tell forms apart" in found.reason


def test_enough_samples_come_without_a_warning() -> None:
    assert fit(np.exp(np.random.default_rng(3).standard_normal(300))).warnings == ()


@pytest.mark.parametrize("tiny", [1e-300, 1e-30, 1e-12])
def test_samples_too_short_to_be_written_do_no_harm(tiny: float) -> None:
    found = fit([tiny, tiny * 3, 2e-9, 0.1, 0.2, 0.5, 1.0, 3.0, 4.0, 5.0])
    loads(SCENARIO_TEXT.replace("takes: {median: 15s, p95: 30s}", found.snippet()))


def test_samples_know_their_source() -> None:
    with pytest.raises(MeasurementsError, match="pings: samples must be finite"):
        Samples.of([-1.0], "pings")
