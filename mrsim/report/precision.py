"""How well the numbers that budgets name are known, as text."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING

from rich.text import Text

from mrsim.report.cells import estimate_text
from mrsim.report.comparison import kind_of
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.numbers import number

if TYPE_CHECKING:
    from mrsim.study.precision import Known, Precise

_STYLES = {"reached": "green", "open": "yellow", "out of reach": "yellow"}
_WORDS = {"reached": "reached", "open": "not yet", "out of reach": "out of reach"}


def precision_report(found: Precise, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return which numbers are known as well as was asked for.

    Parameters
    ----------
    found
        The study.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    looks = ", ".join(map(str, found.looks))
    page.heading("Precision", f"{found.results.n} trials; looks were planned at {looks}")
    columns = (
        Column("number", wraps=True),
        Column("observed"),
        Column("half-width", "right"),
        Column("asked", "right"),
    )
    rows: list[list[str | Text]] = []
    for one in found.known:
        name = f"{one.budget.key} {one.budget.aggregation}"
        state = Text(_WORDS[one.state], style=_STYLES[one.state])
        kind = kind_of(one.budget.column)
        rows.append(
            [name, estimate_text(kind, one.estimate), _half(one, one.half_width), _half(one, one.target), state]
        )
    page.table((*columns, Column("")), rows)
    for one in found.known:
        if one.reason:
            page.line(f"{one.budget.key} {one.budget.aggregation}: {one.reason}", indent=2)
    page.line(
        "These intervals allow for the number of trials having been chosen by looking; those above are for a number "
        "that is chosen before.",
        indent=2,
    )
    return page.text()


def _half(one: Known, value: float) -> str:
    if isnan(value):
        return "any"
    return f"± {number(kind_of(one.budget.column), value)}" if isfinite(value) else "?"
