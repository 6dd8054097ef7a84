"""What one trial leaves behind: events with causes, signals, and the answers its clients were given.

A trace holds no arrays per client: where each client was follows from the answers (this module) and from the
population's phases (:mod:`mrsim.population`), which are a function of seed and trial. All times are seconds since the
start of the trial. Intervals are half-open, ``[start, end)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INF = float("inf")

NO_EVENT = -1
"""Cause of what was so from the start."""


def site_of(node: str) -> str:
    """Return the region or zone of a node by its name, ``store@site``."""
    return node.rpartition("@")[2]


PHASES = (
    "detection",
    "decision",
    "runbook",
    "fencing",
    "drain",
    "data_wait",
    "promotion",
    "restore",
    "relocation",
    "verification",
    "propagation",
    "reconnect",
    "repair",
    "unresolved",
)
"""Names of the parts of an outage, in the order of tables and plots (model: they add up exactly)."""


@dataclass(slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    at_s
        When.
    kind
        What, such as ``fault-starts``, ``verdict-down``, ``promoted``.
    subject
        Whom it happened to: a user's id, such as ``orders-db@eu-west``.
    cause
        Index of the event it followed from, or :data:`NO_EVENT`.
    phase
        What the time between the cause and this event was spent on (one of :data:`PHASES`), or empty.
    note
        A few words for the reader of the story.
    """

    at_s: float
    kind: str
    subject: str
    cause: int = NO_EVENT
    phase: str = ""
    note: str = ""


@dataclass(slots=True)
class Span:
    """An interval in which something held, and the events that began and ended it."""

    start_s: float
    end_s: float
    began_by: int = NO_EVENT
    ended_by: int = NO_EVENT


@dataclass(slots=True)
class AckSpan:
    """An interval of commit times at which a node could acknowledge writes.

    Commits that arrive in ``[start_s, acked_until_s)`` are acknowledged; those in ``[acked_until_s, end_s)`` were
    executed and never acknowledged: in doubt. ``end_s`` is when the node stopped executing commits, so it is also the
    last instant at which it *could* acknowledge.
    """

    start_s: float
    acked_until_s: float
    end_s: float
    history: int
    began_by: int = NO_EVENT
    ended_by: int = NO_EVENT


@dataclass(slots=True)
class Copied:
    """How the commits of a history were copied to a node one by one, each after a lag of its own, up to a fork.

    Attributes
    ----------
    spans
        When copying went on, ascending; the last ends where the history was forked.
    level_s
        Commits before this were there to begin with.
    oldest
        An exponential of mean 1, which says which commit is the oldest that is missing (:mod:`mrsim.lags`).
    """

    spans: tuple[tuple[float, float], ...]
    level_s: float
    oldest: float


@dataclass(slots=True)
class History:
    """One line of WAL: begun by the original primary or by a promotion.

    ``forked_at_s`` is a commit time on the parent: of the parent's commits, exactly those before it are part of this
    history, but for those that had not been ``copied``. ``began_s`` is when the new primary could first acknowledge.
    """

    node: str
    parent: int
    forked_at_s: float
    began_s: float
    event: int = NO_EVENT
    copied: Copied | None = None
    """How its node came by the parent's commits, if one by one and not all had arrived."""


@dataclass(slots=True)
class Change:
    """From ``at_s`` on the authority answers with ``target`` (a region, a node, or '' for no answer)."""

    at_s: float
    target: str
    event: int = NO_EVENT
    cached: bool = True
    """Whether who had the last answer goes on with it for its life; else it holds good and leads elsewhere."""
    ttl_s: float | None = None
    """The life of this answer and of later ones, where that has changed."""
    shares: tuple[tuple[str, float], ...] = ()
    """Of a weighted record: the regions that answers are drawn from, and their shares; ``target`` says it in words."""


@dataclass(slots=True)
class Reconciled:
    """What a node had acknowledged before ``until_s`` and the surviving history lacked was written again at ``at_s``.

    ``history`` is the one that it was written on.
    """

    node: str
    until_s: float
    at_s: float
    history: int
    event: int


@dataclass(slots=True)
class Reading:
    """A sample of what readers are shown: at ``at_s``, by whom wrote through ``service`` at ``wrote_s``, or by anybody.

    ``sees_s`` is, per node, the commit time up to which its readers see what was written; infinite for a primary.
    """

    service: str
    wrote_s: float
    at_s: float
    sees_s: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Asked:
    """Whose answers a commit waits for: of as many of these places as are ``needed``, the first to answer."""

    needed: int
    places: tuple[str, ...]


