"""What a notebook shows of a scenario, a study and a trace: plain HTML and SVG, no script, nothing from elsewhere.

Every string that a user chose is escaped. Nothing here simulates: what is shown is what is already there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite
from typing import TYPE_CHECKING

from mrsim.metrics import BY_NAME
from mrsim.report.cells import estimate_text, interval_text, value_text
from mrsim.report.events import event_rows
from mrsim.report.lanes import lanes_svg
from mrsim.report.naming import pretty_column
from mrsim.report.numbers import duration, share
from mrsim.report.sentences import fault_sentence, store_sentence
from mrsim.report.tables import QUANTILES, QuantileRow, feed_lag_rows, flag_rows, loss_rows, recovery_tables
from mrsim.report.verdicts import limit_text
from mrsim.scenario.places import region_of

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.services import Service
    from mrsim.study.results import Results
    from mrsim.study.verdict import Check
    from mrsim.trace import Trace

MOST_EVENTS = 200
"""Rows of a trace's table in a notebook; the text story has them all."""

_STYLE = """<style>
.mrsim-box{font-size:90%;line-height:1.4}
.mrsim-box table.mrsim-table{border-collapse:collapse;margin:.4em 0}
.mrsim-box table.mrsim-table th,.mrsim-box table.mrsim-table td{text-align:left;padding:.15em .8em .15em 0;
vertical-align:top;border-bottom:1px solid rgba(128,128,128,.25);background:none}
.mrsim-box .mrsim-number{font-variant-numeric:tabular-nums;white-space:nowrap}
.mrsim-box .mrsim-dim{opacity:.65}
.mrsim-box .mrsim-verdict{display:inline-block;padding:.1em .6em;margin:.1em .4em .1em 0;border-radius:.3em;color:#fff}
.mrsim-box .mrsim-passed{background:#00704e}
.mrsim-box .mrsim-failed{background:#b34700}
.mrsim-box .mrsim-inconclusive{background:#6b5900}
.mrsim-box ul.mrsim-list{margin:.2em 0;padding-left:1.4em}
</style>"""

_WORDS = {"passed": "passed", "failed": "FAILED", "inconclusive": "inconclusive"}


def scenario_html(scenario: Scenario) -> str:
    """Return a scenario: its regions, its faults as sentences, its budgets."""
    parts = [title(scenario.name, scenario.summary), _topology(scenario)]
    if scenario.stores:
        parts.append(_list("Stores", (f"{name}: {store_sentence(store)}" for name, store in scenario.stores.items())))
    horizon = f"watched for {duration(scenario.horizon)}"
    parts.append(_list(f"Faults ({horizon})", map(fault_sentence, scenario.faults)))
    rows = [
        (escape(budget.key), escape(limit_text(budget)), escape("" if budget.level == "error" else budget.level))
        for budget in scenario.budgets
    ]
    parts.append(table("Budgets", ("budget", "limit", ""), rows))
    return box(parts)


def results_html(results: Results) -> str:
    """Return a study: verdicts, one row per metric, and where it came from."""
    scenario = results.scenario
    asked = results.provenance.get("trials_asked", results.n)
    trials = f"{results.n} trials" if results.n == asked else f"{results.n} of {asked} trials (interrupted)"
    parts = [title(scenario.name, f"{trials}, seed {results.seed}, horizon {duration(scenario.horizon)}")]
    parts.append("".join(map(_badge, results.checks)) or '<span class="mrsim-dim">no budgets</span>')
    parts.append(
        table("", ("metric", "trials", "unfinished", *(f"{q} of trials" for q in QUANTILES)), _metric_rows(results))
    )
    flags = [
        (escape(store), escape(flag.label), number_cell(estimate_text("flag", flag.rate)))
        for store, rows in flag_rows(results)
        for flag in rows
    ]
    parts.append(table("", ("store", "what happened", "in how many trials, 90 % interval"), flags))
    rows = "".join(
        f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in results.provenance.items()
    )
    origin = f'<table class="mrsim-table">{rows}</table>'
    parts.append(f'<details class="mrsim-details"><summary>provenance</summary>{origin}</details>')
    return box(parts)


