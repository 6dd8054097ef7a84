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


def nobody_listens(_: int) -> None:
    """Stand where a listener will be set."""
