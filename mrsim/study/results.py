"""What a study found: one row per trial, one per episode, and the questions that can be asked of them."""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mrsim.errors import ResultsError, ScenarioError
from mrsim.measure import Status
from mrsim.metrics import BY_NAME, QUANTILES
from mrsim.study import storage, tables
from mrsim.study.asked import column_asked
from mrsim.study.collect import Collected
from mrsim.study.columns import metric_of, support_of
from mrsim.study.statistics import CONFIDENCE, Estimate, Sample, estimate, level_of
from mrsim.study.verdict import Check, judge_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario


@dataclass(frozen=True, eq=False)
class Results:
    """A study, run.

    Attributes
    ----------
    scenario
        What was asked.
    trials
        One row per trial (index ``trial``), one float column per metric and labels, such as
        ``rto_s{service=orders,op=write,clients=95%,of=affected}``. An unfinished value is the time at which it was cut,
        or infinite; ``status`` says which.
    status
        Same rows; only the columns that can be unfinished, as :class:`~mrsim.measure.Status` codes.
    episodes
        One row per split-brain episode; column ``trial`` says where.
    curves
        Per name, such as ``restored{service=orders,op=write}``: shape ``(trials, G)``.
    curve_times_s
        Seconds after the fault, shape ``(G,)``.
    faults
        One row per fault of the scenario: ``kind``, and in how many trials it ``began`` and was ``with_effect``.
    provenance
        Seed, numbers of trials, versions and platform: what it takes to get the same bytes again.
    """

    scenario: Scenario
    trials: pd.DataFrame
    status: pd.DataFrame
    episodes: pd.DataFrame
    curves: Mapping[str, NDArray[np.float32]]
    curve_times_s: NDArray[np.float64]
    faults: pd.DataFrame
    provenance: dict[str, Any]

    @classmethod
    def of(cls, scenario: Scenario, collected: Collected, provenance: dict[str, Any]) -> Results:
        """Make results of collected arrays, without copying the large ones."""
        index = pd.Index(collected.trial, name="trial")
        return cls(
            scenario=scenario,
            trials=pd.DataFrame(collected.values, index=index, columns=list(collected.columns), copy=False),
            status=pd.DataFrame(collected.status, index=index, columns=list(collected.status_columns), copy=False),
            episodes=pd.DataFrame(collected.episodes),
            curves=collected.curves,
            curve_times_s=collected.curve_times_s,
            faults=faults_table(scenario, collected.faults_began, collected.faults_with_effect),
            provenance=provenance,
        )

    @property
    def seed(self) -> int:
        """Seed of the study."""
        return int(self.provenance["seed"])

    @property
    def n(self) -> int:
        """Number of finished trials."""
        return len(self.numbers)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the finished trials, ascending, shape ``(n,)``."""
        return self.trials.index.to_numpy()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of ``trials``."""
        return tuple(map(str, self.trials.columns))

    @property
    def complete(self) -> bool:
        """Whether every trial asked for was run; false after an interruption."""
        return self.n == int(self.provenance["trials_asked"])

    @cached_property
    def tested_something(self) -> bool:
        """Whether a fault had an effect in some trial (true if the scenario has no faults)."""
        return self.faults.empty or bool(self.faults["with_effect"].any())

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Verdicts on the scenario's budgets, failures corrected for their number."""
        return judge_all([self])

    def checks_table(self) -> pd.DataFrame:
        """Return the verdicts as a table, one row per budget."""
        return tables.checks(self.checks)

    def summary(self, confidence: float = CONFIDENCE) -> pd.DataFrame:
        """Return one row per metric column: numbers of trials, rate or mean, p50, p95 and p99 with their bounds.

        Parameters
        ----------
        confidence
            Of each one-sided bound; a shown pair is a two-sided interval at ``2 confidence - 1``.
        """
        return tables.summary(self, confidence)

    def phases(self, around: str = "mean", clients: str = "95%") -> pd.DataFrame:
        """Return where the recovery time went: seconds per phase, one row per service and operation.

        Parameters
        ----------
        around
            ``mean``: the mean over all trials with an outage, of the mean over affected clients; the phases add up to
            ``total``, the mean of ``rto_mean_s``. A quantile such as ``p95``: the mean over the trials around that
            quantile of ``rto_s`` for ``clients``; the phases add up to the mean recovery time of those trials.
        clients
            Client quantile, for a quantile over trials only.

        Returns
        -------
        DataFrame
            Seconds per phase; ``total``, their sum; ``trials``, how many were averaged; ``unfinished``, the share of
            those with something unresolved at their end, which makes ``total`` a lower bound.

        Raises
        ------
        ResultsError
            If the phases of that client quantile were not measured.
        """
        return tables.phases(self, around, clients)

    def sample(self, column: str) -> Sample:
        """Return a column as a sample, unfinished trials as bounds.

        Raises
        ------
        ResultsError
            If there is no such column.
        """
        column = self.column_of(column)
        return Sample.of(self.values_of(column), self.status_of(column), support_of(column))

    def estimate(self, column: str, aggregation: str, confidence: float = CONFIDENCE) -> Estimate:
        """Estimate an aggregation over trials, with its bounds.

        Parameters
        ----------
        column
            A column, or its name as a budget writes it, such as ``rto{service=orders, op=write, clients=90%}``.
        aggregation
            One that ``docs/metrics.md`` lists for the metric: ``p95``, ``median``, ``mean``, ``trials`` (share).
        confidence
            Of each one-sided bound, strictly between 0.5 and 1.

        Raises
        ------
        ResultsError
            If there is no such column, or the metric has no such aggregation.
        """
        column = self.column_of(column)
        _check_aggregation(column, aggregation)
        return estimate(self.sample(column), aggregation, confidence)

    def column_of(self, name: str) -> str:
        """Return the column that a name stands for: itself, or a metric as a budget writes it.

        Raises
        ------
        ResultsError
            If there is no such column.
        """
        if name in self.columns:
            return name
        with suppress(ScenarioError):
            asked = column_asked(self.scenario, name)
            if asked in self.columns:
                return asked
        metric = BY_NAME.get(name.partition("{")[0].strip())
        own = [column for column in self.columns if metric is None or metric_of(column) is metric]
        near = difflib.get_close_matches(name, own, n=1, cutoff=0.0)
        message = f"the study has no column {name!r}" + (f" (nearest: {near[0]!r})" if near else "")
        raise ResultsError(message)

    def values_of(self, column: str) -> NDArray[np.float64]:
        """Return a column's values, shape ``(n,)``.

        Raises
        ------
        ResultsError
            If there is no such column.
        """
        return self.trials[self.column_of(column)].to_numpy(dtype=np.float64)

    def status_of(self, column: str) -> NDArray[np.int8]:
        """Return a column's status codes, shape ``(n,)``, also if it is one that cannot be unfinished."""
        if column in self.status.columns:
            return self.status[column].to_numpy(dtype=np.int8)
        values = self.values_of(column)
        return np.where(np.isnan(values), Status.NO_EFFECT, Status.OBSERVED).astype(np.int8)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one file, at once or not at all; the same results give the same bytes.

        Raises
        ------
        OSError
            If it cannot be written; a file that was there before is untouched.
        """
        storage.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Results:
        """Read results that were saved, or that are in the folder of a store.

        Parameters
        ----------
        path
            A file of :meth:`save`, or the folder of a store: finished or not, its columns are read when they are asked
            for.

        Raises
        ------
        ResultsError
            If it is not there or cannot be read, if it does not hold results, or those of a format that this version
            does not know.
        """
        if Path(path).is_dir():
            from mrsim.study.store import load

            return load(path)
        return cls.of(*storage.load(path))

    def __repr__(self) -> str:
        """Return the study in a line, and each budget's verdict in another."""
        asked = int(self.provenance["trials_asked"])
        trials = f"{self.n} trials" if self.complete else f"{self.n} of {asked} trials"
        lines = [f"Results({self.scenario.name}: {trials}, seed {self.seed})"]
        lines += [f"  {check.verdict:<12} {check.budget.key}: {check.budget.text}" for check in self.checks]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from mrsim.report.html import results_html

        return results_html(self)


def faults_table(scenario: Scenario, began: NDArray[np.int64], with_effect: NDArray[np.int64]) -> pd.DataFrame:
    """Return one row per fault: its kind, and in how many trials it began and had an effect."""
    columns = {"kind": [fault.kind for fault in scenario.faults], "began": began, "with_effect": with_effect}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(scenario.faults), name="fault"))


def _check_aggregation(column: str, aggregation: str) -> None:
    """Refuse an aggregation that the column's metric does not have: the number would mean something else."""
    metric = metric_of(column)
    allowed = metric.aggregations if metric else QUANTILES
    if aggregation in allowed and aggregation != "p":
        return
    if "p" in allowed and aggregation not in ("mean", "median", "trials"):
        try:
            level_of(aggregation)
        except ValueError as error:
            raise ResultsError(str(error)) from error
        return
    known = ", ".join("a percentile such as p95" if one == "p" else one for one in allowed)
    message = f"{aggregation!r} is no aggregation of {metric.name if metric else column}; there is {known}"
    raise ResultsError(message)
