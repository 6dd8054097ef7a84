"""Studies: the same bytes however they are run, and what is left when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrsim.errors import ScenarioError, SimulationError
from mrsim.scenario.loader import loads
from mrsim.study.collect import CHUNK
from mrsim.study.compare import compare
from mrsim.study.executors import FIRST, WorkerError, tasks_of
from mrsim.study.gate import check
from mrsim.study.results import Results
from mrsim.study.run import Interrupted, run, run_one
from tests.study import fakes

TRIALS = 4 * CHUNK + 100
SCENARIO = fakes.scenario(fakes.budget(fakes.LOSS, "p95 < 20"))


def saved(results: Results, path: Path) -> bytes:
    results.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def here() -> Results:
    """The study, run in this process."""
    return run(SCENARIO, trials=TRIALS, seed=5, workers=1, build=fakes.build)


def test_chunks_are_of_one_size_whatever_runs_them_but_the_first_comes_soon() -> None:
    tasks = tasks_of(5, TRIALS)
    rest = [(256, 256), (512, 256), (768, 256), (1024, 100)]
    assert [(task.first, task.count) for task in tasks] == [(0, 16), (16, 240), *rest]
    assert [(task.first, task.count) for task in tasks_of(5, 17)] == [(0, 16), (16, 1)]
    assert [(task.first, task.count) for task in tasks_of(5, 16)] == [(0, 16)]
    assert [(task.first, task.count) for task in tasks_of(5, 256)] == [(0, 16), (16, 240)]


def test_worker_processes_give_the_same_bytes(here: Results, tmp_path: Path) -> None:
    there = run(SCENARIO, trials=TRIALS, seed=5, workers=2, build=fakes.build)
    assert saved(there, tmp_path / "there") == saved(here, tmp_path / "here")


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_any_executor_gives_the_same_bytes_and_is_left_running(kind: str, here: Results, tmp_path: Path) -> None:
    made: Executor = ThreadPoolExecutor(3) if kind == "threads" else ProcessPoolExecutor(1, get_context("spawn"))
    with made as executor:
        there = run(SCENARIO, trials=TRIALS, seed=5, executor=executor, build=fakes.build)
        assert executor.submit(abs, -1).result() == 1
    assert saved(there, tmp_path / "there") == saved(here, tmp_path / "here")


def test_without_a_number_of_workers_short_work_stays_here(
    here: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrsim.study.run.run_on_cores", None)
    assert saved(run(SCENARIO, trials=TRIALS, seed=5, build=fakes.build), tmp_path / "a") == saved(here, tmp_path / "b")


def test_without_a_number_of_workers_long_work_goes_to_all_cores(
    here: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrsim.study.run.WORTH_STARTING_S", 0.0)
    monkeypatch.setattr("mrsim.study.run.usable_cores", lambda: 2)
    assert saved(run(SCENARIO, trials=TRIALS, seed=5, build=fakes.build), tmp_path / "a") == saved(here, tmp_path / "b")


def test_the_values_are_those_of_each_trial_alone(here: Results) -> None:
    for trial in (0, 255, 256, 700, TRIALS - 1):
        alone = fakes.fake_measures(5, trial, 1)
        assert here.trials.loc[trial].tolist() == pytest.approx([v[0] for v in alone.values.values()], nan_ok=True)
        assert here.status.loc[trial].tolist() == [status[0] for status in alone.status.values()]
        assert np.array_equal(here.curves[fakes.CURVE][trial], alone.curves[fakes.CURVE][0])


def test_more_trials_begin_with_the_fewer(here: Results) -> None:
    fewer = run(SCENARIO, trials=300, seed=5, workers=1, build=fakes.build)
    assert fewer.trials.equals(here.trials.iloc[:300])


def test_a_seed_is_drawn_and_recorded() -> None:
    first = run(SCENARIO, trials=10, build=fakes.build)
    again = run(SCENARIO, trials=10, seed=first.seed, build=fakes.build)
    assert again.trials.equals(first.trials)
    assert run(SCENARIO, trials=10, build=fakes.build).seed != first.seed


def test_progress_ends_at_the_number_asked_for() -> None:
    seen: list[tuple[int, int]] = []
    run(SCENARIO, trials=TRIALS, seed=5, workers=1, build=fakes.build, progress=lambda *at: seen.append(at))
    assert seen == [(done, TRIALS) for done in (FIRST, 256, 512, 768, 1024, TRIALS)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"trials": 0}, ValueError),
        ({"trials": 10.0}, TypeError),
        ({"trials": True}, TypeError),
        ({"seed": -1}, ValueError),
        ({"seed": "1"}, TypeError),
        ({"workers": 0}, ValueError),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{next(iter(arguments))} must be"):
        run(SCENARIO, build=fakes.build, **arguments)


@pytest.mark.parametrize("given", ["ward.yaml", Path("ward.yaml"), None])
@pytest.mark.parametrize("asked", [run, check, compare])
def test_what_is_no_scenario_is_refused_with_the_way_out(given: Any, asked: Callable[..., object]) -> None:
    way_out = rf"mrsim\.{asked.__name__}\(mrsim\.load\(" + ("'ward.yaml'" if given else r"\.\.\.")
    with pytest.raises(TypeError, match=way_out):
        asked(*[given] * (2 if asked is compare else 1), trials=10)


def test_a_study_without_faults_is_the_baseline() -> None:
    text = fakes.TEXT.partition("faults:")[0]
    for scenario in (loads(text), loads("name: bare\nregions: [a]")):
        results = run(scenario, trials=20, seed=5, workers=1)
        assert results.n == 20
        assert results.faults.empty


def test_an_interruption_does_not_wait_for_chunks_under_way() -> None:
    """Workers that would take a minute are gone before the study says what was finished."""

    def interrupt() -> None:
        while not active_children():
            time.sleep(0.05)
        time.sleep(2.0)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted):
        run(SCENARIO, trials=TRIALS, seed=5, workers=2, build=fakes.build_stuck)
    asked = time.monotonic()
    while active_children():
        assert time.monotonic() - asked < 10.0
        time.sleep(0.05)


ORPHANS = """\
import os, signal
from mrsim.study.executors import _Pool
if __name__ == "__main__":
    with _Pool(2) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "orphans.py"
    path.write_text(ORPHANS)
    said = tmp_path / "workers"
    with said.open("w") as out:
        there = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, str(path)], stdout=out, env=there, check=False)
    assert done.returncode == -signal.SIGKILL
    left = {int(pid) for pid in said.read_text().split()}
    assert left
    end = time.monotonic() + 60.0
    while left and time.monotonic() < end:
        left = {pid for pid in left if _runs(pid)}
        time.sleep(0.05)
    assert not left


