"""Postures side by side under the same outages: common random numbers make the difference visible in few trials."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mrsim.errors import ResultsError
from mrsim.rng import fresh_seed
from mrsim.study.asked import as_asked, column_asked, measuring
from mrsim.study.columns import metric_of, split_column
from mrsim.study.paired import (
    Difference,
    Pairs,
    Wins,
    exceedance_difference,
    mean_difference,
    pairs_of,
    wins,
)
from mrsim.study.paired_quantiles import quantile_differences
from mrsim.study.run import check_scenario, run
from mrsim.study.statistics import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

QUANTILES = ("p50", "p95", "p99")
"""Quantiles over trials that a comparison shows."""

USUAL = ("rto_s", "data_loss_s", "split_brain", "write_latency_s")
"""Metrics that are compared whether a budget names them or not: what is gained, and what it costs."""

USUAL_CLIENTS = "95%"


@dataclass(frozen=True, slots=True)
class Contrast:
    """One column of one posture against the baseline.

    Attributes
    ----------
    column
        Of the per-trial table.
    label, baseline
        Names of the two postures.
    pairs
        Trial by trial; the baseline is ``a``.
    mean
        Difference of means; None for a flag.
    exceeds
        Differences of exceedances, one per limit; of a flag, that of its rate.
    quantiles
        Differences of quantiles, conservative; none for a flag.
    wins
        In how many trials which was lower.
    """

    column: str
    label: str
    baseline: str
    pairs: Pairs
    mean: Difference | None
    exceeds: tuple[Difference, ...]
    quantiles: tuple[Difference, ...]
    wins: Wins

    @property
    def differs(self) -> bool:
        """Whether any trial differs."""
        return self.pairs.differing > 0

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All of them, those with intervals that may be gated first."""
        return (*((self.mean,) if self.mean else ()), *self.exceeds, *self.quantiles)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Studies of several postures with the same seed; the first is the baseline.

    Attributes
    ----------
    labels
        A name for each posture, all different.
    studies
        Their results.
    confidence
        Of each one-sided bound.
    metrics
        Columns to compare; the usual ones if empty.
    """

    labels: tuple[str, ...]
    studies: tuple[Results, ...]
    confidence: float = CONFIDENCE
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_paired(self.studies)
        if len(self.labels) != len(self.studies) or len(set(self.labels)) != len(self.labels):
            message = "a comparison needs one name for each study, all different"
            raise ValueError(message)
        for column in self.metrics:
            for results in self.studies:
                results.values_of(column)

    @property
    def n(self) -> int:
        """Trials of each study."""
        return self.studies[0].n

    @property
    def seed(self) -> int:
        """Seed of all studies."""
        return self.studies[0].seed

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that are compared: those asked for, or those that budgets name and the usual ones that all have."""
        return self.metrics or usual_columns(self.studies)

    @cached_property
    def only_in_some(self) -> tuple[str, ...]:
        """Columns that budgets name but not every study has."""
        budgeted = (budget.column for results in self.studies for budget in results.scenario.budgets)
        known = [set(results.columns) for results in self.studies]
        return tuple(dict.fromkeys(column for column in budgeted if not all(column in names for names in known)))

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every column of every posture against the baseline, column by column."""
        found = []
        for label, results in zip(self.labels[1:], self.studies[1:], strict=True):
            found.append(list(self._against(label, results)))
        return tuple(each for column in zip(*found, strict=True) for each in column)

    def contrast(self, column: str, label: str) -> Contrast:
        """Return one column of one posture against the baseline.

        Raises
        ------
        ResultsError
            If it was not compared.
        """
        for each in self.contrasts:
            if (each.column, each.label) == (column, label):
                return each
        message = f"{column!r} of {label!r} was not compared; columns: {', '.join(self.columns)}"
        raise ResultsError(message)

    def table(self) -> pd.DataFrame:
        """Return one row per column, posture and estimand.

        Returns
        -------
        DataFrame
            ``column``, ``posture``, ``baseline``, ``estimand``, ``limit``, the two sides ``a`` and ``b`` and the
            ``difference``, each with its upper bound in ``..._high_value`` where unfinished trials reach it, its
            interval ``low`` and ``high``, ``n``, ``conservative``, ``reason``; ``lower``, ``same``, ``higher``,
            ``undecided``: trials, under shared outages.
        """
        rows = []
        for each in self.contrasts:
            counts = asdict(each.wins)
            for one in each.differences:
                sides = {"a": one.a[0], "a_high_value": one.a[1], "b": one.b[0], "b_high_value": one.b[1]}
                rows.append(
                    {"column": each.column, "posture": each.label, "baseline": each.baseline}
                    | {"estimand": one.estimand, "limit": one.limit, **sides}
                    | {"difference": one.value_low, "difference_high_value": one.value_high}
                    | {"low": one.low, "high": one.high, "n": one.n}
                    | {"conservative": one.conservative, "reason": one.reason, **counts}
                )
        return pd.DataFrame(rows)

    def _against(self, label: str, results: Results) -> list[Contrast]:
        pairs = [pairs_of(self.studies[0], results, column) for column in self.columns]
        flags = [_is_flag(column) for column in self.columns]
        numbers = [each for each, flag in zip(pairs, flags, strict=True) if not flag]
        quantiles = iter(quantile_differences(numbers, QUANTILES, self.seed, self.confidence))
        found = []
        for column, each, flag in zip(self.columns, pairs, flags, strict=True):
            limits = (0.0,) if flag else self._limits(column)
            found.append(
                Contrast(
                    column=column,
                    label=label,
                    baseline=self.labels[0],
                    pairs=each,
                    mean=None if flag else mean_difference(each, self.confidence),
                    exceeds=tuple(exceedance_difference(each, limit, self.confidence) for limit in limits),
                    quantiles=() if flag else tuple(next(quantiles)),
                    wins=wins(each),
                )
            )
        return found

    def _limits(self, column: str) -> tuple[float, ...]:
        """Return the limits that any posture's budgets set on a column, ascending."""
        budgets = [budget for results in self.studies for budget in results.scenario.budgets]
        return tuple(sorted({budget.limit for budget in budgets if budget.column == column and budget.level != "off"}))

    def __repr__(self) -> str:
        """Return the comparison as text."""
        from mrsim.report.comparison import comparison_report

        return comparison_report(self)

    def _repr_html_(self) -> str:
        from mrsim.report.comparison_html import comparison_html

        return comparison_html(self)


