"""The algebra of intervals over a whole chunk against the same algebra of one trial after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mrsim import spans
from mrsim.ranges import Ranges, chosen, everywhere, join, meet, nowhere, of_rows
from mrsim.spans import ALWAYS, Interval
from mrsim.trace import INF, NO_EVENT

TRIALS = 4

Chunk = list[tuple[Interval, ...]]


@st.composite
def intervals(draw: st.DrawFn) -> tuple[Interval, ...]:
    """Disjoint intervals that do not touch, some of them endless."""
    times = sorted(draw(st.sets(st.integers(0, 12), max_size=6)))
    cuts = [float(time) for time in times]
    if draw(st.booleans()):
        cuts = [-INF, *cuts]
    if len(cuts) % 2:
        cuts.append(INF)
    pairs = list(zip(cuts[::2], cuts[1::2], strict=True))
    return tuple((start, end, NO_EVENT if start == -INF else draw(st.integers(0, 9))) for start, end in pairs)


chunks = st.lists(intervals(), min_size=TRIALS, max_size=TRIALS)


def rows_of(found: Ranges) -> Chunk:
    """Take arrays apart again; what is absent is to the right, and infinite."""
    rows = []
    for start, end, event in zip(found.start_s, found.end_s, found.event, strict=True):
        there = start < INF
        assert not (there[1:] & ~there[:-1]).any()
        assert (end[~there] == INF).all()
        rows.append(tuple(zip(start[there].tolist(), end[there].tolist(), event[there].tolist(), strict=True)))
    return rows


def arrays(chunk: Chunk) -> Ranges:
    """Label every piece with its place."""
    return of_rows([[(*piece, place) for place, piece in enumerate(row)] for row in chunk])


@given(chunks)
def test_arrays_hold_what_they_were_made_of(chunk: Chunk) -> None:
    assert rows_of(arrays(chunk)) == rows_of(of_rows(chunk)) == chunk
    assert rows_of(everywhere(TRIALS)) == [ALWAYS] * TRIALS
    assert everywhere(TRIALS).always
    assert rows_of(nowhere(TRIALS)) == [()] * TRIALS


@given(chunks, chunks)
def test_meet_is_intersect_in_every_trial(first: Chunk, second: Chunk) -> None:
    found = meet(arrays(first), arrays(second))
    assert rows_of(found) == [spans.intersect(a, b) for a, b in zip(first, second, strict=True)]
    for trial, row in enumerate(second):
        for place in np.flatnonzero(found.start_s[trial] < INF):
            start, end, _ = row[found.label[trial, place]]
            assert start <= found.start_s[trial, place] < found.end_s[trial, place] <= end
    assert rows_of(meet(everywhere(TRIALS), arrays(second))) == second


@given(st.lists(chunks, min_size=1, max_size=3))
def test_join_is_unite_in_every_trial(parts: list[Chunk]) -> None:
    found = rows_of(join([arrays(part) for part in parts]))
    assert found == [spans.unite(list(row)) for row in zip(*parts, strict=True)]
    assert all(a[1] < b[0] for row in found for a, b in pairwise(row))


@given(chunks, chunks, st.lists(st.booleans(), min_size=TRIALS, max_size=TRIALS))
def test_every_trial_gets_the_ranges_of_its_name(first: Chunk, second: Chunk, names: list[bool]) -> None:
    found = chosen(names, lambda name: arrays(first if name else second))
    assert rows_of(found) == [a if name else b for name, a, b in zip(names, first, second, strict=True)]
