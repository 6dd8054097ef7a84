"""Results in one file: a zip of NumPy arrays and JSON, whose bytes depend on the results alone.

The members are stored, not compressed, and carry no date: a compressor's version and the clock would show in the bytes.
Nothing is pickled, so that a file from a stranger can be opened.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mrsim.errors import ResultsError
from mrsim.study.collect import Collected
from mrsim.study.documents import scenario_document, scenario_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

FORMAT = 1
"""Number of the file format; goes up when an older version could not read it."""

PART = ".part"
"""Suffix of a file that is being written; its name begins with a dot."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_DESCRIPTORS = Path("/proc/self/fd")


def save(results: Results, path: str | PathLike[str]) -> None:
    """Write results to a file; see :meth:`mrsim.study.results.Results.save`."""
    arrays: dict[str, NDArray[Any]] = {
        "trial": results.trials.index.to_numpy(),
        "values": results.trials.to_numpy().T,
        "status": results.status.to_numpy(dtype=np.int8).T,
        "curve_times_s": results.curve_times_s,
        "faults_began": results.faults["began"].to_numpy(dtype=np.int64),
        "faults_with_effect": results.faults["with_effect"].to_numpy(dtype=np.int64),
    }
    arrays |= {f"curve/{index}": curve for index, curve in enumerate(results.curves.values())}
    arrays |= {f"episode/{index}": _plain(column) for index, (_, column) in enumerate(results.episodes.items())}
    names = {
        "columns": [str(name) for name in results.trials.columns],
        "status_columns": [str(name) for name in results.status.columns],
        "curves": list(results.curves),
        "episodes": [str(name) for name in results.episodes.columns],
    }
    documents = {
        "format": FORMAT,
        "provenance": results.provenance,
        "scenario": scenario_document(results.scenario),
        "names": names,
    }
    write_atomically(path, lambda file: _write(file, documents, arrays))


def load(path: str | PathLike[str]) -> tuple[Scenario, Collected, dict[str, Any]]:
    """Read results from a file; see :meth:`mrsim.study.results.Results.load`."""
    try:
        with zipfile.ZipFile(path) as archive:
            documents = json.loads(archive.read("study.json"))
            if documents["format"] != FORMAT:
                message = f"{path}: results of format {documents['format']}; this version reads format {FORMAT}"
                raise ResultsError(message)
            names = documents["names"]
            collected = Collected(
                trial=_array(archive, "trial"),
                columns=tuple(names["columns"]),
                values=_array(archive, "values").T,
                status_columns=tuple(names["status_columns"]),
                status=_array(archive, "status").T,
                episodes={name: _array(archive, f"episode/{index}") for index, name in enumerate(names["episodes"])},
                curves={name: _array(archive, f"curve/{index}") for index, name in enumerate(names["curves"])},
                curve_times_s=_array(archive, "curve_times_s"),
                faults_began=_array(archive, "faults_began"),
                faults_with_effect=_array(archive, "faults_with_effect"),
            )
            return scenario_of(documents["scenario"]), collected, documents["provenance"]
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise ResultsError(message) from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, AttributeError, ImportError) as error:
        message = f"{path}: not a file of mrsim results, or a damaged one ({type(error).__name__})"
        raise ResultsError(message) from error


@contextmanager
def _opened(beside: Path, given: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name once it is written, where the system has such: a kill before leaves nothing.

    References
    ----------
    Linux, open(2), *O_TMPFILE*: the file is linked by its entry in /proc.
    """
    handle = None
    if hasattr(os, "O_TMPFILE") and _DESCRIPTORS.is_dir():
        with suppress(OSError):
            handle = os.open(beside.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    try:
        file = beside.open("xb") if handle is None else os.fdopen(handle, "wb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(given)) from error
    with file:
        yield file
        if handle is not None:
            descriptors = os.open(_DESCRIPTORS, os.O_RDONLY)
            try:
                os.link(str(handle), beside, src_dir_fd=descriptors, follow_symlinks=True)
            finally:
                os.close(descriptors)


def write_atomically(path: str | PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is there whole or not at all.

    Parameters
    ----------
    path
        A device or a pipe is written to directly; a link keeps pointing where it points.
    write
        Called with the open file.

    Raises
    ------
    OSError
        If it cannot be written; nothing half-written stays.
    """
    given = Path(path)
    if given.exists() and not given.is_file():
        with given.open("wb") as file:
            write(file)
        return
    target = given.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}{PART}")
    try:
        with _opened(beside, given) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        _settle(target.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _settle(folder: Path) -> None:
    """Have a folder's new names on the disk before anything that follows, where folders can be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(file: BinaryIO, documents: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member("study.json"), json.dumps(documents))
        for name, array in arrays.items():
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_EPOCH)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)
    return array


def _plain(column: Any) -> NDArray[Any]:
    """Return a table's column as an array that needs no pickle: words as fixed-width text."""
    array: NDArray[Any] = column.to_numpy()
    return array.astype(np.str_) if array.dtype.kind not in "biufU" else array
