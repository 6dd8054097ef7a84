"""Run a study: many trials of one scenario, or one of them again."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from mrsim.errors import Problem, ScenarioError
from mrsim.rng import Draws, fresh_seed
from mrsim.study.collect import Chunk, Collector
from mrsim.study.executors import (
    Build,
    RunChunk,
    Task,
    job_of,
    run_here,
    run_on_cores,
    run_on_executor,
    tasks_of,
    usable_cores,
)
from mrsim.study.provenance import provenance
from mrsim.study.results import Results
from mrsim.trace import NO_EVENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.measure import Measures
    from mrsim.scenario.model import Scenario
    from mrsim.study.store import Store
    from mrsim.trace import Trace

WORTH_STARTING_S = 3.0
"""Less work than this is done sooner here than by worker processes, which take a second to start."""


TRIALS = 1000
"""Trials of a study that is not told how many."""


class Interrupted(KeyboardInterrupt):
    """A study was interrupted (Ctrl-C); what was finished is kept.

    It is a :class:`KeyboardInterrupt`, so that code that catches errors does not catch the wish to stop.

    Attributes
    ----------
    partial
        Results of the finished trials; None if there were none.
    """

    def __init__(self, partial: Results | None) -> None:
        self.partial = partial
        super().__init__(f"interrupted after {partial.n if partial else 0} trials")


def chunk_function(scenario: Scenario) -> RunChunk:
    """Return the function that simulates and measures consecutive trials of a scenario."""
    from mrsim.measure import measure
    from mrsim.population import Population
    from mrsim.sim.run import Simulator

    simulator, population = Simulator(scenario), Population(scenario)

    def run_chunk(seed: int, first: int, count: int) -> Chunk:
        draws = Draws(seed, first, count)
        with collector_paused():
            traces = simulator.run_chunk(seed, first, count, draws)
            measures = measure(scenario, population, traces, draws)
            return Chunk(measures, *_fault_flags(traces, len(scenario.faults)))

    return run_chunk


@contextmanager
def collector_paused() -> Iterator[None]:
    """Put garbage collection off for the length of a chunk.

    A trial's components refer to each other in cycles; looking for such after every few hundred objects costs as much
    as the trials. A chunk leaves some ten megabytes behind, which are collected right after it.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def run(
    scenario: Scenario,
    *,
    trials: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    build: Build = chunk_function,
) -> Results:
    """Run a scenario many times.

    The results are a function of scenario, seed and number of trials: workers and executor change none of their bytes.

    Parameters
    ----------
    scenario
        What to run.
    trials
        How many times; :data:`TRIALS` if not given, or as many as the study in ``store`` was to have.
    seed
        A non-negative integer; drawn from the operating system, and recorded, if not given.
    workers
        Worker processes; 1 stays in this process. Not given: every core, if the work is worth starting them.
    executor
        Runs the chunks instead, such as that of a cluster; it is left running. Not together with ``workers``.
    store
        A folder that trials are written to as they finish, instead of being kept in memory; needs the extra
        ``parquet``. What is returned reads from it when it is asked, and so does :meth:`Results.load` later.
    resume
        Whether to go on with what is in ``store``, if there is something: scenario, seed and versions must be the same.
        The results, and the files, are those of a run that was never stopped.
    progress
        Called with the trials finished and the trials asked for, after every chunk.
    build
        Makes the function that runs consecutive trials; for more than this process, a module-level function.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or of the wrong type: the path of a scenario is not a scenario.
    SimulationError
        If an invariant broke inside a trial; it names seed and trial.
    WorkerError
        If worker processes died twice over the same trials.
    Interrupted
        On Ctrl-C; carries the results of the finished trials.
    ResultsError, ExtraError, OSError
        See :class:`Growing`.
    """
    growing = Growing(scenario, seed, workers, executor, build, store=store, resume=resume)
    return growing.to(growing.asked or TRIALS if trials is None else trials, progress, keep=False)