UNGUARDED = """\
import mrsim
print("begins", flush=True)
print(mrsim.run(mrsim.loads(TEXT), trials=300, seed=5, workers=2).n, flush=True)
"""
WITH_ITS_OWN_BUILD = """\
import mrsim
from mrsim.study.run import chunk_function
print("begins", flush=True)
def build(scenario):
    return chunk_function(scenario)
if __name__ == "__main__":
    print(mrsim.run(mrsim.loads(TEXT), trials=300, seed=5, workers=2, build=build).n, flush=True)
"""


@pytest.mark.parametrize(("script", "again"), [(UNGUARDED, False), (WITH_ITS_OWN_BUILD, True)])
def test_workers_read_a_script_again_only_for_what_they_need_of_it(script: str, again: bool, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(script.replace("TEXT", repr(fakes.TEXT)))
    there = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, env=there, check=False)
    assert done.stderr == ""
    said = done.stdout.splitlines()
    assert said.count("300") == 1
    assert (said.count("begins") > 1) == again


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_and_executor_exclude_each_other() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="cannot be given together"):
        run(SCENARIO, trials=10, workers=2, executor=executor, build=fakes.build)


@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_goes_wrong_in_a_trial_names_seed_and_trial(workers: int) -> None:
    with pytest.raises(SimulationError, match="ZeroDivisionError: by zero") as caught:
        run(SCENARIO, trials=TRIALS, seed=5, workers=workers, build=fakes.build_broken)
    assert (caught.value.seed, caught.value.trial) == (5, fakes.BROKEN_TRIAL)


