"""Padded arrays of answers and of ways: the data that :mod:`mrsim.routes` works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.trace import INF, NO_EVENT, Change

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.trace import Span, Trace

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

ErrorPiece = tuple[float, float, int, int, float]
"""A piece and the share of requests that fail in it."""

Piece = tuple[float, float, int, int]
"""Start, end, the event that began it, and a label of the caller's."""

Shares = tuple[tuple[str, float], ...]
"""Regions and their shares of the answers."""

Pieces = Callable[[int, str], Sequence[Piece]]
"""From (trial of the chunk, node) to when requests to that node succeed."""


@dataclass(frozen=True, eq=False)
class Changes:
    """What an authority answered, per trial: padded changes and, per trial, the targets before and after each."""

    changes_s: Floats
    events: Ints
    targets: list[tuple[str, ...]]
    cached: NDArray[np.bool_]
    """Whether a change waits for the last answer to be fetched again."""
    shares: list[tuple[Shares, ...]]
    """Beside the targets: what answers are drawn from, where they are."""
    lives_s: Floats
    """The life that answers have from a change on; NaN where it does not change."""
    moves: NDArray[np.bool_]
    """Whether a change leads elsewhere; else it only changes the life of the answers."""

    def alike(self, other: Changes) -> bool:
        """Return whether caches see both at the same instants."""
        return all(
            np.array_equal(mine, its, equal_nan=mine.dtype.kind == "f")
            for mine, its in (
                (self.changes_s, other.changes_s),
                (self.cached, other.cached),
                (self.lives_s, other.lives_s),
                (self.moves, other.moves),
            )
        )

    def same_rows(self, other: Changes) -> NDArray[np.bool_]:
        """Return in which trials both lead to the same places at the same instants, however far they are padded."""
        return np.array(
            [
                mine == its and np.array_equal(ours[ours < INF], theirs[theirs < INF])
                for mine, its, ours, theirs in zip(
                    self.targets, other.targets, self.changes_s, other.changes_s, strict=True
                )
            ]
        )

    def lives_from(self, first_s: float) -> float | Floats:
        """Return the life of the first answer, if it never changes, or of each, shape ``(trials, changes + 1)``."""
        if np.isnan(self.lives_s).all():
            return first_s
        lives = np.full((len(self.lives_s), self.lives_s.shape[1] + 1), first_s)
        for index in range(self.lives_s.shape[1]):
            told = self.lives_s[:, index]
            lives[:, index + 1] = np.where(np.isnan(told), lives[:, index], told)
        return lives


@dataclass(frozen=True, eq=False)
class Slab:
    """Requests of one cohort that take one way: they get through in ``[start_s, end_s)`` (empty where end <= start).

    Attributes
    ----------
    cohort, weight
        Whose requests, and the weight of each point, shape ``(points,)``.
    rows
        Trials of the chunk that have this way: a slice over all, or indices; all arrays below have these rows.
    start_s, end_s
        Shape ``(rows, points)``.
    label
        Label of the piece of each row, shape ``(rows,)``.
    region_from_s, region_event
        When each point followed its record to this region, ``(rows, points)`` or None for the first, and the change's
        event per row.
    node_seen_s, node_from_s, node_event
        When each point's instance saw the endpoint's answer, when its connections worked, and the change's event.
    open_from_s, open_event
        When the way opened, and the event that opened it, per row.
    regions
        The region that it leads through in each trial of the chunk, whether or not the trial has it.
    again
        In which of the rows requests come there on a proxy's second try; None: in none.
    """

    cohort: str
    weight: Floats
    rows: slice | Ints
    start_s: Floats
    end_s: Floats
    label: Ints
    region_from_s: Floats | None
    region_event: Ints
    node_seen_s: Floats | None
    node_from_s: Floats | None
    node_event: Ints
    open_from_s: Floats
    open_event: Ints
    regions: tuple[str, ...]
    again: NDArray[np.bool_] | None = None

    def trials(self, count: int) -> Ints:
        """Return the trial of each of its rows, in a chunk of so many trials."""
        return np.arange(count) if isinstance(self.rows, slice) else self.rows


@dataclass(frozen=True, eq=False)
class Layer:
    """One segment of a layer for all points of a cohort: from when, until when, and the event of its change."""

    from_s: Floats | None
    until_s: Floats | None
    change_s: Floats
    event: Ints
    seen_s: Floats | None = None
    again: NDArray[np.bool_] | None = None
    """In which trials requests come here on a proxy's second try, shape ``(trials,)``; None: in none."""


@dataclass(frozen=True, eq=False)
class Packed:
    """Pieces of a way per trial, padded: shape ``(trials, pieces)``; absent where the start is infinite."""

    start_s: Floats
    end_s: Floats
    event: Ints
    label: Ints
    errors: Floats | None