def trace_html(trace: Trace) -> str:
    """Return one trial: lanes of who could write, and its events."""
    fault = f"first fault at {duration(trace.fault_s)}" if isfinite(trace.fault_s) else "no fault within the horizon"
    parts = [title(f"trial {trace.trial}", f"seed {trace.seed}, {fault}"), lanes_svg(trace)]
    heads = ("#", "after the fault", "what", "where", "cause", "took", "spent on", "note")
    rows = [tuple(map(escape, row)) for row in event_rows(trace)]
    parts.append(table("", heads, rows[:MOST_EVENTS]))
    if len(rows) > MOST_EVENTS:
        parts.append(f'<div class="mrsim-dim">and {len(rows) - MOST_EVENTS} more events</div>')
    return box(parts)


def _metric_rows(results: Results) -> list[tuple[str, ...]]:
    rows = [row for table in recovery_tables(results) for row in (*table.rows, *table.durable)]
    rows += [row for _, row in (*loss_rows(results), *feed_lag_rows(results))]
    return [_metric_row(row) for row in rows]


def _metric_row(row: QuantileRow) -> tuple[str, ...]:
    cells = []
    for quantile in QUANTILES:
        estimate = row.estimates[quantile]
        interval = f'<br><span class="mrsim-dim">{escape(interval_text("duration", estimate))}</span>'
        cells.append(number_cell(value_text("duration", estimate), interval))
    unfinished = share(row.unfinished) if row.n else "no effect"
    return (escape(pretty_column(row.column)), number_cell(str(row.n)), number_cell(unfinished), *cells)


def _badge(check: Check) -> str:
    kind = BY_NAME[check.budget.metric].kind
    hint = escape(f"{estimate_text(kind, check.estimate)}; n={check.estimate.n}; {check.reason}".rstrip("; "))
    text = escape(f"{_WORDS[check.verdict]}: {check.budget.key} {limit_text(check.budget)}")
    return f'<span class="mrsim-verdict mrsim-{check.verdict}" title="{hint}">{text}</span>'


def _topology(scenario: Scenario) -> str:
    rows = []
    for region in scenario.regions:
        nodes = [
            (name if role == "standby" else f"{name} ({role})") + ("" if place == region else f" in {place}")
            for name, store in scenario.stores.items()
            for place, role in (
                (store.primary, "primary"),
                *((standby.region, "standby") for standby in store.standbys),
            )
            if region_of(scenario, place) == region
        ]
        services = [
            name if service.serves_at_first(region) else f"{name} (scaled down)"
            for name, service in scenario.services.items()
            if (region == _home(scenario, service) if service.is_worker else service.may_serve(region))
        ]
        people = [
            f"{name} ({share(cohort.share)})" for name, cohort in scenario.clients.items() if cohort.near == region
        ]
        rows.append(tuple(escape(text) for text in (region, ", ".join(nodes), ", ".join(services), ", ".join(people))))
    return table("", ("region", "database nodes", "services", "clients near"), rows)


def _home(scenario: Scenario, service: Service) -> str | None:
    """Return the region of the primary that a service goes with."""
    return region_of(scenario, scenario.stores[service.follows].primary)


def title(name: str, more: str) -> str:
    """Return a name in bold and what follows it."""
    return f'<div><b>{escape(name)}</b> <span class="mrsim-dim">{escape(more)}</span></div>'


def _list(title: str, sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) or "<li>none</li>"
    return f'<div>{escape(title)}</div><ul class="mrsim-list">{items}</ul>'


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already."""
    if not rows:
        return f"<div>{escape(caption)}: none</div>" if caption else ""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    above = f"<div>{escape(caption)}</div>" if caption else ""
    return f'{above}<table class="mrsim-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def number_cell(text: str, more: str = "") -> str:
    """Return a number that keeps to one line, and HTML to follow it."""
    return f'<span class="mrsim-number">{escape(text)}{more}</span>'


def box(parts: Iterable[str]) -> str:
    """Return parts of HTML as one answer of a notebook."""
    return f'{_STYLE}<div class="mrsim-box">{"".join(parts)}</div>'
