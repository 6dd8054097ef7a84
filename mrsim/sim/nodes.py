"""Database nodes: whether they run, what role they believe they have, and what that let them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrsim.sim.signals import Signal
from mrsim.trace import INF, NO_EVENT, AckSpan

if TYPE_CHECKING:
    from mrsim.sim.supplies import Supply
    from mrsim.sim.wal import Stream
    from mrsim.sim.world import Timer
    from mrsim.trace import Copied

Role = Literal["primary", "standby", "demoted"]


class Upstream:
    """A standby's connection to the primary it follows.

    ``began`` once it has flowed; until then the node holds what it held before. ``flowing`` while both ends are up and
    the path is whole; ``cut_s`` is when it last stopped, and ``dropped_s`` when the primary takes a connection that
    stopped for gone. ``streaming`` once everything has been sent over this connection, as the primary's walsender is
    then, and ``level`` once everything has been sent since it last flowed again, at the event ``event``. ``closed`` if
    the standby's process has ended or has given the connection up, ``lost`` if WAL that it needs is gone. ``attempt``
    counts the breaks, so that a late attempt to resume can tell that it is stale.

    References
    ----------
    PostgreSQL ``walsender.c``: a connection goes from *catchup* to *streaming*, and never back. ``syncrep.c``,
    ``SyncRepGetCandidateStandbys``: only a standby that is streaming counts as synchronous.
    """

    __slots__ = (
        "attempt",
        "began",
        "closed",
        "cut_s",
        "dropped_s",
        "event",
        "flowing",
        "level",
        "leveling",
        "lost",
        "source",
        "stream",
        "streaming",
        "whole",
    )

    def __init__(self, source: Node, stream: Stream | Supply) -> None:
        self.source = source
        self.stream = stream
        self.began = True
        self.flowing = True
        self.whole = True
        self.streaming = True
        self.level = True
        self.leveling: Timer | None = None
        self.event = NO_EVENT
        self.closed = False
        self.lost = False
        self.cut_s = -INF
        self.dropped_s = -INF
        self.attempt = 0

    @property
    def answering(self) -> bool:
        """Whether the standby answers for the latest commits."""
        return self.flowing and self.streaming and self.level

    def silent(self, now_s: float) -> bool:
        """Return whether the primary waits for answers that do not come, or not yet for the latest commits."""
        waits = not self.level if self.flowing else now_s < self.dropped_s
        return self.streaming and waits


class Node:
    """One database server.

    Attributes
    ----------
    running
        The process answers.
    host_up
        Its host is there, as far as no fault of its place is concerned.
    made
        It exists; else it is made from a snapshot when it is promoted.
    role
        What it believes: primary (out of recovery), standby, or demoted (a former primary that is read-only).
    blocked
        As a primary: its commit rule cannot be met.
    refused
        As a primary: its storage does not take what it writes.
    epoch
        The number of its term as primary, which its writes carry.
    history
        Index of the line of WAL it is on.
    position_s
        As a standby without a connection: how far it holds ``history``.
    copied
        As a standby without a connection: how it came by some of what lies beyond.
    drained_s
        As a primary: the last interval in which it refused writes, to hand over to another.
    told_s
        As a primary: commits before this were acknowledged by the sets of standbys that it waited for earlier.
    reads, answers
        When its data could be read if it is asked, and when it lets anybody in: not while it is shut down to hand over.
    handed_over
        As a primary: its shutdown is complete, and it sends nobody any more WAL.
    """

    __slots__ = (
        "acks",
        "agent_alive",
        "answers",
        "blocked",
        "copied",
        "disk_full",
        "drained_s",
        "epoch",
        "fenced",
        "handed_over",
        "history",
        "host_up",
        "made",
        "name",
        "open_since_s",
        "opened_by",
        "position_s",
        "process_up",
        "promoting",
        "reads",
        "rebuilding",
        "refused",
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
        self.disk_full = False
        self.agent_alive = True
        self.host_up = True
        self.made = True
        self.fenced = False
        self.drained_s = (INF, INF)
        self.promoting = False
        self.blocked = False
        self.refused = False
        self.epoch = 0
        self.rebuilding = False
        self.role: Role = role
        self.history = 0
        self.position_s = INF
        self.copied: Copied | None = None
        self.upstream: Upstream | None = None
        self.acks: list[AckSpan] = []
        self.open_since_s = INF
        self.opened_by = NO_EVENT
        self.wait_s = 0.0
        self.watchers: tuple[str, ...] = ()
        self.told_s = -INF
        self.stalled: AckSpan | None = None
        self.reads = Signal()
        self.answers = Signal()
        self.handed_over = False

    @property
    def may_run(self) -> bool:
        """Whether its process could be started, if its host is there."""
        return self.process_up and not self.fenced and not self.disk_full

    @property
    def is_primary(self) -> bool:
        """Whether it runs, and believes itself primary."""
        return self.running and self.role == "primary"

    @property
    def is_standby(self) -> bool:
        """Whether it runs as a standby, and is not still shut down after it handed over."""
        return self.running and self.answers.on and self.role == "standby"

    @property
    def passes_on(self) -> bool:
        """Whether it hands WAL on to standbys that get theirs through it."""
        return self.running and not self.rebuilding

    @property
    def powered(self) -> bool:
        """Whether its host runs and can close connections, or say that there are none."""
        return self.host_up and not self.fenced

    @property
    def forks_s(self) -> float:
        """Up to which commit time it has any of its history's commits, as a standby without a connection."""
        return self.position_s if self.copied is None else self.copied.spans[-1][1]

    @property
    def acknowledging(self) -> bool:
        """Whether commits are being acknowledged at this instant."""
        return self.open_since_s < INF

    @property
    def draining(self) -> bool:
        """Whether it refuses writes now, because it hands over to another."""
        since_s, until_s = self.drained_s
        return since_s < until_s == INF

    def drain(self, now_s: float) -> None:
        """Accept no more writes, for a switchover."""
        self.drained_s = (now_s, INF)

    def written_s(self, at_s: float) -> float:
        """Return the commit time of the last write before an instant, as far as a drain tells: it ends all writes."""
        since_s, until_s = self.drained_s
        return since_s if since_s <= at_s < until_s else at_s

    def end_drain(self, now_s: float) -> None:
        """Be done with a switchover, one way or the other."""
        self.handed_over = False
        self.drained_s = (self.drained_s[0], min(self.drained_s[1], now_s))

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
