"""Database nodes: whether they run, what role they believe they have, and what that let them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrsim.sim.signals import Signal
from mrsim.trace import INF, NO_EVENT, AckSpan

if TYPE_CHECKING:
    from mrsim.sim.wal import Stream

Role = Literal["primary", "standby", "demoted"]


class Upstream:
    """A standby's connection to the primary it follows.

    ``began`` once it has flowed; until then the node holds what it held before. ``flowing`` while both ends are up and
    the path is whole; ``cut_s`` is when it last stopped. ``attempt`` counts the breaks, so that a late attempt to
    resume can tell that it is stale.
    """

    __slots__ = ("attempt", "began", "cut_s", "flowing", "source", "stream", "whole")

    def __init__(self, source: Node, stream: Stream) -> None:
        self.source = source
        self.stream = stream
        self.began = True
        self.flowing = True
        self.whole = True
        self.cut_s = -INF
        self.attempt = 0


class Node:
    """One database server.

    Attributes
    ----------
    running
        The process answers.
    role
        What it believes: primary (out of recovery), standby, or demoted (a former primary that is read-only).
    history
        Index of the line of WAL it is on.
    position_s
        As a standby without a connection: how far it holds ``history``.
    told_s
        As a primary: commits before this were acknowledged by the sets of standbys that it waited for earlier.
    """

    __slots__ = (
        "acks",
        "agent_alive",
        "fenced",
        "history",
        "name",
        "open_since_s",
        "opened_by",
        "position_s",
        "process_up",
        "promoting",
        "reads",
        "rebuilding",
        "region",
        "role",
        "running",
        "stalled",
        "told_s",
        "upstream",
        "wait_s",
        "watchers",
    )

    def __init__(self, store: str, region: str, role: Role) -> None:
        self.name = f"{store}@{region}"
        self.region = region
        self.running = True
        self.process_up = True
        self.agent_alive = True
        self.fenced = False
        self.promoting = False
        self.rebuilding = False
        self.role: Role = role
        self.history = 0
        self.position_s = INF
        self.upstream: Upstream | None = None
        self.acks: list[AckSpan] = []
        self.open_since_s = INF
        self.opened_by = NO_EVENT
        self.wait_s = 0.0
        self.watchers: tuple[str, ...] = ()
        self.told_s = -INF
        self.stalled: AckSpan | None = None
        self.reads = Signal()

    @property
    def acknowledging(self) -> bool:
        """Whether commits are being acknowledged at this instant."""
        return self.open_since_s < INF

    def open(self, now_s: float, event: int, wait_s: float, watchers: tuple[str, ...]) -> None:
        """Begin to acknowledge commits, each after ``wait_s``."""
        if self.stalled is not None:
            self.stalled.end_s = min(self.stalled.end_s, now_s)
            self.stalled = None
        self.open_since_s = now_s
        self.opened_by = event
        self.wait_s = wait_s
        self.watchers = watchers
        self.told_s = -INF

    def close(self, now_s: float, event: int, acked_until_s: float, executing_until_s: float) -> None:
        """Stop acknowledging; commits may go on being executed, in doubt, until ``executing_until_s``."""
        start = self.open_since_s
        until = max(start, acked_until_s)
        span = AckSpan(start, until, max(until, executing_until_s), self.history, self.opened_by, event)
        self.acks.append(span)
        self.open_since_s = INF
        self.stalled = span if executing_until_s > now_s else None

    def halt(self, now_s: float) -> None:
        """Stop executing commits altogether."""
        if self.stalled is not None:
            self.stalled.end_s = max(self.stalled.acked_until_s, min(self.stalled.end_s, now_s))
            self.stalled = None

    def finish(self) -> list[AckSpan]:
        """Return all spans; one that is still open has no end."""
        if self.acknowledging:
            return [*self.acks, AckSpan(self.open_since_s, INF, INF, self.history, self.opened_by)]
        return self.acks
