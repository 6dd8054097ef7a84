"""A baseline: what scenarios measured once, with everything it takes to measure it again.

It holds the resolved scenarios, so that neither a changed file nor a changed preset can alter what "before" means, the
seed, the versions, and per trial the numbers that budgets name. Numbers are kept to six digits: a hundred times finer
than any difference that a gate asks for, and the same on machines that round the last bits differently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mrsim.errors import BaselineError
from mrsim.measure import Status
from mrsim.study.provenance import engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

DIGITS = 6
"""Significant digits that are kept of a number."""


@dataclass(frozen=True, eq=False)
class Kept:
    """One scenario of a baseline: what it was, and what its budgets name.

    Attributes
    ----------
    scenario
        Resolved, with the budgets that it had.
    file
        Path it was read from.
    values, status
        Per column, per trial: numbers of :data:`DIGITS` digits, and :class:`~mrsim.measure.Status` codes.
    line
        Of the baseline's file; 0 if it is in none.
    """

    scenario: Scenario
    file: str
    values: Mapping[str, NDArray[np.float64]]
    status: Mapping[str, NDArray[np.int8]]
    line: int = 0

    @classmethod
    def of(cls, results: Results, file: str, trials: int, columns: Sequence[str] | None = None) -> Kept:
        """Keep the first trials of a study: the columns that its budgets name, or those given."""
        budgets = tuple(budget for budget in results.scenario.budgets if budget.level != "off")
        named = dict.fromkeys((budget.column for budget in budgets) if columns is None else columns)
        status = {column: results.status_of(column)[:trials] for column in named}
        values = {
            column: np.where(status[column] == Status.NO_EFFECT, np.nan, rounded(results.values_of(column)[:trials]))
            for column in named
        }
        return cls(results.scenario.model_copy(update={"budgets": budgets, "path": file}), file, values, status)

    def values_of(self, column: str) -> NDArray[np.float64]:
        """Return a column's values, shape ``(trials,)``."""
        return self.values[column]

    def status_of(self, column: str) -> NDArray[np.int8]:
        """Return a column's status codes, shape ``(trials,)``."""
        return self.status[column]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Scenarios as they were, and what they measured.

    Attributes
    ----------
    kept
        One per scenario, all names different.
    seed, trials
        Of each study.
    engine
        Versions that the numbers came out of; see :func:`mrsim.study.provenance.engine`.
    path
        File it was read from; may be empty.
    """

    kept: tuple[Kept, ...]
    seed: int
    trials: int
    engine: Mapping[str, str]
    path: str = ""

    @classmethod
    def of(cls, studies: Sequence[Results], files: Sequence[str] = (), trials: int | None = None) -> Baseline:
        """Make a baseline of studies with the same seed.

        Parameters
        ----------
        studies
            One per scenario.
        files
            Their paths; those of the scenarios if not given.
        trials
            How many trials of each to keep; as many as the shortest has if not given.

        Raises
        ------
        BaselineError
            If there are no studies, two of them have the same name, seeds differ, or one has fewer trials.
        """
        if not studies:
            message = "a baseline needs at least one study"
            raise BaselineError(message)
        paths = list(files) or [results.scenario.path for results in studies]
        check_names([results.scenario for results in studies], paths)
        if len({results.seed for results in studies}) > 1:
            message = "the studies of a baseline have one seed"
            raise BaselineError(message)
        least = min(results.n for results in studies)
        count = least if trials is None else trials
        if count > least:
            message = f"a baseline of {count} trials cannot be made of a study of {least}"
            raise BaselineError(message)
        kept = tuple(Kept.of(results, path, count) for results, path in zip(studies, paths, strict=True))
        return cls(kept, studies[0].seed, count, engine())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Baseline:
        """Read a baseline.

        Raises
        ------
        BaselineError
            If it cannot be read, is cut off, was changed by hand, or holds what this version does not know; the message
            names file and line.
        """
        from mrsim.study.baseline_file import read

        return read(fspath(path))

    def save(self, path: str | PathLike[str]) -> None:
        """Write a text file, at once or not at all; the same baseline gives the same bytes.

        Raises
        ------
        OSError
            If it cannot be written; a file that was there before is untouched.
        """
        from mrsim.study.baseline_file import text_of
        from mrsim.study.storage import write_atomically

        content = text_of(self).encode()

        def write(file: BinaryIO) -> None:
            file.write(content)

        write_atomically(path, write)

    def __repr__(self) -> str:
        """Return the baseline in a line, and each scenario in another."""
        lines = [f"Baseline({len(self.kept)} scenarios, {self.trials} trials each, seed {self.seed})"]
        lines += [f"  {one.scenario.name}: {len(one.values)} columns, from {one.file}" for one in self.kept]
        return "\n".join(lines)


def check_names(scenarios: Sequence[Scenario], files: Sequence[str]) -> None:
    """Refuse scenarios that a baseline could not tell from each other.

    Raises
    ------
    BaselineError
        If two have the same name.
    """
    seen: dict[str, str] = {}
    for scenario, file in zip(scenarios, files, strict=True):
        if scenario.name in seen:
            both = f"{seen[scenario.name]} and {file}"
            message = f"{both} have the same name, {scenario.name!r}: a baseline tells scenarios by their names"
            raise BaselineError(message)
        seen[scenario.name] = file


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers to :data:`DIGITS` significant digits, as a text of that many digits reads."""
    return np.array([number(float(value)) for value in values], dtype=np.float64)


def number(value: float) -> float:
    """Return one number to :data:`DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value
