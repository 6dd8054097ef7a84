"""Standbys that lack something: how long they need to catch up, what they hold meanwhile, and who may rely on them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrsim.scenario.loader import loads
from mrsim.scenario.stores import Wal
from mrsim.sim.lines import Line
from mrsim.sim.nodes import Node
from mrsim.sim.run import Simulator
from mrsim.sim.wal import Fluid, Load
from mrsim.trace import INF, Trace
from tests.happened import when

WRITTEN = 200 * 2000.0
LINE = 5 * 125e3
CUT_S = 61.3


def _trace(text: str, seed: int = 42) -> Trace:
    return Simulator(loads(text)).run_chunk(seed, 0, 1)[0]


# After a promotion ---------------------------------------------------------------------------------------------------

REPOINTED = """\
name: repointed
horizon: 4h
regions: [us-east, eu-west, ap-southeast]
network:
  rtt: {us-east/eu-west: 70ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}
  wal_bandwidth: {'*/*': 5Mbit/s}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    failover: {detect: {from: operations}, decide: automatic, promote: {order: most-advanced}}
services: {orders: {writes: db}}
faults:
  - {kind: partition, between: us-east, and: ap-southeast, at: 61.3s, lasts: permanent, in_flight: lost}
  - {kind: region-loss, region: us-east, at: FIRSTs, lasts: permanent, connections: hang, in_flight: lost}
  - {kind: region-loss, region: eu-west, at: SECONDs, lasts: permanent, connections: hang, in_flight: lost}
"""


@pytest.mark.parametrize(("cut_s", "second_s"), [(3600.0, 60.0), (3600.0, 5000.0), (3600.0, 9000.0), (20.0, 200.0)])
def test_a_standby_pointed_at_the_new_primary_first_receives_what_it_lacks(cut_s: float, second_s: float) -> None:
    """It lacks W bytes per second of the cut, and receives B: after x seconds it has B·x of them, in order."""
    first_s = CUT_S + cut_s
    trace = _trace(REPOINTED.replace("FIRST", f"{first_s:.3f}").replace("SECOND", f"{first_s + second_s:.3f}"))
    histories = trace.stores["db"].histories
    assert [history.node for history in histories] == ["db@us-east", "db@eu-west", "db@ap-southeast"]
    held_s, fork_s = CUT_S - 0.1, histories[1].forked_at_s
    assert fork_s == pytest.approx(first_s - 0.035, abs=1e-6)
    attached_s = when(trace, "standby-attached", "db@ap-southeast")
    served = LINE * (first_s + second_s - 0.08 - attached_s)
    before = WRITTEN * (fork_s - held_s)
    if served <= before:
        expected_s = held_s + served / WRITTEN
    else:
        # What the new primary wrote comes after all that the old one had.
        expected_s = min(histories[1].began_s + (served - before) / WRITTEN, first_s + second_s - 0.08)
    assert histories[2].forked_at_s == pytest.approx(expected_s, abs=1e-6)


# While commits are blocked -------------------------------------------------------------------------------------------

BLOCKED = """\
name: blocked
horizon: 4h
regions: [us-east, eu-west]
network: {rtt: {us-east/eu-west: 70ms}, wal_bandwidth: {'*/*': 5Mbit/s}}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    commit: {any: 1, of: [eu-west]}
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    failover: {detect: {from: operations}, decide: automatic}
services: {orders: {writes: db}}
faults:
  - {kind: partition, between: us-east, and: eu-west, at: 61.3s, lasts: 1h, in_flight: lost}
  - {kind: region-loss, region: us-east, at: AFTERs, lasts: permanent, connections: hang, in_flight: lost}
"""


def test_what_was_not_written_need_not_be_caught_up_with() -> None:
    """In an hour of blocked commits only what waits is written: less than a second later the standby is level again."""
    resumed_s = when(_trace(BLOCKED.replace("AFTER", "7000")), "stream-resumed")
    trace = _trace(BLOCKED.replace("AFTER", f"{resumed_s + 1.5:.6f}"))
    (_, history) = trace.stores["db"].histories
    assert history.forked_at_s == pytest.approx(resumed_s + 1.5 - 0.035, abs=1e-5)
    (_, after) = trace.stores["db"].acks["db@us-east"]
    assert after.acked_until_s <= history.forked_at_s


# Lines of WAL --------------------------------------------------------------------------------------------------------


@st.composite
def _lines(draw: st.DrawFn) -> tuple[Line, Load, list[tuple[float, float]]]:
    """Return a line, the load behind it, and the stretches in which it was written."""
    bursts = {"every": 100.0, "last": draw(st.floats(5.0, 90.0)), "rate": draw(st.floats(1.1, 20.0))}
    load = Load(Wal.model_validate({"commits": 100.0, "bytes_per_commit": 1000.0, "bursts": bursts}), 13.0)
    steps = draw(st.lists(st.floats(0.1, 80.0), min_size=4, max_size=8))
    times = [sum(steps[: index + 1]) for index in range(len(steps))]
    node = Node("db", "us-east", "primary")
    node.open(-INF, -1, 0.0, ())
    pauses = [(times[index], times[index + 1]) for index in range(0, len(times) - 3, 2)]
    for end, start in pauses:
        node.close(end, -1, end, end)
        node.open(start, -1, 0.0, ())
    edges = [-INF, *(edge for pause in pauses for edge in pause), INF]
    stretches = list(zip(edges[::2], edges[1::2], strict=True))
    parent = Line(load, node, 0)
    if not draw(st.booleans()):
        return parent, load, stretches
    fork, began = times[-2], times[-1]
    other = Node("db", "eu-west", "primary")
    other.history = 1
    other.open(began, -1, 0.0, ())
    cut = [(start, min(end, fork)) for start, end in stretches]
    return Line(load, other, 1, parent, fork, began), load, [*cut, (began, INF)]


@given(_lines(), st.floats(0.0, 700.0), st.floats(0.0, 700.0))
def test_a_line_holds_what_was_executed(
    made: tuple[Line, Load, list[tuple[float, float]]], start_s: float, length_s: float
) -> None:
    line, load, stretches = made
    end_s = start_s + length_s
    parts = [(max(start_s, begin), min(end_s, end)) for begin, end in stretches]
    expected = sum(load.bytes_between(begin, end) for begin, end in parts if end > begin)
    assert line.bytes_between(start_s, end_s) == pytest.approx(expected, rel=1e-9, abs=1e-3)


@given(_lines(), st.floats(0.05, 1.5), st.lists(st.floats(0.5, 100.0), min_size=2, max_size=8))
def test_a_queue_on_a_line_serves_no_more_than_was_written(
    made: tuple[Line, Load, list[tuple[float, float]]], share: float, steps: list[float]
) -> None:
    """Between two looks the queue serves C per second as long as something waits, and never what was not there."""
    line, load, _ = made
    capacity = share * load.peak_bytes_per_s
    fluid = Fluid(line, capacity, 0.0)
    looks = [(0.0, 0.0)]
    for step in steps:
        at_s = looks[-1][0] + step
        looks.append((at_s, fluid.advance(at_s)))
    for (before_s, before), (at_s, position) in pairwise(looks):
        served = line.bytes_between(before, position)
        assert before <= position <= at_s
        assert served <= capacity * (at_s - before_s) * (1 + 1e-9) + 1e-2
        if line.bytes_between(before, before_s) > capacity * (at_s - before_s):
            assert served == pytest.approx(capacity * (at_s - before_s), rel=1e-6, abs=1e-2)
