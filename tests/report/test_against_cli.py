"""``check --write-baseline`` and ``check --against``: files, exit codes, and what machines read of them.

The baseline and its regression are real processes; the other ways of asking run the same command line in this one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mrsim.cli import main
from tests.study.test_gate import outside_of_schema

ROOT = Path(__file__).parents[2]
BOOKSTORE = (ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml").read_text(encoding="utf-8")
LIMITS = """budgets:
  rto{service=orders, op=write, clients=90%}: [p90 < 15min]
  rpo{store=orders-db}: [{expr: p50 < 10s, level: warn}]
"""


def mrsim(*arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments), "--workers", "1"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    env |= {"PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300, env=env)


Called = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def called(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    """Return a function that runs the command line in this process, in the folder."""
    monkeypatch.chdir(folder)

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments), "--workers", "1"])
        said = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return subprocess.CompletedProcess([], left.value.code, said.out, said.err)

    return call


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write a bookstore, changed, and return its file."""
    text = BOOKSTORE.partition("budgets:")[0] + LIMITS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    return folder / "shop.yaml"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a baseline of 80 trials, written by the command line."""
    folder = tmp_path_factory.mktemp("before")
    written(folder)
    wrote = mrsim("check", "shop.yaml", "--trials", 80, "--seed", 7, "--write-baseline", "b.jsonl", folder=folder)
    assert wrote.returncode == 0, wrote.stderr
    return (folder / "b.jsonl").read_bytes()


@pytest.fixture
def folder(before: bytes, tmp_path: Path) -> Path:
    """Return a folder with a baseline and the scenario that it was made of."""
    (tmp_path / "b.jsonl").write_bytes(before)
    written(tmp_path)
    return tmp_path


def test_what_did_not_change_is_the_same(folder: Path, called: Called) -> None:
    done = called("check", "shop.yaml", "--against", "b.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Against b.jsonl: 80 trials, seed 7" in done.stdout
    assert "the same scenario" in done.stdout
    assert "4 comparisons with the baseline: 4 same" in done.stdout
    again = called("check", "shop.yaml", "--against", "b.jsonl", "--write-baseline", "c.jsonl")
    assert again.returncode == 0
    assert (folder / "c.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()


def test_a_regression_is_red_everywhere(folder: Path) -> None:
    written(folder, ("every: 10s", "every: 20s"))
    (folder / "summary.md").write_text("before\n", encoding="utf-8")
    done = mrsim(
        *("check", "shop.yaml", "--against", "b.jsonl", "--junit", "j.xml", "--json", "j.json"),
        folder=folder,
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 checks: 2 passed" in done.stdout, "no limit is broken: it only got worse"
    assert "stores.orders-db.failover.detect.every: 10 -> 20" in done.stdout
    assert "REGRESSED" in done.stdout
    assert re.search(r"^  mrsim trace shop.yaml --seed 7 --trial \d+$", done.stdout, re.MULTILINE)
    line = BOOKSTORE.partition("budgets:")[0].count("\n") + 2
    [note] = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert note.startswith(f"::error file=shop.yaml,line={line},title=rto{{service=orders%2C op=write")
    assert "regressed by the scenario" in note
    table = (folder / "summary.md").read_text(encoding="utf-8")
    assert table.startswith("before\n## mrsim: 2 checks")
    assert "| scenario | ❌ REGRESSED |" in table
    root = ElementTree.parse(folder / "j.xml").getroot()
    assert list(outside_of_schema(root)) == []
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "1", "0")
    [failed] = root.findall("testsuite/testcase/failure")
    assert (failed.text or "").startswith(f"shop.yaml:{line}: rto")
    document = json.loads((folder / "j.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (document["exit_code"], document["against"]["exit_code"]) == (1, 1)
    [scenario] = document["against"]["scenarios"]
    assert scenario["edits"] == [{"path": "stores.orders-db.failover.detect.every", "was": 10.0, "now": 20.0}]
    [moved, unmoved] = scenario["budgets"][0]["changes"]
    assert (moved["by"], moved["verdict"], moved["differing"]) == ("scenario", "regressed", 80)
    assert moved["difference"]["low"] > moved["tolerance"]
    assert (unmoved["by"], unmoved["verdict"]) == ("engine", "same")


def test_the_tolerance_decides(folder: Path, called: Called) -> None:
    written(folder, ("every: 10s", "every: 11s"))
    for tolerance, code, word in (((), 0, "HELD"), (("0.5%",), 1, "REGRESSED"), (("0.5%", "10s"), 0, "HELD")):
        asked = [part for one in tolerance for part in ("--tolerance", one)]
        done = called("check", "shop.yaml", "--against", "b.jsonl", *asked)
        assert done.returncode == code, done.stdout + done.stderr
        assert word in done.stdout


def test_what_comes_and_goes_is_said(folder: Path, called: Called) -> None:
    written(folder, ("name: bookstore-three-region", "name: shop"), ("{expr: p50 < 10s, level: warn}", "p50 < 20s"))
    (folder / "new.yaml").write_text((folder / "shop.yaml").read_text().replace("name: shop", "name: new"))
    done = called("check", "shop.yaml", "new.yaml", "--against", "b.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shop was bookstore-three-region; the same scenario" in done.stdout
    assert "the limit was p50 < 10s (warn)" in done.stdout
    assert "new: the baseline does not have it" in done.stdout
    (folder / "shop.yaml").unlink()
    (folder / "new.yaml").write_text((folder / "new.yaml").read_text().replace("ttl: 60s", "ttl: 50s"))
    done = called("check", "new.yaml", "--against", "b.jsonl")
    assert "not compared: bookstore-three-region of the baseline (shop.yaml)" in done.stdout
    assert "0 comparisons with the baseline: 2 new" in done.stdout


def test_the_engines_doing_is_said(folder: Path, called: Called) -> None:
    """A baseline whose numbers are others than today's, as an older engine would have left it."""
    from dataclasses import replace

    from mrsim.study.baseline import Baseline

    baseline = Baseline.load(folder / "b.jsonl")
    [kept] = baseline.kept
    quicker = replace(kept, values={name: 0.9 * values for name, values in kept.values.items()})
    older = replace(baseline, kept=(quicker,), engine=baseline.engine | {"mrsim": "0.0.1"})
    older.save(folder / "b.jsonl")
    done = called("check", "shop.yaml", "--against", "b.jsonl")
    assert done.returncode == 1
    assert "engine: mrsim 0.0.1 -> " in done.stdout
    assert "regressed by the engine" in " ".join(done.stdout.split())
    assert "the same scenario" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "b.jsonl", "--seed", "3"), "--seed is not for --against: the baseline says it"),
        (("--against", "b.jsonl", "--trials", "30"), "--trials is not for --against: the baseline says it"),
        (("--tolerance", "2%"), "--tolerance is for --against"),
        (("--against", "b.jsonl", "--tolerance", "much"), "'much' is no tolerance: write 2%"),
        (("--against", "nowhere"), "nowhere: no such file"),
        (("--against", "."), ".: is a directory"),
        (("--against", "shop.yaml"), "shop.yaml:1: not a baseline"),
        (("--write-baseline", "nowhere/b.jsonl"), "nowhere: No such file"),
        (("--write-baseline", "-"), "is no file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_run(
    arguments: tuple[str, ...], said: str, called: Called
) -> None:
    done = called("check", "shop.yaml", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_baseline_that_was_cut_off_or_changed_by_hand_is_refused(folder: Path, called: Called) -> None:
    whole = (folder / "b.jsonl").read_text(encoding="utf-8")
    for text, line in ((whole[:-200], whole[:-200].count("\n") + 1), (whole.replace(": 30.0}", ": 5.0}"), 2)):
        (folder / "b.jsonl").write_text(text, encoding="utf-8")
        done = called("check", "shop.yaml", "--against", "b.jsonl")
        assert done.returncode == 2
        assert done.stderr.startswith(f"b.jsonl:{line}: ")
        assert len(done.stderr.splitlines()) == 1


def test_two_files_of_one_name_have_no_baseline(folder: Path, called: Called) -> None:
    (folder / "other.yaml").write_text((folder / "shop.yaml").read_text())
    done = called("check", "shop.yaml", "other.yaml", "--trials", 30, "--write-baseline", "c.jsonl")
    assert done.returncode == 2
    assert done.stderr.startswith("shop.yaml and other.yaml have the same name, 'bookstore-three-region'")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_the_terminal(width: int, folder: Path, called: Called) -> None:
    written(folder, ("every: 10s", "every: 20s"))
    done = called("check", "shop.yaml", "--against", "b.jsonl", COLUMNS=str(width))
    lines = [line for line in done.stdout.splitlines() if "mrsim trace" not in line]
    assert max(map(len, lines)) <= width
