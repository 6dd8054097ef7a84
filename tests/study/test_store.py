"""Stores: nothing that was finished is lost, whatever ends the process, and the bytes never tell that it was ended."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mrsim.errors import ExtraError, ResultsError
from mrsim.report.text import run_report
from mrsim.scenario.loader import loads
from mrsim.study import parquet
from mrsim.study.collect import CHUNK
from mrsim.study.precision import until_precision
from mrsim.study.results import Results
from mrsim.study.run import Interrupted, run
from mrsim.study.storage import PART
from mrsim.study.store import BLOCK
from tests.study import fakes

ROOT = Path(__file__).parents[2]
SCENARIO = fakes.scenario(fakes.budget(fakes.LOSS, "p95 < 20"))
TRIALS = BLOCK + 5 * CHUNK + 100
"""A whole block, and the beginning of another."""
FINAL = [f"trials/{0:010}-{BLOCK - 1:010}.parquet", f"trials/{BLOCK:010}-{TRIALS - 1:010}.parquet"]


def stored(path: Path, trials: int | None = TRIALS, **more: Any) -> Results:
    options = {"seed": 5, "workers": 1, "build": fakes.build} | more
    return run(SCENARIO, trials=trials, store=path, **options)


def files_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def saved(results: Results, path: Path) -> bytes:
    results.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def memory() -> Results:
    """The study in memory."""
    return run(SCENARIO, trials=TRIALS, seed=5, workers=1, build=fakes.build)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study in a store, never stopped."""
    path = tmp_path_factory.mktemp("whole") / "store"
    stored(path)
    return path


def test_what_is_stored_is_what_would_be_in_memory(memory: Results, whole: Path, tmp_path: Path) -> None:
    assert sorted(files_of(whole)) == [".lock", "study.json", *FINAL]
    read = Results.load(whole)
    assert read.n == TRIALS
    assert read.complete
    assert saved(read, tmp_path / "a") == saved(memory, tmp_path / "b")
    assert saved(stored(tmp_path / "again", workers=2), tmp_path / "c") == saved(memory, tmp_path / "b")
    assert files_of(tmp_path / "again") == files_of(whole)


def test_stored_results_answer_as_those_in_memory(memory: Results, whole: Path) -> None:
    read = Results.load(whole)
    assert read.columns == memory.columns
    assert read.checks == memory.checks
    assert repr(read) == repr(memory)
    for column in memory.columns:
        assert np.array_equal(read.values_of(column), memory.values_of(column), equal_nan=True)
        assert np.array_equal(read.status_of(column), memory.status_of(column))
    pd.testing.assert_frame_equal(read.summary(), memory.summary())
    pd.testing.assert_frame_equal(read.episodes, memory.episodes)
    pd.testing.assert_frame_equal(read.faults, memory.faults)
    assert list(read.curves) == list(memory.curves)
    assert np.array_equal(read.curves[fakes.CURVE], memory.curves[fakes.CURVE])
    with pytest.raises(KeyError):
        read.curves["nothing"]
    with pytest.raises(ResultsError, match="no column 'nothing'"):
        read.values_of("nothing")
    once_more = stored(whole, resume=True)
    assert run_report(once_more, width=100) == run_report(memory, width=100)


def test_other_tools_read_a_row_per_trial(memory: Results, whole: Path) -> None:
    table = pd.read_parquet(
        whole / "trials", columns=["trial", fakes.RTO, f"status:{fakes.RTO}", "fault 0 with effect"]
    )
    assert table["trial"].tolist() == list(range(TRIALS))
    assert np.array_equal(table[fakes.RTO], memory.values_of(fakes.RTO), equal_nan=True)
    assert np.array_equal(table[f"status:{fakes.RTO}"], memory.status_of(fakes.RTO))
    assert table["fault 0 with effect"].sum() == memory.faults["with_effect"][0]
    lists = pd.read_parquet(whole / "trials", columns=["episodes"])["episodes"]
    assert sum(map(len, lists)) == len(memory.episodes)


KILLED = """\
import sys
from pathlib import Path
from mrsim.study.run import run
from tests.study import fakes, test_store
if __name__ == "__main__":
    run(test_store.SCENARIO, trials=test_store.TRIALS, seed=5, workers=int(sys.argv[2]), build=fakes.build_paced,
        store=Path(sys.argv[1]), resume=True)
"""


