"""A page of text: headings, paragraphs and tables that fit a width, with colour only where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

DEFAULT_WIDTH = 120
"""Width of a page that does not go to a terminal."""

_NARROWEST = 60
_LEAST_WRAPPED = 14
_GAP = 2
_INDENT = 2

Cell = str | Text

_JOINT = "\ue000"
"""Stands for a blank at which no line is broken; of private use, so that no font and no user means anything by it."""


def kept(text: str) -> str:
    """Return a text whose words stay on one line, such as a number with its unit."""
    return text.replace(" ", _JOINT)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, the side its cells keep to, and whether they may be broken into lines."""

    heading: str
    align: Literal["left", "right"] = "left"
    wraps: bool = False


class Page:
    """Collects what is to be printed; user strings are never taken for markup.

    Parameters
    ----------
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """

    def __init__(self, width: int = DEFAULT_WIDTH, *, colour: bool = False) -> None:
        self.width = max(width, _NARROWEST)
        self._stream = StringIO()
        self._console = Console(
            file=self._stream,
            width=self.width,
            force_terminal=colour,
            force_jupyter=False,
            color_system="standard" if colour else None,
            no_color=not colour,
            markup=False,
            highlight=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )

    def heading(self, text: str, explanation: str = "") -> None:
        """Start a section: a blank line, the heading, and what one has to know to read it."""
        self._console.print()
        line = Text(_printable(text), style="bold")
        if explanation:
            line.append(f": {_printable(explanation)}", style="not bold dim")
        self._console.print(line)

    def line(self, *parts: Cell, indent: int = 0) -> None:
        """Print one paragraph made of the parts."""
        text = Text()
        for part in parts:
            text.append(_printable(part) if isinstance(part, str) else part)
        self._console.print(Padding(text, (0, 0, 0, indent)) if indent else text)

    def command(self, text: str) -> None:
        """Print a line to be typed or copied: never broken, however narrow the page is."""
        self._console.print(Text(" " * _INDENT + _printable(text)), no_wrap=True, overflow="ignore", crop=False)

    def aside(self, text: str) -> None:
        """Print a line that may be left unread, with something to be copied: dim, and never broken."""
        self._console.print(Text(_printable(text), style="dim"), no_wrap=True, overflow="ignore", crop=False)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], indent: int = _INDENT) -> None:
        """Print a table; columns whose cells are all empty are left out, and nothing is ever cut off.

        Parameters
        ----------
        columns
            Those that do not wrap keep their cells on one line, as long as the page is wide enough for all of them.
        rows
            Cells, as many per row as there are columns.
        indent
            Blanks before the table.
        """
        self.first_that_fits([(columns, rows)], indent)

    def fits(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> bool:
        """Whether the page is wide enough for a table without breaking what should stay on one line."""
        return _Table(columns, rows).least <= self.width - _INDENT

    def first_that_fits(self, layouts: Sequence[Layout], indent: int = _INDENT) -> None:
        """Print one of several tables that say the same: the first that the page is wide enough for, else the last.

        Parameters
        ----------
        layouts
            Columns and rows as :meth:`table` takes them, the widest first.
        indent
            Blanks before the table.
        """
        room = self.width - indent
        tables = [_Table(columns, rows) for columns, rows in layouts]
        chosen = next((table for table in tables if table.least <= room), tables[-1])
        self._console.print(Padding(chosen.drawn(room), (0, 0, 0, indent)))

    def text(self) -> str:
        """Return the page; lines carry no blanks at their ends."""
        shown = self._stream.getvalue().replace(_JOINT, " ")
        return "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"


Layout = tuple[Sequence[Column], Sequence[Sequence[Cell]]]
"""Columns of a table and its rows of cells."""


class _Table:
    """A table of the columns that have anything in them, and how wide it has to be.

    Attributes
    ----------
    least
        Width below which something would be broken that should stay on one line.
    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        shown = [index for index in range(len(columns)) if any(len(row[index]) for row in rows)]
        self._columns = [columns[index] for index in shown]
        self._rows = [[row[index] for index in shown] for row in rows]
        cells = [[column.heading, *(row[place] for row in self._rows)] for place, column in enumerate(self._columns)]
        self._natural = [max(_longest(str(cell), "\n") for cell in of_column) for of_column in cells]
        words = [max(_longest(str(cell)) for cell in of_column) for of_column in cells]
        self._least = [
            max(word, min(natural, _LEAST_WRAPPED)) if column.wraps else natural
            for column, word, natural in zip(self._columns, words, self._natural, strict=True)
        ]
        self.least = sum(self._least) + _GAP * max(0, len(self._least) - 1)

    def drawn(self, room: int) -> Table:
        """Return the table for a page with this much room."""
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", expand=False)
        for column, width in zip(self._columns, self._widths(room), strict=True):
            table.add_column(
                Text(_printable(column.heading)), justify=column.align, width=width, overflow="fold", vertical="top"
            )
        for row in self._rows:
            table.add_row(*(Text(_printable(cell)) if isinstance(cell, str) else cell for cell in row))
        return table

    def _widths(self, room: int) -> list[int]:
        """Return a width per column: what must not be broken first, then the wrapping ones as far as there is room."""
        widths = list(self._least)
        spare = room - self.least
        while spare < 0 and max(widths) > 1:
            widths[widths.index(max(widths))] -= 1
            spare += 1
        wanted = [natural - width for natural, width in zip(self._natural, widths, strict=True)]
        while spare > 0 and max(wanted, default=0) > 0:
            neediest = wanted.index(max(wanted))
            widths[neediest] += 1
            wanted[neediest] -= 1
            spare -= 1
        return widths


def _longest(text: str, separator: str | None = None) -> int:
    """Return the cells that the longest line of a text takes, or its longest word."""
    return max((cell_len(part) for part in text.split(separator)), default=0)


def _printable(text: str) -> str:
    """Return a user's string without control characters, so that a name cannot move the cursor."""
    return "".join(
        char if char.isprintable() or char in ("\n", _JOINT) else "\N{REPLACEMENT CHARACTER}" for char in text
    )
