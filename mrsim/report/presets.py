"""Presets as text: the list of them, and one with the source of every value."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mrsim.report.layout import DEFAULT_WIDTH, Column, Page

if TYPE_CHECKING:
    from mrsim.scenario.library import Preset


def presets_table(names: Iterable[tuple[str, str, str]], *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return the list of presets.

    Parameters
    ----------
    names
        Kind, name and summary of each.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    rows, last = [], ""
    for kind, name, summary in names:
        rows.append((kind if kind != last else "", name, summary))
        last = kind
    page.table((Column("kind"), Column("name"), Column("summary", wraps=True)), rows, indent=0)
    return page.text()


def preset_page(preset: Preset, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return one preset: every value, what kind of knowledge it is, where it comes from and when that was read.

    Parameters
    ----------
    preset
        The preset.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    page.line(Text(preset.name, style="bold"), f" ({preset.kind}): {preset.summary}")
    columns = (
        Column("value of"),
        Column("value", wraps=True),
        Column("kind"),
        Column("source", wraps=True),
        Column("date"),
    )
    rows = [(entry.key, as_written(entry.value), entry.kind, entry.source, entry.date) for entry in preset.entries]
    page.table(columns, rows)
    return page.text()


def as_written(value: Any) -> str:
    """Return plain data as it would stand in a scenario file, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_written(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_written(entry) for entry in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)
