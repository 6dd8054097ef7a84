"""A study on a Dask cluster: a real scheduler with two workers on this machine, started and ended here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from mrsim.cli import commands
from mrsim.errors import ExtraError, SimulationError
from mrsim.scenario.loader import load
from mrsim.study.cluster import ClusterError, on_dask
from mrsim.study.collect import CHUNK
from mrsim.study.executors import WorkerError
from mrsim.study.provenance import packages
from mrsim.study.results import Results
from mrsim.study.run import run
from tests.study import fakes

ROOT = Path(__file__).parents[2]
BOOKSTORE = ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"
TRIALS = 8 * CHUNK + 100
SCENARIO = fakes.scenario(fakes.budget(fakes.LOSS, "p95 < 20"))


def saved(results: Results, path: Path) -> bytes:
    results.save(path)
    return path.read_bytes()


@contextmanager
def process(command: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part of a cluster, whatever becomes of the block."""
    line = [sys.executable, "-m", f"distributed.cli.dask_{command}", *map(str, arguments), "--no-dashboard"]
    there = os.environ | {"PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(line, env=there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def worker(file: Path, name: str) -> Any:
    folder = file.parent / name
    options = ("--nthreads", 1, "--no-nanny", "--local-directory", folder, "--name", name)
    return process("worker", "--scheduler-file", file, "--host", "127.0.0.1", *options)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file in which a scheduler says where it is."""
    path = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    with process("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", path):
        yield path


@pytest.fixture(scope="module")
def workers(file: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two workers."""
    with worker(file, "one") as one, worker(file, "two") as two:
        yield [one, two]


@pytest.fixture(scope="module")
def address(file: Path, workers: list[subprocess.Popen[bytes]]) -> str:
    """The scheduler's address, once both workers are there."""
    where = address_in(file)
    with on_dask(where) as executor:
        wait_for_places(executor, len(workers))
    return where


def address_in(file: Path) -> str:
    end = time.monotonic() + 60.0
    while not file.exists() or not file.read_text().endswith("}"):
        assert time.monotonic() < end, "the scheduler did not start"
        time.sleep(0.05)
    return str(json.loads(file.read_text())["address"])


def wait_for_places(executor: Executor, places: int) -> None:
    end = time.monotonic() + 60.0
    while len(executor._client.nthreads()) != places:  # type: ignore[attr-defined]
        assert time.monotonic() < end, "the workers did not start"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def here() -> Results:
    """The study, run in this process."""
    return run(SCENARIO, trials=TRIALS, seed=5, workers=1, build=fakes.build)


def test_a_cluster_gives_the_same_bytes_and_is_left_running(here: Results, address: str, tmp_path: Path) -> None:
    for name in ("first", "again"):
        with on_dask(address) as executor:
            there = run(SCENARIO, trials=TRIALS, seed=5, executor=executor, build=fakes.build, store=tmp_path / name)
        assert saved(there, tmp_path / "there") == saved(here, tmp_path / "here")
    assert not active_children()


def test_the_command_prints_what_it_prints_without_a_cluster(address: str) -> None:
    command = [sys.executable, "-m", "mrsim", "run", str(BOOKSTORE), "--trials", "60", "--seed", "7"]
    runs = [
        subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=False)
        for more in (("--dask", address), ("--workers", "1"))
    ]
    assert runs[0].returncode == runs[1].returncode
    assert runs[0].stdout == runs[1].stdout != ""
    assert runs[0].stderr == ""


def test_a_worker_that_dies_costs_its_chunk_only(here: Results, file: Path, address: str, tmp_path: Path) -> None:
    """A third worker is killed in the middle of the study."""
    dying: list[subprocess.Popen[bytes]] = []

    def kill(done: int, _: int) -> None:
        if done >= 2 * CHUNK:
            dying[0].send_signal(signal.SIGKILL)

    with ExitStack() as stack, on_dask(address) as executor:
        dying.append(stack.enter_context(worker(file, "three")))
        wait_for_places(executor, 3)
        there = run(SCENARIO, trials=TRIALS, seed=5, executor=executor, build=fakes.build_slow, progress=kill)
        assert dying[0].wait() == -signal.SIGKILL
    assert saved(there, tmp_path / "there") == saved(here, tmp_path / "here")


