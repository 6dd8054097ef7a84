"""Laws of switchovers that are interrupted: the engine's own, and that nobody goes back beside another primary."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import Phase, given, settings
from hypothesis import seed as seed_of_examples
from hypothesis import strategies as st

from mrsim.trace import Trace
from tests.happened import events
from tests.properties.test_laws_engine import check_engine, region_of
from tests.strategies import Data, interrupted_switchovers

LOOKED_ONCE_S = 20.5
"""Generated switchovers go back 20 s after they are given up, if the old primary can be reached then."""


def check_ways_back(trace: Trace) -> None:
    """Who writes again because the work was called off was promoted last, and is the only one who writes then."""
    store = trace.stores["db"]
    for event in events(trace, "resumed-as-primary"):
        if event.note != "called off":
            continue
        begun = [history.node for history in store.histories if history.began_s <= event.at_s]
        # A cluster that was given up may promote one of its own, wherever the primary is.
        assert [node for node in begun if region_of(node) == region_of(event.subject)][-1] == event.subject
        for node, spans in store.acks.items():
            if node != event.subject and region_of(node) == region_of(begun[-1]):
                assert not any(span.start_s <= event.at_s < span.end_s for span in spans), (event, node)


def late(trace: Trace) -> bool:
    """Return whether an old primary went back that could not be reached at first."""
    back = [event for event in events(trace, "resumed-as-primary") if event.note == "called off"]
    return any(event.at_s - trace.events[event.cause].at_s > LOOKED_ONCE_S for event in back)


@settings(max_examples=60)
@given(interrupted_switchovers(), st.integers(0, 2**32))
def test_laws_of_interrupted_switchovers(data: Data, seed: int) -> None:
    for trace in check_engine(data, seed):
        check_ways_back(trace)


LEAST_SHARE = {"given up": 0.20, "back": 0.10, "back late": 0.03, "left to others": 0.05}
"""Share of the scenarios in which it must have happened in some trial."""


@pytest.mark.slow
@pytest.mark.timeout(1800)  # 300 scenarios, not one
def test_laws_of_many_interrupted_switchovers() -> None:
    seen: Counter[str] = Counter()
    made = 0

    @seed_of_examples(1)
    @settings(max_examples=300, phases=[Phase.explicit, Phase.generate], derandomize=False, database=None)
    @given(interrupted_switchovers(), st.integers(0, 2**32))
    def check(data: Data, seed: int) -> None:
        nonlocal made
        here: set[str] = set()
        for trace in check_engine(data, seed):
            check_ways_back(trace)
            given_up = bool(events(trace, "switchover-given-up"))
            back = any(event.note == "called off" for event in events(trace, "resumed-as-primary"))
            here |= {"given up"} if given_up else set()
            here |= {"back"} if back else {"left to others"} if given_up else set()
            here |= {"back late"} if late(trace) else set()
        made += 1
        seen.update(here)

    check()
    assert not {what: seen[what] for what, share in LEAST_SHARE.items() if seen[what] < share * made}, (made, seen)
