"""Trials as Parquet files: one row per trial with everything that was measured in it.

A file holds the columns of :class:`~mrsim.study.results.Results` by their names (float64), the status codes of those
that can be unfinished as ``status:NAME`` (int8), per fault whether it began and had an effect (``fault K began``),
curves as lists of fixed length, and the episodes of each trial as a list of records. Bytes depend on the rows alone,
not on the pieces that they arrived in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from mrsim.errors import ExtraError, ResultsError
from mrsim.study.storage import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from mrsim.study.collect import Chunk

TRIAL, EPISODES = "trial", "episodes"
STATUS = "status:"
BEGAN, WITH_EFFECT = "began", "with effect"
ELEMENT = "element"
"""What the format calls the items of a list: else a table just made would differ from one read again."""

KEY = b"mrsim"
"""Under which a file's own metadata says which study it is of."""


T = TypeVar("T")


class Names(NamedTuple):
    """What a file holds, by name.

    Attributes
    ----------
    columns, status, curves
        As in :class:`~mrsim.study.results.Results`.
    faults
        How many the scenario has.
    curve_times_s
        Seconds after the fault, shape ``(G,)``.
    """

    columns: tuple[str, ...]
    status: tuple[str, ...]
    curves: tuple[str, ...]
    faults: int
    curve_times_s: NDArray[np.float64]


def needed() -> None:
    """Refuse to go on without the package that reads and writes Parquet.

    Raises
    ------
    ExtraError
        If it is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ExtraError(extra="parquet") from error


def table_of(chunk: Chunk, study: str) -> pa.Table:
    """Return a chunk as a table.

    Parameters
    ----------
    chunk
        Consecutive trials.
    study
        What tells the study from others.
    """
    import pyarrow as pa

    measures = chunk.measures
    numbers = np.arange(measures.first, measures.first + measures.count)
    arrays: dict[str, Any] = {TRIAL: pa.array(numbers)}
    arrays |= {name: pa.array(np.asarray(column, np.float64)) for name, column in measures.values.items()}
    arrays |= {f"{STATUS}{name}": pa.array(np.asarray(codes, np.int8)) for name, codes in measures.status.items()}
    for fault in range(chunk.faults_began.shape[1]):
        arrays[_fault(fault, BEGAN)] = pa.array(np.ascontiguousarray(chunk.faults_began[:, fault]))
        arrays[_fault(fault, WITH_EFFECT)] = pa.array(np.ascontiguousarray(chunk.faults_with_effect[:, fault]))
    grid = len(measures.curve_times_s)
    for name, curve in measures.curves.items():
        flat = pa.array(np.asarray(curve, np.float32).reshape(-1))
        arrays[name] = pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(pa.field(ELEMENT, flat.type), grid))
    if measures.episodes:
        arrays[EPISODES] = _records(measures.episodes, measures.first, measures.count)
    names = {
        "study": study,
        "columns": list(measures.values),
        "status": list(measures.status),
        "curves": list(measures.curves),
        "faults": chunk.faults_began.shape[1],
        "curve_times_s": np.asarray(measures.curve_times_s, np.float64).tolist(),
    }
    return pa.table(arrays, metadata={KEY: json.dumps(names)})


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables of consecutive trials as one."""
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def write(path: Path, table: pa.Table, *, packed: bool) -> None:
    """Write a table to a file, at once or not at all.

    Parameters
    ----------
    path
        Of the file.
    table
        What it is to hold.
    packed
        Whether it is to stay: compressed, and with statistics that let readers skip it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import pyarrow.parquet as pq

    options = {"compression": "zstd" if packed else "none", "write_statistics": packed, "use_dictionary": False}
    rows = max(table.num_rows, 1)
    write_atomically(path, lambda file: pq.write_table(table, file, row_group_size=rows, **options))


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return some columns of a file, or all.

    Raises
    ------
    ResultsError
        If it cannot be read.
    """

    def table(file: Any) -> pa.Table:
        names = None if columns is None else list(columns)
        return file.read(columns=names, use_threads=False)

    return _opened(path, table)


def names_of(path: Path, study: str) -> Names:
    """Return what a file holds.

    Raises
    ------
    ResultsError
        If it cannot be read, or is of another study.
    """

    def metadata(file: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(file.schema_arrow.metadata[KEY])
        return found

    found = _opened(path, metadata)
    if found["study"] != study:
        message = f"{path}: belongs to another study than the other files there"
        raise ResultsError(message)
    return Names(
        columns=tuple(found["columns"]),
        status=tuple(found["status"]),
        curves=tuple(found["curves"]),
        faults=int(found["faults"]),
        curve_times_s=np.array(found["curve_times_s"], dtype=np.float64),
    )


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column of numbers or flags as an array."""
    array: NDArray[Any] = table.column(name).to_numpy()
    return array


def curve(table: pa.Table, name: str, grid: int) -> NDArray[np.float32]:
    """Return a column of curves as an array of shape ``(rows, grid)``."""
    flat: NDArray[np.float32] = table.column(name).combine_chunks().flatten().to_numpy()
    return flat.reshape(table.num_rows, grid)


def episodes(table: pa.Table) -> dict[str, NDArray[Any]]:
    """Return the records of a table's trials as columns; without any if the table has none."""
    if EPISODES not in table.column_names:
        return {}
    records = table.column(EPISODES).combine_chunks().flatten()
    found = {}
    for field, values in zip(records.type, records.flatten(), strict=True):
        array = values.to_numpy(zero_copy_only=False)
        found[field.name] = array.astype(np.str_) if array.dtype.kind == "O" else array
    return found


def fault_columns(faults: int) -> list[tuple[str, str]]:
    """Return per fault the names of the columns that say whether it began, and had an effect."""
    return [(_fault(index, BEGAN), _fault(index, WITH_EFFECT)) for index in range(faults)]


def _fault(index: int, what: str) -> str:
    return f"fault {index} {what}"


def _records(columns: dict[str, NDArray[Any]], first: int, count: int) -> pa.Array:
    """Return episodes, in ascending order of trial, as one list per trial."""
    import pyarrow as pa

    per_trial = np.bincount(columns["trial"].astype(np.int64) - first, minlength=count)
    offsets = np.concatenate([[0], np.cumsum(per_trial)]).astype(np.int32)
    records = pa.StructArray.from_arrays([pa.array(values) for values in columns.values()], names=list(columns))
    return pa.ListArray.from_arrays(pa.array(offsets), records, type=pa.list_(pa.field(ELEMENT, records.type)))


def _opened(path: Path, use: Callable[[Any], T]) -> T:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return use(file)
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        message = f"{path}: not a file of trials, or a damaged one ({type(error).__name__})"
        raise ResultsError(message) from error
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise ResultsError(message) from error
