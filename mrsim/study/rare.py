"""The probability of a rare outcome, by importance sampling: a rate with its interval, and nothing else.

Split-brain in one trial of a hundred thousand cannot be met by luck. A pilot learns which inputs make for it and tilts
at most four of them towards it (:mod:`mrsim.study.pilot`); other trials then estimate its probability, each counted
with its weight (:mod:`mrsim.tilts`). The estimate is unbiased whatever the pilot believed, since the two share no trial
and the weights are known exactly; the pilot's trials count as cost.

Tilted trials say nothing about how things usually go. So they never become results: what is returned here has no
columns to take a quantile of, to draw or to hold a budget to.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from mrsim.rng import fresh_seed
from mrsim.study import pilot
from mrsim.study.executors import Build, tasks_of
from mrsim.study.outcome import Scores, outcome_asked
from mrsim.study.pilot import Stage
from mrsim.study.rare_rate import RareRate, answer
from mrsim.study.run import check_integer, check_scenario, chunks_of
from mrsim.tilts import Input, Tilt, TiltedDraws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario
    from mrsim.tilts import Quantile

    Floats = NDArray[np.float64]

DEFAULT_TRIALS = 20_000
LEAST_TRIALS = 3000
"""With a smaller pilot, what is tilted is too narrow: intervals of 95 % then miss in a third of studies."""

FIRST, FURTHER, ROUNDS = (750, 0.15), (250, 0.05), 5
"""Least trials, and least share of all, of the pilot's first stage and of each further round; most of these rounds."""

_COMMON = 0.05
"""Share of untilted trials with the outcome from which on nothing has to be tilted."""

_LEAST_COMMON = 5

_FEW = 1024
"""Trials of one law for which no worker processes are started: it takes them longer to be there."""


def rare(
    scenario: Scenario,
    metric: str,
    *,
    trials: int = DEFAULT_TRIALS,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
    build: Callable[[Scenario], Scores] | None = None,
) -> RareRate:
    """Estimate how likely a rare outcome is.

    The answer is a function of scenario, metric, trials and seed; workers and executor change none of it.

    Parameters
    ----------
    scenario
        What to run.
    metric
        The outcome: a flag such as ``split_brain{store=db}``, or a number and a limit such as ``rpo{store=db} > 5min``.
        The labels ``store`` and ``service`` may be left out where there is only one.
    trials
        In all, the pilot's among them.
    seed, workers, executor, progress
        See :func:`mrsim.study.run.run`.
    build
        Makes the function that runs and scores trials (see :data:`mrsim.study.outcome.Scores`), in place of simulation
        and measures; for more than this process, a module-level function.

    Raises
    ------
    ScenarioError
        If the metric is none of the scenario's.
    ValueError, TypeError
        If an argument is out of range, or of the wrong type.
    SimulationError, WorkerError
        As :func:`mrsim.study.run.run`.
    KeyboardInterrupt
        On Ctrl-C: nothing is kept, for half a pilot tells nothing.
    """
    check_scenario(scenario, "rare")
    check_integer("trials", trials, LEAST_TRIALS)
    if workers is not None:
        check_integer("workers", workers, 1)
    if workers is not None and executor is not None:
        message = "workers and executor cannot be given together"
        raise ValueError(message)
    seed = fresh_seed() if seed is None else check_integer("seed", seed, 0)
    outcome, measured = outcome_asked(scenario, metric)
    runner = _Runner(measured, outcome if build is None else build, seed, (workers, executor), progress, trials)
    first, further = (max(least, int(share * trials)) for least, share in (FIRST, FURTHER))
    known = pilot.learned(runner.run, first, further, ROUNDS)
    if _common(known.stages[0]) or not any((stage.scores > 0.0).any() for stage in known.stages):
        # Met often, or never: then untilted trials say the most.
        known = replace(known, tilt=pilot.untilted(), left_out=())
    main = runner.run(known.tilt, trials - runner.done)
    return answer(scenario, outcome, known, main, runner.laws)


class Scored(NamedTuple):
    """Trials that have been run and scored.

    Attributes
    ----------
    first
        Number of the first.
    scores
        See :data:`mrsim.study.outcome.Scores`, shape ``(count,)``.
    asked, laws
        See :class:`mrsim.tilts.TiltedDraws`.
    """

    first: int
    scores: Floats
    asked: frozenset[Input]
    laws: dict[tuple[str, int], Quantile]


@dataclass(frozen=True, slots=True)
class Scoring:
    """Makes the function that runs consecutive trials under a tilt; it goes to the workers."""

    build: Callable[[Scenario], Scores]
    tilt: Tilt

    def __call__(self, scenario: Scenario) -> Callable[[int, int, int], Scored]:
        """Return the function of seed, first trial and number of trials."""
        scores = self.build(scenario)

        def run_chunk(seed: int, first: int, count: int) -> Scored:
            draws = TiltedDraws(seed, first, count, self.tilt)
            found = np.asarray(scores(draws), dtype=np.float64)
            return Scored(first, found, frozenset(draws.asked), draws.laws)

        return run_chunk


class _Runner:
    """Runs trials under one law after the other, each trial once.

    Attributes
    ----------
    done
        Trials that have been run.
    laws
        How draws were mapped to durations, as far as seen.
    """

    def __init__(
        self,
        scenario: Scenario,
        build: Callable[[Scenario], Scores],
        seed: int,
        where: tuple[int | None, Executor | None],
        progress: Callable[[int, int], None] | None,
        trials: int,
    ) -> None:
        self._scenario, self._build, self._seed, self._where = scenario, build, seed, where
        self._progress, self._trials = progress, trials
        self.done = 0
        self.laws: dict[tuple[str, int], Quantile] = {}

    def run(self, tilt: Tilt, count: int) -> Stage:
        """Run the next trials under a law."""
        first, scored = self.done, []
        workers, executor = self._where
        if workers is not None and count <= _FEW:
            workers = 1
        # Executors run whatever a build makes, and hand over whatever that returns.
        build = cast("Build", Scoring(self._build, tilt))
        for chunk in chunks_of(tasks_of(self._seed, first + count, first), build, self._scenario, workers, executor):
            part = cast("Scored", cast("Any", chunk))
            scored.append(part)
            self.laws.update(part.laws)
            self.done += len(part.scores)
            if self._progress is not None:
                self._progress(self.done, self._trials)
        scored.sort(key=lambda part: part.first)
        scores = np.concatenate([part.scores for part in scored])
        return Stage(tilt, self._seed, first, scores, frozenset().union(*(part.asked for part in scored)))


def _common(stage: Stage) -> bool:
    """Whether untilted trials have the outcome often enough to count them."""
    untilted = stage.components() == 0
    hits = np.count_nonzero(stage.scores[untilted] > 0.0)
    return bool(hits >= max(_LEAST_COMMON, _COMMON * np.count_nonzero(untilted)))
