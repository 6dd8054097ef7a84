"""Which numbers of a scenario its answer depends on: each varied on its own, then together.

Varied on its own, a number shows what it does to the answer under the same outages (the bars of a tornado); what it
changes in no trial it cannot matter for. Varied together, total-order Sobol indices say which share of the answer's
spread goes away if one number were known, with what it does in company of the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrsim.errors import ResultsError, ScenarioError
from mrsim.rng import fresh_seed
from mrsim.study.asked import as_asked, measuring, quantity_asked
from mrsim.study.columns import metric_of
from mrsim.study.executors import Build
from mrsim.study.paired import Difference, Pairs, exceedance_difference, mean_difference, pairs_of
from mrsim.study.parameters import Parameter, parameters_of, shown
from mrsim.study.run import chunk_function, run
from mrsim.study.sobol import sobol
from mrsim.study.statistics import Estimate
from mrsim.study.varied import Range, range_of
from mrsim.units import WrittenError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

    Study = Callable[[Scenario, int], Results]

FACTOR = 2.0
"""Parameters that nobody named are halved and doubled."""

MOST_FACTOR = 10.0
"""Further than this a scenario is another one."""

DEFAULT_TRIALS = 200
MOST_TOGETHER = 6
"""Parameters that are varied together if none were named: those that moved the answer most on their own."""

ROUNDING = 1e-9
"""Relative differences up to this are rounding: a number that only changes the order of additions changes nothing."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What one parameter does on its own.

    Attributes
    ----------
    parameter
        What was varied.
    low_text, high_text
        Its two ends, as written.
    low, high
        The answer at each.
    difference
        Of the mean (of the rate) at the upper end to that at the lower, paired; its interval holds, which that of two
        quantiles would not.
    differing
        Trials in which either end differs from the scenario as it is.
    """

    parameter: Parameter
    low_text: str
    high_text: str
    low: Estimate
    high: Estimate
    difference: Difference
    differing: int

    @property
    def swing(self) -> float:
        """How far apart the answers at the two ends are; infinite where one is not reached."""
        low, high = self.low.value_high, self.high.value_high
        return math.inf if math.isinf(low) != math.isinf(high) else 0.0 if math.isinf(low) else abs(high - low)


@dataclass(frozen=True, slots=True)
class Index:
    """Sobol indices of one parameter, each with a 90 % bootstrap interval over the points."""

    parameter: Parameter
    first: float
    first_low: float
    first_high: float
    total: float
    total_low: float
    total_high: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What an answer depends on.

    Attributes
    ----------
    scenario
        As it is.
    asked
        The answer: an aggregation of a metric.
    base
        It, as it is.
    bars
        The parameters that change anything in any trial, the largest swing first.
    idle
        Those that change nothing in any trial.
    refused
        Those whose ends are no valid scenario, and why.
    indices
        Of the parameters that were varied together, the largest total first; empty if none were.
    points
        Number of base points of the indices.
    trials, seed
        Of every study.
    """

    scenario: Scenario
    asked: Budget
    base: Estimate
    bars: tuple[Bar, ...]
    idle: tuple[Parameter, ...]
    refused: tuple[tuple[Parameter, str], ...]
    indices: tuple[Index, ...]
    points: int
    trials: int
    seed: int

    def __repr__(self) -> str:
        """Return the analysis as text."""
        from mrsim.report.sensitivity import sensitivity_report

        return sensitivity_report(self)


def sensitivity(
    scenario: Scenario,
    of: str | None = None,
    vary: Mapping[str, tuple[object, object]] | None = None,
    *,
    points: int = 0,
    factor: float = FACTOR,
    trials: int = DEFAULT_TRIALS,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    build: Build = chunk_function,
) -> Sensitivity:
    """Find which parameters an answer depends on.

    Parameters
    ----------
    scenario
        As it is.
    of
        The answer, such as ``rto{service=orders, op=write, clients=95%} p95``; that of the first budget if not given.
    vary
        Path to two ends; every written or assumed quantity, divided and multiplied by ``factor``, if not given.
    points
        A power of two: base points of the Sobol indices, each of which costs as many studies as there are parameters
        that are varied together, and two; 0 for none.
    factor
        See ``vary``.
    trials, seed, workers, executor, build
        Of every study; see :func:`mrsim.study.run.run`. The seed is the same for all.

    Raises
    ------
    ScenarioError
        If a path, an end or the answer is not valid.
    ResultsError
        If there is nothing to ask for, or the answer cannot be varied together because some trials do not finish.
    SimulationError, WorkerError, Interrupted
        As :func:`mrsim.study.run.run`.
    """

    def study(variant: Scenario, which: int) -> Results:
        return run(variant, trials=trials, seed=which, workers=workers, executor=executor, build=build)

    chosen = named([range_of(path, *ends) for path, ends in (vary or {}).items()])
    seed = fresh_seed() if seed is None else seed
    return analyse(scenario, answer_asked(scenario, of), chosen, study, points, trials, seed, factor)


