"""The events of one trial as rows, with times that count from the first fault."""

from __future__ import annotations

from math import isfinite, isinf

from mrsim.report.numbers import duration
from mrsim.trace import NO_EVENT, Trace


def after_fault(at_s: float, trace: Trace) -> str:
    """Return a time as seen from the first fault, such as ``+4 min 32 s``; from the start if there was no fault."""
    if isinf(at_s):
        return "start" if at_s < 0 else "end"
    origin = trace.fault_s if isfinite(trace.fault_s) else 0.0
    return instant(at_s - origin)


def instant(seconds: float) -> str:
    """Return a signed time to the tenth of a second, such as ``+4 min 32.1 s``; below a second in milliseconds."""
    if 0 < abs(seconds) < 1:
        return f"{seconds * 1e3:+.3g} ms"
    tenths = round(abs(seconds) * 10)
    sign = "-" if seconds < 0 and tenths else "+"
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours} h {minutes:02d} min " if hours else f"{minutes} min " if minutes else ""
    return f"{sign}{head}{rest / 10:{'04.1f' if head else '.1f'}} s"


def event_rows(trace: Trace) -> list[tuple[str, ...]]:
    """Return one row per event in the order of time.

    Returns
    -------
    list of tuple of str
        Number, time since the first fault, what, where, because of which event, how long that took, the phase this was
        spent on, and a note.
    """
    rows: list[tuple[str, ...]] = []
    for index in sorted(range(len(trace.events)), key=lambda i: (trace.events[i].at_s, i)):
        event = trace.events[index]
        caused = event.cause != NO_EVENT
        took = duration(event.at_s - trace.events[event.cause].at_s) if caused else ""
        why = f"#{event.cause}" if caused else ""
        when = after_fault(event.at_s, trace)
        rows.append((str(index), when, event.kind, event.subject, why, took, event.phase, event.note))
    return rows
