"""The command ``compare`` as a real process: what it prints, what it leaves behind, what its exit code says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mrsim.cli import main
from mrsim.report.comparison import comparison_report
from mrsim.scenario.loader import load
from mrsim.study.compare import compare

ROOT = Path(__file__).parents[2]
BOOKSTORE = "scenarios/active-passive/bookstore-region-loss.yaml"
FEW = ("--trials", "64", "--seed", "7", "--workers", "1")


def mrsim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_a_variant_is_compared_with_its_file(tmp_path: Path) -> None:
    path, pictures = tmp_path / "c.json", tmp_path / "pictures"
    done = mrsim("compare", BOOKSTORE, "--variant", "dns.shop.ttl=30s", *FEW, "--json", path, "--plot", pictures)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "B  dns.shop.ttl=30s" in done.stdout
    assert "B: no effect in any of 64 trials" in done.stdout
    assert "B is lower in 100 % of trials, under shared outages" in done.stdout
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["postures"][1]["settings"] == ["dns.shop.ttl=30s"]
    assert {one["column"] for one in document["contrasts"]} >= {"data_loss_s{store=orders-db}"}
    names = {picture.name for picture in pictures.iterdir()}
    assert {"phases.png", "restored-orders-write.png"} <= names
    assert any(name.startswith("difference-rto_s") for name in names)


def test_the_lines_that_replay_a_trial_run(tmp_path: Path) -> None:
    done = mrsim("compare", BOOKSTORE, "--variant", "dns.shop.ttl=30s; faults[0].lasts=20min", *FEW)
    lines = re.findall(r"^  mrsim (trace .*)$", done.stdout, re.MULTILINE)
    assert len(lines) == 2
    assert lines[1].startswith(f"trace {BOOKSTORE} --set dns.shop.ttl=30s --set 'faults[0].lasts=20min' --seed 7 ")
    again = mrsim(*lines[1].replace("'", "").split())
    assert again.returncode == 0, again.stderr
    assert lines[1] in again.stdout


def test_a_setting_changes_every_posture() -> None:
    done = mrsim("compare", BOOKSTORE, "--variant", "dns.shop.ttl=30s", "--set", "dns.shop.ttl=30s", *FEW)
    assert done.returncode == 0
    assert "nothing differs in any trial" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((BOOKSTORE,), "one posture is nothing to compare"),
        ((BOOKSTORE, "--variant", "dns.shop.tll=30s"), "dns.shop.tll: unknown key 'tll' (did you mean 'ttl'?)"),
        ((BOOKSTORE, "--variant", "dns.shop.ttl"), "'dns.shop.ttl' is not PATH=VALUE"),
        ((BOOKSTORE, BOOKSTORE, "--metric", "rpoo"), "rpoo: unknown metric 'rpoo' (did you mean 'rpo'?)"),
        ((BOOKSTORE, "nowhere.yaml"), "nowhere.yaml: no such file"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = mrsim("compare", *arguments, *FEW)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["run", "check", "trace"])
def test_a_setting_is_read_and_replayed_by_every_command(command: str) -> None:
    few = FEW if command != "trace" else ("--seed", "7", "--trial", "3")
    limit = "budgets.rto{service=orders, op=write, clients=90%}=[p95 < 1s]"
    done = mrsim(command, BOOKSTORE, "--set", "dns.shop.ttl=30s", "--set", limit, *few)
    assert done.returncode == (0 if command == "trace" else 1), done.stderr
    quoted = "--set 'budgets.rto{service=orders, op=write, clients=90%}=[p95 < 1s]' --seed 7 --trial"
    assert f"mrsim trace {BOOKSTORE} --set dns.shop.ttl=30s {quoted}" in done.stdout
    wrong = mrsim(command, BOOKSTORE, "--set", "dns.shop.ttl=soon", *few)
    assert wrong.returncode == 2
    assert wrong.stderr == f"{BOOKSTORE}: dns.shop.ttl: 'soon' is not a duration (write 75ms, 30s, 5min or 4h)\n"


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_the_terminal(width: int) -> None:
    scenario = load(ROOT / BOOKSTORE)
    comparison = compare(scenario, scenario.with_({"dns.shop.ttl": "30s"}), trials=64, seed=7, workers=1)
    report = comparison_report(comparison, width=width)
    lines = [line for line in report.splitlines() if "mrsim trace" not in line]
    assert max(map(len, lines)) <= width


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compare", "--help"])
    assert left.value.code == 0
    assert "Exit codes" in capsys.readouterr().out