def moves(spans: Mapping[str, Sequence[Span]], latest: bool) -> list[Change]:
    """Return where work was done in one trial, of places that worked at some times: the answers of an authority.

    Parameters
    ----------
    spans
        When each place worked; one of them does from the start.
    latest
        Of several places that work at once, whether that counts which began last, or that which began first.
    """
    turns = sorted({span.start_s for each in spans.values() for span in each if span.end_s > span.start_s})
    ends = {span.end_s for each in spans.values() for span in each if -INF < span.end_s < INF}
    found: list[Change] = []
    for at_s in sorted({*turns, *ends}):
        working = [(span.start_s, place, span) for place, each in spans.items() for span in each if _holds(span, at_s)]
        if not working:
            continue
        _, place, span = max(working, key=_place) if latest else min(working, key=_place)
        if not found or found[-1].target != place:
            ended = [one.ended_by for each in spans.values() for one in each if one.end_s == at_s]
            found.append(Change(at_s, place, span.began_by if span.start_s == at_s or not ended else ended[0]))
    return found


def _holds(span: Span, at_s: float) -> bool:
    return span.start_s <= at_s < span.end_s


def _place(item: tuple[float, str, Span]) -> tuple[float, str]:
    return item[:2]


def padded_changes(answers: Sequence[Sequence[Change]]) -> Changes:
    """Return the changes of many trials as padded arrays; one to the same target, of the same life, is none."""
    targets: list[tuple[str, ...]] = []
    shares: list[tuple[Shares, ...]] = []
    rows: list[list[Change]] = []
    for changes in answers:
        seen: list[str] = []
        drawn: list[Shares] = []
        row: list[Change] = []
        for change in changes:
            if not seen and change.at_s > -INF:
                seen.append("")
                drawn.append(())
            if not seen:
                seen.append(change.target)
                drawn.append(change.shares)
            elif change.target != seen[-1] or change.ttl_s is not None:
                seen.append(change.target)
                drawn.append(change.shares)
                row.append(change)
        targets.append(tuple(seen) or ("",))
        shares.append(tuple(drawn) or ((),))
        rows.append(row)
    width = max((len(row) for row in rows), default=0)
    times = np.full((len(rows), width), np.inf)
    events = np.full((len(rows), width), NO_EVENT, dtype=np.int64)
    cached = np.ones((len(rows), width), dtype=np.bool_)
    lives = np.full((len(rows), width), np.nan)
    moves = np.ones((len(rows), width), dtype=np.bool_)
    for index, row in enumerate(rows):
        for place, change in enumerate(row):
            times[index, place] = change.at_s
            events[index, place] = change.event
            cached[index, place] = change.cached
            moves[index, place] = targets[index][place + 1] != targets[index][place]
            if change.ttl_s is not None:
                lives[index, place] = change.ttl_s
    return Changes(times, events, targets, cached, shares, lives, moves)


def segments(changes: Changes, sees: Floats, works: Floats) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """Yield the segments between changes, with the target of each trial ('' where it has none so late)."""
    count, number = changes.changes_s.shape
    for index in range(number + 1):
        targets = tuple(names[index] if index < len(names) else "" for names in changes.targets)
        until = sees[:, index] if index < number else None
        if index == 0:
            none = np.full(count, NO_EVENT, dtype=np.int64)
            yield Layer(None, until, np.full(count, -np.inf), none), targets
        else:
            before = index - 1
            from_s, change_s = works[:, before], changes.changes_s[:, before]
            yield Layer(from_s, until, change_s, changes.events[:, before], sees[:, before]), targets


def with_errors(
    piece: Piece, errors: Sequence[tuple[float, float, float]] | None, trace: Trace
) -> Iterator[ErrorPiece]:
    """Split a piece where the share of failing requests changes; what follows an error span began with its end."""
    start, end, event, label = piece
    at = start
    for begin, finish, share in errors or ():
        if finish <= at or begin >= end or share <= 0.0:
            continue
        if begin > at:
            yield at, begin, event, label, 0.0
        yield max(at, begin), min(finish, end), event, label, share
        at = min(finish, end)
        event = _event_at(trace, at, event)
    if at < end:
        yield at, end, event, label, 0.0


def _event_at(trace: Trace, at_s: float, otherwise: int) -> int:
    """Return the event of that very instant, a fault's end before any other."""
    same = [index for index, event in enumerate(trace.events) if event.at_s == at_s]
    ends = [index for index in same if trace.events[index].kind == "fault-ends"]
    return (ends or same or [otherwise])[0]


def padded(rows: list[list[ErrorPiece]], *, errors: bool) -> Packed:
    """Return the pieces of every trial as padded arrays."""
    width = max(map(len, rows), default=0)
    times = np.full((2, len(rows), width), np.inf)
    codes = np.zeros((2, len(rows), width), dtype=np.int64)
    shares = np.zeros((len(rows), width)) if errors else None
    for place in range(width):
        having = [index for index, row in enumerate(rows) if len(row) > place]
        columns = list(zip(*(rows[index][place] for index in having), strict=True))
        times[0, having, place], times[1, having, place] = columns[0], columns[1]
        codes[0, having, place], codes[1, having, place] = columns[2], columns[3]
        if shares is not None:
            shares[having, place] = columns[4]
    return Packed(times[0], times[1], codes[0], codes[1], shares)
