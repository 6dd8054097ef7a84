"""A CSV file as rows with line numbers; what is wrong with it is said with its line."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from mrsim.errors import MeasurementsError

_DELIMITERS = (",", ";", "\t")
_RULE = re.compile(r"-[-+]{2,}")
_ALIGNED = "is psql's aligned output; export it with psql --csv"

LARGEST_BYTES = 128 * 2**20
"""Files are read up to this size; it holds millions of samples."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the line it begins on, and its cells."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header and records.

    Attributes
    ----------
    path
        For messages.
    names
        Of the columns, without blanks around them.
    rows
        Records; blank lines are left out.
    """

    path: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]

    def index(self, name: str) -> int:
        """Return the place of a column.

        Raises
        ------
        MeasurementsError
            If there is no such column, or more than one; the message names the nearest.
        """
        places = [place for place, known in enumerate(self.names) if known == name]
        if len(places) == 1:
            return places[0]
        if places:
            message = f"{self.path}:1: there are {len(places)} columns {name!r}"
            raise MeasurementsError(message)
        message = f"{self.path}:1: there is no column {name!r}{nearest(name, self.names)}"
        raise MeasurementsError(message)


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the nearest known name as the end of a message, or all of them if none is near."""
    folded = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if found:
        return f" (did you mean {folded[found[0]]!r}?)"
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f" (there are: {listed})" if known else ""


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises
    ------
    MeasurementsError
        If it cannot be read, is no text, is empty or far too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            message = f"{path}: is larger than {LARGEST_BYTES >> 20} MiB; a tenth of its rows tells as much"
            raise MeasurementsError(message)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}: is no UTF-8 text (byte {error.start})"
        raise MeasurementsError(message) from error
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise MeasurementsError(message) from error
    if not text.strip():
        message = f"{path}: is empty"
        raise MeasurementsError(message)
    if "\0" in text:
        message = f"{path}: is no text (it holds NUL characters)"
        raise MeasurementsError(message)
    return text


def parse_table(path: Path, text: str) -> Table:
    """Read CSV: comma, semicolon or tab, a header line first.

    Raises
    ------
    MeasurementsError
        With the line of what is wrong.
    """
    head = next(line for line in text.splitlines() if line.strip())
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    names: tuple[str, ...] | None = None
    rows: list[Row] = []
    line = 1
    try:
        for record in reader:
            cells = tuple(cell.strip() for cell in record)
            at, line = line, reader.line_num + 1
            if not any(cells):
                continue
            if names is None:
                names = cells
            elif len(cells) != len(names):
                message = f"{path}:{at}: {_cells(len(cells))}, but the header names {_columns(names)}"
                raise MeasurementsError(message)
            else:
                rows.append(Row(at, cells))
    except csv.Error as error:
        message = f"{path}:{reader.line_num}: is no CSV: {error}"
        raise MeasurementsError(message) from error
    if names is None or not rows:
        message = f"{path}: has a header, but no row below it"
        raise MeasurementsError(message)
    if len(names) == 1 and _RULE.fullmatch(rows[0].cells[0]):
        message = f"{path}:{rows[0].line}: {_ALIGNED}"
        raise MeasurementsError(message)
    return Table(str(path), names, tuple(rows))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _columns(names: Sequence[str]) -> str:
    """Return how many columns there are, and what most often makes a row differ from its header."""
    if any("{" in name for name in names):
        return f"{len(names)} columns; put a name with commas between quotes"
    return f"{len(names)} columns" if len(names) > 1 else "1 column; is that a decimal comma?"
