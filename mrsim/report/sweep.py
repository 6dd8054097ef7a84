"""A sweep as text, as HTML and as JSON."""

from __future__ import annotations

import json
from html import escape
from math import isinf
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mrsim.metrics import BY_NAME
from mrsim.report.cells import interval_text, value_text
from mrsim.report.comparison import difference_cells, kind_of
from mrsim.report.html import box, number_cell, table, title
from mrsim.report.json_export import finite
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.naming import pretty_column
from mrsim.report.verdicts import VERDICTS
from mrsim.study.columns import split_column

if TYPE_CHECKING:
    from mrsim.study.sweep import Point, Quantity, Sweep
    from mrsim.study.varied import Axis

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""


def sweep_report(sweep: Sweep, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return a sweep as text: one table per quantity, one row per point.

    Parameters
    ----------
    sweep
        The studies.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    page.line(opening(sweep))
    for quantity in sweep.quantities:
        page.heading(heading(sweep, quantity))
        columns = [Column(name, "right", wraps=True) for name in short_names(sweep.axes)]
        columns += [Column(quantity.aggregation, "right"), Column(""), Column("verdict")]
        columns.append(Column(f"{_measure(quantity)}, against the first"))
        rows: list[list[str | Text]] = []
        for point in sweep.points:
            value, interval, verdict, difference, between = cells(sweep, point, quantity)
            word, style = VERDICTS[verdict] if verdict else ("", "")
            told = Text.assemble(difference, (f" {between}" if between else "", "dim"))
            rows.append([*map(str, point.levels), value, Text(interval, style="dim"), Text(word, style=style), told])
        page.table(columns, rows)
        for reason in reasons(sweep, quantity):
            page.line(f"[?]: {reason}", indent=2)
    page.line()
    page.line(f"seed {sweep.seed}; the first point's first trial:")
    page.command(f"mrsim trace {sweep.points[0].results.scenario.command_line} --seed {sweep.seed} --trial 0")
    return page.text()


def opening(sweep: Sweep) -> str:
    """Return what one has to know to read a sweep."""
    return (
        f"{sweep.points[0].results.scenario.name}: {len(sweep.points)} points, {sweep.n} trials of each, seed "
        f"{sweep.seed}: the same outages, operators and client phases at all points. Brackets hold 90 % intervals, "
        "each end a 95 % bound; differences are taken trial by trial."
    )


def heading(sweep: Sweep, quantity: Quantity) -> str:
    """Return a quantity for people, with the limit that a budget sets on it."""
    check = sweep.check(sweep.points[0], quantity)
    limit = f" ({check.budget.text})" if check else ""
    what = "share of trials" if quantity.aggregation == "trials" else f"{quantity.aggregation} of trials"
    return f"{pretty_column(quantity.column)}, {what}{limit}"


def cells(sweep: Sweep, point: Point, quantity: Quantity) -> tuple[str, str, str, str, str]:
    """Return a point's value, interval, verdict, paired difference and its interval; empty where there is none."""
    seen = point.results.estimate(quantity.column, quantity.aggregation, sweep.confidence)
    check = sweep.check(point, quantity)
    kind = kind_of(quantity.column)
    between = ("", "")
    if point is not sweep.points[0]:
        difference = sweep.difference(point, quantity.column)
        same = difference.same and difference.value_low == 0.0
        between = ("none", "in any trial") if same else difference_cells(kind, difference)
    return value_text(kind, seen), interval_text(kind, seen), check.verdict if check else "", *between


def reasons(sweep: Sweep, quantity: Quantity) -> list[str]:
    """Return why some differences have no interval, each reason once."""
    found = [sweep.difference(point, quantity.column) for point in sweep.points[1:]]
    return list(
        dict.fromkeys(one.reason for one in found if one.reason and not one.same and isinf(one.low) and isinf(one.high))
    )


def short_names(axes: tuple[Axis, ...]) -> list[str]:
    """Return the shortest ends of the axes' paths that tell them apart, at least two parts."""
    names = [axis.name for axis in axes]
    for length in range(2, 12):
        ends = [".".join(name.split(".")[-length:]) for name in names]
        if len(set(ends)) == len(ends):
            return ends
    return names


def _measure(quantity: Quantity) -> str:
    return "difference" if quantity.aggregation == "trials" else "mean difference"


def sweep_html(sweep: Sweep) -> str:
    """Return a sweep for a notebook."""
    parts = [title(f"sweep of {', '.join(short_names(sweep.axes))}", opening(sweep))]
    for quantity in sweep.quantities:
        last = f"{_measure(quantity)}, against the first"
        heads = (*short_names(sweep.axes), quantity.aggregation, "", "verdict", last)
        rows = []
        for point in sweep.points:
            value, interval, verdict, difference, between = cells(sweep, point, quantity)
            badge = f'<span class="mrsim-verdict mrsim-{verdict}">{verdict}</span>' if verdict else ""
            told = f' <span class="mrsim-dim">{escape(between)}</span>'
            place = [escape(str(level)) for level in point.levels]
            dim = f'<span class="mrsim-dim">{escape(interval)}</span>'
            rows.append([*place, number_cell(value), dim, badge, number_cell(difference, told)])
        parts.append(f"<div><b>{escape(heading(sweep, quantity))}</b></div>")
        parts.append(table("", heads, rows))
    return box(parts)


def sweep_json(sweep: Sweep) -> str:
    """Return a sweep as a JSON text: strict JSON, base units, nothing rounded; what is infinite is ``null``."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "scenario": sweep.points[0].results.scenario.name,
        "seed": sweep.seed,
        "trials": sweep.n,
        "confidence": sweep.confidence,
        "axes": [{"path": axis.name, "values": list(axis.levels)} for axis in sweep.axes],
        "rows": [finite(row) for row in sweep.frame.to_dict(orient="records")],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def unit_of(quantity: Quantity) -> str:
    """Return the kind of number that a quantity is: ``share`` for a rate, else that of its metric."""
    return "share" if quantity.aggregation == "trials" else BY_NAME[split_column(quantity.column)[0]].kind
