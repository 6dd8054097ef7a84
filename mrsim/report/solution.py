"""A solution as text and as JSON."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mrsim.report.cells import estimate_text
from mrsim.report.comparison import kind_of
from mrsim.report.json_export import finite
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.text import VERDICTS

if TYPE_CHECKING:
    from mrsim.study.solve import Probe, Solution

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""


def solution_report(solution: Solution, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return a solution as text: the answer first, then what it rests on.

    Parameters
    ----------
    solution
        What was found.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    page.line(f"{solution.scenario.name}: {question(solution)}")
    page.line()
    page.line(Text(answer(solution), style="bold"))
    for remark in remarks(solution):
        page.line(remark)
    page.heading("Tried", f"{solution.trials} trials of each value, all with seed {solution.seed}")
    _probes(page, solution, solution.probes)
    if solution.confirmations:
        page.heading("Confirmed", "on seeds that the search has not seen; the last line decides")
        _probes(page, solution, solution.confirmations)
    page.line()
    page.line("to see it again:")
    page.command(replay(solution))
    return page.text()


def question(solution: Solution) -> str:
    """Return what was asked."""
    span, budget = solution.span, solution.budget
    which = f"the {solution.want} {span.name}" if solution.want else f"a value of {span.name}"
    return f"{which} between {span.text(span.low)} and {span.text(span.high)} with {budget.key} {budget.text}"


def answer(solution: Solution) -> str:
    """Return the answer in one sentence."""
    span, budget = solution.span, solution.budget
    said = {
        "everywhere": f"every value tried keeps {budget.text!r}: the limit is not crossed in this range; widen it",
        "nowhere": f"no value does: {budget.text!r} is missed at every value tried",
        "not monotone": f"the answer is not monotone: {pattern(solution)}",
        "not shown": f"no value is shown to keep {budget.text!r} with {solution.trials} trials: more are needed",
        "not confirmed": f"none is confirmed: what passed in the search did not pass on {len(solution.confirmations)} "
        "fresh seeds; more trials are needed",
    }
    return said.get(solution.outcome, f"{span.name} = {solution.text}, confirmed on a fresh seed")


def pattern(solution: Solution) -> str:
    """Return where the limit holds and where not, in the order of the values tried."""
    parts: list[str] = []
    for probe in solution.probes:
        word = "holds" if probe.holds else "does not hold"
        if not parts or not parts[-1].startswith(word):
            parts.append(f"{word} at {solution.span.text(probe.value)}")
        else:
            parts[-1] = parts[-1].partition(" to ")[0] + f" to {solution.span.text(probe.value)}"
    return ", ".join(parts)


def remarks(solution: Solution) -> list[str]:
    """Return where the limit is crossed, and what to be careful about."""
    said, span = [], solution.span
    if solution.crossed_at is not None:
        ends = [span.text(span.low) if solution.low is None else span.text(solution.low)]
        ends.append(span.text(span.high) if solution.high is None else span.text(solution.high))
        level = round(100 * (2 * solution.confidence - 1), 3)
        at = f"the limit is crossed at about {span.text(solution.crossed_at)}"
        said.append(f"{at}, {level:g} % interval [{ends[0]}, {ends[1]}]: inside it these trials cannot tell")
        open_ends = [name for name, end in (("below", solution.low), ("above", solution.high)) if end is None]
        if open_ends:
            said.append(f"the range ends before the interval does: it may go on {' and '.join(open_ends)}")
    if solution.outcome not in ("not monotone",) and not solution.monotone_nearby:
        said.append(f"close to the limit the answer is not monotone: {pattern(solution)}")
    return said


def replay(solution: Solution) -> str:
    """Return the command that runs the value found, or the nearest to the limit, with the seed that decided."""
    decided = solution.confirmations[-1] if solution.confirmations else _nearest(solution)
    setting = f"{solution.span.name}={solution.span.text(decided.value)}"
    budget = f'budgets={{"{solution.budget.key}": [{solution.budget.text}]}}'
    more = f"--set {shlex.quote(setting)} --set {shlex.quote(budget)}"
    return f"mrsim run {solution.scenario.command_line} {more} --trials {solution.trials} --seed {decided.seed}"


def _nearest(solution: Solution) -> Probe:
    limit = solution.budget.limit
    return min(solution.probes, key=lambda probe: abs(probe.estimate.value_low - limit))


def _probes(page: Page, solution: Solution, probes: tuple[Probe, ...]) -> None:
    columns = (Column(solution.span.name, "right"), Column(solution.budget.aggregation), Column("verdict"))
    rows = []
    for probe in probes:
        word, style = VERDICTS[probe.verdict]
        seen = estimate_text(kind_of(solution.budget.column), probe.estimate)
        rows.append((solution.span.text(probe.value), seen, Text(word, style=style)))
    page.table(columns, rows)


def solution_json(solution: Solution) -> str:
    """Return a solution as a JSON text: strict JSON, base units, nothing rounded; what is infinite is ``null``."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "scenario": solution.scenario.name,
        "vary": solution.span.name,
        "between": [solution.span.low, solution.span.high],
        "until": {"budget": solution.budget.key, "limit": solution.budget.text, "column": solution.budget.column},
        "outcome": solution.outcome,
        "want": solution.want,
        "value": solution.value,
        "text": solution.text,
        "crossed_at": solution.crossed_at,
        "low": solution.low,
        "high": solution.high,
        "confidence": solution.confidence,
        "trials": solution.trials,
        "seed": solution.seed,
        "monotone_nearby": solution.monotone_nearby,
        "tried": [finite(asdict(probe)) for probe in solution.probes],
        "confirmations": [finite(asdict(probe)) for probe in solution.confirmations],
        "replay": replay(solution),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