def named(spans: Sequence[Range]) -> list[Parameter]:
    """Return the parameters of ranges that were asked for."""
    return [Parameter(span.path, f"{span.text(span.low)}..{span.text(span.high)}", span) for span in spans]


def answer_asked(scenario: Scenario, of: str | None) -> Budget:
    """Return the answer that is asked for; that of the first budget if none is named.

    Raises
    ------
    ScenarioError, ResultsError
        If it is not one, or there is no budget.
    """
    if of is not None:
        return quantity_asked(scenario, of)
    if not scenario.budgets:
        message = "the scenario has no budget: name what is asked for, such as 'rpo{store=orders-db} p95'"
        raise ResultsError(message)
    return scenario.budgets[0]


def analyse(
    scenario: Scenario,
    asked: Budget,
    chosen: Sequence[Parameter],
    study: Study,
    points: int,
    trials: int,
    seed: int,
    factor: float = FACTOR,
) -> Sensitivity:
    """Vary parameters, with any way of running a study; see :func:`sensitivity`."""
    if points & (points - 1) or points < 0:
        message = f"{points} points are no power of two"
        raise ResultsError(message)
    if not 1.0 < factor <= MOST_FACTOR:
        message = f"a factor lies between 1 and {MOST_FACTOR:g}, got {factor:g}"
        raise ResultsError(message)

    def answer(variant: Scenario) -> Results:
        [one] = measuring([variant], limits=[asked])
        return as_asked(study(one, seed), variant)

    base = answer(scenario)
    bars, idle, refused = [], [], []
    for parameter in chosen or parameters_of(scenario, factor):
        try:
            ends = [parameter.at(0.0), parameter.at(1.0)]
            variants = [scenario.with_({parameter.name: end}) for end in ends]
        except (ScenarioError, WrittenError) as error:
            if chosen:
                raise
            refused.append((parameter, error.problems[0].message if isinstance(error, ScenarioError) else str(error)))
            continue
        bar = _bar(parameter, ends, base, [answer(variant) for variant in variants], asked)
        if bar.differing:
            bars.append(bar)
        else:
            idle.append(parameter)
    bars.sort(key=lambda bar: (-bar.swing, -bar.differing, bar.parameter.name))
    together = list(chosen) or [bar.parameter for bar in bars[:MOST_TOGETHER]]
    indices = _indices(scenario, together, answer, asked, points, seed) if points and together else ()
    seen = base.estimate(asked.column, asked.aggregation)
    return Sensitivity(scenario, asked, seen, tuple(bars), tuple(idle), tuple(refused), indices, points, trials, seed)


def _bar(parameter: Parameter, ends: Sequence[Any], base: Results, found: Sequence[Results], asked: Budget) -> Bar:
    low, high = (results.estimate(asked.column, asked.aggregation) for results in found)
    differing = max(_changed(pairs_of(base, results, asked.column)) for results in found)
    pairs, metric = pairs_of(found[0], found[1], asked.column), metric_of(asked.column)
    flag = metric is not None and metric.kind == "flag"
    difference = exceedance_difference(pairs, 0.0) if flag else mean_difference(pairs)
    return Bar(parameter, shown(ends[0]), shown(ends[1]), low, high, difference, differing)


def _changed(pairs: Pairs) -> int:
    """Return the pairs that differ by more than rounding."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(pairs.b - pairs.a) > ROUNDING * np.maximum(1.0, np.abs(pairs.a))
    apart |= np.isinf(pairs.a) != np.isinf(pairs.b)
    return int(np.count_nonzero(apart.any(axis=0)))


def _indices(
    scenario: Scenario,
    parameters: Sequence[Parameter],
    answer: Callable[[Scenario], Results],
    asked: Budget,
    points: int,
    seed: int,
) -> tuple[Index, ...]:
    """Return Sobol indices from shifted Sobol points."""

    def value(shares: NDArray[np.float64]) -> float:
        settings = {one.name: one.at(float(share)) for one, share in zip(parameters, shares, strict=True)}
        seen = answer(scenario.with_(settings)).estimate(asked.column, asked.aggregation)
        if not math.isfinite(seen.value_high):
            message = "the answer is beyond the horizon for some values: no spread of it can be shared out"
            raise ResultsError(message)
        return seen.value_low

    found = sobol(value, len(parameters), points, seed)
    if found is None:
        return ()
    rows = [
        Index(one, *(float(end) for kind in (0, 1) for end in found[:, kind, i])) for i, one in enumerate(parameters)
    ]
    return tuple(sorted(rows, key=lambda index: -index.total))