def test_whatever_goes_wrong_in_a_trial_names_seed_and_trial(address: str) -> None:
    with pytest.raises(SimulationError, match="ZeroDivisionError: by zero") as caught, on_dask(address) as executor:
        run(SCENARIO, trials=TRIALS, seed=5, executor=executor, build=fakes.build_broken)
    assert (caught.value.seed, caught.value.trial) == (5, fakes.BROKEN_TRIAL)


def test_workers_with_another_version_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrsim.study.cluster.packages", lambda: packages() | {"mrsim": "9.9.9"})
    with (
        pytest.raises(ClusterError, match=r"a worker .* has mrsim \d.* instead of 9\.9\.9"),
        on_dask(address) as executor,
    ):
        run(SCENARIO, trials=TRIALS, seed=5, executor=executor, build=fakes.build)


def test_a_scheduler_that_goes_away_ends_the_study_and_loses_nothing(here: Results, tmp_path: Path) -> None:
    file, store = tmp_path / "scheduler.json", tmp_path / "store"
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            process("scheduler", "--host", "127.0.0.1", "--scheduler-file", file, "--port", 0)
        )
        where = address_in(file)
        with pytest.raises(ClusterError, match="has no worker"), on_dask(where, workers_s=0.2):
            pass
        stack.enter_context(worker(file, "one"))

        def kill(done: int, _: int) -> None:
            if done >= 2 * CHUNK:
                scheduler.kill()

        with pytest.raises((WorkerError, ClusterError), match="not there any more"), on_dask(where) as executor:
            run(SCENARIO, trials=TRIALS, seed=5, executor=executor, build=fakes.build_slow, progress=kill, store=store)
    assert 2 * CHUNK <= Results.load(store).n < TRIALS
    there = run(SCENARIO, store=store, resume=True, workers=1, build=fakes.build)
    assert saved(there, tmp_path / "there") == saved(here, tmp_path / "here")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nonsense", "is no address of a Dask scheduler, such as tcp://scheduler:8786"),
        ("tcp://127.0.0.1:none", "is no address"),
        ("tcp://127.0.0.1:1", "no Dask scheduler answers there (connection refused)"),
    ],
)
def test_an_address_where_nobody_answers_is_said_at_once(where: str, said: str) -> None:
    with pytest.raises(ClusterError) as caught, on_dask(where):
        pass
    assert str(caught.value).startswith(f"{where}: ")
    assert said in str(caught.value)


def test_something_else_that_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match="what answers there is no Dask scheduler"), on_dask(where, answer_s=0.5):
            pass


def test_a_thread_with_a_loop_of_its_own_connects_too(address: str) -> None:
    """A notebook is such a thread."""

    async def cell() -> int:
        with on_dask(address) as executor:
            return executor.submit(abs, -1).result()

    assert asyncio.run(cell()) == 1


