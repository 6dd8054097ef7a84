"""What became of a baseline, as text: one table per scenario, and what there is to know of single rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mrsim.metrics import BY_NAME
from mrsim.report.cells import alone_text
from mrsim.report.comparison import difference_cells
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page, kept
from mrsim.report.numbers import NOTHING, Quantity, half_width, number
from mrsim.scenario.settings import command_line

if TYPE_CHECKING:
    from mrsim.study.changes import Changed, Changes, Compared, Edit
    from mrsim.study.shifts import Change

WORDS = {
    "same": ("SAME", "green"),
    "better": ("BETTER", "green"),
    "held": ("HELD", "green"),
    "regressed": ("REGRESSED", "bold red"),
    "inconclusive": ("INCONCLUSIVE", "yellow"),
}
"""How a verdict is shown: word and colour."""

MOST_EDITS = 8
"""Changed values that are listed."""

_WIDE = (
    Column("budget", wraps=True),
    Column("limit", wraps=True),
    Column("mean was", "right"),
    Column("is", "right"),
    Column("change"),
    Column("verdict"),
)
_NARROW = (Column("verdict"), Column("budget, change", wraps=True))


def changes_report(changes: Changes, files: Sequence[str], *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return what became of a baseline as text.

    Parameters
    ----------
    changes
        The comparison.
    files
        Path of each scenario's file.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    baseline = changes.baseline
    name = baseline.path or "a baseline"
    page.heading(f"Against {name}", f"{baseline.trials} trials, seed {baseline.seed}")
    page.line(explanation(changes), indent=2)
    page.line(engine_said(changes), indent=2)
    for file, one in zip(files, changes.scenarios, strict=True):
        page.line(Text(file, style="bold"), f"  {scenario_said(one)}")
        for edit in edits_said(one):
            page.line(edit, indent=2)
        _table(page, one)
        for line in _remarks(one):
            page.line(line, indent=2)
        again = replay(one, file, changes)
        if again:
            page.command(again)
    for gone in absent_said(changes):
        page.line(gone)
    page.line(tally(changes))
    return page.text()


def explanation(changes: Changes) -> str:
    """Return what the numbers are, and from where on a change is a regression."""
    allowed = changes.tolerance
    parts = [number("share", allowed.relative), "the last digit that a report shows"]
    if allowed.absolute_s:
        parts.insert(1, number("duration", allowed.absolute_s))
    return (
        "Compared trial by trial, with 90 % intervals: the mean over trials whatever a budget limits, of flags the "
        f"share of trials. It may get worse by the larger of {' and '.join(parts)}; beyond that it has regressed."
    )


def engine_said(changes: Changes) -> str:
    """Return which versions are others than the baseline's."""
    edits = changes.engine_edits
    if not edits:
        return f"engine: the same versions (mrsim {changes.engine['mrsim']})"
    shown = [f"{name} {was or 'unknown'} -> {now}" for name, was, now in edits if name != "lock"]
    return "engine: " + (", ".join(shown) or "other packages have other versions")


def scenario_said(one: Changed) -> str:
    """Return what became of a scenario as a whole."""
    if not one.before:
        return "new: the baseline does not have it"
    renamed = f"{one.scenario.name} was {one.before}; " if one.before != one.scenario.name else ""
    count = len(one.edits)
    return renamed + (
        f"{count} value{'s' if count > 1 else ''} changed (seconds, bytes, shares)" if count else "the same scenario"
    )


def edits_said(one: Changed) -> Iterator[str]:
    """Yield the first of the values that differ, a line each, in base units."""
    for edit in one.edits[:MOST_EDITS]:
        yield _edit(edit)
    if len(one.edits) > MOST_EDITS:
        yield f"and {len(one.edits) - MOST_EDITS} more"


def _edit(edit: Edit) -> str:
    if edit.was is None:
        return f"{edit.path}: {_plain(edit.now)} (new)"
    return f"{edit.path}: {_plain(edit.was)} -> {'gone' if edit.now is None else _plain(edit.now)}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and value != inf else "for ever" if value == inf else str(value)


def absent_said(changes: Changes) -> Iterator[str]:
    """Yield which scenarios of the baseline were not compared."""
    for name, file in changes.absent:
        yield f"not compared: {name} of the baseline ({file}) is not among these files"


