"""What happened in a trial, looked up by the kind of event and the beginning of its subject's name."""

from __future__ import annotations

from mrsim.trace import INF, Event, Trace


def events(trace: Trace, kind: str, subject: str = "") -> list[Event]:
    return [event for event in trace.events if event.kind == kind and event.subject.startswith(subject)]


def only(trace: Trace, kind: str, subject: str = "") -> Event:
    found = events(trace, kind, subject)
    assert len(found) == 1, (kind, found)
    return found[0]


def when(trace: Trace, kind: str, subject: str = "") -> float:
    """Return when it happened first; infinite if it did not."""
    return next((event.at_s for event in events(trace, kind, subject)), INF)


def kinds(trace: Trace) -> list[str]:
    return [event.kind for event in trace.events]
