"""Random hand-made traces: anything may go up and down, a promotion may happen, the old primary may come back."""

from __future__ import annotations

from hypothesis import strategies as st

from mrsim.trace import INF, NO_EVENT, PHASES, AckSpan, Change, Event, History, Span, StoreTrace, Trace
from tests.measure.traces import EAST, FAULT_S, HORIZON_S, WEST

# Odd fractions keep the times of different things apart; some lie beyond the horizon.
TIMES = st.integers(1, 60_000).map(lambda number: number / 7.3)
PARTS = st.sampled_from([phase for phase in PHASES if phase != "unresolved"])


class Story:
    """Events of a trace in the making: every new one follows from an earlier one."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.events = [Event(FAULT_S, "fault-starts", "west")]

    def tell(self, at_s: float) -> int:
        """Add an event and return its index."""
        earlier = [index for index, event in enumerate(self.events) if event.at_s <= at_s]
        cause = self.draw(st.sampled_from([NO_EVENT, *earlier]))
        kind = self.draw(st.sampled_from(["changed", "fault-ends"]))
        self.events.append(Event(at_s, kind, "west", cause, self.draw(PARTS) if cause != NO_EVENT else ""))
        return len(self.events) - 1


def spans(draw: st.DrawFn, story: Story, most: int = 4) -> list[Span]:
    """When something held; it does at first."""
    times = sorted(draw(st.lists(TIMES, max_size=most, unique=True)))
    found = [Span(-INF, INF)]
    for index, at_s in enumerate(times):
        if index % 2 == 0:
            found[-1].end_s = at_s
        else:
            found.append(Span(at_s, INF, story.tell(at_s)))
    return found


def scaled_down(draw: st.DrawFn, story: Story) -> list[Span]:
    """When instances served that may not be there at first."""
    found = spans(draw, story)
    if draw(st.booleans()):
        found[0].end_s = -INF
    return found


def acks(draw: st.DrawFn, spans_: list[Span], history: int) -> list[AckSpan]:
    """Turn spans into spans of commits, each with a tail in doubt."""
    found = []
    for span in spans_:
        start = max(span.start_s, 0.0)
        acked = (
            span.end_s if span.end_s == INF else start + (span.end_s - start) * draw(st.sampled_from([0.0, 0.9, 1.0]))
        )
        found.append(AckSpan(span.start_s, acked, span.end_s, history, span.began_by, span.ended_by))
    return found


@st.composite
def stores(draw: st.DrawFn, story: Story) -> StoreTrace:
    """A store, promoted or not."""
    west = acks(draw, spans(draw, story), 0)
    histories = [History(WEST, NO_EVENT, INF, -INF)]
    east: list[AckSpan] = []
    if draw(st.booleans()):
        began = draw(TIMES)
        event = story.tell(began)
        fork = began * draw(st.sampled_from([0.5, 0.99, 1.0]))
        histories.append(History(EAST, 0, fork, began, event))
        east = [AckSpan(began, INF, INF, 1, event)]
        if draw(st.booleans()):
            east[0].acked_until_s = east[0].end_s = began + draw(TIMES)
    decided = draw(st.booleans())
    return StoreTrace(
        histories=histories,
        acks={WEST: west, EAST: east},
        reads={WEST: spans(draw, story), EAST: spans(draw, story)},
        endpoint={region: changes(draw, story, [WEST, EAST]) for region in ("west", "east")},
        surviving=draw(st.integers(0, len(histories) - 1)),
        decided=decided,
        replicated_until_s=INF if decided else draw(TIMES),
    )


def changes(draw: st.DrawFn, story: Story, targets: list[str]) -> list[Change]:
    """An authority's answers."""
    found = [Change(-INF, targets[0])]
    for at_s in sorted(draw(st.lists(TIMES, max_size=3, unique=True))):
        found.append(Change(at_s, draw(st.sampled_from([*targets, *targets, ""])), story.tell(at_s)))
    return found


@st.composite
def traces(draw: st.DrawFn, trial: int = 0) -> Trace:
    """A trial of the two-region scenario."""
    story = Story(draw)
    store = draw(stores(story))
    front = {
        (cohort, region): spans(draw, story) for cohort in ("west-users", "east-users") for region in ("west", "east")
    }
    links = {("east", WEST): spans(draw, story), ("west", EAST): spans(draw, story)}
    answers = {
        "west-users": changes(draw, story, ["west", "east"]),
        "east-users": changes(draw, story, ["east", "west"]),
    }
    scaled = draw(st.lists(st.sampled_from([("front", "east"), ("api", "east"), ("api", "west")]), unique=True))
    start = draw(TIMES)
    errors = {"east": [(start, start + draw(TIMES), 0.4)]} if draw(st.booleans()) else {}
    return Trace(
        seed=1,
        trial=trial,
        horizon_s=HORIZON_S,
        end_s=HORIZON_S,
        stopped_early=draw(st.booleans()),
        fault_s=FAULT_S,
        events=story.events,
        stores={"db": store},
        front=front,
        links=links,
        answers={"shop": answers},
        error_rate=errors,
        burst_phase_s={"db": draw(st.floats(0.0, 600.0))},
        serving={pair: scaled_down(draw, story) for pair in scaled},
    )


def chunks(number: int = 3) -> st.SearchStrategy[list[Trace]]:
    """Some consecutive trials."""
    return st.tuples(*(traces(trial) for trial in range(number))).map(list)
