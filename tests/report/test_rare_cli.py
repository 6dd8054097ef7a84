"""The command ``rare`` as people and pipelines use it: what it says, what it writes, how it ends."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study.test_rare_against_theory import CUT_OFF

ROOT = Path(__file__).resolve().parents[2]


def mrsim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rare") / "cut-off.yaml"
    path.write_text(CUT_OFF.format(mean=40), encoding="utf-8")
    return path


def test_a_rate_and_what_it_rests_on(file: Path) -> None:
    into = file.with_suffix(".json")
    done = mrsim("rare", file, "--metric", "split_brain", "--trials", "3000", "--seed", "5", "--json", into)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(into.read_text(encoding="utf-8"))
    assert document["verdict"] == "found"
    assert document["low"] < document["rate"] < document["high"]
    first = done.stdout.splitlines()
    assert first[0] == "cut-off: how likely is split brain, db, given the faults of the scenario?"
    assert " of trials, about one in " in first[2]
    assert "(95 % interval)" in first[2]
    assert "crude Monte Carlo would need" in done.stdout
    assert "fault/isolation/us-east/lasts" in done.stdout
    (again,) = (line for line in first if line.startswith("  mrsim rare "))
    assert shlex.split(again)[2:] == [
        *(str(file), "--metric", "split_brain{store=db}", "--trials", "3000", "--seed", "5"),
    ]


def test_not_found_is_inconclusive(file: Path) -> None:
    faults = "faults=[{kind: agent-crash, store: db, region: us-east, at: 300s}]"
    done = mrsim("rare", file, "--set", faults, "--metric", "split_brain", "--trials", "3000", "--seed", "5")
    assert (done.returncode, done.stderr) == (3, "")
    assert "not found: at most " in done.stdout
    assert "one in 400 (95 % bound)" in done.stdout
    assert "\n0 " not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metric", "split_brian"), "did you mean"),
        (("--metric", "split_brain{store=bd}"), "split_brain{store=bd}: unknown store 'bd' (known: db)"),
        (("--metric", "rpo"), "write rpo > 5min"),
        (("--metric", "split_brain", "--trials", "20"), "between 3,000 and"),
        ((), "--metric"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(file: Path, arguments: tuple[str, ...], said: str) -> None:
    done = mrsim("rare", file, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
