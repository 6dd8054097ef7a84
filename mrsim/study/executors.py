"""Where the chunks of a study are run: in this process, on all local cores, or on any executor that is handed in.

A chunk is a pure function of scenario, seed and trial numbers, so it may be run anywhere, in any order, and again.
"""

from __future__ import annotations

import functools
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import connection, get_context, parent_process
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mrsim.errors import MrsimError, SimulationError
from mrsim.study.collect import CHUNK, Chunk

if TYPE_CHECKING:
    from types import TracebackType

    from mrsim.scenario.model import Scenario

P = ParamSpec("P")
T = TypeVar("T")

RunChunk = Callable[[int, int, int], Chunk]
"""Called with seed, first trial and number of trials."""

Build = Callable[["Scenario"], RunChunk]
"""Makes a chunk function for a scenario; a module-level function, so that it can be sent to other processes."""

FIRST = 16
"""Trials of a study's first task."""

PLACES = 16
"""Chunks that an executor is taken to run at a time if it does not say, and this machine has fewer cores."""

AHEAD = 2
"""Chunks handed out per worker at a time: one to run and one to go on with."""


class WorkerError(MrsimError):
    """A worker process died twice over the same trials, or an executor broke.

    Attributes
    ----------
    seed, first, last
        The study's seed and the range of trials that it died over.
    why
        What an executor said; empty for worker processes of our own, which can say nothing.
    """

    def __init__(self, seed: int, first: int, last: int, why: str = "") -> None:
        self.seed, self.first, self.last, self.why = seed, first, last, why
        died = "out of memory, killed, or unable to start; workers=1 needs no other process"
        super().__init__(f"the workers died over trials {first} to {last} (seed {seed}): {why or died}")

    def __reduce__(self) -> tuple[type[WorkerError], tuple[int, int, int, str]]:
        """Pickle by what it was made of."""
        return type(self), (self.seed, self.first, self.last, self.why)


@dataclass(frozen=True, slots=True)
class Task:
    """A chunk to run."""

    seed: int
    first: int
    count: int


def tasks_of(seed: int, trials: int, done: int = 0) -> list[Task]:
    """Cut a study into tasks of :data:`~mrsim.study.collect.CHUNK` trials, in order; the first of them is cut again.

    So there is something to show, and to keep if it is interrupted, soon after the start.

    Parameters
    ----------
    seed
        Of the study.
    trials
        How many there are to be in all.
    done
        How many of them there are already.
    """
    cuts = [done, *(cut for cut in (FIRST, *range(CHUNK, trials, CHUNK)) if done < cut < trials), trials]
    return [Task(seed, first, after - first) for first, after in pairwise(cuts)]


def job_of(build: Build, scenario: Scenario) -> bytes:
    """Return what a worker needs besides its tasks, pickled once for the whole study."""
    return pickle.dumps((build, scenario))


def run_task(job: bytes, task: Task) -> Chunk:
    """Run one chunk in a worker.

    Raises
    ------
    SimulationError
        If an invariant broke, or anything else went wrong inside a trial; it names the trial.
    """
    return _run(_built(job, threading.get_ident()), task)


def run_here(tasks: Iterable[Task], run_chunk: RunChunk) -> Iterator[Chunk]:
    """Run the tasks in this process, one after the other."""
    return (_run(run_chunk, task) for task in tasks)


def run_on_cores(job: bytes, tasks: Iterable[Task], workers: int) -> Iterator[Chunk]:
    """Run the tasks in worker processes and yield chunks as they are done.

    A worker that dies costs the chunks that were under way: they are run again one at a time, each in a process of its
    own.

    Raises
    ------
    WorkerError
        If a chunk's worker dies a second time.
    """
    left = deque(tasks)
    while left:
        with _Pool(min(workers, len(left)), job) as pool:
            lost = yield from _drain(pool, job, left, lambda: AHEAD * workers)
        for task in lost:
            with _Pool(1, job) as pool:
                if (yield from _drain(pool, job, deque([task]), lambda: 1)):
                    raise _worker_error(task)


def run_on_executor(job: bytes, tasks: Iterable[Task], executor: Executor) -> Iterator[Chunk]:
    """Run the tasks on an executor that is handed in, and yield chunks as they are done; it is left running.

    Raises
    ------
    WorkerError
        If the executor breaks.
    """
    try:
        lost = yield from _drain(executor, job, deque(tasks), lambda: AHEAD * _places(executor))
    except _ExecutorError as error:
        task, last = error.task, error.task.first + error.task.count - 1
        raise WorkerError(task.seed, task.first, last, _told(error.__cause__)) from error.__cause__
    if lost:
        raise _worker_error(lost[0])


