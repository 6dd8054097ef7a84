"""Chunks of trials, and how they are put together: memory grows with the chunks that have arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

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
        Per trial and fault of the scenario: whether it began, and had any effect; shape ``(count, faults)``.
    """

    measures: Measures
    faults_began: NDArray[np.bool_]
    faults_with_effect: NDArray[np.bool_]


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
        Per fault of the scenario: in how many of the trials it began, and had any effect; shape ``(faults,)``.
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


class _Block(NamedTuple):
    """What is kept of a chunk: shape ``(columns, count)``, ``(curves, count, G)``, and ``(faults,)``."""

    values: NDArray[np.float64]
    status: NDArray[np.int8]
    curves: NDArray[np.float32]
    episodes: dict[str, NDArray[Any]]
    began: NDArray[np.int64]
    with_effect: NDArray[np.int64]


class Collector:
    """Takes in a study's chunks, in any order, and puts them together at the end."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._columns: tuple[str, ...] = ()
        self._status_columns: tuple[str, ...] = ()
        self._curves: tuple[str, ...] = ()
        self._curve_times_s = np.empty(0)
        self._handed_over = 0

    @property
    def done(self) -> int:
        """Number of trials that have arrived, those included that were handed over and are not kept."""
        return self._handed_over + sum(int(block.values.shape[1]) for block in self._blocks.values())

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk; one that has arrived before is left as it is.

        Raises
        ------
        ValueError
            If its columns are not those of the chunks before it.
        """
        measures = chunk.measures
        if measures.first in self._blocks:
            return
        shape = (tuple(measures.values), tuple(measures.status), tuple(measures.curves))
        if not self._columns:
            self._columns, self._status_columns, self._curves = shape
            self._curve_times_s = np.asarray(measures.curve_times_s, dtype=np.float64)
        if shape != (self._columns, self._status_columns, self._curves):
            message = f"the columns of trials from {measures.first} on are not those of the trials before them"
            raise ValueError(message)
        count, grid = measures.count, len(self._curve_times_s)
        self._blocks[measures.first] = _Block(
            np.array(list(measures.values.values()), dtype=np.float64).reshape(len(shape[0]), count),
            np.array(list(measures.status.values()), dtype=np.int8).reshape(len(shape[1]), count),
            np.array(list(measures.curves.values()), dtype=np.float32).reshape(len(shape[2]), count, grid),
            dict(measures.episodes),
            chunk.faults_began.sum(axis=0, dtype=np.int64),
            chunk.faults_with_effect.sum(axis=0, dtype=np.int64),
        )

    def done_of(self, trials: int) -> int:
        """Return how many of the first ``trials`` have arrived."""
        return min(self.done, trials)

    def finish(self) -> None:
        """Do nothing: what has arrived is as it should be."""

    def collected(self, *, keep: bool = False) -> Collected:
        """Hand over what has arrived, in ascending order of trial.

        Parameters
        ----------
        keep
            Whether more chunks will be added; otherwise nothing is kept, so that memory does not double.
        """
        count, grid = self.done - self._handed_over, len(self._curve_times_s)
        trial = np.empty(count, dtype=np.int64)
        values = np.empty((len(self._columns), count))
        status = np.empty((len(self._status_columns), count), dtype=np.int8)
        curves = np.empty((len(self._curves), count, grid), dtype=np.float32)
        episodes: list[dict[str, NDArray[Any]]] = []
        faults, at = [], 0
        for first in sorted(self._blocks):
            block = self._blocks[first] if keep else self._blocks.pop(first)
            rows = slice(at, at + block.values.shape[1])
            at = rows.stop
            trial[rows] = np.arange(first, first + rows.stop - rows.start)
            values[:, rows], status[:, rows], curves[:, rows] = block.values, block.status, block.curves
            episodes.append(block.episodes)
            faults.append((block.began, block.with_effect))
        began, with_effect = np.sum(faults, axis=0)
        self._handed_over += 0 if keep else count
        return Collected(
            trial=trial,
            columns=self._columns,
            values=values.T,
            status_columns=self._status_columns,
            status=status.T,
            episodes=_joined(episodes),
            curves=dict(zip(self._curves, curves, strict=True)),
            curve_times_s=self._curve_times_s,
            faults_began=began,
            faults_with_effect=with_effect,
        )


def _joined(tables: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return tables of the same columns as one; those without rows may be without columns too."""
    tables = [table for table in tables if table and len(next(iter(table.values())))] or tables[:1]
    return {name: np.concatenate([table[name] for table in tables]) for name in (tables[0] if tables else ())}
