"""Verdicts as text: the budgets of one study, and one table for those of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mrsim.metrics import BY_NAME
from mrsim.report.cells import estimate_text
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page, kept
from mrsim.scenario.settings import command_line

if TYPE_CHECKING:
    from mrsim.scenario.budgets import Budget
    from mrsim.study.results import Results
    from mrsim.study.verdict import Check

VERDICTS = {"passed": ("PASS", "green"), "failed": ("FAIL", "bold red"), "inconclusive": ("INCONCLUSIVE", "yellow")}
"""How a verdict is shown: word and colour."""

ASKS_FOR_AT_LEAST = "(asks for at least)"
"""Marks a limit from below, which a system passes by being slow or wrong: right in a demonstration, else a slip."""

_WIDE = (
    Column("budget", wraps=True),
    Column("limit", wraps=True),
    Column("verdict"),
    Column("observed"),
    Column("trials", "right"),
)
_NARROW = (Column("verdict"), Column("budget, observed", wraps=True))


def check_report(
    studies: Sequence[tuple[str, Results]],
    checks: Sequence[Check],
    *,
    looks: Sequence[int] = (),
    width: int = DEFAULT_WIDTH,
    colour: bool = False,
) -> str:
    """Return one table with the budgets of several studies.

    Parameters
    ----------
    studies
        Path of each scenario file, and its study.
    checks
        Verdicts of :func:`mrsim.study.verdict.judge_all` over these studies, in their order.
    looks
        Numbers of trials at which they were judged while they grew.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    left = list(checks)
    for path, results in studies:
        count = sum(budget.level != "off" for budget in results.scenario.budgets)
        own, left = left[:count], left[count:]
        page.line(Text(path, style="bold"), f"  {trials_text(results)}, seed {results.seed}")
        if own:
            budget_table(page, own)
        else:
            page.line("no budgets", indent=2)
        blamed = next((check for check in own if check.verdict == "failed" and check.worst_trials), None)
        if blamed is not None:
            line = command_line(path, results.scenario.settings)
            page.command(f"mrsim trace {line} --seed {results.seed} --trial {blamed.worst_trials[0]}")
    page.line(tally(checks))
    if len(looks) > 1 and checks:
        page.line(looks_text(looks, checks[0].estimate.confidence))
    return page.text()


def looks_text(looks: Sequence[int], confidence: float) -> str:
    """Return how often it was looked, and what that makes of the intervals."""
    level = f"{100 * (2 * confidence - 1):.3g} %"
    return (
        f"Looks were planned at {', '.join(map(str, looks))} trials, and more are run only while they can decide. "
        f"Brackets hold {level} intervals, so that all looks together err no more often than one would with 90 %."
    )


def budgets_section(page: Page, checks: Sequence[Check]) -> None:
    """Print the verdicts on the budgets of one study."""
    if not checks:
        page.heading("Budgets")
        page.line("none: nothing was judged", indent=2)
        return
    page.heading("Budgets", tally(checks))
    budget_table(page, checks)


def budget_table(page: Page, checks: Sequence[Check]) -> None:
    """Print one row per check, and below the table what there is to say of single ones."""
    wide, narrow = [], []
    for check in checks:
        budget, estimate = check.budget, check.estimate
        word, style = VERDICTS[check.verdict]
        verdict = Text(word + (" (warn)" if budget.level == "warn" else ""), style=style)
        kind = BY_NAME[budget.metric].kind
        limit = limit_text(budget).replace(budget.text, kept(budget.text), 1)
        observed = estimate_text(kind, estimate)
        wide.append((budget.key, limit, verdict, observed, str(estimate.n)))
        pieces = " [".join(map(kept, observed.split(" [")))
        narrow.append((verdict, f"{budget.key} {limit}\n{pieces}, {kept(f'{estimate.n} trials')}"))
    page.first_that_fits([(_WIDE, wide), (_NARROW, narrow)])
    for check in checks:
        remark = check_remark(check)
        if remark:
            page.line(f"{check.budget.key} {check.budget.text}: {remark}", indent=2)


def check_remark(check: Check) -> str:
    """Return what limits a verdict, how many trials would decide, and the worst trial of a bad one; may be empty."""
    parts = [check.reason] if check.reason else []
    if check.needed_trials:
        parts.append(f"try --trials {check.needed_trials}")
    if check.verdict == "failed" and check.worst_trials:
        parts.append(f"worst: --trial {check.worst_trials[0]}")
    return "; ".join(parts)


def tally(checks: Sequence[Check]) -> str:
    """Return how many checks passed, failed and were inconclusive, and how many are limits from below."""
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in VERDICTS}
    said = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    turned = sum(asks_for_at_least(check.budget) for check in checks)
    more = f" ({turned} asked for at least, not at most)" if turned else ""
    return f"{len(checks)} check{'s' if len(checks) != 1 else ''}: {', '.join(said) if said else 'none'}{more}"


def asks_for_at_least(budget: Budget) -> bool:
    """Whether a budget is a limit from below."""
    return budget.op in (">", ">=")


def limit_text(budget: Budget) -> str:
    """Return a limit as it is written, marked if it is one from below."""
    return f"{budget.text} {ASKS_FOR_AT_LEAST}" if asks_for_at_least(budget) else budget.text


def trials_text(results: Results) -> str:
    """Return how many trials there are, and how many were asked for if those are more."""
    asked = int(results.provenance["trials_asked"])
    return f"{results.n} trials" if results.n == asked else f"{results.n} of {asked} trials"
