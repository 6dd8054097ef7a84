"""Chunks of trials, and how they are put together: arrays are allocated once and filled as chunks arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.measure import Measures

CHUNK = 256
"""Trials per chunk: fixed, so that no byte of a result depends on the number of workers."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive trials, run and measured.

    Attributes
    ----------
    measures
        Their columns, episodes and curves.
    faults_began, faults_with_effect
        Per fault of the scenario: in how many of the trials it began, and had any effect; shape ``(faults,)``.
    """

    measures: Measures
    faults_began: NDArray[np.int64]
    faults_with_effect: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Collected:
    """All finished trials as arrays, ``N`` of them in ascending order of trial.

    Attributes
    ----------
    trial
        Their numbers, shape ``(N,)``.
    columns, values
        Names, and the values of shape ``(N, len(columns))``.
    status_columns, status
        Names of the columns that can be unfinished, and their codes, shape ``(N, len(status_columns))``.
    episodes
        Columns of the table of episodes.
    curves, curve_times_s
        Shape ``(N, G)`` each, and ``(G,)``.
    faults_began, faults_with_effect
        As in :class:`Chunk`, over all trials.
    """

    trial: NDArray[np.int64]
    columns: tuple[str, ...]
    values: NDArray[np.float64]
    status_columns: tuple[str, ...]
    status: NDArray[np.int8]
    episodes: dict[str, NDArray[Any]]
    curves: dict[str, NDArray[np.float32]]
    curve_times_s: NDArray[np.float64]
    faults_began: NDArray[np.int64]
    faults_with_effect: NDArray[np.int64]


class Collector:
    """Room for a study's trials; chunks may arrive in any order.

    Parameters
    ----------
    trials
        Number of trials of the whole study, numbered from 0.
    """

    def __init__(self, trials: int) -> None:
        self._done = np.zeros(trials, dtype=bool)
        self._columns: tuple[str, ...] = ()
        self._status_columns: tuple[str, ...] = ()
        self._values = np.empty((0, trials))
        self._status = np.empty((0, trials), dtype=np.int8)
        self._curves: dict[str, NDArray[np.float32]] = {}
        self._curve_times_s = np.empty(0)
        self._episodes: dict[int, dict[str, NDArray[Any]]] = {}
        self._began = np.zeros(0, dtype=np.int64)
        self._with_effect = np.zeros(0, dtype=np.int64)

    @property
    def done(self) -> int:
        """Number of trials that have arrived."""
        return int(np.count_nonzero(self._done))

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk.

        Raises
        ------
        ValueError
            If its columns are not those of the chunks before it.
        """
        measures = chunk.measures
        if not self._columns:
            self._allocate(chunk)
        shape = (tuple(measures.values), tuple(measures.status), tuple(measures.curves))
        if shape != (self._columns, self._status_columns, tuple(self._curves)):
            message = f"the columns of trials from {measures.first} on are not those of the trials before them"
            raise ValueError(message)
        rows = slice(measures.first, measures.first + measures.count)
        for index, column in enumerate(self._columns):
            self._values[index, rows] = measures.values[column]
        for index, column in enumerate(self._status_columns):
            self._status[index, rows] = measures.status[column]
        for name, curve in measures.curves.items():
            self._curves[name][rows] = curve
        self._episodes[measures.first] = dict(measures.episodes)
        self._began += chunk.faults_began
        self._with_effect += chunk.faults_with_effect
        self._done[rows] = True

    def collected(self) -> Collected:
        """Return what has arrived so far, in ascending order of trial."""
        whole = bool(self._done.all())
        keep = slice(None) if whole else self._done
        return Collected(
            trial=np.flatnonzero(self._done),
            columns=self._columns,
            values=self._values[:, keep].T,
            status_columns=self._status_columns,
            status=self._status[:, keep].T,
            episodes=_joined([self._episodes[first] for first in sorted(self._episodes)]),
            curves={name: curve[keep] for name, curve in self._curves.items()},
            curve_times_s=self._curve_times_s,
            faults_began=self._began,
            faults_with_effect=self._with_effect,
        )

    def _allocate(self, chunk: Chunk) -> None:
        measures, trials = chunk.measures, len(self._done)
        self._columns = tuple(measures.values)
        self._status_columns = tuple(measures.status)
        self._values = np.full((len(self._columns), trials), np.nan)
        self._status = np.zeros((len(self._status_columns), trials), dtype=np.int8)
        self._curve_times_s = np.asarray(measures.curve_times_s, dtype=np.float64)
        grid = len(self._curve_times_s)
        self._curves = {name: np.zeros((trials, grid), dtype=np.float32) for name in measures.curves}
        self._began = np.zeros(len(chunk.faults_began), dtype=np.int64)
        self._with_effect = np.zeros(len(chunk.faults_with_effect), dtype=np.int64)


def _joined(tables: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return tables of the same columns as one; those without rows may be without columns too."""
    tables = [table for table in tables if table and len(next(iter(table.values())))] or tables[:1]
    return {name: np.concatenate([table[name] for table in tables]) for name in (tables[0] if tables else ())}
