"""``calibrate`` and ``score`` as real processes: what they print, leave behind and answer to what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mrsim import written_distributions
from mrsim.scenario.loader import loads
from tests.report.samples import SCENARIO_TEXT
from tests.report.test_cli import environment, one_line

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def mrsim(*arguments: str | Path, cwd: Path, stdout: object = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(
        command,
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env=environment(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a scenario, lags and drills."""
    rng = np.random.default_rng(7)
    lags = 20 * np.exp(0.5 * rng.standard_normal(200))
    (tmp_path / "scenario.yaml").write_text(SCENARIO_TEXT)
    (tmp_path / "lag.csv").write_text("at,replay_lag_ms\n" + "".join(f"{i},{x:.3f}\n" for i, x in enumerate(lags)))
    (tmp_path / "drills.csv").write_text("drill,rto_write_s,decision,split\nMay,471,3min5s,no\nJune,502,,no\n")
    return tmp_path


def test_a_fit_is_a_scenario_line_with_comments(folder: Path) -> None:
    done = mrsim("calibrate", "lag.csv", "--column", "replay_lag_ms", "--one-way", "--key", "lag", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    *comments, line = done.stdout.splitlines()
    assert all(comment.startswith("#") and len(comment) <= 120 for comment in comments)
    key, _, value = line.partition(": ")
    assert key == "lag"
    promote = loads(SCENARIO_TEXT.replace("{median: 15s, p95: 30s}", value)).stores["orders-db"].failover.promote
    # The median of 200 samples of a log-normal with sigma 0.5 has a relative error of 0.5 / sqrt(200) = 3.5 %.
    assert promote.takes.quantile(np.array([0.5]))[0] == pytest.approx(0.010, rel=4.5 * 0.036)
    text = "\n".join(comments)
    for part in ("200 samples", "halved", "form: log-normal", "Kolmogorov-Smirnov", "p99", "form tried"):
        assert part in text
    assert "warning" not in text


def test_a_fit_leaves_a_picture_and_json(folder: Path) -> None:
    wanted = ("--plot", "fit.png", "--json", "fit.json", "--as", "pareto")
    done = mrsim("calibrate", "lag.csv", "--column", "replay_lag_ms", *wanted, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "fit.png").read_bytes().startswith(PNG)
    document = json.loads((folder / "fit.json").read_text())
    assert (document["form"], document["n"], document["fits"]) == ("pareto", 200, False)
    assert document["snippet"] == done.stdout.splitlines()[-1]
    assert "off by more than chance" in done.stdout
    key, _, value = document["snippet"].partition(": ")
    name, _, inner = value.strip("{}").partition(": ")
    pairs = dict(pair.split(": ") for pair in inner.strip("{}").split(", "))
    assert (key, name) == ("takes", "pareto")
    assert str(written_distributions.read({name: pairs})) == document["distribution"]


def test_a_score_says_what_so_few_drills_can_tell(folder: Path) -> None:
    arguments = ("score", "scenario.yaml", "drills.csv", "--trials", "300", "--seed", "7", "--json", "score.json")
    done = mrsim(*arguments, cwd=folder)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("Nothing in 2 drills speaks against the scenario.")
    assert "That is no confirmation." in done.stdout.replace("\n", " ")
    assert "300 trials, seed 7; verdict: inconclusive" in done.stdout
    assert "compared with rto_s{service=orders,op=write,clients=95%,of=affected}" in done.stdout
    document = json.loads((folder / "score.json").read_text())
    rto, decision, split = document["columns"]
    assert [drill["drill"] for drill in rto["drills"]] == ["May", "June"]
    assert [drill["value"] for drill in decision["drills"]] == [185.0]
    assert split["noticeable"] is None
    assert [coverage["share"] for coverage in rto["coverage"]] == [0.5, 0.9]
    assert done.stdout == mrsim(*arguments, "--workers", "2", cwd=folder).stdout


def test_a_score_of_a_changed_scenario_says_what_was_set(folder: Path) -> None:
    few = ("--trials", "64", "--seed", "7", "--workers", "1", "--json", "score.json")
    done = mrsim(
        "score", "scenario.yaml", "drills.csv", "--set", "stores.orders-db.failover.promote.takes=1h", *few, cwd=folder
    )
    assert (done.returncode, done.stderr) == (1, ""), "promotions of an hour foretell no drill of eight minutes"
    assert "bookstore-three-region; stores.orders-db.failover.promote.takes=1h: 64 trials" in done.stdout
    document = json.loads((folder / "score.json").read_text())
    assert document["settings"] == ["stores.orders-db.failover.promote.takes=1h"]


def test_a_score_that_contradicts_is_exit_code_1(folder: Path) -> None:
    (folder / "drills.csv").write_text("rto_write_min\n" + "90\n" * 5)
    done = mrsim("score", "scenario.yaml", "drills.csv", "--trials", "200", "--seed", "1", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("5 drills contradict the scenario: rto_write_min is above")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("calibrate nothing.csv", "nothing.csv: no such file or directory"),
        ("calibrate .", ".: is a folder; name a file of measurements"),
        ("calibrate empty.csv", "empty.csv: is empty"),
        (
            "calibrate nan.csv",
            "nan.csv:3: lag_ms: 'NaN' is no number (leave the cell empty where nothing was measured)",
        ),
        ("calibrate negative.csv", "negative.csv:2: lag_ms: '-1' is negative"),
        ("calibrate binary.csv", "binary.csv: is no UTF-8 text"),
        ("calibrate huge.csv", "huge.csv: is larger than 128 MiB"),
        ("calibrate /dev/zero", "/dev/zero: is larger than 128 MiB"),
        ("calibrate lag.csv", "lag.csv:1: name one of the columns with --column: at, replay_lag_ms"),
        ("calibrate lag.csv --column replay_lag", "no column 'replay_lag' (did you mean 'replay_lag_ms'?)"),
        ("calibrate lag.csv --column replay_lag_ms --unit parsec", "'parsec' is not one of 'us', 'ms'"),
        ("calibrate years.csv", "years.csv:2: lag_h: '99999' is longer than ten years (is the unit right?)"),
        ("calibrate lag.csv --column replay_lag_ms --unit MB", "add --wal-rate 2MB/s"),
        (
            "calibrate lag.csv --column replay_lag_ms --as mixture",
            "mixture cannot be fitted to these samples (0 of 200",
        ),
        ("calibrate lag.csv --column replay_lag_ms --where at", "'at' is not COLUMN=VALUE"),
        ("calibrate lag.csv --column replay_lag_ms --key a:b", "is no key of a scenario file"),
        ("calibrate lag.csv --column replay_lag_ms --wal-rate 0MB/s", "is no rate above zero"),
        ("calibrate lag.csv --column replay_lag_ms --json /dev/full", "/dev/full: No space left on device"),
        ("calibrate lag.csv --column replay_lag_ms --plot /dev/full", "/dev/full: No space left on device"),
        ("calibrate lag.csv --column replay_lag_ms --plot no/fit.png", "no: No such file or directory"),
        ("score scenario.yaml nothing.csv", "nothing.csv: no such file or directory"),
        ("score scenario.yaml .", "is a directory"),
        ("score nothing.yaml drills.csv", "nothing.yaml: no such file"),
        ("score scenario.yaml empty.csv", "empty.csv: is empty"),
        ("score scenario.yaml wrong.csv", "wrong.csv:1: unknown column 'rto_wrte_s' (did you mean 'rto_write_s'?)"),
        ("score scenario.yaml unit.csv", "unit.csv:2: rto: '3' has no unit, and the name of its column promises none"),
        ("score scenario.yaml names.csv", "names.csv: no column with a value to compare"),
        ("score scenario.yaml braces.csv", "put a name with commas between quotes"),
        ("score scenario.yaml maybe.csv", "maybe.csv:3: split: 'maybe' is neither yes nor no"),
    ],
)
def test_one_line_says_what_is_wrong(folder: Path, arguments: str, said: str) -> None:
    for name, text in {
        "empty.csv": "",
        "nan.csv": "lag_ms\n1\nNaN\n",
        "negative.csv": "lag_ms\n-1\n",
        "years.csv": "lag_h\n99999\n",
        "wrong.csv": "rto_wrte_s\n3\n",
        "unit.csv": "rto\n3\n",
        "names.csv": "drill,notes\nMay,went well\n",
        "braces.csv": "rto_s{service=orders,op=write}\n3\n",
        "maybe.csv": "split\nno\nmaybe\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    with (folder / "huge.csv").open("wb") as file:
        file.truncate(129 * 2**20)
    done = mrsim(*arguments.split(), cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in one_line(done)


def test_standard_output_that_is_full_is_said(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = mrsim("calibrate", "lag.csv", "--column", "replay_lag_ms", cwd=folder, stdout=full)
    assert done.returncode == 2
    assert "No space left on device" in one_line(done)


def test_what_cannot_be_written_leaves_what_was_there(folder: Path) -> None:
    (folder / "fit.png").write_text("before")
    done = mrsim("calibrate", "lag.csv", "--column", "replay_lag_ms", "--json", ".", "--plot", "fit.png", cwd=folder)
    assert done.returncode == 2
    assert (folder / "fit.png").read_text() == "before"
    assert sorted(path.name for path in folder.iterdir()) == ["drills.csv", "fit.png", "lag.csv", "scenario.yaml"]
