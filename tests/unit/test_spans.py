"""The algebra of intervals, against the answer instant by instant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mrsim.spans import ALWAYS, Interval, gaps, intersect, length, of_spans, unite
from mrsim.trace import INF, Span

INSTANTS = [number + 0.5 for number in range(-1, 21)]


@st.composite
def intervals(draw: st.DrawFn) -> tuple[Interval, ...]:
    """Disjoint ascending intervals between whole numbers."""
    cuts = sorted(draw(st.lists(st.integers(0, 20), max_size=8, unique=True)))
    return tuple((float(a), float(b), a) for a, b in zip(cuts[::2], cuts[1::2], strict=False))


def holds(parts: tuple[Interval, ...], at: float) -> bool:
    return any(start <= at < end for start, end, _ in parts)


@given(intervals(), intervals(), intervals())
def test_the_algebra_instant_by_instant(
    one: tuple[Interval, ...], two: tuple[Interval, ...], three: tuple[Interval, ...]
) -> None:
    both, either = intersect(one, two), unite([one, two, three])
    between = tuple((start, end, 0) for start, end in gaps(one, 0.0, 20.0))
    for at in INSTANTS:
        held = [holds(part, at) for part in (one, two, three)]
        assert holds(both, at) == (held[0] and held[1])
        assert holds(either, at) == any(held)
        assert holds(between, at) == (0 <= at < 20 and not held[0])
    assert length(one, 0.0, 20.0) + length(between, 0.0, 20.0) == 20.0


def test_a_piece_begins_with_the_later_beginning_and_a_tie_goes_to_the_second() -> None:
    assert intersect(((0.0, 9.0, 1),), ((3.0, 5.0, 2),)) == ((3.0, 5.0, 2),)
    assert intersect(((3.0, 9.0, 1),), ((3.0, 5.0, 2),)) == ((3.0, 5.0, 2),)
    assert intersect(((4.0, 9.0, 1),), ((3.0, 5.0, 2),)) == ((4.0, 5.0, 1),)


def test_what_always_holds_changes_nothing() -> None:
    part = ((3.0, 5.0, 2),)
    assert intersect(ALWAYS, part) == intersect(part, ALWAYS) == part
    assert of_spans([Span(-INF, INF)]) is ALWAYS
    assert unite([part, ALWAYS]) is ALWAYS
    assert of_spans([Span(2.0, 2.0), Span(3.0, 4.0, 7)]) == ((3.0, 4.0, 7),)
