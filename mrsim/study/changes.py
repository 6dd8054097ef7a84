"""What became of the numbers of a baseline, and whose doing it is: the scenario's or the engine's.

The old scenario is run again on the engine of today, with the seed that the baseline was made with. Old and new
scenario, both run today, differ by what was changed in the scenario; the stored numbers and those of the old scenario,
run today, by what was changed in the engine. Trial *k* of all three had the same outage: both differences are paired.

A change to a worse number is a **regression** if the bound of the paired difference lies beyond a tolerance, not just
beyond zero: under common random numbers every shift is significant. Regressions are Holm-corrected over everything that
is compared at once. See :mod:`mrsim.study.shifts` for what is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mrsim.study.asked import measuring
from mrsim.study.baseline import Baseline, Kept, check_names
from mrsim.study.baseline_file import document_of
from mrsim.study.claims import holm
from mrsim.study.documents import flattened
from mrsim.study.executors import Build
from mrsim.study.provenance import engine
from mrsim.study.run import chunk_function, run
from mrsim.study.shifts import By, Change, Evidence, Tolerance, evidence, read_tolerance, settled
from mrsim.study.statistics import CONFIDENCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.study.paired import Measured
    from mrsim.study.results import Results

State = Literal["kept", "new", "removed"]


@dataclass(frozen=True, slots=True)
class Match:
    """A scenario of today, and what the baseline has of it.

    Attributes
    ----------
    now
        The scenario, measuring also what budgets of the old one name.
    kept
        What the baseline has; None if it has nothing.
    old
        The old scenario, measuring also what budgets of the new one name; None if it simulates the same.
    """

    now: Scenario
    kept: Kept | None
    old: Scenario | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A budget, and what became of its number.

    Attributes
    ----------
    budget
        As it is now, or as it was if it was removed.
    state
        ``kept``, ``new`` or ``removed``.
    was
        Limit and level in the baseline, if they were others; else empty.
    changes
        The scenario's doing, then the engine's; what cannot be compared is not in it.
    """

    budget: Budget
    state: State
    was: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """A value of a resolved scenario that is another now; None where there is or was none."""

    path: str
    was: Any
    now: Any


@dataclass(frozen=True, eq=False)
class Changed:
    """A scenario, and what became of it.

    Attributes
    ----------
    scenario
        As it is now.
    before
        Its name in the baseline; empty if the baseline does not have it.
    edits
        Which values differ, in base units.
    budgets
        Those that it has, then those that were removed.
    """

    scenario: Scenario
    before: str
    edits: tuple[Edit, ...]
    budgets: tuple[Compared, ...]


@dataclass(frozen=True, eq=False)
class Changes:
    """What became of a baseline.

    Attributes
    ----------
    scenarios
        One per scenario that was run.
    absent
        Names and files of scenarios of the baseline that were not among them.
    baseline
        What it was compared with.
    engine
        Versions of today.
    tolerance, confidence
        Of the verdicts.
    """

    scenarios: tuple[Changed, ...]
    absent: tuple[tuple[str, str], ...]
    baseline: Baseline
    engine: Mapping[str, str]
    tolerance: Tolerance
    confidence: float

    @property
    def engine_edits(self) -> tuple[tuple[str, str, str], ...]:
        """Versions that are others: name, what it was, what it is."""
        was, now = self.baseline.engine, self.engine
        return tuple((name, was.get(name, ""), now[name]) for name in now if now[name] != was.get(name, ""))

    def verdicts(self) -> Iterator[tuple[Changed, Compared, Change]]:
        """Yield every change with its budget and scenario."""
        for scenario in self.scenarios:
            for budget in scenario.budgets:
                for change in budget.changes:
                    yield scenario, budget, change

    @property
    def exit_code(self) -> int:
        """Return 1 if something regressed, else 3 if something is inconclusive, else 0.

        Budgets that only warn never count, nor do those that were removed.
        """
        found = {one.verdict for _, of, one in self.verdicts() if of.budget.level == "error" and of.state != "removed"}
        if "regressed" in found:
            return 1
        return 3 if "inconclusive" in found else 0

    def __repr__(self) -> str:
        """Return what became of each budget, a line each."""
        lines = [f"Changes({len(self.scenarios)} scenarios, {self.baseline.trials} trials, seed {self.baseline.seed})"]
        for scenario, of, one in self.verdicts():
            lines.append(f"  {one.verdict:<12} {scenario.scenario.name}: {of.budget.key}: {of.budget.text} ({one.by})")
        return "\n".join(lines)


