"""Files that a run leaves beside its report: JSON, saved results, pictures. Each is there whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from errno import EACCES, EINVAL, EISDIR, ENOENT, ENOTDIR
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mrsim.report.json_export import json_text
from mrsim.study.storage import write_atomically

if TYPE_CHECKING:
    from mrsim.study.results import Results


STDOUT = Path("-")
"""As a file for JSON: standard output, to which the command line then writes it instead of the report."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where to write what.

    Attributes
    ----------
    json
        File for the report as JSON, ``-`` for standard output; None for none.
    save
        File for the results, to be loaded again; None for none.
    plots
        Folder for pictures, made if it is not there; None for none.
    streams
        Whether the caller writes JSON for ``-`` to standard output itself; otherwise that is refused.

    Raises
    ------
    OSError
        If one of them cannot be written: said before a long study is run, not after.
    """

    json: Path | None = None
    save: Path | None = None
    plots: Path | None = None
    streams: bool = False

    def __post_init__(self) -> None:
        if STDOUT in (self.save, self.plots) or (self.json == STDOUT and not self.streams):
            raise OSError(EINVAL, "is no file: only the JSON of run can go to standard output", str(STDOUT))
        for file in (None if self.json == STDOUT else self.json, self.save):
            if file is not None:
                _check_file(file)
        if self.plots is not None:
            self.plots.mkdir(parents=True, exist_ok=True)
            if not os.access(self.plots, os.W_OK):
                raise _error(EACCES, self.plots)

    def write(self, results: Results) -> list[Path]:
        """Write everything that was asked for; return the files.

        Raises
        ------
        OSError
            If a file cannot be written; what was there before is untouched.
        """
        written = []
        if self.json is not None and self.json != STDOUT:
            text = json_text(results).encode()
            write_named(self.json, text)
            written.append(self.json)
        if self.save is not None:
            try:
                results.save(self.save)
            except OSError as error:
                raise _named(error, self.save) from error
            written.append(self.save)
        if self.plots is not None:
            from mrsim.report.pictures import pictures

            for name, png in pictures(results):
                write_named(self.plots / name, png)
                written.append(self.plots / name)
        return written


def write_named(path: Path, content: bytes) -> None:
    """Write a file at once; an error names it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    try:
        write_atomically(path, lambda file: _fill(file, content))
    except OSError as error:
        raise _named(error, path) from error


def _fill(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _named(error: OSError, path: Path) -> OSError:
    return OSError(error.errno, error.strerror or str(error), str(path))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise _error(EISDIR, path)
    folder = path.resolve().parent
    if not folder.exists():
        raise _error(ENOENT, folder)
    if not folder.is_dir():
        raise _error(ENOTDIR, folder)
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise _error(EACCES, path)


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
