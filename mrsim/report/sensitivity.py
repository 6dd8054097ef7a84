"""What an answer depends on, as text and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from math import isinf
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mrsim.report.cells import alone_text, estimate_text
from mrsim.report.comparison import difference_cells, kind_of
from mrsim.report.json_export import finite
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.naming import pretty_column

if TYPE_CHECKING:
    from mrsim.study.sensitivity import Bar, Index, Sensitivity

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""


def sensitivity_report(found: Sensitivity, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return what an answer depends on as text: each parameter on its own, then together.

    Parameters
    ----------
    found
        The analysis.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    page.line(Text(f"{found.scenario.name}: what {quantity(found)} depends on", style="bold"))
    kind = kind_of(found.asked.column)
    page.line(f"as it is: {estimate_text(kind, found.base)}; {found.trials} trials of each variant, seed {found.seed}")
    _alone(page, found)
    if found.idle:
        page.heading("Without effect in any trial", f"{len(found.idle)} of {tried(found)} numbers")
        page.line(", ".join(one.name for one in found.idle), indent=2)
    if found.refused:
        page.heading("Not varied", "an end is no valid scenario")
        for parameter, reason in found.refused:
            page.line(f"{parameter.name}: {reason}", indent=2)
    if found.indices:
        _together(page, found)
    page.line()
    page.line("to see one bar trial by trial:")
    page.command(replay(found))
    return page.text()


def quantity(found: Sensitivity) -> str:
    """Return the answer that was asked for, for people."""
    aggregation = found.asked.aggregation
    what = "the share of trials with it" if aggregation == "trials" else f"{aggregation} of trials"
    return f"{pretty_column(found.asked.column)}, {what}"


def tried(found: Sensitivity) -> int:
    """Return how many parameters were looked at."""
    return len(found.bars) + len(found.idle) + len(found.refused)


def ends(found: Sensitivity, bar: Bar) -> tuple[str, str]:
    """Return the answer at both ends of a parameter."""
    kind = kind_of(found.asked.column)
    if found.asked.aggregation == "trials":
        return estimate_text(kind, bar.low), estimate_text(kind, bar.high)
    return alone_text(kind, bar.low), alone_text(kind, bar.high)


def _alone(page: Page, found: Sensitivity) -> None:
    page.heading(
        "Each number on its own", "the largest swing first; the same outages in all, differences trial by trial"
    )
    measure = "difference" if found.asked.aggregation == "trials" else "mean difference"
    columns = (
        Column("number", wraps=True),
        Column("from", "right", wraps=True),
        Column("to", "right", wraps=True),
        Column(f"{found.asked.aggregation} there", "right"),
        Column("and there", "right"),
        Column(measure),
        Column("trials", "right"),
    )
    rows: list[list[str | Text]] = []
    names = short_ends([bar.parameter.name for bar in found.bars])
    for bar, name in zip(found.bars, names, strict=True):
        value, between = difference_cells(kind_of(found.asked.column), bar.difference)
        told = Text.assemble(value, (f" {between}" if between else "", "dim"))
        rows.append([name, bar.low_text, bar.high_text, *ends(found, bar), told, str(bar.differing)])
    if not rows:
        page.line("no number that was varied changes anything in any trial", indent=2)
        return
    page.table(columns, rows)
    page.line(f"trials: those of {found.trials} that an end changes at all", indent=2)
    for reason in reasons(found):
        page.line(f"[?]: {reason}", indent=2)


def reasons(found: Sensitivity) -> list[str]:
    """Return why some differences have no interval, each reason once."""
    open_ = [bar.difference for bar in found.bars if isinf(bar.difference.low) and isinf(bar.difference.high)]
    few = "too few trials carry the difference for an interval"
    said = [few if one.needed_trials else one.reason for one in open_ if not one.same]
    return list(dict.fromkeys(reason for reason in said if reason))


def short_ends(names: Sequence[str]) -> list[str]:
    """Return each path's shortest end, of at least two parts, that no other one has."""
    found = []
    for name in names:
        parts = name.split(".")
        for length in range(2, len(parts) + 1):
            end = ".".join(parts[-length:])
            if sum(other == end or other.endswith(f".{end}") for other in names) == 1:
                break
        else:
            end = name
        found.append(end)
    return found


def _together(page: Page, found: Sensitivity) -> None:
    page.heading("Together", f"Sobol indices from {found.points} points; brackets hold 90 % bootstrap intervals")
    rows = []
    names = short_ends([index.parameter.name for index in found.indices])
    for index, name in zip(found.indices, names, strict=True):
        first = f"{index.first:.2f} [{index.first_low:.2f}, {index.first_high:.2f}]"
        total = f"{index.total:.2f} [{index.total_low:.2f}, {index.total_high:.2f}]"
        rows.append((name, first, total))
    page.table((Column("number", wraps=True), Column("on its own"), Column("with all it interacts with")), rows)
    page.line("shares of the answer's variance while these numbers vary between their ends together", indent=2)


def replay(found: Sensitivity) -> str:
    """Return the command that compares the ends of the longest bar; of the scenario as it is, if there is none."""
    line = f"{found.scenario.command_line}"
    more = f"--trials {found.trials} --seed {found.seed}"
    if not found.bars:
        return f"mrsim run {line} {more}"
    bar = found.bars[0]
    ends_of = [shlex.quote(f"{bar.parameter.name}={text}") for text in (bar.low_text, bar.high_text)]
    variants = " ".join(f"--variant {one}" for one in ends_of)
    metric = shlex.quote(found.asked.key)
    return f"mrsim compare {line} {variants} --metric {metric} {more}"


def sensitivity_json(found: Sensitivity) -> str:
    """Return the analysis as a JSON text: strict JSON, base units, nothing rounded; what is infinite is ``null``."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "scenario": found.scenario.name,
        "of": {"metric": found.asked.key, "column": found.asked.column, "aggregation": found.asked.aggregation},
        "trials": found.trials,
        "seed": found.seed,
        "base": finite(asdict(found.base)),
        "alone": [_bar(bar) for bar in found.bars],
        "without_effect": [one.name for one in found.idle],
        "refused": [{"path": one.name, "reason": reason} for one, reason in found.refused],
        "points": found.points,
        "together": [_index(index) for index in found.indices],
        "replay": replay(found),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _bar(bar: Bar) -> dict[str, Any]:
    at = [{"value": bar.low_text} | finite(asdict(bar.low)), {"value": bar.high_text} | finite(asdict(bar.high))]
    return {
        "path": bar.parameter.name,
        "as_it_is": bar.parameter.base,
        "ends": at,
        "swing": finite(bar.swing),
        "difference": finite(asdict(bar.difference)),
        "trials_changed": bar.differing,
    }


def _index(index: Index) -> dict[str, Any]:
    numbers = {name: getattr(index, name) for name in ("first", "first_low", "first_high")}
    numbers |= {name: getattr(index, name) for name in ("total", "total_low", "total_high")}
    return {"path": index.parameter.name} | numbers
