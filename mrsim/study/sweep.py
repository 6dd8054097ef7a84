"""A grid of variants of one scenario, all under the same outages: what follows from a value, and where it tips."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from mrsim.errors import Problem, ScenarioError
from mrsim.rng import fresh_seed
from mrsim.study.asked import as_asked, column_asked, measuring
from mrsim.study.columns import metric_of
from mrsim.study.compare import usual_columns
from mrsim.study.paired import Difference, exceedance_difference, mean_difference, pairs_of
from mrsim.study.run import run
from mrsim.study.statistics import CONFIDENCE
from mrsim.study.tables import SHOWN_QUANTILES
from mrsim.study.varied import Axis, axis_of
from mrsim.study.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

MOST_POINTS = 1000
"""Points of a grid; more would be a mistake, or days."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place of the grid: the values there, in the order of the axes, and its study."""

    levels: tuple[Any, ...]
    results: Results


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a sweep shows: an aggregation over trials of one column."""

    column: str
    aggregation: str


@dataclass(frozen=True, eq=False)
class Sweep:
    """Studies of a grid of variants with the same seed; differences are to the first point.

    Attributes
    ----------
    axes
        What was varied.
    points
        In the order of the grid, the last axis fastest.
    confidence
        Of each one-sided bound.
    metrics
        Columns asked for; those that budgets name and the usual ones if empty.
    """

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    confidence: float = CONFIDENCE
    metrics: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """Seed of all studies."""
        return self.points[0].results.seed

    @property
    def n(self) -> int:
        """Trials of each study."""
        return self.points[0].results.n

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that are shown."""
        return self.metrics or usual_columns([point.results for point in self.points])

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """What budgets judge, then of each other column the usual aggregation."""
        budgets = [budget for budget in self.points[0].results.scenario.budgets if budget.level != "off"]
        found = [Quantity(one.column, one.aggregation) for one in budgets if one.column in self.columns]
        named = {quantity.column for quantity in found}
        found += [Quantity(column, _usual(column)) for column in self.columns if column not in named]
        return tuple(dict.fromkeys(found))

    def difference(self, point: Point, column: str) -> Difference:
        """Return the paired difference of a point to the first: of means, or of the rates of a flag."""
        pairs = pairs_of(self.points[0].results, point.results, column)
        if _usual(column) == "trials":
            return exceedance_difference(pairs, 0.0, self.confidence)
        return mean_difference(pairs, self.confidence)

    def check(self, point: Point, quantity: Quantity) -> Check | None:
        """Return the verdict on the first budget that judges this quantity at a point; None if there is none."""
        for check in point.results.checks:
            if (check.budget.column, check.budget.aggregation) == (quantity.column, quantity.aggregation):
                return check
        return None

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per point, column and aggregation.

        The axes' values come first, by path; then ``column``, ``aggregation``, ``value``, ``value_high`` (where
        unfinished trials reach it), ``low``, ``high``, ``n``, ``unfinished``, ``verdict``, and the paired
        ``difference`` of means (of rates) to the first point with ``difference_low`` and ``difference_high``.
        """
        rows = []
        for point in self.points:
            place = {axis.name: value for axis, value in zip(self.axes, point.levels, strict=True)}
            for column in self.columns:
                difference = self.difference(point, column)
                for aggregation in ("trials",) if _usual(column) == "trials" else ("mean", *SHOWN_QUANTILES):
                    seen = point.results.estimate(column, aggregation, self.confidence)
                    check = self.check(point, Quantity(column, aggregation))
                    rows.append(
                        place
                        | {"column": column, "aggregation": aggregation, "value": seen.value_low}
                        | {"value_high": seen.value_high, "low": seen.low, "high": seen.high, "n": seen.n}
                        | {"unfinished": seen.unfinished, "verdict": check.verdict if check else ""}
                        | {"difference": difference.value_low, "difference_low": difference.low}
                        | {"difference_high": difference.high}
                    )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        """Return the sweep as text."""
        from mrsim.report.sweep import sweep_report

        return sweep_report(self)

    def _repr_html_(self) -> str:
        from mrsim.report.sweep import sweep_html

        return sweep_html(self)


def sweep(
    scenario: Scenario,
    axes: Mapping[str, Any],
    *,
    trials: int = 1000,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    metrics: Sequence[str] = (),
    confidence: float = CONFIDENCE,
    progress: Callable[[str, int, int], None] | None = None,
) -> Sweep:
    """Run a grid of variants of a scenario under common random numbers.

    Parameters
    ----------
    scenario
        What is varied.
    axes
        Path to values: a list, or a text such as ``30s,60s,300s``.
    trials, seed, workers, executor
        Of each study; see :func:`mrsim.study.run.run`. The seed is the same for all.
    metrics
        What to show, as budgets name it; what they name, and the usual, if not given.
    confidence
        Of each one-sided bound.
    progress
        Called with the point's values as text, the trials finished and the trials asked for.

    Raises
    ------
    ScenarioError
        If a path or value is not valid anywhere on the grid: said before anything is run.
    SimulationError, WorkerError, Interrupted
        As :func:`mrsim.study.run.run`.
    """
    named = tuple(axis_of(path, values) for path, values in axes.items())
    places = grid(scenario, named)
    seed = fresh_seed() if seed is None else seed
    points = []
    for (values, variant), asked in zip(places, measuring([one for _, one in places], metrics), strict=True):
        report = None if progress is None else _named(progress, values)
        results = run(asked, trials=trials, seed=seed, workers=workers, executor=executor, progress=report)
        points.append(Point(values, as_asked(results, variant)))
    return Sweep(named, tuple(points), confidence, columns_asked(scenario, metrics))


def grid(scenario: Scenario, axes: Sequence[Axis]) -> list[tuple[tuple[Any, ...], Scenario]]:
    """Return values and variant of every point, the last axis fastest.

    Raises
    ------
    ScenarioError
        If a variant is not valid, or there are too many.
    """
    count = 1
    for axis in axes:
        count *= len(axis.levels)
    if not axes or not 1 <= count <= MOST_POINTS:
        message = f"a grid has between 1 and {MOST_POINTS} points, not {count if axes else 0}"
        raise ScenarioError([Problem(message)], scenario.path)
    places = itertools.product(*(axis.levels for axis in axes))
    return [
        (values, scenario.with_({axis.name: value for axis, value in zip(axes, values, strict=True)}))
        for values in places
    ]


def columns_asked(scenario: Scenario, metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of metrics as budgets name them."""
    return tuple(column_asked(scenario, metric) for metric in metrics)


def _usual(column: str) -> str:
    metric = metric_of(column)
    return "trials" if metric is not None and metric.kind == "flag" else "p95"


def _named(progress: Callable[[str, int, int], None], values: tuple[Any, ...]) -> Callable[[int, int], None]:
    return lambda done, asked: progress(", ".join(map(str, values)), done, asked)
