"""The gate: budgets of several scenarios, judged at looks that are fixed before anything is run.

A verdict that may be looked at again and again until it suits is wrong far more often than it says: a budget that sits
on its limit passes in one run of eight with three looks at 5 %, and in more with more. So the looks are fixed before
the run: after n, 2 n, 4 n ... trials up to a cap, and each of them may err with an equal part of what all of them may.
Scenarios are made longer only while one of their budgets is undecided and more trials could decide it.

References
----------
P. Armitage, C. K. McPherson, B. C. Rowe, *Repeated significance tests on accumulating data*, Journal of the Royal
Statistical Society A 132, 1969. C. Jennison, B. W. Turnbull, *Group Sequential Methods*, 1999.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.errors import ResultsError
from mrsim.rng import fresh_seed
from mrsim.study.claims import fewest_trials
from mrsim.study.executors import Build
from mrsim.study.run import Growing, check_scenario, chunk_function
from mrsim.study.statistics import CONFIDENCE
from mrsim.study.verdict import Check, exit_code, judge_all

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

    Longer = Callable[[int], Results | None]
    """Runs a study up to this many trials and returns all of them; None if it was interrupted before there was one."""

FIRST_LOOK = 1000
"""Trials of the first look."""

MOST_TRIALS = 8000
"""Trials of the last one."""


@dataclass(frozen=True, eq=False)
class Gate:
    """Budgets, judged.

    Attributes
    ----------
    studies
        One per scenario, each as long as it was made.
    checks
        One per budget, in the order of the studies. Each rests on the trials of the look that decided it.
    looks
        Numbers of trials at which it was planned to look.
    confidence
        Of all looks together.
    """

    studies: tuple[Results, ...]
    checks: tuple[Check, ...]
    looks: tuple[int, ...]
    confidence: float

    @property
    def exit_code(self) -> int:
        """What a pipeline is told: 0 passed, 1 failed, 3 inconclusive."""
        return exit_code(self.checks)

    @property
    def confidence_of_a_look(self) -> float:
        """The confidence of each bound that is shown."""
        return 1.0 - (1.0 - self.confidence) / len(self.looks)

    def of(self, index: int) -> tuple[Check, ...]:
        """Return the checks of one of the studies."""
        counts = [sum(budget.level != "off" for budget in results.scenario.budgets) for results in self.studies]
        start = sum(counts[:index])
        return self.checks[start : start + counts[index]]

    def __repr__(self) -> str:
        """Return the verdicts, a line each."""
        lines = [f"Gate({len(self.studies)} scenarios, looks at {', '.join(map(str, self.looks))} trials)"]
        lines += [f"  {one.verdict:<12} {one.scenario}: {one.budget.key}: {one.budget.text}" for one in self.checks]
        return "\n".join(lines)


def looks_of(first: int, most: int) -> tuple[int, ...]:
    """Return the numbers of trials at which to look: n, 2 n, 4 n ... and the cap."""
    looks = [first]
    while looks[-1] * 2 <= most:
        looks.append(looks[-1] * 2)
    # A last step of less than a quarter more would cost a part of the error and show nothing new.
    if most > 1.25 * looks[-1]:
        looks.append(most)
    return tuple(looks)


def check(
    scenarios: Scenario | Sequence[Scenario],
    *,
    trials: int = FIRST_LOOK,
    most: int | None = None,
    seed: int | None = None,
    confidence: float = CONFIDENCE,
    workers: int | None = None,
    executor: Executor | None = None,
    build: Build = chunk_function,
) -> Gate:
    """Judge the budgets of scenarios, adding trials while that could decide one.

    Parameters
    ----------
    scenarios
        One or several; their budgets are one family.
    trials
        Of the first look.
    most
        Of the last one; :data:`MOST_TRIALS`, or ``trials`` if that is more, if not given. The same as ``trials`` for
        one look only.
    seed
        Of every study; drawn if not given.
    confidence
        Of a pass of each budget, and of no false failure among all; over all looks.
    workers, executor, build
        See :func:`mrsim.study.run.run`.

    Raises
    ------
    ResultsError
        If there is no budget, or ``most`` is less than ``trials``.
    SimulationError, WorkerError, Interrupted
        As :func:`mrsim.study.run.run`.
    """
    named: object = scenarios
    if isinstance(named, str):  # a sequence too, of letters
        check_scenario(named, "check")
    family = list(scenarios) if isinstance(scenarios, Sequence) else [scenarios]
    for scenario in family:
        check_scenario(scenario, "check")
    seed = fresh_seed() if seed is None else seed
    growing = [Growing(scenario, seed, workers, executor, build) for scenario in family]
    plan = planned(family, trials, max(trials, MOST_TRIALS) if most is None else most)
    return judged([one.to for one in growing], plan, confidence)


def planned(scenarios: Sequence[Scenario], trials: int, most: int) -> tuple[int, ...]:
    """Return the looks; see :func:`check`.

    Raises
    ------
    ResultsError
        If there is no budget, or ``most`` is less than ``trials``.
    """
    if not any(budget.level != "off" for scenario in scenarios for budget in scenario.budgets):
        message = "there is no budget to check"
        raise ResultsError(message)
    if most < trials:
        message = f"the last look, at {most} trials, comes before the first, at {trials}"
        raise ResultsError(message)
    return looks_of(trials, most)


def judged(
    longer: Sequence[Longer],
    looks: tuple[int, ...],
    confidence: float = CONFIDENCE,
    stopped: Callable[[], bool] = lambda: False,
) -> Gate:
    """Look, and make longer what is undecided, with any way of running studies.

    Parameters
    ----------
    longer
        One per scenario.
    looks
        See :func:`looks_of`.
    confidence
        See :func:`check`.
    stopped
        Whether it was interrupted, asked after each study.
    """
    studies: list[Results] = []
    for run in longer:
        results = run(looks[0])
        studies += [] if results is None else [results]
        if stopped():
            break
    checks = judge_all(studies, confidence, len(looks))
    gate = Gate(tuple(studies), checks, looks, confidence)
    for trials in looks[1:]:
        undecided = [any(map(_open, gate.of(index))) for index in range(len(studies))]
        if stopped() or not any(undecided):
            break
        for index, run in enumerate(longer):
            results = run(trials) if undecided[index] and not stopped() else None
            studies[index] = gate.studies[index] if results is None else results
        if stopped():
            break  # what there is now is no look that was planned
        checks = judge_all(studies, confidence, len(looks), checks)
        gate = Gate(tuple(studies), checks, looks, confidence)
    return gate


def out_of_reach(scenarios: Sequence[Scenario], looks: tuple[int, ...], confidence: float = CONFIDENCE) -> list[str]:
    """Return what is known before the run: which budgets so few trials cannot pass, and how many could."""
    said = []
    for scenario in scenarios:
        for budget in scenario.budgets:
            shown_with = 1.0 - (1.0 - confidence) / len(looks)
            fewest = fewest_trials(budget.aggregation, budget.op, budget.limit, shown_with)
            if budget.level != "off" and fewest is not None and fewest > looks[-1]:
                need = f"cannot pass with {looks[-1]} trials: at least {fewest} are needed"
                said.append(f"{scenario.name}: {budget.key} {budget.text} {need}")
    return said


def _open(check: Check) -> bool:
    """Whether more trials could decide a check."""
    return check.verdict == "inconclusive" and check.more_trials_could_decide
