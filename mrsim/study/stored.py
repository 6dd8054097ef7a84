"""Results that stay in their files: a column is read when it is asked for, so memory does not grow with the trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mrsim.measure import Status
from mrsim.study import parquet
from mrsim.study.results import Results, faults_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario


@dataclass(frozen=True, order=True, slots=True)
class Piece:
    """A file of consecutive trials.

    Attributes
    ----------
    folder
        That it is in.
    first, after
        Its first trial, and the one after its last.
    """

    folder: Path
    first: int
    after: int

    def __len__(self) -> int:
        return self.after - self.first

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.first:010}-{self.after - 1:010}.parquet"

    def holds(self, other: Piece) -> bool:
        """Whether it has all trials of another."""
        return self.first <= other.first and other.after <= self.after


class StoredResults(Results):
    """A study whose trials are in files.

    It answers as any :class:`~mrsim.study.results.Results` does. What is asked of single columns (reports, budgets,
    estimates) reads these; ``trials``, ``status`` and ``episodes`` read all of it.

    Parameters
    ----------
    scenario
        What was asked.
    study
        What tells the study from others.
    pieces
        Its files, ascending, at least one.
    trials
        Only trials before this one count.
    provenance
        Called with how many trials there are, and ``trials``.

    Raises
    ------
    ResultsError
        If a file cannot be read, or is of another study.
    """

    def __init__(
        self,
        scenario: Scenario,
        study: str,
        pieces: tuple[Piece, ...],
        trials: int,
        provenance: Callable[[int, int], dict[str, Any]],
    ) -> None:
        used = tuple(piece for piece in pieces if piece.first < trials)
        names = [parquet.names_of(piece.path, study) for piece in used]
        numbers = np.concatenate([np.arange(piece.first, min(piece.after, trials)) for piece in used])
        mine = {"_files": used, "_names": names[0], "_numbers": numbers, "_trials": trials}
        mine |= {"scenario": scenario, "provenance": provenance(len(numbers), trials)}
        mine["curve_times_s"] = names[0].curve_times_s
        self.__dict__.update(mine)

    _files: tuple[Piece, ...]
    _names: parquet.Names
    _numbers: NDArray[np.int64]
    _trials: int

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the finished trials, ascending, shape ``(n,)``."""
        return self._numbers

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of ``trials``."""
        return self._names.columns

    def values_of(self, column: str) -> NDArray[np.float64]:
        """Return a column's values, shape ``(n,)``; see :meth:`Results.values_of`."""
        return self._read(self.column_of(column))

    def status_of(self, column: str) -> NDArray[np.int8]:
        """Return a column's status codes, shape ``(n,)``, also if it is one that cannot be unfinished."""
        if column in self._names.status:
            return self._read(f"{parquet.STATUS}{column}")
        values = self.values_of(column)
        return np.where(np.isnan(values), Status.NO_EFFECT, Status.OBSERVED).astype(np.int8)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial; see :class:`~mrsim.study.results.Results`."""
        return self._frame(self.columns, np.float64)

    @cached_property
    def status(self) -> pd.DataFrame:
        """Status codes of the columns that can be unfinished."""
        return self._frame(self._names.status, np.int8, parquet.STATUS)

    @cached_property
    def curves(self) -> Mapping[str, NDArray[np.float32]]:
        """Per name, shape ``(n, G)``: read when they are asked for."""
        return _Curves(self._names, self._files, self.n)

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """One row per split-brain episode."""
        tables = [parquet.episodes(parquet.read(piece.path, [parquet.EPISODES])) for piece in self._files]
        found = [table for table in tables if table]
        joined = {name: np.concatenate([table[name] for table in found]) for name in (found[0] if found else ())}
        kept = joined[parquet.TRIAL] < self._trials if joined else np.zeros(0, dtype=bool)
        return pd.DataFrame({name: values[kept] for name, values in joined.items()})

    @cached_property
    def faults(self) -> pd.DataFrame:
        """One row per fault of the scenario."""
        counts = [[int(self._read(name).sum()) for name in pair] for pair in parquet.fault_columns(self._names.faults)]
        began, with_effect = np.array(counts, dtype=np.int64).reshape(-1, 2).T
        return faults_table(self.scenario, began, with_effect)

    def _read(self, name: str) -> NDArray[Any]:
        parts = [parquet.column(parquet.read(piece.path, [name]), name) for piece in self._files]
        return np.concatenate(parts)[: self.n]

    def _frame(self, columns: tuple[str, ...], dtype: type[np.generic], prefix: str = "") -> pd.DataFrame:
        values = np.empty((len(columns), self.n), dtype=dtype)
        at = 0
        for piece in self._files:
            table = parquet.read(piece.path, [f"{prefix}{name}" for name in columns])
            rows = slice(at, min(at + len(piece), self.n))
            for row, name in zip(values, columns, strict=True):
                row[rows] = parquet.column(table, f"{prefix}{name}")[: rows.stop - rows.start]
            at = rows.stop
        index = pd.Index(self.numbers, name="trial")
        return pd.DataFrame(values.T, index=index, columns=list(columns), copy=False)


class _Curves(Mapping[str, Any]):
    """Curves by name, read when they are asked for."""

    def __init__(self, names: parquet.Names, files: tuple[Piece, ...], n: int) -> None:
        self._names, self._files, self._n = names, files, n

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name not in self._names.curves:
            raise KeyError(name)
        grid = len(self._names.curve_times_s)
        parts = [parquet.curve(parquet.read(piece.path, [name]), name, grid) for piece in self._files]
        return np.concatenate(parts)[: self._n]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.curves)

    def __len__(self) -> int:
        return len(self._names.curves)
