"""Sweeps: a grid of variants under the same outages, tidy, and refused before anything is run if a point is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrsim
from mrsim.errors import ResultsError, ScenarioError
from mrsim.report.sweep import sweep_report
from mrsim.report.sweep_plots import sweep_lines, sweep_map, sweep_pictures
from mrsim.scenario.settings import SettingError
from mrsim.study.run import run
from mrsim.study.sweep import Sweep, sweep
from mrsim.study.varied import number_of, read_axis, read_range, split_values
from mrsim.units import parse

ROOT = Path(__file__).parents[2]
FILE = "scenarios/active-passive/bookstore-region-loss.yaml"
BOOKSTORE = mrsim.load(ROOT / FILE)
FEW = ("--trials", "48", "--seed", "7", "--workers", "1")


@pytest.fixture(scope="module")
def two() -> Sweep:
    """Return a sweep over TTL and the operator's time to acknowledge."""
    axes = {"dns.shop.ttl": "30s,300s", "stores.orders-db.failover.decide.acknowledge": ["1min", "5min"]}
    return sweep(BOOKSTORE, axes, trials=48, seed=7, workers=1)


def test_every_point_is_the_study_of_its_variant(two: Sweep) -> None:
    assert [point.levels for point in two.points] == [
        ("30s", "1min"),
        ("30s", "5min"),
        ("300s", "1min"),
        ("300s", "5min"),
    ]
    variant = BOOKSTORE.with_({"dns.shop.ttl": "300s", "stores.orders-db.failover.decide.acknowledge": "5min"})
    alone = run(variant, trials=48, seed=7, workers=1)
    for column in alone.trials:
        assert np.array_equal(alone.trials[column], two.points[3].results.trials[column], equal_nan=True)


def test_the_frame_has_a_row_per_point_column_and_aggregation(two: Sweep) -> None:
    frame = two.frame
    keys = ["dns.shop.ttl", "stores.orders-db.failover.decide.acknowledge", "column", "aggregation"]
    assert not frame.duplicated(keys).any()
    assert frame.groupby(["column", "aggregation"]).size().eq(4).all()
    seen = frame[(frame["column"] == "rto_s{service=storefront,op=read,clients=90%,of=affected}")]
    assert (seen[seen["dns.shop.ttl"] == "300s"]["difference"] > 0).all()
    assert (seen[(seen["dns.shop.ttl"] == "30s")]["difference"] == 0).all()


def test_what_an_axis_cannot_reach_is_said_to_have_no_effect(two: Sweep) -> None:
    report = sweep_report(two)
    assert "none in any trial" in report
    assert max(len(line) for line in sweep_report(two, width=80).splitlines() if "mrsim trace" not in line) <= 80


def test_pictures_are_lines_and_maps(two: Sweep) -> None:
    names = [name for name, png in sweep_pictures(two) if png.startswith(b"\x89PNG")]
    assert len(names) == 2 * len(two.quantities)
    ax = sweep_map(two)
    assert {text.get_text() for text in ax.texts} >= {"2 min"} or len(ax.texts) == 4
    lines = sweep_lines(two)
    assert len(lines.get_lines()) == 3, "one line for each time to acknowledge, and the budget"
    with pytest.raises(ResultsError, match="two axes"):
        sweep_map(Sweep(two.axes[:1], two.points))


def test_a_notebook_shows_it_without_script(two: Sweep) -> None:
    assert "<script" not in two._repr_html_()
    assert "decide.acknowledge" in two._repr_html_()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"dns.shop.ttl": "30s,soon"}, "dns.shop.ttl: 'soon' is not a duration"),
        ({"dns.shop.tll": "30s"}, "unknown key 'tll'"),
        ({"dns..ttl": "30s"}, "is not a path"),
        ({}, "between 1 and 1000 points, not 0"),
        ({"horizon": [f"{n}min" for n in range(60, 1100)]}, "between 1 and 1000 points, not 1040"),
    ],
)
def test_a_wrong_point_is_refused_before_anything_is_run(axes: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        sweep(BOOKSTORE, axes)


def test_the_command_writes_tables_and_pictures(tmp_path: Path) -> None:
    out = {name: tmp_path / name for name in ("s.csv", "s.json", "pictures")}
    options = ("--csv", out["s.csv"], "--json", out["s.json"], "--plot", out["pictures"])
    done = mrsim_(["sweep", FILE, "--set", "dns.shop.ttl=30s,60s", "--metric", "rpo{store=orders-db}", *FEW, *options])
    assert done.returncode == 0, done.stderr
    frame, document = pd.read_csv(out["s.csv"]), json.loads(out["s.json"].read_text(encoding="utf-8"))
    assert list(frame["dns.shop.ttl"].unique()) == ["30s", "60s"]
    assert len(document["rows"]) == len(frame)
    assert {path.name for path in out["pictures"].iterdir()} >= {"lines-data_loss_s-store-orders-db-p50.png"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("dns.shop.ttl", "is not PATH=VALUE"),
        ("dns.shop.ttl=30s,,60s", "has an empty value"),
        ("dns.shop.ttl=30s,60", "dns.shop.ttl: 60 has no unit"),
        ("dns.shopp.ttl=30s", "there is no 'shopp' in dns (did you mean 'shop'?)"),
    ],
)
def test_the_command_says_what_is_wrong(setting: str, message: str) -> None:
    done = mrsim_(["sweep", FILE, "--set", setting, *FEW])
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def mrsim_(arguments: list[object]) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_commas_inside_brackets_separate_nothing() -> None:
    assert split_values("a, [b, c], {d: 1, e: 2}, 'f, g'") == ["a", "[b, c]", "{d: 1, e: 2}", "'f, g'"]
    assert read_axis("x.y=[a, b],[b, a]").levels == ("[a, b]", "[b, a]")


@given(st.floats(0.001, 1e4), st.floats(1.01, 1e4), st.floats(0.0, 1.0))
def test_places_in_a_range_are_found_again(low: float, factor: float, share: float) -> None:
    span = read_range(f"a.b={low:.9f}s..{low * factor + 1e-6:.9f}s")
    value = span.at(share)
    assert span.low <= value <= span.high
    assert span.share_of(value) == pytest.approx(share, abs=1e-6)
    assert parse(span.text(value), "duration") == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("30s", "duration"),
        ("5%", "share"),
        ("2KB", "size"),
        ("40Mbit/s", "bandwidth"),
        ("200/s", "rate"),
        ("20x", "factor"),
    ],
)
def test_numbers_know_their_dimension(text: str, kind: str) -> None:
    number = number_of(text)
    assert number is not None
    assert number.dimension == kind
    assert number_of(number.text()) == number
    assert number_of("3") is not None
    assert number_of("eu-west") is None


@pytest.mark.parametrize("text", ["a=1s", "a=1s..2", "a=5s..1s", "a=x..y", "a=1s..2s..3s", "a=1..5s"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        read_range(text)
