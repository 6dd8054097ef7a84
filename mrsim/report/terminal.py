"""What a terminal can show, and the progress bar of a study on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from mrsim.report.layout import DEFAULT_WIDTH


def page_of(stream: TextIO) -> tuple[int, bool]:
    """Return width and colour of what is printed to a stream.

    Returns
    -------
    tuple of int and bool
        The width that ``COLUMNS`` asks for, else a terminal's own, else
        :data:`~mrsim.report.layout.DEFAULT_WIDTH`; colour on a terminal, unless ``NO_COLOR`` is set or it is dumb.
    """
    asked = os.environ.get("COLUMNS", "")
    width = int(asked) if asked.isdecimal() and int(asked) > 0 else 0
    if not stream.isatty():
        return width or DEFAULT_WIDTH, False
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return width or os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH, colour


@contextmanager
def progress(name: str, trials: int) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar on standard error while the block runs, if that is a terminal.

    Parameters
    ----------
    name
        Of the scenario.
    trials
        How many were asked for.

    Yields
    ------
    callable or None
        To be called with the trials finished and asked for; None if nothing is shown.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(name), total=trials)
        yield lambda done, _asked: bar.update(task, completed=done)