@pytest.mark.parametrize(
    "workers", [(1, 3, 2, 1), *(pytest.param((n,) * 4, marks=pytest.mark.slow) for n in (1, 2, 3))], ids=str
)
def test_a_study_that_is_killed_three_times_ends_with_the_same_bytes(
    workers: tuple[int, ...], whole: Path, memory: Results, tmp_path: Path
) -> None:
    store, script = tmp_path / "store", tmp_path / "study.py"
    script.write_text(KILLED)
    luck = random.Random(str(workers))  # when a kill comes decides no byte
    kept = 0
    for number in workers[:3]:
        with started(script, store, number) as process:
            wait_for(process, store, kept + luck.randint(CHUNK, TRIALS // 4))
            time.sleep(luck.random() * 0.05)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        before, kept = kept, trials_in(store)
        assert before < kept < TRIALS
    with started(script, store, workers[3]) as process:
        pass
    assert process.returncode == 0
    assert files_of(store) == files_of(whole)
    assert saved(Results.load(store), tmp_path / "a") == saved(memory, tmp_path / "b")


def started(script: Path, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)


def trials_in(store: Path) -> int:
    """Return how many trials there are files of, some of them perhaps twice for a moment."""
    spans = {tuple(map(int, path.stem.split("-"))) for path in store.glob("trials/*.parquet")}
    return len({trial for first, last in spans for trial in range(first, last + 1)})


def wait_for(process: subprocess.Popen[bytes], store: Path, trials: int) -> None:
    end = time.monotonic() + 60.0
    while trials_in(store) < min(trials, TRIALS - CHUNK):
        assert process.poll() is None, "it ended before it was to be killed"
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_a_kill_leaves_half_done_is_cleaned_away(whole: Path, tmp_path: Path) -> None:
    """It came while a file was written, and between a merged file and the removal of what is in it."""
    store, parts = tmp_path / "store", tmp_path / "parts"
    stored(parts, trials=CHUNK)
    stored(store)
    left = next((parts / "trials").iterdir())
    (store / "trials" / left.name).write_bytes(left.read_bytes())
    (store / "trials" / f".{left.name}.123{PART}").write_bytes(b"PAR1")
    (store / f".study.json.123{PART}").write_bytes(b"{")
    assert Results.load(store).n == TRIALS
    stored(store, resume=True)
    assert files_of(store) == files_of(whole)


def test_an_interruption_keeps_what_was_finished_and_can_be_resumed(whole: Path, tmp_path: Path) -> None:
    def interrupt(done: int, _: int) -> None:
        if done >= 3 * CHUNK:
            raise KeyboardInterrupt

    store = tmp_path / "store"
    with pytest.raises(Interrupted) as caught:
        stored(store, progress=interrupt)
    assert caught.value.partial is not None
    assert caught.value.partial.n == 3 * CHUNK == Results.load(store).n
    assert "768 of 9572 trials" in repr(caught.value.partial)
    seen: list[int] = []
    stored(store, trials=None, seed=None, resume=True, progress=lambda done, _: seen.append(done))
    assert seen[0] == 4 * CHUNK, "what was there was not run again"
    assert files_of(store) == files_of(whole)


def test_a_longer_study_and_looks_in_between_leave_no_trace(whole: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert stored(store, trials=1000).n == 1000
    assert stored(store, resume=True).n == TRIALS
    assert files_of(store) == files_of(whole)
    fewer = stored(store, trials=700, resume=True)
    assert fewer.trials.equals(run(SCENARIO, trials=700, seed=5, workers=1, build=fakes.build).trials)
    assert set(fewer.episodes["trial"]) <= set(range(700))
    assert files_of(store) == files_of(whole)


def test_a_study_until_precision_is_resumed_through_the_same_looks(tmp_path: Path) -> None:
    def precise(**more: Any) -> Any:
        return until_precision(SCENARIO, "0.5%", trials=250, most=4000, seed=5, workers=1, build=fakes.build, **more)

    plain, once = precise(), precise(store=tmp_path / "store")
    again = precise(store=tmp_path / "store", resume=True)
    assert plain.known == once.known == again.known
    assert 250 < plain.results.n == again.results.n


def test_a_full_disk_loses_nothing_and_leaves_nothing_half_written(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    for room in (7, 12):
        fill(monkeypatch, after=room)
        with pytest.raises(OSError, match="No space left on device; what was finished before is kept, and can") as full:
            stored(store, resume=True)
        assert full.value.filename == str(store)
        monkeypatch.undo()
        assert not list(store.rglob(f".*{PART}"))
        assert 0 < Results.load(store).n < TRIALS
    stored(store, resume=True)
    assert files_of(store) == files_of(whole)


def fill(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the disk be full after so many files."""
    left = [after]
    really = os.fsync

    def fsync(handle: int) -> None:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        really(handle)

    monkeypatch.setattr("os.fsync", fsync)


LIMITED = """\
import resource, sys
from pathlib import Path
from mrsim.study.run import run
from tests.study import fakes, test_store
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    run(test_store.SCENARIO, trials=test_store.TRIALS, seed=5, workers=1, build=fakes.build, store=Path(sys.argv[1]))
except OSError as error:
    sys.exit(error.strerror)
"""


def test_a_write_that_really_fails_in_the_middle_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    """A file may not grow beyond what a block takes, so the merge of the first fails."""
    script, store = tmp_path / "study.py", tmp_path / "store"
    script.write_text(LIMITED)
    command = [sys.executable, str(script), str(store), "100000"]
    there = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=there, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "File too large; what was finished before is kept, and can be resumed\n"
    assert trials_in(store) == BLOCK
    assert not list(store.rglob(f".*{PART}"))
    stored(store, resume=True)
    assert files_of(store) == files_of(whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 6}, "seed 5, now 6"),
        ({"scenario": loads(fakes.TEXT.replace("ttl: 60s", "ttl: 61s"))}, "the scenario differs at dns.shop.ttl"),
    ],
    ids=["seed", "scenario"],
)
def test_another_study_is_not_gone_on_with(whole: Path, change: dict[str, Any], said: str) -> None:
    before = files_of(whole)
    scenario = change.pop("scenario", SCENARIO)
    with pytest.raises(ResultsError, match=f"cannot go on with another study than was begun there: {said}"):
        run(scenario, build=fakes.build, store=whole, resume=True, **change)
    assert files_of(whole) == before


def test_another_version_does_not_go_on(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrsim.study.provenance.__version__", "9.9.9")
    with pytest.raises(ResultsError, match=r"begun there: mrsim \d.*, now 9\.9\.9"):
        stored(whole, resume=True)


def test_a_study_is_not_begun_over_another_or_among_other_files(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=f"holds a study already .{TRIALS} of {TRIALS} trials of fake, seed 5"):
        stored(whole)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ResultsError, match="holds files and no study"):
        stored(tmp_path)
    with pytest.raises(ResultsError, match="is a file; a store is a folder"):
        stored(tmp_path / "letter.txt")
    with pytest.raises(ResultsError, match=r"without study\.json"):
        Results.load(tmp_path)
    with pytest.raises(ValueError, match="resume needs a store"):
        run(SCENARIO, resume=True, build=fakes.build)


def test_resuming_what_was_not_begun_begins_it(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    stored(tmp_path / "store", resume=True)
    assert files_of(tmp_path / "store") == files_of(whole)


def test_two_processes_do_not_write_to_one_store(tmp_path: Path) -> None:
    def meanwhile(done: int, _: int) -> None:
        if done == CHUNK:
            with pytest.raises(ResultsError, match="another process is writing to it"):
                stored(tmp_path / "store", resume=True)

    assert stored(tmp_path / "store", progress=meanwhile).n == TRIALS


def test_files_that_are_damaged_or_of_another_study_are_named(tmp_path: Path) -> None:
    store = tmp_path / "store"
    stored(store, trials=100)
    file = store / "trials" / "0000000000-0000000099.parquet"
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    with pytest.raises(ResultsError, match=f"{file.name}: not a file of trials, or a damaged one"):
        Results.load(store)
    stored(tmp_path / "other", trials=100, seed=6)
    file.write_bytes((tmp_path / "other" / "trials" / file.name).read_bytes())
    with pytest.raises(ResultsError, match=f"{file.name}: belongs to another study"):
        Results.load(store)
    file.unlink()
    with pytest.raises(ResultsError, match="none of the 100 trials is finished yet"):
        Results.load(store)
    manifest = store / "study.json"
    text = manifest.read_text()
    for wrong in ("", "[]", json.dumps({"format": 1})):
        manifest.write_text(wrong)
        with pytest.raises(ResultsError, match=r"study\.json: does not describe a study"):
            Results.load(store)
    manifest.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(ResultsError, match="a store of layout 2; this version knows layout 1"):
        stored(store, resume=True)


def test_names_with_dots_and_trials_without_episodes_survive(tmp_path: Path) -> None:
    column = "rto_s{service=orders,op=write,clients=99.9%,of=affected}"
    results = run(SCENARIO, trials=3, seed=1, build=fakes.build_dotted, store=tmp_path / "store")
    assert results.values_of(column).tolist() == [0.0, 1.0, 2.0]
    assert results.episodes.empty


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ExtraError, match=rf"{re.escape(sys.executable)} -m pip install 'mrsim\[parquet\]'"):
        stored(tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_table_keeps_every_bit() -> None:
    odd = np.array([0.0, -0.0, np.inf, np.nan, 5e-324])
    chunk = fakes.build(SCENARIO)(5, 0, len(odd))
    chunk.measures.values |= {fakes.LOSS: odd}
    table = parquet.joined([parquet.table_of(chunk, "x")])
    assert parquet.column(table, fakes.LOSS).tobytes() == odd.tobytes()


MEMORY = """
import sys
from pathlib import Path
from benchmarks.costs import peak_bytes
from mrsim.study.run import run
from tests.study import fakes
trials, store = int(sys.argv[1]), Path(sys.argv[2])
results = run(fakes.scenario(), trials=trials, seed=1, workers=1, build=fakes.build_wide, store=store)
results.estimate(fakes.LOSS, "p95")
print(peak_bytes())
"""


def test_memory_does_not_grow_with_the_trials(tmp_path: Path) -> None:
    """A trial of this study takes three kilobytes, so 48,000 more would be 144 megabytes; the allocators' own is 30."""

    def peak(trials: int) -> int:
        command = [sys.executable, "-c", MEMORY, str(trials), str(tmp_path / str(trials))]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert peak(60_000) - peak(12_000) < 48_000 * 3_000 / 2
