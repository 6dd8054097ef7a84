"""The report of a study as text, and the table of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mrsim.metrics import BY_NAME
from mrsim.report.cells import estimate_text, interval_text, value_text
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.numbers import count, duration, share
from mrsim.report.sentences import fault_sentence
from mrsim.report.tables import (
    QUANTILES,
    QuantileRow,
    RecoveryTable,
    assumption_rows,
    flag_rows,
    idle_faults,
    latency_rows,
    ledger_rows,
    loss_rows,
    phase_tables,
    recovery_tables,
    replay_trial,
)
from mrsim.scenario.settings import command_line
from mrsim.trace import PHASES

if TYPE_CHECKING:
    from mrsim.study.results import Results
    from mrsim.study.statistics import Estimate
    from mrsim.study.verdict import Check

VERDICTS = {"passed": ("PASS", "green"), "failed": ("FAIL", "bold red"), "inconclusive": ("INCONCLUSIVE", "yellow")}
"""How a verdict is shown: word and colour."""

SHORTEST_PART_S = 0.05
"""Parts of an outage below this are left out of the table (not of its total)."""

_QUANTILE_COLUMNS = tuple(Column(f"{quantile} of trials") for quantile in QUANTILES)


def run_report(results: Results, *, width: int = DEFAULT_WIDTH, colour: bool = False, assumptions: str = "few") -> str:
    """Return the report of a study.

    Parameters
    ----------
    results
        The study.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    assumptions
        ``few`` lists the values that are only assumed and counts the others; ``all`` lists every one.
    """
    page = Page(width, colour=colour)
    _opening(page, results)
    for part in (_recovery, _phases, _loss, _ledger, _flags, _latency, _idle_faults):
        part(page, results)
    _assumptions(page, results, everything=assumptions == "all")
    checks = results.checks
    if checks:
        _budgets(page, checks)
    else:
        page.heading("Budgets")
        page.line("none: nothing was judged", indent=2)
    _replay(page, results)
    return page.text()


def check_report(
    studies: Sequence[tuple[str, Results]], checks: Sequence[Check], *, width: int = DEFAULT_WIDTH, colour: bool = False
) -> str:
    """Return one table with the budgets of several studies.

    Parameters
    ----------
    studies
        Path of each scenario file, and its study.
    checks
        Verdicts of :func:`mrsim.study.verdict.judge_all` over these studies, in their order.
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
        page.line(Text(path, style="bold"), f"  {len(results.trials)} trials, seed {results.seed}")
        if own:
            _budget_table(page, own)
        else:
            page.line("no budgets", indent=2)
        blamed = next((check for check in own if check.verdict == "failed" and check.worst_trials), None)
        if blamed is not None:
            line = command_line(path, results.scenario.settings)
            page.command(f"mrsim trace {line} --seed {results.seed} --trial {blamed.worst_trials[0]}")
    page.line(_tally(checks))
    return page.text()


def _opening(page: Page, results: Results) -> None:
    scenario = results.scenario
    page.line(Text(scenario.name, style="bold"), f"  {scenario.summary}" if scenario.summary else "")
    for fault in scenario.faults:
        page.line(f"fault: {fault_sentence(fault)}")
    if not scenario.faults:
        page.line("no fault: nothing is tested, what follows is how it is while nothing is wrong")
    page.line(
        f"{len(results.trials)} trials, seed {results.seed}, horizon {duration(scenario.horizon)}. Quantiles are over "
        "trials; brackets hold a 90 % interval, each end a 95 % bound."
    )


def _quantile_cells(row: QuantileRow) -> list[Text]:
    """Return a cell per quantile over trials: the number, and its interval on a line below."""
    cells = []
    for quantile in QUANTILES:
        text = Text(value_text("duration", row.estimates[quantile]))
        interval = interval_text("duration", row.estimates[quantile])
        if interval:
            text.append("\n" + interval, style="dim")
        cells.append(text)
    return cells


def _unfinished(row: QuantileRow) -> str:
    return share(row.unfinished) if row.n else "no effect"


def _recovery(page: Page, results: Results) -> None:
    tables = recovery_tables(results)
    if not tables:
        return
    stable = duration(results.scenario.stable_for)
    page.heading("Recovery time (RTO)", f"a client's first failed instant to its first success that lasts {stable}")
    for table in tables:
        page.line(f"{table.service} {table.op}: {_affected(table)}", indent=2)
        if not any(row.n for row in (*table.rows, *table.durable)):
            continue
        _client_table(page, table.rows)
        if table.durable:
            differs = share(table.durable_differs)
            page.line(f"counting only writes that survive (not the same in {differs} of trials):", indent=4)
            _client_table(page, table.durable)


def _client_table(page: Page, rows: Sequence[QuantileRow]) -> None:
    columns = (Column("clients", "right"), *_QUANTILE_COLUMNS, Column("unfinished", "right"))
    page.table(columns, [(row.label, *_quantile_cells(row), _unfinished(row)) for row in rows], indent=4)


def _affected(table: RecoveryTable) -> str:
    parts = []
    if table.rows and not any(row.n for row in table.rows):
        return "no effect: nobody was affected in any trial"
    if table.affected is not None:
        parts.append(f"{_mean_share(table.affected)} of clients affected (mean)")
    idle = table.rows[0].estimates[QUANTILES[0]].no_effect if table.rows else 0
    if idle:
        parts.append(f"nobody in {idle} trials, which are left out")
    if table.unavailability is not None:
        parts.append(f"{_mean_share(table.unavailability)} of requests failed up to the horizon")
    return "; ".join(parts)


