"""Small algebra of half-open intervals of one trial, as plain tuples: (start, end, event that began it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrsim.trace import Span

Interval = tuple[float, float, int]
"""Start, end (seconds, half-open), and the event that began it."""

ALWAYS: tuple[Interval, ...] = ((-INF, INF, NO_EVENT),)


def of_spans(spans: Iterable[Span]) -> tuple[Interval, ...]:
    """Return a signal's spans as intervals, empty ones left out."""
    found = tuple((span.start_s, span.end_s, span.began_by) for span in spans if span.end_s > span.start_s)
    return ALWAYS if found == ALWAYS else found


def intersect(first: Sequence[Interval], second: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return where both hold; each piece begins with the later of the two beginnings (a tie goes to the second)."""
    if first is ALWAYS:
        return second if isinstance(second, tuple) else tuple(second)
    if second is ALWAYS:
        return first if isinstance(first, tuple) else tuple(first)
    pieces = []
    i = j = 0
    while i < len(first) and j < len(second):
        a, b = first[i], second[j]
        start, event = (a[0], a[2]) if a[0] > b[0] else (b[0], b[2])
        end = min(a[1], b[1])
        if end > start:
            pieces.append((start, end, event))
        if a[1] <= b[1]:
            i += 1
        else:
            j += 1
    return tuple(pieces)


def unite(parts: Sequence[Sequence[Interval]]) -> tuple[Interval, ...]:
    """Return where any holds; touching intervals merge and keep the event of the earliest."""
    if len(parts) == 1:
        return tuple(parts[0])
    if ALWAYS in parts:
        return ALWAYS
    merged: list[Interval] = []
    for start, end, event in sorted(piece for part in parts for piece in part):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end, merged[-1][2])
        elif end > start:
            merged.append((start, end, event))
    return tuple(merged)


def gaps(intervals: Sequence[Interval], start_s: float, end_s: float) -> tuple[tuple[float, float], ...]:
    """Return the parts of [start, end) that no interval (ascending, disjoint) covers."""
    found = []
    at = start_s
    for begin, finish, _ in intervals:
        if begin > at:
            found.append((at, min(begin, end_s)))
        at = max(at, finish)
        if at >= end_s:
            return tuple(found)
    found.append((at, end_s))
    return tuple(found)


def length(intervals: Sequence[Interval], start_s: float, end_s: float) -> float:
    """Return how much of [start, end) the intervals (disjoint) cover, in seconds."""
    return sum(max(0.0, min(finish, end_s) - max(begin, start_s)) for begin, finish, _ in intervals)
