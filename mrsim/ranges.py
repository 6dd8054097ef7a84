"""The algebra of :mod:`mrsim.spans` for all trials of a chunk at once: padded arrays of half-open intervals.

Trials of a study differ in when things happen far more than in what happens, so that a chunk needs few columns and one
operation on arrays does the work of hundreds on tuples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrsim.spans import ALWAYS
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import TypeVar

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Name = TypeVar("Name", bound=Hashable)


class Ranges(NamedTuple):
    """Disjoint intervals of every trial, ascending from the left, shape ``(trials, width)``.

    Attributes
    ----------
    start_s, end_s
        Infinite, both, where a trial has no more.
    event
        What began it.
    label
        A number of the caller's.
    """

    start_s: Floats
    end_s: Floats
    event: Ints
    label: Ints

    @property
    def always(self) -> bool:
        """Whether every trial has the one interval that is always."""
        return self.start_s.shape[1] == 1 and bool((self.start_s == -INF).all() and (self.end_s == INF).all())

    def tidy(self, present: Bools) -> Ranges:
        """Return those that are present, moved to the left."""
        width = int(present.sum(axis=1).max(initial=0))
        order: Ints | None = None
        if (present[:, 1:] > present[:, :-1]).any():
            order = np.argsort(~present, axis=1, kind="stable")

        def moved(part: NDArray[Any]) -> NDArray[Any]:
            return (part if order is None else np.take_along_axis(part, order, axis=1))[:, :width]

        there = moved(present)
        if there.all():
            return Ranges(*map(moved, self))
        start, end = (np.where(there, moved(part), INF) for part in (self.start_s, self.end_s))
        return Ranges(start, end, *(np.where(there, moved(part), 0) for part in (self.event, self.label)))


def of_rows(rows: Sequence[Sequence[tuple[float, ...]]]) -> Ranges:
    """Return intervals given trial by trial: (start, end, event), or with a label (0 otherwise)."""
    counts = np.array([len(row) for row in rows])
    if not counts.any():
        return nowhere(len(rows))
    shape = (len(rows), int(counts.max()))
    there = np.arange(shape[1]) < counts[:, None]
    flat = np.array([piece for row in rows for piece in row]).reshape(int(counts.sum()), -1)
    found = Ranges(np.full(shape, INF), np.full(shape, INF), *np.zeros((2, *shape), dtype=np.int64))
    for column, part in enumerate(found[: flat.shape[1]]):
        part[there] = flat[:, column]
    return found


def everywhere(count: int) -> Ranges:
    """Return what holds always, in that many trials."""
    (interval,) = ALWAYS
    start, end = np.full((count, 1), interval[0]), np.full((count, 1), interval[1])
    return Ranges(start, end, np.full((count, 1), interval[2]), np.zeros((count, 1), dtype=np.int64))


def nowhere(count: int) -> Ranges:
    """Return what never holds, in that many trials."""
    return Ranges(*np.zeros((2, count, 0)), *np.zeros((2, count, 0), dtype=np.int64))


def meet(first: Ranges, second: Ranges) -> Ranges:
    """Return where both hold, as :func:`mrsim.spans.intersect`; labels are the second's."""
    if first.always:
        return second
    shape = (len(first.start_s), -1)
    early, late = first.start_s[:, :, None], second.start_s[:, None, :]
    start = np.maximum(early, late).reshape(shape)
    end = np.minimum(first.end_s[:, :, None], second.end_s[:, None, :]).reshape(shape)
    event = np.where(early > late, first.event[:, :, None], second.event[:, None, :]).reshape(shape)
    label = np.broadcast_to(second.label[:, None, :], np.broadcast(early, late).shape).reshape(shape)
    return Ranges(start, end, event, label).tidy(end > start)


def join(parts: Sequence[Ranges]) -> Ranges:
    """Return where any holds, as :func:`mrsim.spans.unite`; labels are lost."""
    for part in parts:
        if len(parts) == 1 or part.always:
            return part
    start, end = (np.concatenate(group, axis=1) for group in list(zip(*parts, strict=True))[:2])
    event = np.concatenate([part.event for part in parts], axis=1)
    order = np.lexsort((event, end, start), axis=1)
    start, end, event = (np.take_along_axis(part, order, axis=1) for part in (start, end, event))
    until = np.maximum.accumulate(np.where(start < INF, end, -INF), axis=1)
    begins = start < INF
    begins[:, 1:] &= start[:, 1:] > until[:, :-1]
    # a merged interval lasts to the latest end before the next begins
    last = np.ones_like(begins)
    last[:, :-1] = begins[:, 1:] | (start[:, 1:] == INF)
    place = np.arange(begins.shape[1])
    closes = np.minimum.accumulate(np.where(last, place, len(place) - 1)[:, ::-1], axis=1)[:, ::-1]
    end = np.take_along_axis(until, closes, axis=1)
    return Ranges(start, end, event, np.zeros_like(event)).tidy(begins)


def chosen(names: Sequence[Name], of: Callable[[Name], Ranges]) -> Ranges:
    """Return for every trial those of its name."""
    kinds = dict.fromkeys(names)
    if len(kinds) == 1:
        return of(names[0])
    parts = {name: of(name) for name in kinds}
    shape = (len(names), max(part.start_s.shape[1] for part in parts.values()))
    found = Ranges(np.full(shape, INF), np.full(shape, INF), *np.zeros((2, *shape), dtype=np.int64))
    for name, part in parts.items():
        rows = [row for row, own in enumerate(names) if own == name]
        for whole, mine in zip(found, part, strict=True):
            whole[rows, : mine.shape[1]] = mine[rows]
    return found