def test_the_command_says_it_in_one_line() -> None:
    command = [sys.executable, "-m", "mrsim", "run", str(BOOKSTORE), "--dask", "tcp://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == "mrsim: tcp://127.0.0.1:1: no Dask scheduler answers there (connection refused)\n"


@pytest.mark.parametrize("name", ["run", "check", "compare", "sweep", "solve", "sensitivity", "rare", "score"])
def test_every_command_that_runs_studies_runs_them_on_a_cluster(name: str) -> None:
    more = {
        "compare": ["--variant", "dns.shop.ttl=30s"],
        "sweep": ["--set", "dns.shop.ttl=30s,60s"],
        "solve": [
            "--vary",
            "dns.shop.ttl=30s..60s",
            "--until",
            "rto{service=storefront, op=read, clients=90%} p95 < 5min",
        ],
        "sensitivity": ["--vary", "dns.shop.ttl=30s..60s"],
        "rare": ["--metric", "split_brain"],
        "score": [str(ROOT / "docs" / "examples" / "drills.csv")],
    }
    assert {"--workers", "--dask"} <= {option for one in commands.commands[name].params for option in one.opts}
    arguments = [name, str(BOOKSTORE), *more.get(name, []), "--dask", "tcp://127.0.0.1:1"]
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        commands.main(arguments, standalone_mode=False)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ExtraError, match=r"pip install 'mrsim\[dask\]'"), on_dask("tcp://127.0.0.1:1"):
        pass


class Failing(Executor):
    """An executor that fails in a way of its own over the second task."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        future: Future[Any] = Future()
        if self.submitted == 2:
            future.set_exception(RuntimeError("no room\nin the cluster"))
        elif self.submitted == 1:
            future.set_result(call(*args, **kwargs))
        return future


def test_an_executor_that_fails_says_why_and_keeps_what_was_finished(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"over trials 16 to 255 \(seed 5\): RuntimeError: no room in the cluster"):
        run(SCENARIO, trials=TRIALS, seed=5, executor=Failing(), build=fakes.build, store=tmp_path / "store")
    assert Results.load(tmp_path / "store").n == 16


def test_every_study_of_the_library_takes_an_executor() -> None:
    """Each hands its chunks to it, and gives the same answer as without."""
    from mrsim.calibrate.drills import read_drills
    from mrsim.calibrate.scoring import score
    from mrsim.study.compare import compare
    from mrsim.study.gate import check
    from mrsim.study.precision import until_precision
    from mrsim.study.sensitivity import sensitivity
    from mrsim.study.solve import solve
    from mrsim.study.sweep import sweep

    class Here(Executor):
        handed = 0

        def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.handed += 1
            future: Future[Any] = Future()
            future.set_result(call(*args, **kwargs))
            return future

    scenario = load(BOOKSTORE)
    faster = scenario.with_({"dns.shop.ttl": "30s"})
    reads = "rto{service=storefront, op=read, clients=90%}"
    drills = read_drills(ROOT / "docs" / "examples" / "drills.csv", scenario)
    ends = {"dns.shop.ttl": ("50s", "60s")}
    studies: dict[str, Any] = {
        "run": lambda **how: run(scenario, trials=20, seed=1, **how),
        "compare": lambda **how: compare(scenario, faster, trials=20, seed=1, **how),
        "sweep": lambda **how: sweep(scenario, {"dns.shop.ttl": "30s,60s"}, trials=20, seed=1, **how),
        "solve": lambda **how: solve(
            scenario, "dns.shop.ttl", ends["dns.shop.ttl"], f"{reads} p95 < 1h", trials=100, seed=1, **how
        ),
        "sensitivity": lambda **how: sensitivity(scenario, f"{reads} p95", ends, trials=60, seed=1, **how),
        "check": lambda **how: check(scenario, trials=20, most=20, seed=1, **how),
        "until_precision": lambda **how: until_precision(scenario, "50%", trials=300, most=300, seed=1, **how),
        "score": lambda **how: score(scenario, drills, trials=20, seed=1, **how),
    }
    for name, study in studies.items():
        executor = Here()
        assert repr(study(executor=executor)) == repr(study(workers=1)), name
        assert executor.handed, name


def test_a_cluster_is_used_from_one_thread_at_a_time_without_leaving_any(address: str) -> None:
    before = {thread for thread in threading.enumerate() if not thread.daemon}
    with on_dask(address) as executor:
        assert executor.submit(abs, -1).result() == 1
    assert {thread for thread in threading.enumerate() if not thread.daemon} <= before