def _told(error: BaseException | None) -> str:
    """Return in a line what went wrong with an executor."""
    if isinstance(error, CancelledError):
        return "what ran them is not there any more, or has given them up"
    said = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if said else ''}{said}"


def _places(executor: Executor) -> int:
    """Return how many chunks an executor runs at a time, as far as it says."""
    said = getattr(executor, "places", getattr(executor, "_max_workers", None))
    return said if isinstance(said, int) and said > 0 else max(PLACES, usable_cores())


class _ExecutorError(Exception):
    """An executor failed over a task, for the reason that caused this."""

    def __init__(self, task: Task) -> None:
        self.task = task
        super().__init__(task)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool(ProcessPoolExecutor):
    """Worker processes that leave interruptions to their parent, and are not waited for when that leaves early.

    They read the caller's script again only if the job needs something from it: one that runs a study without the usual
    ``if __name__ == "__main__":`` would run it in every worker, and start workers there.
    """

    def __init__(self, workers: int, job: bytes = b"") -> None:
        super().__init__(workers, mp_context=get_context("spawn"), initializer=_begin)
        self._needs_script = b"__main__" in job

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand out work; a process that this starts never sees an interruption, not even while it is starting."""
        with _interruptions_held(), nullcontext() if self._needs_script else _script_out_of_sight():
            return super().submit(call, *args, **kwargs)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        processes = dict(self._processes or {})
        self.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            # Whoever left early waits for nothing: a chunk that is under way could take many seconds.
            for process in processes.values():
                process.terminate()


@contextmanager
def _interruptions_held() -> Iterator[None]:
    """Deliver a Ctrl-C after the block; processes started inside inherit that they are not to have it at all."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _script_out_of_sight() -> Iterator[None]:
    """Let processes that are started inside know of no script (``multiprocessing.spawn.get_preparation_data``)."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _begin() -> None:
    """Leave interruptions to the parent, and end with it, however it ends: a worker holds its own queue open."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _drain(
    executor: Executor, job: bytes, left: deque[Task], ahead: Callable[[], int]
) -> Generator[Chunk, None, list[Task]]:
    """Run tasks from the left of a queue and yield chunks; return the tasks that a broken executor took with it.

    Whatever ends it, chunks that were finished by then are yielded first.

    Raises
    ------
    _ExecutorError
        If the executor fails over a task and does not say that it is broken; a task itself fails with our own errors.
    """
    under_way: dict[Future[Chunk], Task] = {}
    try:
        while left or under_way:
            most = ahead()
            while left and len(under_way) < most:
                under_way[executor.submit(run_task, job, left[0])] = left[0]
                left.popleft()
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                try:
                    chunk = future.result()
                except (MrsimError, BrokenExecutor):
                    raise
                except Exception as error:
                    raise _ExecutorError(under_way[future]) from error
                del under_way[future]
                yield chunk
    except BrokenExecutor:
        yield from _finished(under_way)
        return list(under_way.values()) or [left.popleft()]
    except _ExecutorError:
        yield from _finished(under_way)
        raise
    except KeyboardInterrupt:
        yield from _finished(under_way)
        raise
    finally:
        for future in under_way:
            future.cancel()
    return []


def _finished(under_way: dict[Future[Chunk], Task]) -> Iterator[Chunk]:
    """Take the finished chunks out and yield them."""
    for future in list(under_way):
        if future.done() and not future.cancelled() and future.exception() is None:
            del under_way[future]
            yield future.result()


@functools.lru_cache(maxsize=16)
def _built(job: bytes, thread: int) -> RunChunk:
    """Return this process's chunk function: a simulator is built once, and never shared between threads."""
    build, scenario = pickle.loads(job)  # made by job_of, in the process that started this one
    made: RunChunk = build(scenario)
    return made


def _run(run_chunk: RunChunk, task: Task) -> Chunk:
    try:
        return run_chunk(task.seed, task.first, task.count)
    except MrsimError:
        raise
    except Exception as error:
        raise _located(run_chunk, task, error) from error


def _located(run_chunk: RunChunk, task: Task, error: Exception) -> SimulationError:
    """Return the error of the trial that went wrong, found by running the chunk's trials one by one."""
    last = task.first + task.count - 1
    for trial in range(task.first, last + 1):
        try:
            run_chunk(task.seed, trial, 1)
        except SimulationError as alone:
            return alone
        except Exception as alone:
            return SimulationError(f"{type(alone).__name__}: {alone}", task.seed, trial)
    message = f"{type(error).__name__}: {error}; only when trials {task.first} to {last} are run together"
    return SimulationError(message, task.seed, task.first)


def _worker_error(task: Task) -> WorkerError:
    return WorkerError(task.seed, task.first, task.first + task.count - 1)
