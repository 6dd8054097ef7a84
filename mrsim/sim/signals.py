"""On-off signals of the trace: when something held, and which events began and ended it; and listeners of changes."""

from __future__ import annotations

from mrsim.trace import INF, NO_EVENT, Span


class Signal:
    """A condition over time; it holds from the beginning."""

    __slots__ = ("on", "spans")

    def __init__(self) -> None:
        self.on = True
        self.spans: list[Span] = [Span(-INF, INF)]

    def set(self, now_s: float, *, on: bool, event: int = NO_EVENT) -> bool:
        """Switch it at ``now_s`` because of ``event``; return whether that was a change."""
        if on == self.on:
            return False
        self.on = on
        if on:
            self.spans.append(Span(now_s, INF, event))
        else:
            self.spans[-1].end_s = now_s
            self.spans[-1].ended_by = event
        return True


def both(first: Signal, second: Signal) -> list[Span]:
    """Return when two conditions held at once; a piece begins and ends with whichever of the two did so."""
    if second.spans == [Span(-INF, INF)]:
        return first.spans
    found = []
    for a in first.spans:
        for b in second.spans:
            began, ended = (max(a, b, key=lambda span: span.start_s), min(a, b, key=lambda span: span.end_s))
            if ended.end_s > began.start_s:
                found.append(Span(began.start_s, ended.end_s, began.began_by, ended.ended_by))
    return found


def nobody_listens(*_: object) -> None:
    """Stand where a listener will be set, or was."""