def against(
    scenarios: Scenario | Sequence[Scenario],
    baseline: Baseline,
    *,
    tolerance: Tolerance | str | Sequence[str] = (),
    confidence: float = CONFIDENCE,
    workers: int | None = None,
    executor: Executor | None = None,
    build: Build = chunk_function,
) -> Changes:
    """Run scenarios, and what a baseline has of them, and say what became of their numbers and whose doing it is.

    Parameters
    ----------
    scenarios
        One or several; all that is compared is one family.
    baseline
        Says seed and number of trials.
    tolerance
        Up to which a change to the worse is none, such as ``"2%"`` or ``["2%", "5s"]``; 1 % if not given, and never
        less than the displayed digit.
    confidence
        Of each one-sided bound, and of no false regression among all.
    workers, executor, build
        See :func:`mrsim.study.run.run`.

    Raises
    ------
    BaselineError, ResultsError
        If two scenarios have the same name, or the tolerance is none.
    SimulationError, WorkerError, Interrupted
        As :func:`mrsim.study.run.run`.
    """
    family = list(scenarios) if isinstance(scenarios, Sequence) else [scenarios]
    if not isinstance(tolerance, Tolerance):
        tolerance = read_tolerance([tolerance] if isinstance(tolerance, str) else tolerance)
    matches = matched(baseline, family, [scenario.path for scenario in family])

    def study(scenario: Scenario) -> Results:
        return run(
            scenario,
            trials=baseline.trials,
            seed=baseline.seed,
            workers=workers,
            executor=executor,
            build=build,
        )

    now = [study(match.now) for match in matches]
    old = [None if match.old is None else study(match.old) for match in matches]
    return changes_of(baseline, matches, family, now, old, tolerance, confidence)


def matched(baseline: Baseline, scenarios: Sequence[Scenario], files: Sequence[str]) -> list[Match]:
    """Find what a baseline has of each scenario: by name, else by file, else by what it simulates.

    Raises
    ------
    BaselineError
        If two scenarios have the same name.
    """
    check_names(scenarios, files)
    left = {kept.scenario.name: kept for kept in baseline.kept}
    found = [left.pop(scenario.name, None) for scenario in scenarios]
    for index, scenario in enumerate(scenarios):
        same = (name for name, kept in left.items() if kept.file == files[index])
        alike = (name for name, kept in left.items() if _simulated(kept.scenario) == _simulated(scenario))
        name = None if found[index] is not None or not left else next(same, next(alike, None))
        if name is not None:
            found[index] = left.pop(name)
    return [_match(scenario, kept) for scenario, kept in zip(scenarios, found, strict=True)]


def _match(scenario: Scenario, kept: Kept | None) -> Match:
    if kept is None:
        return Match(scenario, None, None)
    now, old = measuring([scenario, kept.scenario])
    return Match(now, kept, None if _simulated(scenario) == _simulated(kept.scenario) else old)


def _simulated(scenario: Scenario) -> dict[str, Any]:
    """Return everything that a trial depends on."""
    return {name: value for name, value in document_of(scenario).items() if name not in ("name", "horizon_explicit")}


