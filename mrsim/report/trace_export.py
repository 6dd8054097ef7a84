"""The story of one trial: what happened and why, who could write where, and where the time went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING

from mrsim.report.events import after_fault, event_rows, instant
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.numbers import duration
from mrsim.report.outages import outage_parts
from mrsim.trace import NO_EVENT, Change, StoreTrace, Trace

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

_EVENTS = (
    Column("#", "right"),
    Column("after the fault", "right"),
    Column("what"),
    Column("where"),
    Column("cause", "right"),
    Column("took", "right"),
    Column("spent on"),
    Column("note", wraps=True),
)
_ACKS = (
    Column("node"),
    Column("history", "right"),
    Column("from", "right"),
    Column("until", "right"),
    Column("for", "right"),
    Column("began by", "right"),
    Column("ended by", "right"),
    Column("note", wraps=True),
)


def story(
    trace: Trace,
    values: Mapping[str, float] | None = None,
    *,
    scenario: Scenario | None = None,
    width: int = DEFAULT_WIDTH,
    colour: bool = False,
) -> str:
    """Tell one trial.

    Parameters
    ----------
    trace
        What the trial left behind.
    values
        The trial's columns as measured (``phase_at_s{...}`` and ``phase_s{...}`` are read); without them the section on
        where the time went is left out.
    scenario
        Gives the trial its title and its faults their names; optional.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    _opening(page, trace, scenario)
    _what_happened(page, trace)
    for name, store in trace.stores.items():
        _who_could_write(page, name, store, trace)
    _where_clients_were_sent(page, trace)
    if values is not None:
        _where_time_went(page, values)
    _without_effect(page, trace, scenario)
    return page.text()


def _opening(page: Page, trace: Trace, scenario: Scenario | None) -> None:
    title = f"{scenario.name}: " if scenario else ""
    page.line(f"{title}trial {trace.trial} of seed {trace.seed}")
    when = f"at {duration(trace.fault_s)}" if isfinite(trace.fault_s) else "none within the horizon"
    end = f"nothing could change after {duration(trace.end_s)}" if trace.stopped_early else "watched to the horizon"
    page.line(f"first fault: {when}; horizon: {duration(trace.horizon_s)}; {end}")


def _what_happened(page: Page, trace: Trace) -> None:
    page.heading("What happened", "times count from the first fault; '#' numbers the events")
    rows = event_rows(trace)
    if rows:
        page.table(_EVENTS, rows)
    else:
        page.line("nothing", indent=2)


def _who_could_write(page: Page, name: str, store: StoreTrace, trace: Trace) -> None:
    page.heading(f"Who could write to {name}", "a history is one line of WAL; commits before its fork are shared")
    for index, history in enumerate(store.histories):
        if history.parent < 0:
            text = f"history {index}: {history.node}, from the start"
        else:
            but = " and had been copied" if history.copied is not None else ""
            text = (
                f"history {index}: {history.node}, shares with history {history.parent} what committed before "
                f"{after_fault(history.forked_at_s, trace)}{but}, writable from {after_fault(history.began_s, trace)}"
            )
        page.line(text + _fate(store, index), indent=2)
    rows = []
    for node, spans in store.acks.items():
        for span in spans:
            doubt = span.end_s - span.acked_until_s
            began = after_fault(span.start_s, trace) if span.start_s > 0 else "start"
            ended = after_fault(span.end_s, trace) if span.end_s < trace.horizon_s else "end"
            note = (
                f"its last {duration(doubt)} executed, not acknowledged: in doubt" if 0 < doubt < float("inf") else ""
            )
            length = duration(min(span.end_s, trace.horizon_s) - max(span.start_s, 0.0))
            causes = (_number(span.began_by), _number(span.ended_by))
            rows.append((node, str(span.history), began, ended, length, *causes, note))
    if rows:
        page.table(_ACKS, rows)
    else:
        page.line("no node could acknowledge a write", indent=2)
    if not store.decided:
        missing = after_fault(store.replicated_until_s, trace)
        page.line(f"undecided at the end: writes after {missing} are on no node that is up", indent=2)


def _fate(store: StoreTrace, index: int) -> str:
    """Return what became of a history: it survived, it is part of what survived, or it was given up."""
    if index == store.surviving:
        return "; survived"
    chain, current = set(), store.surviving
    while current >= 0 and current not in chain:
        chain.add(current)
        current = store.histories[current].parent
    return "; survived up to the fork" if index in chain else "; given up"


def _number(event: int) -> str:
    return "" if event == NO_EVENT else f"#{event}"


def _where_clients_were_sent(page: Page, trace: Trace) -> None:
    records = [
        (f"{record}, for {cohort}", changes) for record, by in trace.answers.items() for cohort, changes in by.items()
    ]
    endpoints = [
        (f"{name} endpoint, in {region}", changes)
        for name, store in trace.stores.items()
        for region, changes in store.endpoint.items()
    ]
    rows = [(who, *row) for who, changes in records for row in _answers(changes, trace)]
    for record, by_way in trace.tries.items():
        for (cohort, region), changes in by_way.items():
            who = f"{record}, for {cohort}, not reaching {region}"
            rows += [(who, *row) for row in _answers(changes, trace, nothing="no second try")]
    rows += [(who, *row) for who, changes in endpoints for row in _answers(changes, trace)]
    if rows:
        page.heading("Where clients and services were sent", "answers of the authority; caches follow later")
        page.table(
            (Column("who asks", wraps=True), Column("from", "right"), Column("answer"), Column("because of", "right")),
            rows,
        )


def _answers(changes: list[Change], trace: Trace, nothing: str = "no answer") -> Iterator[tuple[str, str, str]]:
    for change in changes:
        life = f", for {duration(change.ttl_s)} each" if change.ttl_s is not None else ""
        yield after_fault(change.at_s, trace), (change.target or nothing) + life, _number(change.event)


def _where_time_went(page: Page, values: Mapping[str, float]) -> None:
    page.heading("Where the time went", "parts of an outage in the order of their causes; they add up to it")
    shown = [outage for outage in outage_parts(values) if isfinite(outage.total_s) and outage.total_s > 0]
    for outage in shown:
        whose = f"the client at {outage.clients}" if outage.clients else "mean over affected clients"
        page.line(f"{outage.service} {outage.op}, {whose}: {duration(outage.total_s)}", indent=2)
        parts = [
            (part, _tenths(seconds), f"{seconds / outage.total_s:.0%}")
            for part, seconds in outage.seconds.items()
            if seconds
        ]
        page.table((Column("part"), Column("time", "right"), Column("share", "right")), parts, indent=4)
    if not shown:
        page.line("no client was affected", indent=2)


def _tenths(seconds: float) -> str:
    return instant(seconds).removeprefix("+")


def _without_effect(page: Page, trace: Trace, scenario: Scenario | None) -> None:
    idle = [index for index, effect in enumerate(trace.fault_effects) if not effect]
    if not idle:
        return
    page.heading("Faults without effect", "nothing changed because of them")
    for index in idle:
        name = scenario.faults[index].kind if scenario and index < len(scenario.faults) else f"fault {index + 1}"
        started = index < len(trace.fault_events) and trace.fault_events[index] != NO_EVENT
        page.line(f"{name}: {'changed nothing' if started else 'would begin after the horizon'}", indent=2)
