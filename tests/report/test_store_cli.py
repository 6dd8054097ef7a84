"""The command line and stores: what is printed, what is refused, and studies of the real engine that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mrsim.cli import main
from mrsim.study.results import Results

ROOT = Path(__file__).resolve().parents[2]
BOOKSTORE = ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"


def mrsim(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def files_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_command_that_is_killed_and_resumed_prints_and_stores_the_same(tmp_path: Path) -> None:
    plain = mrsim("run", BOOKSTORE, "--trials", 1300, "--seed", 7)
    command = ("run", BOOKSTORE, "--store", tmp_path / "store", "--resume")
    line = [sys.executable, "-m", "mrsim", *map(str, command), "--trials", "1300", "--seed", "7", "--workers", "1"]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60.0
        while not list(tmp_path.glob("store/trials/*0000000511.parquet")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = Results.load(tmp_path / "store").n
    resumed = mrsim(*command)
    assert 512 <= kept < 1300
    assert resumed.stderr == f"mrsim: {tmp_path / 'store'}: {kept} of 1300 trials are there, going on after them\n"
    assert (resumed.returncode, resumed.stdout) == (plain.returncode, plain.stdout)
    whole = mrsim("run", BOOKSTORE, "--trials", 1300, "--seed", 7, "--store", tmp_path / "whole")
    assert (whole.stdout, whole.stderr) == (plain.stdout, "")
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "store")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--resume",), "--resume goes on with a study in a folder: name it with --store"),
        (("--store", "there", "--save", "file"), "--store keeps the results already"),
        (("--store", "pyproject.toml"), "pyproject.toml: is a file; a store is a folder"),
        (("--store", "docs"), "docs: holds files and no study"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
def test_what_cannot_be_is_refused_before_the_run(
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as left:
        main(["run", str(BOOKSTORE), *arguments])
    shown = capsys.readouterr()
    assert left.value.code == 2
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_study_that_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends = []
    for more in ((), (), ("--resume", "--seed", "8"), ("--resume", "--set", "dns.shop.ttl=45s"), ("--resume",)):
        with pytest.raises(SystemExit) as left:
            main(["run", str(BOOKSTORE), "--trials", "20", "--store", str(tmp_path / "store"), *more])
        ends.append((left.value.code, capsys.readouterr().err.partition(": ")[2].partition(": ")[2]))
    assert [code for code, _ in ends] == [3, 2, 2, 2, 3]
    assert ends[1][1].startswith("holds a study already (20 of 20 trials of bookstore-three-region, seed ")
    assert ends[1][1].endswith("): resume it, or name another folder\n")
    assert ends[2][1].endswith("now 8\n")
    assert ends[3][1].endswith("the scenario differs at dns.shop.ttl\n")
    assert ends[4][1] == "20 of 20 trials are there, going on after them\n"


def test_a_full_disk_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    store = tmp_path / "store"
    for name in ("mrsim.study.store.write_atomically", "mrsim.study.parquet.write_atomically"):
        with monkeypatch.context() as patch:
            patch.setattr(name, full)
            with pytest.raises(SystemExit) as left:
                main(["run", str(BOOKSTORE), "--trials", "20", "--store", str(store), "--resume"])
        assert left.value.code == 2
        assert capsys.readouterr() == ("", f"mrsim: {store}: No space left on device\n")
