"""The report of a study as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mrsim.report.assumptions import assumptions_section
from mrsim.report.cells import alone_text, estimate_text, interval_text, value_text
from mrsim.report.layout import DEFAULT_WIDTH, Cell, Column, Layout, Page, kept
from mrsim.report.numbers import count, duration, share
from mrsim.report.sentences import fault_sentence
from mrsim.report.tables import (
    QUANTILES,
    QuantileRow,
    RecoveryTable,
    feed_lag_rows,
    flag_rows,
    idle_faults,
    latency_rows,
    loss_rows,
    phase_tables,
    recovery_tables,
    replay_trial,
)
from mrsim.report.verdicts import VERDICTS, budgets_section, check_report, tally, trials_text
from mrsim.report.writes import (
    CountRow,
    feed_rows,
    ledger_rows,
    outcome_rows,
    reading_rows,
    recovered_rows,
    retried_rows,
    run_rows,
    state_rows,
)
from mrsim.trace import PHASES

if TYPE_CHECKING:
    from mrsim.study.results import Results
    from mrsim.study.statistics import Estimate

__all__ = ["SHORTEST_PART_S", "VERDICTS", "check_report", "run_report"]

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
    for part in (
        _recovery,
        _states,
        _retried,
        _phases,
        _loss,
        _ledger,
        _recovered,
        _outcomes,
        _runs,
        _feeds,
        _flags,
        _latency,
        _readings,
        _idle_faults,
    ):
        part(page, results)
    budgets_section(page, results.checks)
    assumptions_section(page, results.scenario.assumptions, everything=assumptions == "all")
    _replay(page, results)
    return page.text()


def _opening(page: Page, results: Results) -> None:
    scenario = results.scenario
    page.line(Text(scenario.name, style="bold"), f"  {scenario.summary}" if scenario.summary else "")
    for fault in scenario.faults:
        page.line(f"fault: {fault_sentence(fault)}")
    if not scenario.faults:
        page.line("no fault: nothing is tested, what follows is how it is while nothing is wrong")
    page.line(
        f"{trials_text(results)}, seed {results.seed}, horizon {kept(duration(scenario.horizon))}. "
        f"Quantiles are over trials; brackets hold a {kept('90 % interval')}, each end a {kept('95 % bound')}."
    )
    if results.checks:
        verdicts = {check.verdict for check in results.checks}
        worst = next(verdict for verdict in ("failed", "inconclusive", "passed") if verdict in verdicts)
        page.line("Budgets: ", Text(tally(results.checks), style=VERDICTS[worst][1]))


def _quantile_table(
    page: Page, leads: Sequence[Column], rows: Sequence[tuple[tuple[str, ...], QuantileRow]], tail: str, indent: int
) -> None:
    """Print quantiles over trials, each with its interval below: side by side, or below each other on a narrow page."""
    last = Column(tail, "right")
    layouts: list[Layout] = []
    for between in (" ", "\n"):
        columns = (*leads, *_QUANTILE_COLUMNS, last)
        layouts.append((columns, [(*lead, *_quantile_cells(row, between), _unfinished(row)) for lead, row in rows]))
    tall: list[tuple[Cell, ...]] = []
    for lead, row in rows:
        for quantile, cell in zip(QUANTILES, _quantile_cells(row, " "), strict=True):
            first = quantile == QUANTILES[0]
            tall.append(("\n".join(lead) if first else "", quantile, cell, _unfinished(row) if first else ""))
    heading = Column(", ".join(lead.heading for lead in leads), leads[0].align, wraps=True)
    layouts.append(((heading, Column(""), Column("of trials"), last), tall))
    page.first_that_fits(layouts, indent)


def _quantile_cells(row: QuantileRow, between: str) -> list[Text]:
    """Return a cell per quantile over trials: the number, and its interval below, on one line or on two."""
    cells = []
    for quantile in QUANTILES:
        text = Text(value_text("duration", row.estimates[quantile]))
        interval = interval_text("duration", row.estimates[quantile])
        if interval:
            text.append("\n" + interval.replace(", ", f",{between}"), style="dim")
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
    _quantile_table(page, (Column("clients", "right"),), [((row.label,), row) for row in rows], "unfinished", 4)


def _affected(table: RecoveryTable) -> str:
    parts = []
    if table.rows and not any(row.n for row in table.rows):
        return "no effect: nobody was affected in any trial"
    if table.affected is not None:
        parts.append(f"{kept(_mean_share(table.affected))} of clients affected (mean)")
    idle = table.rows[0].estimates[QUANTILES[0]].no_effect if table.rows else 0
    if idle:
        parts.append(f"nobody in {idle} trials, which are left out")
    if table.unavailability is not None:
        parts.append(f"{kept(_mean_share(table.unavailability))} of requests failed up to the horizon")
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
    columns = (Column(""), *(Column(part.replace("_", " "), "right") for part in parts), Column("total", "right"))
    rows: list[tuple[str, ...]] = []
    for table in tables:
        times = (duration(table.parts[part]) if table.parts[part] >= SHORTEST_PART_S else "-" for part in parts)
        name = table.label if table.whose == "mean" else "  " + table.whose.replace(", mean ", ", mean\n  ")
        rows.append((name, *times, duration(table.total_s)))
    if page.fits(columns, rows):
        page.table(columns, rows)
    else:
        for table, (_, *cells) in zip(tables, rows, strict=True):
            page.line(table.label, indent=2)
            named = [(column.heading, cell) for column, cell in zip(columns[1:], cells, strict=True) if cell != "-"]
            page.table((Column("part"), Column("time", "right")), named, indent=4)
    if "unresolved" in parts:
        open_in = share(max(table.unfinished for table in tables))
        page.line(
            "unresolved: clients without service at the horizon, counted up to it "
            f"(some in {kept(open_in)} of trials); 'unfinished' above is about the one client that a row names",
            indent=2,
        )


def _loss(page: Page, results: Results) -> None:
    rows = loss_rows(results)
    if not rows:
        return
    page.heading("Data loss (RPO)", "age of the oldest acknowledged write that did not survive")
    leads = (Column("store"), Column("loss", wraps=True))
    _quantile_table(page, leads, [((store, row.label), row) for store, row in rows], "undecided", 2)


def _ledger(page: Page, results: Results) -> None:
    ledgers = ledger_rows(results)
    if not ledgers:
        return
    page.heading("Writes", "mean per trial up to the horizon, in full so that it adds up; below, the trials with any")
    _counts(page, "store", ledgers)


def _recovered(page: Page, results: Results) -> None:
    recovered = recovered_rows(results)
    if recovered:
        page.heading("Lost and divergent writes brought back", "mean per trial; below, the trials with any")
        _counts(page, "store", recovered)


def _outcomes(page: Page, results: Results) -> None:
    outcomes = outcome_rows(results)
    if not outcomes:
        return
    page.heading("Writes whose clients were not told in time", "mean per trial; below, the trials with any")
    _counts(page, "service", outcomes)


def _counts(page: Page, of: str, tables: list[tuple[str, list[CountRow]]]) -> None:
    columns = (Column(of), *(Column(row.label, "right", wraps=True) for row in tables[0][1]))
    wide: list[tuple[str, ...]] = []
    tall: list[tuple[str, ...]] = []
    for name, rows in tables:
        cells = [(row.label, kept(count(row.mean.value_low)), kept(share(row.any_trials.value_low))) for row in rows]
        wide.append((name, *(mean for _, mean, _ in cells)))
        wide.append(("", *(trials for *_, trials in cells)))
        tall += [("" if index else name, *row) for index, row in enumerate(cells)]
    entries = (Column(of), Column("what"), Column("mean", "right"), Column("in trials", "right"))
    page.first_that_fits([(columns, wide), (entries, tall)])


def _flags(page: Page, results: Results) -> None:
    tables = flag_rows(results)
    if not tables:
        return
    page.heading("Split-brain and failover")
    wide: list[tuple[str, ...]] = []
    tall: list[tuple[str, ...]] = []
    for store, flags in tables:
        for index, flag in enumerate(flags):
            p50, p95 = (alone_text("duration", flag.length[q]) if q in flag.length else "" for q in ("p50", "p95"))
            rate = estimate_text("flag", flag.rate)
            name = store if index == 0 else ""
            wide.append((name, flag.label, rate, p50, p95))
            pieces = rate.replace(" [", "\n[").replace(" (", "\n(")
            tall.append((name, flag.label, pieces, "\n".join(f"{x}" for x in (p50, p95) if x)))
    columns = (Column("store"), Column("what"), Column("trials"), Column("lasted, p50"), Column("lasted, p95"))
    stacked = (Column("store"), Column("what", wraps=True), Column("trials"), Column("lasted,\np50, p95"))
    page.first_that_fits([(columns, wide), (stacked, tall)])


def _who(cohort: str) -> str:
    return "all clients" if cohort == "all" else cohort


def _latency(page: Page, results: Results) -> None:
    rows = latency_rows(results)
    if not rows:
        return
    page.heading(
        "Write latency", "over writes, without queues and locks, before any fault and at the end; means over trials"
    )
    shares = dict.fromkeys(share for row in rows for share in row.over_writes)
    cells, last = [], ("", "")
    for row in rows:
        service, cohort = row.service, _who(row.cohort)
        names = ("" if service == last[0] else service, "" if (service, cohort) == last else cohort)
        last = (service, cohort)
        texts = [alone_text("duration", row.over_writes[share]) if share in row.over_writes else "" for share in shares]
        counted = next(iter(row.over_writes.values())).n
        when = "before" if row.when == "before" else "at the end"
        cells.append((*names, when, *texts, "" if counted == row.trials else f"{counted} of {row.trials}"))
    columns = [Column("service"), Column("from"), Column("when")]
    columns += [Column(share.replace("%", " %"), "right") for share in shares]
    page.table((*columns, Column("trials", "right")), cells)


def _runs(page: Page, results: Results) -> None:
    runs = run_rows(results)
    if runs:
        page.heading("Batch jobs", "mean runs per trial up to the horizon; below, the trials with any")
        _counts(page, "service", runs)


def _feeds(page: Page, results: Results) -> None:
    changes = feed_rows(results)
    if not changes:
        return
    page.heading("Change feeds", "how old what their consumers show is, and how long until they are complete again")
    leads = (Column("feed"), Column("what", wraps=True))
    _quantile_table(page, leads, [((feed, row.label), row) for feed, row in feed_lag_rows(results)], "unfinished", 2)
    page.line("changes, mean per trial; below, the trials with any:", indent=2)
    _counts(page, "feed", changes)


def _states(page: Page, results: Results) -> None:
    rows = state_rows(results)
    if not rows:
        return
    page.heading("Served in part", "mean time of a client up to the horizon: read-only, and neither reads nor writes")
    cells = [
        (service, _who(cohort), alone_text("duration", part), alone_text("duration", down))
        for service, cohort, part, down in rows
    ]
    page.table((Column("service"), Column("from"), Column("read-only", "right"), Column("down", "right")), cells)


def _retried(page: Page, results: Results) -> None:
    rows = retried_rows(results)
    if not rows:
        return
    page.heading(
        "Second tries", "mean time of a client up to the horizon in which the proxy answers from another region"
    )
    cells = [(service, op, alone_text("duration", mean)) for service, op, mean in rows]
    page.table((Column("service"), Column("op"), Column("answered on the second try", "right")), cells)


def _readings(page: Page, results: Results) -> None:
    rows = reading_rows(results)
    if not rows:
        return
    page.heading("Reads", "mean age of what they return, and the share of reads of one's own write that miss it")
    cells = [
        (service, _who(cohort), alone_text("duration", age), alone_text("share", missed))
        for service, cohort, age, missed in rows
    ]
    columns = (Column("service"), Column("from"), Column("age", "right"), Column("own write missed", "right"))
    page.table(columns, cells)


def _idle_faults(page: Page, results: Results) -> None:
    idle = idle_faults(results)
    if not idle:
        return
    page.heading("Faults without effect", "a drill that tested nothing proves nothing")
    for index, trials in idle:
        page.line(f"{fault_sentence(results.scenario.faults[index])}: no effect in {share(trials)} of trials", indent=2)


def _replay(page: Page, results: Results) -> None:
    trial, why = replay_trial(results)
    page.line()
    page.line(f"seed {results.seed}; {why}:")
    page.command(f"mrsim trace {results.scenario.command_line} --seed {results.seed} --trial {trial}")
    page.line("Words are explained in docs/model.md and docs/metrics.md.")
