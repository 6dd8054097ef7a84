"""Samples of a duration, from CSV files, ``pg_stat_replication`` exports and Prometheus range queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrsim.calibrate.cells import Quantity, quantity, shown, unit_of_name
from mrsim.calibrate.prometheus import read_matrix
from mrsim.calibrate.table import Table, parse_table, read_text
from mrsim.errors import MeasurementsError
from mrsim.units import WrittenError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

ROUND_TRIPS = ("write_lag", "flush_lag", "replay_lag")
"""Columns of ``pg_stat_replication`` that include the way back of the standby's reply."""

_STANDBY = "application_name"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Measured durations.

    Attributes
    ----------
    series
        One array per series, in seconds, each in the order in which it was measured.
    source
        Where they come from, for a reader.
    notes
        What a reader has to know about them.
    """

    series: tuple[Floats, ...]
    source: str = "samples"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for values in self.series:
            if values.ndim != 1 or not np.all(np.isfinite(values)) or np.any(values < 0):
                message = f"{self.source}: samples must be finite durations in seconds, none negative, in one dimension"
                raise MeasurementsError(message)
        if not self.n:
            message = f"{self.source}: there are no samples"
            raise MeasurementsError(message)

    @classmethod
    def of(cls, values: ArrayLike, source: str = "samples") -> Samples:
        """Return one series, in seconds, in the order given."""
        return cls((np.asarray(values, dtype=np.float64),), source)

    @property
    def n(self) -> int:
        """Number of samples."""
        return sum(len(values) for values in self.series)

    @property
    def values(self) -> Floats:
        """All samples, ascending, shape ``(n,)``."""
        return np.sort(np.concatenate(self.series))


def read_samples(
    path: Path,
    column: str | None = None,
    *,
    minus: str | None = None,
    unit: str | None = None,
    where: Sequence[tuple[str, str]] = (),
    one_way: bool = False,
    wal_bytes_per_s: float | None = None,
) -> Samples:
    """Read samples of a duration from a file.

    Parameters
    ----------
    path
        CSV with a header, or the JSON answer of a Prometheus range query.
    column
        Of a CSV file; may be left out if there is one only.
    minus
        A column to take off, such as ``replay_lsn`` from ``sent_lsn``.
    unit
        Of bare numbers; not given, the ending of the column's name says it.
    where
        Pairs of a column (or Prometheus label) and the value that a row must have there.
    one_way
        Halve the samples, for round trips.
    wal_bytes_per_s
        Rate at which WAL is written, which turns bytes into seconds.

    Raises
    ------
    MeasurementsError
        One message with file and line.
    """
    text = read_text(path)
    if text.lstrip()[0] in "{[" or path.suffix == ".json":
        if column is not None or minus is not None:
            message = f"{path}: a range query has no columns; choose a series with --where LABEL=VALUE"
            raise MeasurementsError(message)
        name, series, notes = read_matrix(path, text, unit, where)
    else:
        name, series, notes = _from_table(parse_table(path, text), column, minus, unit, where)
    seconds, more = _in_seconds(path, name, series, wal_bytes_per_s)
    if one_way:
        seconds = [values / 2 for values in seconds]
        more.append("halved: half of a round trip, for one way")
    elif any(lag in name for lag in ROUND_TRIPS):
        more.append("a round trip: it includes the way back of the standby's reply; for one way add --one-way")
    return Samples(tuple(seconds), f"{path.name}: {name}", (*notes, *more))


Found = tuple[str, list[list[Quantity]], list[str]]
"""A name, the quantities of each series, and notes."""


def _from_table(
    table: Table, column: str | None, minus: str | None, unit: str | None, where: Sequence[tuple[str, str]]
) -> Found:
    if column is None:
        if len(table.names) > 1:
            message = f"{table.path}:1: name one of the columns with --column: {', '.join(table.names)}"
            raise MeasurementsError(message)
        column = table.names[0]
    places = [table.index(name) for name in ([column] if minus is None else [column, minus])]
    kept = [(table.index(name), value) for name, value in where]
    rows = [row for row in table.rows if all(row.cells[place] == value for place, value in kept)]
    if not rows:
        message = f"{table.path}: no row has " + " and ".join(f"{name}={value}" for name, value in where)
        raise MeasurementsError(message)
    units = [unit or unit_of_name(table.names[place]) for place in places]
    group = table.index(_STANDBY) if _STANDBY in table.names else None
    series: dict[str, list[Quantity]] = {}
    empty = 0
    for row in rows:
        cells = [row.cells[place] for place in places]
        if not all(cells):
            empty += 1
            continue
        try:
            found = _taken_off([quantity(cell, u) for cell, u in zip(cells, units, strict=True)], cells)
        except WrittenError as error:
            hint = f" ({error.hint})" if error.hint else ""
            message = f"{table.path}:{row.line}: {column}: {error}{hint}"
            raise MeasurementsError(message) from error
        series.setdefault("" if group is None else row.cells[group], []).append(found)
    if not series:
        message = f"{table.path}: the column {column!r} has no value in any row"
        raise MeasurementsError(message)
    notes = [f"{empty} empty cells left out (an idle standby reports none)"] if empty else []
    if len(series) > 1:
        notes.append(f"{len(series)} standbys taken together; choose one with --where {_STANDBY}={min(series)}")
    promised = unit_of_name(column)
    if unit is not None and promised not in (None, unit):
        notes.append(f"bare numbers read as {unit}, as asked, although the name {column} promises {promised}")
    return (column if minus is None else f"{column} - {minus}"), list(series.values()), notes


def _taken_off(pair: Sequence[Quantity], cells: Sequence[str]) -> Quantity:
    """Return the only quantity, or the first less the second."""
    if len(pair) == 1:
        if pair[0].measure == "LSN":
            message = f"{shown(cells[0])} is a position in the WAL, no distance"
            raise WrittenError(message, "take another off it: --column sent_lsn --minus replay_lsn")
        return pair[0]
    first, second = pair
    if first.measure != second.measure:
        message = f"{shown(cells[1])} cannot be taken off {shown(cells[0])}"
        raise WrittenError(message, "both must be durations, or both positions in the WAL")
    if second.value > first.value:
        message = f"{shown(cells[0])} less {shown(cells[1])} is negative"
        raise WrittenError(message, "swap --column and --minus?")
    return Quantity(first.value - second.value, "B" if first.measure == "LSN" else first.measure)


def _in_seconds(
    path: Path, name: str, series: list[list[Quantity]], wal_bytes_per_s: float | None
) -> tuple[list[Floats], list[str]]:
    """Return the series as arrays of seconds; bytes are divided by the rate of WAL."""
    measures = {one.measure for values in series for one in values}
    if len(measures) > 1:
        message = f"{path}: {name} holds durations and bytes"
        raise MeasurementsError(message)
    arrays = [np.array([one.value for one in values]) for values in series]
    if measures != {"B"}:
        return arrays, []
    if wal_bytes_per_s is None:
        middle, high = np.quantile(np.concatenate(arrays), [0.5, 0.99], method="inverted_cdf")
        message = f"{path}: {name} is in bytes (p50 {middle:.0f}, p99 {high:.0f}), and a scenario takes durations; "
        message += "add --wal-rate 2MB/s, the rate at which WAL is written, to turn them into seconds"
        raise MeasurementsError(message)
    return [values / wal_bytes_per_s for values in arrays], [f"bytes at {wal_bytes_per_s:.6g} B/s of WAL"]