def _mean_share(estimate: Estimate) -> str:
    """Return a mean share to three digits: here it only gives the scale."""
    return share(estimate.value_low)


def _phases(page: Page, results: Results) -> None:
    tables = phase_tables(results)
    if not tables:
        return
    page.heading("Where the time went", "mean parts of an outage; those of a row add up to its total")
    parts = [part for part in PHASES if any(table.parts[part] >= SHORTEST_PART_S for table in tables)]
    columns = (Column(""), *(Column(part.replace("_", " "), "right") for part in parts))
    rows = []
    for table in tables:
        times = (duration(table.parts[part]) if table.parts[part] >= SHORTEST_PART_S else "-" for part in parts)
        name = table.label if table.whose == "mean" else f"  {table.whose}"
        rows.append((name, *times, duration(table.total_s)))
    page.table((*columns, Column("total", "right")), rows)


def _loss(page: Page, results: Results) -> None:
    rows = loss_rows(results)
    if not rows:
        return
    page.heading("Data loss (RPO)", "age of the oldest acknowledged write that did not survive")
    columns = (Column("store"), Column("loss", wraps=True), *_QUANTILE_COLUMNS, Column("undecided", "right"))
    page.table(columns, [(store, row.label, *_quantile_cells(row), _unfinished(row)) for store, row in rows])


def _ledger(page: Page, results: Results) -> None:
    ledgers = ledger_rows(results)
    if not ledgers:
        return
    page.heading("Writes", "mean per trial up to the horizon, in full so that it adds up; below, the trials with any")
    columns = (Column("store"), *(Column(row.label, "right", wraps=True) for row in ledgers[0][1]))
    rows = []
    for store, ledger in ledgers:
        rows.append((store, *(count(row.mean.value_low) for row in ledger)))
        rows.append(("", *(share(row.any_trials.value_low) for row in ledger)))
    page.table(columns, rows)


def _flags(page: Page, results: Results) -> None:
    tables = flag_rows(results)
    if not tables:
        return
    page.heading("Split-brain and failover")
    columns = (Column("store"), Column("what"), Column("trials"), Column("lasted, p50"), Column("lasted, p95"))
    rows = []
    for store, flags in tables:
        for index, flag in enumerate(flags):
            lengths = (value_text("duration", flag.length[q]) if q in flag.length else "" for q in ("p50", "p95"))
            rows.append((store if index == 0 else "", flag.label, estimate_text("flag", flag.rate), *lengths))
    page.table(columns, rows)


def _latency(page: Page, results: Results) -> None:
    rows = latency_rows(results)
    if not rows:
        return
    page.heading("Write latency", "mean while nothing is wrong")
    cells = [
        (service, "all clients" if who == "all" else who, value_text("duration", mean)) for service, who, mean in rows
    ]
    page.table((Column("service"), Column("from"), Column("latency", "right")), cells)


_BUDGET_COLUMNS = (
    Column("budget", wraps=True),
    Column("limit"),
    Column("verdict"),
    Column("observed"),
    Column("trials", "right"),
)


def _budgets(page: Page, checks: Sequence[Check]) -> None:
    page.heading("Budgets", _tally(checks))
    _budget_table(page, checks)


def _budget_table(page: Page, checks: Sequence[Check]) -> None:
    """Print one row per check, and below the table what there is to say of single ones."""
    rows = []
    for check in checks:
        word, style = VERDICTS[check.verdict]
        word += " (warn)" if check.budget.level == "warn" else ""
        observed = estimate_text(BY_NAME[check.budget.metric].kind, check.estimate)
        verdict = Text(word, style=style)
        rows.append((check.budget.key, check.budget.text, verdict, observed, str(check.estimate.n)))
    page.table(_BUDGET_COLUMNS, rows)
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


def _tally(checks: Sequence[Check]) -> str:
    """Return how many checks passed, failed and were inconclusive."""
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in VERDICTS}
    said = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"{len(checks)} check{'s' if len(checks) != 1 else ''}: {', '.join(said) if said else 'none'}"


def _idle_faults(page: Page, results: Results) -> None:
    idle = idle_faults(results)
    if not idle:
        return
    page.heading("Faults without effect", "a drill that tested nothing proves nothing")
    for index, trials in idle:
        page.line(f"{fault_sentence(results.scenario.faults[index])}: no effect in {share(trials)} of trials", indent=2)


def _assumptions(page: Page, results: Results, *, everything: bool) -> None:
    known = assumption_rows(results.scenario.assumptions)
    if not known:
        return
    shown = [row for row in known if everything or row.kind == "assumption"]
    others = len(known) - len(shown)
    more = f"; {others} more values have a source (--assumptions all)" if others else ""
    page.heading("Assumptions", f"what the answer leans on and nobody measured here{more}")
    columns = (Column("where"), Column("value", wraps=True), Column("kind"), Column("source", wraps=True))
    widths = [
        max((len(text) for text in texts), default=0)
        for texts in zip(*((r.where, r.value) for r in shown), strict=True)
    ]
    room = page.width - 8 - sum(widths)
    rows = [
        (row.where, row.value, row.kind if everything else "", row.source if everything else _cut(row.source, room))
        for row in shown
    ]
    page.table(columns, rows)


def _cut(text: str, most: int) -> str:
    """Return a text on one line: ``--assumptions all`` shows it in full."""
    return text if len(text) <= most else text[: max(most - 1, 12)].rstrip() + "…"


def _replay(page: Page, results: Results) -> None:
    trial, why = replay_trial(results)
    page.line()
    page.line(f"seed {results.seed}; {why}:")
    page.command(f"mrsim trace {results.scenario.command_line} --seed {results.seed} --trial {trial}")