@dataclass(slots=True)
class Delivered:
    """What a consumer got over one connection: the commits of a line of WAL from one commit time up to another.

    ``history`` is the line: its own commits after its fork, its ancestors' before. A ``fresh`` consumer was filled anew
    with all of it, and holds nothing that it got before. One that is ``open`` goes on at the end of the trial.
    """

    history: int
    from_s: float
    to_s: float
    fresh: bool = False
    open: bool = False


@dataclass(slots=True)
class FeedTrace:
    """What happened to one consumer of a store's changes."""

    delivered: list[Delivered]
    """In order of time."""
    complete: list[Span]
    """When it was no further behind than it always is, and had missed nothing."""
    lag_s: float
    """How old the newest of what it showed was, at the first fault; at the start if there was none."""
    longest_s: float
    """Longest time from a commit to its showing there; of those that never do, as long as they waited."""
    level_s: float
    """When it had last caught up with its primary, whatever it had missed; infinite while it has not."""
    waiting: bool
    """Whether it was sent nothing at the end: it did not read, or its primary held it back."""


@dataclass(slots=True)
class StoreTrace:
    """What happened to one store."""

    histories: list[History]
    acks: dict[str, list[AckSpan]]
    """Per node: when it could acknowledge."""
    reads: dict[str, list[Span]]
    """Per node: when it could answer reads."""
    endpoint: dict[str, list[Change]]
    """Per region: the endpoint's answers as its authority gives them there; first entry at -inf."""
    surviving: int
    """Index of the history that was chosen last."""
    decided: bool
    """False while a node that holds unreplicated acknowledged writes of the surviving history is down or cut off."""
    replicated_until_s: float
    """Commits of the surviving history before this time exist on a node that is up (infinite if its primary is up)."""
    redundant: list[Span] = field(default_factory=lambda: [Span(-INF, INF)])
    """When the surviving history's primary had as many standbys as its commit rule asks for, at least one."""
    reconciled: list[Reconciled] = field(default_factory=list)
    """What people brought back from the disks of former primaries."""
    readings: list[Reading] = field(default_factory=list)
    """Samples of what readers are shown, by time; none if no service asks."""
    asked: dict[str, Asked] = field(default_factory=dict)
    """Per node that acknowledges at the end of the trial and waits for others: whom."""


@dataclass(slots=True)
class Trace:
    """One trial.

    Attributes
    ----------
    front
        Per (cohort, region): when a request from the cohort reaches the region's front door and its answer comes back.
    links
        Per (region, node): when a service in the region can talk to the node, both ways.
    serving
        Per (service, region): when the service's instances served there; pairs that always did are left out.
    error_rate
        Per region: spans with the share of application requests that fail there; absent means 0.
    answers
        Per record and cohort: the authority's answers; first entry at -inf.
    burst_phase_s
        Per store: time since the start of the current burst period at t = 0 (0 without bursts).
    fault_events, fault_effects
        Per fault: index of its first event, or NO_EVENT if it began after the horizon; and whether it had any effect.
    """

    seed: int
    trial: int
    horizon_s: float
    end_s: float
    """When nothing could change any more (early stop), or the horizon."""
    stopped_early: bool
    fault_s: float
    """Start of the first fault; infinite if there was none within the horizon."""
    events: list[Event]
    stores: dict[str, StoreTrace]
    front: dict[tuple[str, str], list[Span]]
    links: dict[tuple[str, str], list[Span]]
    answers: dict[str, dict[str, list[Change]]]
    error_rate: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    burst_phase_s: dict[str, float] = field(default_factory=dict)
    tries: dict[str, dict[tuple[str, str], list[Change]]] = field(default_factory=dict)
    """Per record with a proxy: by (cohort, region) where requests sent to the region are answered on a second try."""
    fault_events: list[int] = field(default_factory=list)
    fault_effects: list[bool] = field(default_factory=list)
    serving: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    feeds: dict[str, FeedTrace] = field(default_factory=dict)
    """Per feed: what its consumer got."""

    def __repr__(self) -> str:
        """Return the trial in a line: where it comes from, when the fault was, how much happened."""
        fault = f"first fault at {self.fault_s:.1f} s" if self.fault_s < INF else "no fault"
        return f"Trace(seed {self.seed}, trial {self.trial}: {fault}, {len(self.events)} events, to {self.end_s:.1f} s)"

    def _repr_html_(self) -> str:
        from mrsim.report.html import trace_html

        return trace_html(self)
