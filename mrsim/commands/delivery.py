"""How a command ends: files first, then the report, whatever became of the files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

Text = Callable[[], str]
Report = Callable[..., str]
Pictures = Callable[[], Iterable[tuple[str, bytes]]]


def deliver(
    report: Report,
    files: Sequence[tuple[Path | None, Text]],
    folder: Path | None = None,
    pictures: Pictures | None = None,
) -> None:
    """Write files and pictures, and print the report even if one of them cannot be written.

    A disk that fills up must not cost the report of a long study too.

    Parameters
    ----------
    report
        ``report(width=..., colour=...)`` returns the text for standard output.
    files
        Each file and what goes into it; what has no file was not asked for, and is not made.
    folder
        Where the pictures go; None if they were not asked for.
    pictures
        ``pictures()`` yields the name and the PNG of each.

    Raises
    ------
    OSError
        If a file cannot be written; the report has been printed.
    """
    from mrsim.report.outputs import write_named
    from mrsim.report.terminal import page_of

    try:
        for path, text in files:
            if path is not None:
                write_named(path, text().encode())
        if folder is not None and pictures is not None:
            for name, png in pictures():
                write_named(folder / name, png)
    finally:
        width, colour = page_of(sys.stdout)
        click.echo(report(width=width, colour=colour), nl=False)