class Growing:
    """A study that can be made longer: more trials are added to those that are there, which stay as they are.

    Parameters
    ----------
    scenario, seed, workers, executor, build, store, resume
        As for :func:`run`.

    Attributes
    ----------
    seed
        Of the study.
    asked, found
        How many trials the study in ``store`` was to have, and has; 0 if there is none.

    Raises
    ------
    ValueError, TypeError
        As :func:`run`.
    ResultsError
        If ``store`` holds a study and ``resume`` is false, or another study than this one, or something else; or if
        another process writes to it.
    ExtraError
        If the package that ``store`` needs is not installed.
    OSError
        If ``store`` cannot be written, such as on a full disk; what was finished is kept.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
        build: Build = chunk_function,
        *,
        store: str | PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        if workers is not None:
            check_integer("workers", workers, 1)
        if workers is not None and executor is not None:
            message = "workers and executor cannot be given together"
            raise ValueError(message)
        check_scenario(scenario)
        if resume and store is None:
            message = "resume needs a store"
            raise ValueError(message)
        seed = None if seed is None else check_integer("seed", seed, 0)
        self._store = None if store is None else _store(store, scenario, seed, resume=resume)
        self.seed = fresh_seed() if seed is None else seed
        self.asked = self.found = 0
        if self._store is not None:
            self.seed, self.asked, self.found = self._store.seed, self._store.asked, self._store.found
        self._scenario, self._workers, self._executor, self._build = scenario, workers, executor, build
        self._collector = Collector()

    def to(self, trials: int, progress: Callable[[int, int], None] | None = None, *, keep: bool = True) -> Results:
        """Return the study's first ``trials`` trials, the same as those of a study of that length.

        Parameters
        ----------
        trials
            No fewer than there are already, unless they are in a store.
        progress
            See :func:`run`.
        keep
            Whether it may have to grow again: costs memory for a second copy.

        Raises
        ------
        SimulationError, WorkerError, Interrupted, ValueError, TypeError, ResultsError, OSError
            As :func:`run`.
        """
        done = self._collector.done
        check_integer("trials", trials, max(1, done))
        if self._store is None:
            missing = [(done, trials)] if trials > done else []
            return self._filled(self._collector, missing, trials, progress, lambda: self._collected(trials, keep=keep))
        store = self._store
        with store.writing(trials):
            results = self._filled(store, store.missing(trials), trials, progress, lambda: store.results(trials))
        return results

    def _filled(
        self,
        keeper: Collector | Store,
        missing: Sequence[tuple[int, int]],
        trials: int,
        progress: Callable[[int, int], None] | None,
        results: Callable[[], Results],
    ) -> Results:
        """Run what is missing, and return the results."""
        tasks = [task for first, after in missing for task in tasks_of(self.seed, after, first)]
        chunks = chunks_of(tasks, self._build, self._scenario, self._workers, self._executor)
        done = trials - sum(task.count for task in tasks)
        arrived: list[Chunk] = []
        try:
            for chunk in chunks:
                arrived[:] = [chunk]
                keeper.add(chunk)
                done += chunk.measures.count
                if progress is not None:
                    progress(done, trials)
            keeper.finish()
        except KeyboardInterrupt:
            for chunk in chain(arrived, _finished_by_now(chunks)):  # the last that arrived may not be in yet
                keeper.add(chunk)
            raise Interrupted(results() if keeper.done_of(trials) else None) from None
        finally:
            chunks.close()
        return results()

    def _collected(self, trials: int, *, keep: bool) -> Results:
        done = self._collector.done
        origin = provenance(self._scenario, seed=self.seed, trials_asked=trials, trials=done)
        return Results.of(self._scenario, self._collector.collected(keep=keep), origin)


def run_one(scenario: Scenario, seed: int, trial: int) -> tuple[Trace, Measures]:
    """Run one trial of a study again: the same trace and the same numbers as in the study.

    Raises
    ------
    ValueError, TypeError
        If seed or trial is negative or no integer, or trial is above 2^63 - 1.
    ScenarioError
        If there are services and no clients.
    SimulationError
        If an invariant broke.
    """
    from mrsim.measure import measure
    from mrsim.population import Population
    from mrsim.sim.run import Simulator

    check_scenario(scenario, "run_one")
    check_integer("seed", seed, 0)
    check_integer("trial", trial, 0, 2**63 - 1)
    traces = Simulator(scenario).run_chunk(seed, trial, 1)
    return traces[0], measure(scenario, Population(scenario), traces, Draws(seed, trial, 1))


def chunks_of(
    tasks: Sequence[Task], build: Build, scenario: Scenario, workers: int | None, executor: Executor | None
) -> Generator[Chunk, None, None]:
    """Yield the chunks of a study as they are done."""
    if executor is not None:
        yield from run_on_executor(job_of(build, scenario), tasks, executor)
        return
    if workers is not None and workers > 1 and len(tasks) > 1:
        yield from run_on_cores(job_of(build, scenario), tasks, workers)
        return
    run_chunk = build(scenario)
    yield from run_here(tasks[:1], run_chunk)
    # The first task also loads what the others need; the second says what a trial takes.
    started = time.perf_counter()
    yield from run_here(tasks[1:2], run_chunk)
    rest = tasks[2:]
    took_s = time.perf_counter() - started
    expected_s = took_s * sum(task.count for task in rest) / tasks[1].count if rest else 0.0
    if workers is None and usable_cores() > 1 and expected_s > WORTH_STARTING_S:
        yield from run_on_cores(job_of(build, scenario), rest, usable_cores())
    else:
        yield from run_here(rest, run_chunk)


def _finished_by_now(chunks: Generator[Chunk, None, None]) -> Iterator[Chunk]:
    """Interrupt a study that is between two chunks, and yield those that were finished and not yet handed over."""
    with suppress(KeyboardInterrupt):
        yield chunks.throw(KeyboardInterrupt())
        yield from chunks


def _fault_flags(traces: Sequence[Trace], faults: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return per trial and fault whether it began, and whether it had any effect."""
    began = np.array([[event != NO_EVENT for event in trace.fault_events] for trace in traces], dtype=bool)
    effects = np.array([trace.fault_effects for trace in traces], dtype=bool)
    return began.reshape(len(traces), faults), effects.reshape(len(traces), faults)