def test_what_only_goes_wrong_together_names_the_chunk() -> None:
    def build(_: object) -> Any:
        def run_chunk(seed: int, first: int, count: int) -> Any:
            if count > 1:
                raise ValueError("shape")
            return fakes.build(SCENARIO)(seed, first, count)

        return run_chunk

    with pytest.raises(SimulationError, match="only when trials 0 to 9 are run together"):
        run(SCENARIO, trials=10, seed=5, workers=1, build=build)


def test_a_worker_that_dies_costs_its_chunk_only(
    here: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fakes.DIES_FILE, str(tmp_path / "deaths"))
    there = run(SCENARIO, trials=TRIALS, seed=5, workers=2, build=fakes.build_dies_once)
    assert (tmp_path / "deaths").read_text() == "1"
    assert saved(there, tmp_path / "there") == saved(here, tmp_path / "here")


def test_a_worker_that_dies_twice_names_the_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fakes.DIES_FILE, str(tmp_path / "deaths"))
    with pytest.raises(WorkerError, match="trials 512 to 767") as caught:
        run(SCENARIO, trials=TRIALS, seed=5, workers=2, build=fakes.build_dies_always)
    assert (tmp_path / "deaths").read_text() == "2"
    assert (caught.value.seed, caught.value.first, caught.value.last) == (5, 512, 767)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_keeps_what_was_finished(workers: int, here: Results) -> None:
    def interrupt(done: int, _: int) -> None:
        if done >= 2 * CHUNK and not asked.is_set():
            asked.set()
            os.kill(os.getpid(), signal.SIGINT)

    asked = threading.Event()
    with pytest.raises(Interrupted) as caught:
        run(SCENARIO, trials=TRIALS, seed=5, workers=workers, build=fakes.build_slow, progress=interrupt)
    partial = caught.value.partial
    assert partial is not None
    assert not partial.complete
    assert 2 * CHUNK <= partial.n < TRIALS
    assert partial.provenance["trials"] == partial.n
    assert partial.trials.equals(here.trials.loc[partial.trials.index])
    assert set(partial.episodes["trial"]) <= set(partial.trials.index)
    assert "of 1124 trials" in repr(partial)


def test_an_interruption_between_two_chunks_keeps_those_that_wait_to_be_taken() -> None:
    """Three chunks are done when the first of them is taken, and the interruption comes before the second is."""

    class AtOnce(Executor):
        def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            if len(handed_out) < 3:
                future.set_result(call(*args, **kwargs))
            handed_out.append(future)
            return future

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    handed_out: list[Future[Any]] = []
    with pytest.raises(Interrupted) as caught:
        run(SCENARIO, trials=TRIALS, seed=5, executor=AtOnce(), build=fakes.build, progress=interrupt)
    assert caught.value.partial is not None
    assert caught.value.partial.n == 2 * CHUNK


def test_an_interruption_before_the_first_chunk_has_nothing_to_keep() -> None:
    def build(_: object) -> Any:
        def run_chunk(*_: int) -> Any:
            raise KeyboardInterrupt

        return run_chunk

    with pytest.raises(Interrupted) as caught:
        run(SCENARIO, trials=10, seed=5, workers=1, build=build)
    assert caught.value.partial is None
    assert not isinstance(caught.value, Exception), "code that catches errors must not catch the wish to stop"


@pytest.mark.parametrize(("trial", "said"), [(2**64, "trial must be at most 9223372036854775807"), (-1, "at least 0")])
def test_a_trial_that_no_study_has_is_refused(trial: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        run_one(SCENARIO, 2**64, trial)


def test_services_that_nobody_asks_are_refused_with_what_to_write() -> None:
    asked = loads(fakes.TEXT)
    with pytest.raises(ScenarioError, match="services without clients"):
        run(asked.model_copy(update={"clients": {}}), trials=10, seed=5)
    with pytest.raises(ScenarioError, match="services without clients"):
        run_one(asked.model_copy(update={"clients": {}}), 5, 0)