def compare(
    *scenarios: Scenario,
    trials: int = 1000,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    labels: Sequence[str] | None = None,
    metrics: Sequence[str] = (),
    confidence: float = CONFIDENCE,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Run postures under common random numbers and compare each with the first.

    Parameters
    ----------
    scenarios
        Two or more. What has the same name in them gets the same draws.
    trials, seed, workers, executor
        Of each study; see :func:`mrsim.study.run.run`. The seed is the same for all.
    labels
        Names of the postures; made of the scenarios' names and settings if not given.
    metrics
        What to compare, as a budget names it, such as ``rto{service=orders, op=write, clients=95%}``; if nothing is
        given, what budgets name, recovery of 95 % of affected clients, data loss, split-brain and latency of writes.
    confidence
        Of each one-sided bound; a pair of them is a two-sided interval at ``2 confidence - 1``.
    progress
        Called with the posture's name, the trials finished and the trials asked for.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than two scenarios, or an argument is out of range.
    ScenarioError
        If a metric is not one that the first scenario has.
    ResultsError
        If another scenario does not have it.
    SimulationError, WorkerError, Interrupted
        As :func:`mrsim.study.run.run`.
    """
    if len(scenarios) < 2:
        message = f"a comparison needs at least two scenarios, got {len(scenarios)}"
        raise ValueError(message)
    for scenario in scenarios:
        check_scenario(scenario, "compare")
    names = tuple(labels) if labels is not None else labels_of(scenarios)
    seed = fresh_seed() if seed is None else seed
    studies = []
    for name, scenario in zip(names, measuring(scenarios, metrics), strict=True):
        report = None if progress is None else _named(progress, name)
        studies.append(run(scenario, trials=trials, seed=seed, workers=workers, executor=executor, progress=report))
    return assembled(scenarios, studies, names, metrics, confidence)


def assembled(
    scenarios: Sequence[Scenario],
    studies: Sequence[Results],
    labels: Sequence[str],
    metrics: Sequence[str] = (),
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Return the comparison of studies that were run for it, with :func:`mrsim.study.asked.measuring`."""
    columns = tuple(column_asked(scenarios[0], metric) for metric in metrics)
    own = tuple(as_asked(results, scenario) for results, scenario in zip(studies, scenarios, strict=True))
    return Comparison(tuple(labels), own, confidence, columns)


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, asked: progress(name, done, asked)


def labels_of(scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Return a different name for each scenario: its own, with its settings where that is not enough, else numbered."""
    names = [scenario.name for scenario in scenarios]
    if len(set(names)) < len(names):
        settings = [", ".join(map(str, scenario.settings)) for scenario in scenarios]
        several = len(set(names)) > 1
        names = [
            f"{name}, {setting}" if setting and several else setting or name
            for name, setting in zip(names, settings, strict=True)
        ]
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if names.count(name) == 1 else f"{name} ({seen[name]})")
    return tuple(labels)


def _check_paired(studies: Sequence[Results]) -> None:
    if len(studies) < 2:
        message = f"a comparison needs at least two studies, got {len(studies)}"
        raise ValueError(message)
    first = studies[0]
    for other in studies[1:]:
        if other.seed != first.seed or not np.array_equal(other.numbers, first.numbers):
            message = (
                f"these studies are not paired: {first.n} trials of seed {first.seed} against {other.n} of {other.seed}"
            )
            raise ResultsError(message)


def _is_flag(column: str) -> bool:
    metric = metric_of(column)
    return metric is not None and metric.kind == "flag"


def usual_columns(studies: Sequence[Results]) -> tuple[str, ...]:
    """Return the columns that budgets name, then the usual ones, as far as every study has them."""
    budgets = [budget for results in studies for budget in results.scenario.budgets if budget.level != "off"]
    wanted = [budget.column for budget in budgets]
    first = list(studies[0].columns)
    budgeted = {(name, *_whose(labels)) for name, labels in map(split_column, wanted)}
    for column in first:
        name, labels = split_column(column)
        everyone = labels.get("clients", USUAL_CLIENTS) == USUAL_CLIENTS and labels.get("from", "all") == "all"
        usual = name in USUAL and everyone and labels.get("of", "affected") == "affected"
        if usual and (name, *_whose(labels)) not in budgeted:
            wanted.append(column)
    known = [set(results.columns) for results in studies]
    return tuple(column for column in dict.fromkeys(wanted) if all(column in names for names in known))


def _whose(labels: dict[str, Any]) -> tuple[str, ...]:
    return labels.get("service", ""), labels.get("op", ""), labels.get("store", ""), labels.get("feed", "")