def _store(path: str | PathLike[str], scenario: Scenario, seed: int | None, *, resume: bool) -> Store:
    from mrsim.study.store import Store

    return Store(path, scenario, seed, resume=resume)


def check_scenario(value: object, caller: str = "run") -> None:
    """Raise ``TypeError`` if a value is no scenario, ``ScenarioError`` if nobody asks for anything in it."""
    from mrsim.scenario.model import Scenario

    if not isinstance(value, Scenario):
        given = f"{str(value)!r}" if isinstance(value, (str, PathLike)) else "..."
        message = f"{caller} needs a scenario, got {type(value).__name__}: mrsim.{caller}(mrsim.load({given}))"
        raise TypeError(message)
    if value.services and not value.clients:
        users = f"{{near: {value.regions[0]}, share: 100%, resolvers: typical, class: browser}}"
        hint = f"write clients: {{users: {users}}}"
        raise ScenarioError([Problem("services without clients: nobody asks for anything", hint=hint)], value.path)


def check_integer(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return an integer that a caller gave under this name; what is none, or outside the bounds, is refused."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        message = f"{name} must be an integer, got {value!r}"
        raise TypeError(message)
    if value < least:
        message = f"{name} must be at least {least}, got {value}"
        raise ValueError(message)
    if most is not None and value > most:
        message = f"{name} must be at most {most}, got {value}"
        raise ValueError(message)
    return int(value)