def changes_of(
    baseline: Baseline,
    matches: Sequence[Match],
    scenarios: Sequence[Scenario],
    now: Sequence[Results],
    old: Sequence[Results | None],
    tolerance: Tolerance,
    confidence: float = CONFIDENCE,
) -> Changes:
    """Compare studies that were run for it.

    Parameters
    ----------
    baseline, matches, scenarios
        What :func:`matched` found of which scenarios.
    now, old
        Studies of each match's scenarios with the baseline's seed, of at least as many trials; of ``old``, None where
        the old scenario simulates the same.
    tolerance, confidence
        See :func:`against`.
    """
    gathered = [
        _gathered(match, scenario, _First(new, baseline.trials), None if was is None else _First(was, baseline.trials))
        for match, scenario, new, was in zip(matches, scenarios, now, old, strict=True)
    ]
    weighed = [
        [[evidence(*sides, one.budget, tolerance, confidence) for sides in one.sides] for one in of] for of in gathered
    ]
    tests = [test for of in weighed for one in of for each in one for test in each.tests]
    rejected = iter(holm(tests, 1.0 - confidence))

    def settle(each: Evidence) -> Change:
        return settled(each, [next(rejected) for _ in each.tests], len(tests))

    found = []
    for match, scenario, of, weights in zip(matches, scenarios, gathered, weighed, strict=True):
        budgets = [
            Compared(one.budget, one.state, one.was, tuple(map(settle, each)))
            for one, each in zip(of, weights, strict=True)
        ]
        before = "" if match.kept is None else match.kept.scenario.name
        edits = () if match.kept is None else tuple(_edits(match.kept.scenario, scenario))
        found.append(Changed(scenario, before, edits, tuple(budgets)))
    taken = {match.kept.scenario.name for match in matches if match.kept is not None}
    absent = tuple((kept.scenario.name, kept.file) for kept in baseline.kept if kept.scenario.name not in taken)
    return Changes(tuple(found), absent, baseline, engine(), tolerance, confidence)


@dataclass(frozen=True, slots=True)
class _First:
    """The first trials of a study."""

    results: Results
    trials: int

    def has(self, column: str) -> bool:
        """Whether the study measured it."""
        return column in self.results.columns

    def values_of(self, column: str) -> NDArray[np.float64]:
        """Return a column's values, shape ``(trials,)``."""
        return self.results.values_of(column)[: self.trials]

    def status_of(self, column: str) -> NDArray[np.int8]:
        """Return a column's status codes, shape ``(trials,)``."""
        return self.results.status_of(column)[: self.trials]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """A budget with what can be compared of it: who did it, before, and after."""

    budget: Budget
    state: State
    was: str
    sides: tuple[tuple[By, Measured, Measured], ...]


def _gathered(match: Match, scenario: Scenario, now: _First, old: _First | None) -> list[_Gathered]:
    """Return every budget, old or new, with the studies that have its column."""
    if match.kept is None:
        return [_Gathered(one, "new", "", ()) for one in scenario.budgets if one.level != "off"]
    before, kept = now if old is None else old, match.kept
    stored = [column for column in kept.values if before.has(column)]
    again = Kept.of(before.results, kept.file, before.trials, stored)
    found = []
    for budget, state, was in _paired_budgets(scenario, kept.scenario):
        sides: list[tuple[By, Measured, Measured]] = []
        if before.has(budget.column) and now.has(budget.column):
            sides.append(("scenario", before, now))
        if budget.column in again.values:
            sides.append(("engine", kept, again))
        found.append(_Gathered(budget, state, was, tuple(sides)))
    return found


def _paired_budgets(now: Scenario, old: Scenario) -> list[tuple[Budget, State, str]]:
    """Return the budgets of today with what they were, then those that are gone."""
    left = list(old.budgets)
    budgets = [budget for budget in now.budgets if budget.level != "off"]
    states: dict[int, tuple[State, str]] = {}
    for same in (_identity, _number):
        for index, budget in enumerate(budgets):
            known = next((one for one in left if same(one) == same(budget)), None)
            if index not in states and known is not None:
                left.remove(known)
                states[index] = ("kept", "" if _said(known) == _said(budget) else _said(known))
    found: list[tuple[Budget, State, str]] = [
        (budget, *states.get(index, ("new", ""))) for index, budget in enumerate(budgets)
    ]
    return found + [(budget, "removed", "") for budget in left]


def _number(budget: Budget) -> tuple[str, ...]:
    """Return which number a budget limits, and on which side."""
    return budget.column, budget.aggregation, budget.op[0]


def _identity(budget: Budget) -> tuple[str, ...]:
    return *_number(budget), *map(str, (budget.op, budget.limit, budget.level))


def _said(budget: Budget) -> str:
    return budget.text if budget.level == "error" else f"{budget.text} ({budget.level})"


def _edits(old: Scenario, now: Scenario) -> Iterator[Edit]:
    """Yield what differs in what two scenarios simulate."""
    was, is_ = (dict(flattened(_simulated(one), together=0)) for one in (old, now))
    for path in dict.fromkeys([*was, *is_]):
        if was.get(path) != is_.get(path):
            yield Edit(path, was.get(path), is_.get(path))
