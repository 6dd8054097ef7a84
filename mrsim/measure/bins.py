"""The commit times of one store and trial, sorted into bins: where commits went and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from mrsim.spans import Interval, intersect, unite
from mrsim.trace import INF, NO_EVENT, Copied

if TYPE_CHECKING:
    from mrsim.slabs import Piece
    from mrsim.trace import AckSpan, StoreTrace


class Fate(IntEnum):
    """What became of the commits of a bin (the model's write ledger)."""

    KEPT = 0
    LOST = 1
    DIVERGENT = 2
    PENDING = 3
    SURVIVED = 4
    GONE = 5

    @property
    def acknowledged(self) -> bool:
        """Whether the client was told that it was committed."""
        return self <= Fate.PENDING

    @property
    def absent(self) -> bool:
        """Whether it was acknowledged and is not in the surviving history."""
        return self in (Fate.LOST, Fate.DIVERGENT)


@dataclass(frozen=True, slots=True)
class Bin:
    """An interval of commit times on one node and history in which all commits share one fate.

    But for those that were not ``copied``: they are ``missing``.
    """

    start_s: float
    end_s: float
    node: str
    history: int
    fate: Fate
    event: int
    copied: Copied | None = None
    missing: Fate = Fate.LOST

    @property
    def lacks(self) -> bool:
        """Whether some that were acknowledged may be absent."""
        return self.fate.absent or self.copied is not None


@dataclass(frozen=True, slots=True)
class Lacking:
    """What is missing of the commits of one bin that were copied one by one.

    Attributes
    ----------
    mass, count
        How many are expected to be, of those that the ledger counts, and how many are.
    oldest_s
        When the oldest was put, which may be before the trial began; known of the oldest bin that lacks any.
    """

    mass: float
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Bins:
    """All bins of one store and trial, ascending by node and time, and the same as labelled pieces of each node."""

    bins: tuple[Bin, ...]
    pieces: dict[str, tuple[Piece, ...]]


def kept_until_s(store: StoreTrace) -> dict[int, float]:
    """Return, per history on the surviving chain, the commit time from which on its commits are not part of it."""
    kept: dict[int, float] = {}
    index, until = store.surviving, INF
    while index != NO_EVENT and index not in kept:
        kept[index] = until
        # A node that had not caught up with the history it was on forks from what is older than it.
        until = min(until, store.histories[index].forked_at_s)
        index = store.histories[index].parent
    return kept


def branches(store: StoreTrace) -> list[int]:
    """Return, per history, the one with which its branch begins: what is lost together, as one went on from the other.

    A history belongs to its parent's branch if all of it is absent, and so is the end of what it went on from. One that
    only lost its own end, or went on from what is kept, begins a branch.
    """
    kept, first = kept_until_s(store), list[int]()
    for index, history in enumerate(store.histories):
        gone = kept.get(index, -INF) <= history.forked_at_s
        goes_on = gone and history.parent != NO_EVENT and kept.get(history.parent, -INF) < history.forked_at_s
        first.append(first[history.parent] if goes_on else index)
    return first


def copied_one_by_one(store: StoreTrace) -> dict[int, Copied]:
    """Return, per history on the surviving chain, how its commits were copied, where that was one by one."""
    found: dict[int, Copied] = {}
    index = store.surviving
    while store.histories[index].parent != NO_EVENT:
        history = store.histories[index]
        if history.copied is not None:
            found[history.parent] = history.copied
        index = history.parent
    return found


def acknowledging(spans: list[AckSpan]) -> tuple[Interval, ...]:
    """Return when a node could acknowledge."""
    return tuple(
        (span.start_s, span.acked_until_s, span.began_by) for span in spans if span.acked_until_s > span.start_s
    )


def bins_of(store: StoreTrace) -> Bins:
    """Sort all commit times of a store into bins.

    Absent commits are divergent while another node could acknowledge, lost otherwise. While no history has been chosen,
    acknowledged commits of the surviving history that no running node holds are pending; unacknowledged ones count as
    gone.
    """
    kept, copied = kept_until_s(store), copied_one_by_one(store)
    could = {node: acknowledging(spans) for node, spans in store.acks.items()}
    bins: list[Bin] = []
    pieces: dict[str, tuple[Piece, ...]] = {}
    for node, spans in store.acks.items():
        if not spans:
            pieces[node] = ()
            continue
        first = len(bins)
        others = unite([could[other] for other in could if other != node]) if len(could) > 1 else ()
        for span in spans:
            bins.extend(_bins_of_span(store, node, span, kept, others, copied.get(span.history)))
        pieces[node] = tuple((b.start_s, b.end_s, b.event, first + index) for index, b in enumerate(bins[first:]))
    return Bins(tuple(bins), pieces)


def _bins_of_span(
    store: StoreTrace,
    node: str,
    span: AckSpan,
    kept: dict[int, float],
    others: tuple[Interval, ...],
    copied: Copied | None,
) -> list[Bin]:
    until = kept.get(span.history, -INF)
    pending = INF
    if span.history == store.surviving and not store.decided:
        pending = store.replicated_until_s
    found: list[Bin] = []

    def put(start: float, end: float, fate: Fate) -> None:
        if end > start:
            found.append(Bin(start, end, node, span.history, fate, span.began_by))

    start, acked, end = span.start_s, span.acked_until_s, span.end_s
    whole = min(until, pending)
    if copied is None:
        put(start, min(acked, whole), Fate.KEPT)
    else:
        for begin, finish, divergent in _split(start, min(acked, whole), others):
            missing = Fate.DIVERGENT if divergent else Fate.LOST
            found.append(Bin(begin, finish, node, span.history, Fate.KEPT, span.began_by, copied, missing))
    if until < INF:
        for begin, finish, divergent in _split(max(start, until), acked, others):
            put(begin, finish, Fate.DIVERGENT if divergent else Fate.LOST)
    else:
        put(max(start, pending), acked, Fate.PENDING)
    put(acked, min(end, whole), Fate.SURVIVED)
    put(max(acked, whole), end, Fate.GONE)
    return found


def _split(start: float, end: float, others: tuple[Interval, ...]) -> list[tuple[float, float, bool]]:
    """Split [start, end) where other nodes could acknowledge too."""
    if end <= start:
        return []
    found: list[tuple[float, float, bool]] = []
    at = start
    for begin, finish, _ in intersect(((start, end, NO_EVENT),), others):
        if begin > at:
            found.append((at, begin, False))
        found.append((begin, finish, True))
        at = finish
    if at < end:
        found.append((at, end, False))
    return found