def _table(page: Page, one: Changed) -> None:
    wide: list[tuple[str | Text, ...]] = []
    narrow: list[tuple[str | Text, ...]] = []
    for of in one.budgets:
        budget, warn = of.budget, " (warn)" if of.budget.level == "warn" else ""
        shown = [change for change in of.changes if change.by == "scenario" or change.differing]
        if not shown:
            wide.append((budget.key, kept(budget.text), "", "", "nothing to compare with", of.state.upper()))
            narrow.append((of.state.upper(), f"{budget.key} {kept(budget.text)}\nnothing to compare with"))
        for change in shown:
            word, style = WORDS[change.verdict]
            said = word if of.state == "kept" else f"{of.state.upper()}, {word}"
            by = " (by the engine)" if change.by == "engine" else ""
            was, now = sides(of, change)
            verdict = Text(f"{said}{warn}{by}", style=style)
            wide.append((budget.key, kept(budget.text), was, now, moved(of, change), verdict))
            both = f"mean {was} -> {now}" if _unit(of) == BY_NAME[budget.metric].kind else f"{was} -> {now} of trials"
            line = f"{budget.key} {kept(budget.text)}\n{kept(both)}, {moved(of, change)}"
            narrow.append((Text(f"{said}{warn}", style=style), line + by))
    if wide:
        page.first_that_fits([(_WIDE, wide), (_NARROW, narrow)])
    else:
        page.line("no budgets", indent=2)


def sides(of: Compared, change: Change) -> tuple[str, str]:
    """Return the mean or rate before and after."""
    one, unit = change.difference, _unit(of)
    half = half_width(one.low, one.high) if change.differing else 0.0
    was, now = (NOTHING if isnan(side[0]) else number(unit, side[0], half) for side in (one.a, one.b))
    return was, now


def moved(of: Compared, change: Change) -> str:
    """Return by how much a number has moved, with its interval."""
    if not change.differing:
        return f"none in {change.n} trials"
    value, interval = difference_cells(BY_NAME[of.budget.metric].kind, change.difference)
    return (
        " ".join(kept(part) for part in (value, interval) if part and not isnan(change.difference.value_low)) or NOTHING
    )


def _unit(of: Compared) -> Quantity:
    kind = BY_NAME[of.budget.metric].kind
    return "share" if kind == "flag" else kind


def remark(of: Compared, change: Change) -> str:
    """Return what else is to be known of a change: where it shows, what limits the answer; may be empty."""
    kind = BY_NAME[of.budget.metric].kind
    parts = [f"{change.verdict} by the {change.by}"]
    if of.budget.aggregation not in ("mean", "trials"):
        before, after = (alone_text(kind, side) for side in (change.was, change.now))
        parts.append(f"{of.budget.aggregation} {before} -> {after}")
    if kind != "flag" and change.worse:
        allowed = f"worse by more than {number(kind, change.tolerance)}" if change.tolerance else "worse"
        parts.append(f"{allowed} in {change.worse} of {change.n} trials")
    elif change.worse:
        parts.append(f"in {change.worse} trials where it did not happen before")
    crossed = change.crossings
    if crossed is not None and (crossed.out or crossed.back):
        parts.append(f"{crossed.out} trials no longer keep {of.budget.text}, {crossed.back} keep it again")
    if change.reason:
        parts.append(change.reason)
    if change.needed_trials and change.verdict == "inconclusive":
        parts.append(f"write the baseline with --trials {change.needed_trials}")
    return "; ".join(parts)


def _remarks(one: Changed) -> Iterator[str]:
    for of in one.budgets:
        limit = f"{of.budget.key} {of.budget.text}"
        if of.was:
            yield f"{limit}: the limit was {of.was}"
        for change in of.changes:
            if change.verdict != "same":
                yield f"{limit}: {remark(of, change)}"


def replay(one: Changed, file: str, changes: Changes) -> str:
    """Return the command that tells the trial that a regression of the scenario made worst; empty if there is none."""
    for of in one.budgets:
        for change in of.changes:
            if change.by == "scenario" and change.verdict == "regressed" and change.worst_trial is not None:
                line = command_line(file, one.scenario.settings)
                return f"mrsim trace {line} --seed {changes.baseline.seed} --trial {change.worst_trial}"
    return ""


def tally(changes: Changes) -> str:
    """Return how many comparisons ended how, and what could not be compared."""
    counts = dict.fromkeys(WORDS, 0)
    for _, _, change in changes.verdicts():
        counts[change.verdict] += 1
    states = [of.state for one in changes.scenarios for of in one.budgets]
    said = [f"{count} {word}" for word, count in counts.items() if count]
    said += [f"{states.count(state)} {state}" for state in ("new", "removed") if state in states]
    return f"{sum(counts.values())} comparisons with the baseline: {', '.join(said) or 'none'}"
