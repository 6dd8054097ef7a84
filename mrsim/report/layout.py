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

Cell = str | Text


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

    def command(self, text: str, indent: int = 2) -> None:
        """Print a line to be typed or copied: never broken, however narrow the page is."""
        self._console.print(Text(" " * indent + _printable(text)), no_wrap=True, overflow="ignore", crop=False)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], indent: int = 2) -> None:
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
        shown = [index for index in range(len(columns)) if any(len(row[index]) for row in rows)]
        fits = (
            sum(_least_width(columns[index], [row[index] for row in rows]) + 2 for index in shown)
            <= self.width - indent
        )
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=False)
        for index in shown:
            column = columns[index]
            table.add_column(
                Text(column.heading),
                justify=column.align,
                no_wrap=fits and not column.wraps,
                overflow="fold",
                vertical="top",
            )
        for row in rows:
            cells = [row[index] for index in shown]
            table.add_row(*(Text(_printable(cell)) if isinstance(cell, str) else cell for cell in cells))
        self._console.print(Padding(table, (0, 0, 0, indent)))

    def text(self) -> str:
        """Return the page; lines carry no blanks at their ends."""
        return "\n".join(line.rstrip() for line in self._stream.getvalue().splitlines()) + "\n"


def _least_width(column: Column, cells: Sequence[Cell]) -> int:
    """Return the width below which a column would have to break what should stay on one line."""
    longest = max(cell_len(line) for cell in (column.heading, *cells) for line in str(cell).split("\n"))
    return min(longest, _LEAST_WRAPPED) if column.wraps else longest


def _printable(text: str) -> str:
    """Return a user's string without control characters, so that a name cannot move the cursor."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)
