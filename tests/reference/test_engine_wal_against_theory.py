"""WAL on its way, and commit rules: against closed forms, against min-plus algebra, and against small time steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.scenario.stores import CommitRule, Wal
from mrsim.sim.commit import Member, acknowledge
from mrsim.sim.run import Simulator
from mrsim.sim.tcp import JIFFY_S, fires_s, next_connection_s, next_retransmission_s
from mrsim.sim.wal import Fluid, Load, Pace, Stream
from mrsim.trace import INF, Trace

ALPHA = 1e-5
MBIT = 125e3
EVERY_S, LAST_S, FACTOR = 1800.0, 120.0, 20.0
STEADY = 200 * 2000.0


def _bookstore_load(phase_s: float = 0.0) -> Load:
    bursts = {"every": EVERY_S, "last": LAST_S, "rate": FACTOR}
    return Load(Wal.model_validate({"commits": 200.0, "bytes_per_commit": 2000.0, "bursts": bursts}), phase_s)


# The bookstore's bursts ----------------------------------------------------------------------------------------------


def _lag(since_burst_s: float, mbit: float) -> float:
    """Return the lag in seconds: built up at 1 - C/peak until the position has passed the burst, then drained."""
    capacity = mbit * MBIT
    speed = min(1.0, capacity / (STEADY * FACTOR))
    crossing = LAST_S / speed
    if since_burst_s <= crossing:
        return since_burst_s * (1.0 - speed)
    drain = capacity / STEADY - 1.0
    return max(0.0, crossing - LAST_S - (since_burst_s - crossing) * drain)


@pytest.mark.parametrize("mbit", [10.0, 40.0, 64.0, 80.0])
def test_lag_through_a_burst(mbit: float) -> None:
    load = _bookstore_load()
    fluid = Fluid(load, mbit * MBIT, 0.0)
    for at_s in np.arange(0.5, 2.0 * EVERY_S, 7.3):
        if at_s < EVERY_S:
            assert at_s - fluid.advance(float(at_s)) == pytest.approx(_lag(float(at_s), mbit), abs=1e-6)
        else:
            assert at_s - fluid.advance(float(at_s)) == pytest.approx(_lag(float(at_s) - EVERY_S, mbit), abs=1e-6)


def test_lag_is_72_s_192_s_after_the_burst_began() -> None:
    fluid = Fluid(_bookstore_load(), 40 * MBIT, 0.0)
    lags = {at_s: at_s - fluid.advance(at_s) for at_s in (26.0, 120.0, 191.9, 192.0, 192.1, 199.0)}
    assert lags[192.0] == pytest.approx(72.0, abs=1e-9)
    assert max(lags.values()) == lags[192.0]
    assert lags[120.0] == pytest.approx(45.0, abs=1e-9)
    assert lags[199.0] == 0.0


BOOKSTORE = """\
name: bursts
horizon: 2h
regions: [us-east, eu-west]
network: {rtt: aws-2026, wal_bandwidth: {us-east/*: BANDWIDTH}}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    wal: {commits: 200/s, bytes_per_commit: 2KB, bursts: {every: 30min, last: 2min, rate: 20x}}
    failover: {detect: {from: [eu-west]}, decide: automatic}
services: {orders: {writes: db}}
faults: [{kind: region-loss, region: us-east, at: random, lasts: permanent, connections: hang, in_flight: IN_FLIGHT}]
"""
ONE_WAY_S = 0.0697 / 2
TRIALS = 4000


def _loss(trace: Trace) -> float:
    """Return the seconds of acknowledged commits that the new primary does not hold."""
    store = trace.stores["db"]
    assert len(store.histories) == 2
    (span,) = store.acks["db@us-east"]
    return max(0.0, span.acked_until_s - store.histories[1].forked_at_s)


def _losses(bandwidth: str, in_flight: str = "lost") -> tuple[list[Trace], np.ndarray]:
    text = BOOKSTORE.replace("BANDWIDTH", bandwidth).replace("IN_FLIGHT", in_flight)
    traces = Simulator(loads(text)).run_chunk(41, 0, TRIALS)
    return traces, np.array([_loss(trace) for trace in traces])


def test_loss_over_burst_phases() -> None:
    """Trial by trial the loss is the lag one latency earlier, plus that latency; above 10 s in 9.5 % of trials."""
    traces, losses = _losses("40Mbit/s")
    local_s = 0.0008
    for trace, loss in zip(traces, losses, strict=True):
        since = (trace.fault_s + trace.burst_phase_s["db"] - ONE_WAY_S) % EVERY_S
        expected = _lag(since, 40.0) + ONE_WAY_S
        assert expected - local_s <= loss <= expected + 1e-6
    share = (10.0 / 0.375, 192.0 + (72.0 - 10.0) / 11.5)
    chance = (share[1] - share[0]) / EVERY_S
    assert chance == pytest.approx(0.095, abs=3e-4)
    assert stats.binomtest(int((losses > 10.0).sum()), TRIALS, chance).pvalue > ALPHA
    healthy = losses[losses < 0.1]
    assert len(healthy) > 0.8 * TRIALS
    assert np.median(healthy) == pytest.approx(ONE_WAY_S, abs=local_s)


def test_enough_bandwidth_leaves_the_latency() -> None:
    _, losses = _losses("64Mbit/s")
    assert losses.max() == pytest.approx(ONE_WAY_S, abs=1e-3)


def test_what_is_on_the_wire_arrives_or_dies() -> None:
    """On the wire for one latency: with arrivals the loss is the lag alone."""
    traces, losses = _losses("40Mbit/s", "arrives")
    for trace, loss in zip(traces, losses, strict=True):
        since = (trace.fault_s + trace.burst_phase_s["db"]) % EVERY_S
        assert max(0.0, _lag(since, 40.0) - 0.0008) <= loss + 1e-9
        assert loss <= _lag(since, 40.0) + 1e-6


def test_data_wait_is_the_replay_backlog() -> None:
    """A standby that replays 8 MB/s behind a line of 16 MB/s keeps what it has received but not replayed for later."""
    text = BOOKSTORE.replace("BANDWIDTH", "16MB/s").replace("IN_FLIGHT", "arrives")
    text = text.replace("at: random", "at: 100s").replace("rate: 20x", "rate: 30x, phase: 0%")
    text = text.replace("decide: automatic}", "decide: {by: automatic, delay: 0s}}")
    slow = text.replace("    wal:", "    replication: {apply_rate: 8MB/s}\n    wal:")
    (trace,) = Simulator(loads(slow)).run_chunk(1, 0, 1)
    # The burst writes 12 MB/s from t = 0 on; 100 s later the standby has 1.2 GB and has replayed 0.8 GB of it.
    commanded = next(event for event in trace.events if event.kind == "promotion-commanded")
    replayed = [event for event in trace.events if event.kind == "replayed"]
    backlog_s = (12.0 - 8.0) * 100.0 / 8.0 - (commanded.at_s - 100.0)
    assert replayed
    assert replayed[0].at_s - commanded.at_s == pytest.approx(backlog_s, abs=0.2)


# Any load, any capacities --------------------------------------------------------------------------------------------


@st.composite
def _loads(draw: st.DrawFn) -> Load:
    every = draw(st.floats(20.0, 500.0))
    bursts = {"every": every, "last": draw(st.floats(0.05, 0.95)) * every, "rate": draw(st.floats(1.1, 40.0))}
    wal = {"commits": draw(st.floats(0.5, 500.0)), "bytes_per_commit": 1000.0}
    phase_s = draw(st.floats(0.0, 0.999)) * every
    return Load(Wal.model_validate(wal | ({"bursts": bursts} if draw(st.integers(0, 5)) else {})), phase_s)


def _knots(load: Load, start_s: float, end_s: float) -> list[float]:
    """Return the times between two at which the rate changes, worked out from the load's own description."""
    if load.every_s == INF:
        return []
    first = int(np.floor((start_s + load.phase_s) / load.every_s)) - 1
    last = int(np.ceil((end_s + load.phase_s) / load.every_s)) + 1
    turns = [turn * load.every_s - load.phase_s for turn in range(first, last + 1)]
    return [knot for turn in turns for knot in (turn, turn + load.last_s) if start_s < knot < end_s]


def _written(load: Load, start_s: float, times: np.ndarray) -> np.ndarray:
    """Return the bytes written from the start to each time."""
    steady = load.commits_per_s * load.bytes_per_commit
    if load.every_s == INF:
        return steady * (times - start_s)

    def total(at: np.ndarray | float) -> np.ndarray:
        turn, inside = np.divmod(np.asarray(at) + load.phase_s, load.every_s)
        per_turn = load.every_s + (load.factor - 1.0) * load.last_s
        return steady * (turn * per_turn + inside + (load.factor - 1.0) * np.minimum(inside, load.last_s))

    return total(times) - total(start_s)


def _served(load: Load, start_s: float, pieces: list[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Return the bytes served by each time: D(t) = min over s ≤ t of A(s) + S(t) - S(s) (min-plus convolution).

    ``pieces`` holds (from when, capacity), the first at the start.
    """
    changes = [since for since, _ in pieces]
    grid = np.array(sorted({start_s, *times, *changes, *_knots(load, start_s, float(times.max()))}))
    rates = np.array([next(rate for since, rate in reversed(pieces) if since <= at) for at in grid[:-1]])
    service = np.concatenate([[0.0], np.cumsum(rates * np.diff(grid))])
    written = _written(load, start_s, grid)
    served = service + np.minimum.accumulate(written - service)
    return np.interp(times, grid, served)


@given(_loads(), st.lists(st.floats(0.02, 1.3), min_size=1, max_size=5), st.data())
def test_fluid_against_min_plus_algebra(load: Load, shares: list[float], data: st.DataObject) -> None:
    """At time t everything committed before s has been served: A(s) = D(t), whatever capacities did meanwhile."""
    start_s = load.empty_at_s
    lengths = data.draw(st.lists(st.floats(1.0, 300.0), min_size=len(shares), max_size=len(shares)))
    starts = [start_s, *(start_s + np.cumsum(lengths)).tolist()]
    pieces = [(since, share * load.peak_bytes_per_s) for since, share in zip(starts[:-1], shares, strict=True)]
    steps = data.draw(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12))
    looks = start_s + np.cumsum(steps) / sum(steps) * sum(lengths)
    served = _served(load, start_s, pieces, np.array([*looks, *starts[1:]]))
    fluid = Fluid(load, pieces[0][1], start_s)
    upcoming = list(pieces[1:])
    scale = load.peak_bytes_per_s * sum(lengths)
    for at_s, bytes_served in sorted(zip([*looks.tolist(), *starts[1:]], served, strict=True)):
        while upcoming and upcoming[0][0] <= at_s:
            fluid.advance(upcoming[0][0])
            fluid.set_capacity(upcoming.pop(0)[1])
        position = fluid.advance(at_s)
        assert position <= at_s
        assert _written(load, start_s, np.array([position]))[0] == pytest.approx(bytes_served, abs=1e-9 * scale + 1e-3)


@given(_loads(), st.floats(0.0, 1000.0), st.floats(0.0, 1000.0))
def test_bytes_between(load: Load, start_s: float, length_s: float) -> None:
    expected = _written(load, start_s, np.array([start_s + length_s]))[0]
    assert load.bytes_between(start_s, start_s + length_s) == pytest.approx(expected, rel=1e-9, abs=1e-3)


@given(_loads(), st.floats(0.05, 1.2))
@settings(max_examples=15)
def test_fluid_against_small_steps(load: Load, share: float) -> None:
    """A queue advanced in steps of 10 ms, with nothing known about bursts but the rate at each instant."""
    capacity, step, length = share * load.peak_bytes_per_s, 0.01, 400.0
    steady = load.commits_per_s * load.bytes_per_commit
    start_s = load.empty_at_s
    fluid = Fluid(load, capacity, start_s)
    backlog = 0.0
    for number in range(int(length / step)):
        at_s = start_s + number * step
        inside = (at_s + load.phase_s) % load.every_s if load.every_s < INF else INF
        rate = steady * (load.factor if inside < load.last_s else 1.0)
        backlog = max(0.0, backlog + (rate - capacity) * step)
        if number % 500 == 499:
            behind = load.bytes_between(fluid.advance(at_s + step), at_s + step)
            assert behind == pytest.approx(
                backlog, abs=4.0 * step * load.peak_bytes_per_s * (1 + length / load.every_s)
            )


@given(_loads(), st.floats(0.05, 1.5), st.floats(0.05, 1.5), st.floats(0.001, 0.3), st.data())
def test_stream_through_cuts(load: Load, width: float, apply: float, latency_s: float, data: st.DataObject) -> None:
    """Received = what a line has served one latency ago, with a line of width 0 while cut."""
    start_s = load.empty_at_s
    bandwidth, apply_rate = width * load.peak_bytes_per_s, apply * load.peak_bytes_per_s
    stream = Stream(load, Pace(bandwidth, apply_rate, latency_s), start_s)
    cut_s = data.draw(st.floats(1.0, 300.0))
    heal_s = cut_s + data.draw(st.floats(0.5, 200.0))
    end_s = heal_s + data.draw(st.floats(0.5, 300.0))
    lost = data.draw(st.booleans())
    # On the source's clock: what dies on the wire is sent again, so the line was cut one latency earlier.
    dead_from = cut_s - latency_s if lost else cut_s
    looks = sorted(data.draw(st.lists(st.floats(0.3, 1.0), min_size=1, max_size=4)))
    times = [dead_from + (end_s - dead_from) * look for look in looks]
    pieces = [(start_s, bandwidth), (dead_from, 0.0), (max(heal_s, dead_from), bandwidth)]
    stream.broken(cut_s, in_flight_lost=lost)
    frozen = stream.received(heal_s)
    stream.resumed(heal_s, bandwidth, latency_s)
    served = _served(load, start_s, pieces, np.array([dead_from, *times]))
    scale = 1e-9 * load.peak_bytes_per_s * (end_s - start_s) + 1e-3
    assert _written(load, start_s, np.array([frozen]))[0] == pytest.approx(served[0], abs=scale)
    for at_s, expected in zip(times, served[1:], strict=True):
        if at_s < heal_s:
            continue
        received = stream.received(at_s + latency_s)
        assert _written(load, start_s, np.array([received]))[0] == pytest.approx(expected, abs=scale)


@given(_loads(), st.floats(0.05, 1.5), st.floats(0.05, 1.5), st.floats(0.001, 0.3), st.floats(1.0, 900.0))
def test_replay_follows_two_lines_in_a_row(
    load: Load, width: float, apply: float, latency_s: float, length_s: float
) -> None:
    """Behind a line and a replay of constant speed stands what the slower of the two would have let through."""
    start_s = load.empty_at_s
    peak = load.peak_bytes_per_s
    stream = Stream(load, Pace(width * peak, apply * peak, latency_s), start_s)
    end_s = np.array([start_s + length_s])
    received = _served(load, start_s, [(start_s, width * peak)], end_s)[0]
    replayed = _served(load, start_s, [(start_s, min(width, apply) * peak)], end_s)[0]
    found = stream.end_recovery_s(start_s + length_s + latency_s) * apply * peak
    assert found == pytest.approx(received - replayed, abs=1e-8 * peak * length_s + 1e-3)


def test_nothing_is_replayed_before_it_has_come() -> None:
    """100 kB/s, replayed at 150 kB/s; cut for 100 s. 3 s after the heal 10.3 MB have come and 0.45 MB are replayed."""
    load = Load(Wal.model_validate({"commits": 100.0, "bytes_per_commit": 1000.0}), 0.0)
    stream = Stream(load, Pace(1e7, 150e3, 0.0), 0.0)
    stream.broken(100.0, in_flight_lost=False)
    stream.resumed(200.0, 1e7, 0.0)
    assert stream.end_recovery_s(203.0) == pytest.approx((10.3e6 - 3 * 150e3) / 150e3)


# Connections ---------------------------------------------------------------------------------------------------------


def test_tcp_retransmissions_double() -> None:
    """With an RTO of 0.3 s the probe stands at 0.3 s and retries at 0.6, 1.2, 2.4 … after the timer's start."""
    expected = [0.3 * 2**power for power in range(9)]
    for before, after in pairwise([0.0, *expected]):
        for heal in (before + 1e-6, (before + after) / 2, after - 1e-6):
            assert next_retransmission_s(100.0, 100.0 + heal, 0.1) == pytest.approx(100.0 + after, abs=1e-9)


@given(st.floats(0.0, 20000.0), st.floats(0.0, 0.5), st.one_of(st.none(), st.floats(0.0, 100.0)))
def test_tcp_retransmission_waits_at_most_the_length_of_the_cut(
    length_s: float, rtt_s: float, grid_s: float | None
) -> None:
    """The next retry is no further away than the cut has lasted (or one RTO), and never more than 120 s."""
    after = next_retransmission_s(0.0, length_s, rtt_s, grid_s) - length_s
    # Timers are rounded up, by one part in eight at most.
    rounding = 1.0 if grid_s is None else 71.0 / 63.0
    assert 0.0 <= after <= min(max(length_s, rtt_s + 0.2), 120.0) * rounding + 0.01


@given(st.floats(0.0, 500.0), st.floats(0.01, 120.0), st.floats(0.0, 100.0))
def test_timers_fire_late_by_an_eighth_at_most(at_s: float, wait_s: float, grid_s: float) -> None:
    """The kernel's timer wheel rounds up to a grid that is an eighth of the wait or finer, and one tick more."""
    late = fires_s(at_s, wait_s, grid_s) - at_s - wait_s
    assert -1e-9 <= late <= wait_s * 8.0 / 63.0 + 2 * JIFFY_S


def test_connection_attempts() -> None:
    """SYNs at 0, 1, 3, 7, 15, 31, 63 s; given up after 127 s; the next attempt one retry interval later."""
    schedule = [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 132.0, 133.0, 135.0]
    for before, after in pairwise(schedule):
        for heal in (before + 1e-6, (before + after) / 2, after):
            assert next_connection_s(50.0, 50.0 + heal, 5.0) == pytest.approx(50.0 + after)
    assert next_connection_s(50.0, 10.0, 5.0) == 50.0


@given(_loads(), st.floats(0.05, 3.0), st.floats(0.1, 400.0), st.floats(0.0, 500.0))
def test_a_backlog_is_gone_when_it_was_said_to_be(load: Load, share: float, behind_s: float, at_s: float) -> None:
    """The queue, walked forward: something waits until the instant that was given, and nothing at it."""
    capacity = share * load.peak_bytes_per_s
    fluid = Fluid(load, capacity, at_s)
    fluid.s = at_s - behind_s
    level_s = fluid.level_s(at_s + 2000.0)
    looked = [at_s + 2000.0 * part / 50 for part in range(1, 51)]
    for look_s in looked:
        if look_s < level_s - 1e-6:
            assert fluid.advance(look_s) < look_s
    if level_s < INF:
        assert fluid.advance(level_s) == pytest.approx(level_s, abs=1e-6)


@given(_loads(), st.floats(0.0, 500.0), st.floats(1.0, 1e9))
def test_what_is_written_by_an_end(load: Load, start_s: float, size_bytes: float) -> None:
    assert load.bytes_between(start_s, load.end_s(start_s, size_bytes)) == pytest.approx(size_bytes, rel=1e-6)


# Commit rules --------------------------------------------------------------------------------------------------------

REGIONS = "abcdefg"


@st.composite
def _members(draw: st.DrawFn) -> list[Member]:
    count = draw(st.integers(1, 6))
    waits = draw(st.permutations([0.01, 0.03, 0.09, 0.2, 0.4, 0.9]))
    states = draw(st.lists(st.sampled_from(["flowing", "flowing", "silent", "gone"]), min_size=count, max_size=count))
    return [
        Member(REGIONS[index], states[index] == "flowing", states[index] == "silent", waits[index])
        for index in range(count)
    ]


def _rule(kind: str, number: int, members: list[Member], when_short: str) -> CommitRule:
    return CommitRule.model_validate({kind: number, "of": [m.region for m in members], "when_short": when_short})


@given(_members(), st.integers(1, 6), st.sampled_from(["block", "degrade"]))
def test_any_n_is_the_nth_smallest(members: list[Member], number: int, when_short: str) -> None:
    number = min(number, len(members))
    waits = sorted(member.wait_s for member in members if member.flowing)
    silent = sum(member.silent for member in members)
    found = acknowledge(_rule("any", number, members, when_short), members)
    if when_short == "degrade":
        number = min(number, len(waits) + silent)
    if len(waits) < number:
        assert not found.possible
        return
    assert found.possible
    assert found.wait_s == (waits[number - 1] if number else 0.0)
    assert len(found.members) == number


@given(_members(), st.integers(1, 6), st.sampled_from(["block", "degrade"]))
def test_first_n_is_the_slowest_of_the_highest_priority(members: list[Member], number: int, when_short: str) -> None:
    number = min(number, len(members))
    connected = [member for member in members if member.flowing or member.silent]
    found = acknowledge(_rule("first", number, members, when_short), members)
    chosen = connected[:number]
    short = len(chosen) < number and when_short == "block"
    assert found.possible == (not short and not any(member.silent for member in chosen))
    if found.possible:
        assert found.wait_s == max((member.wait_s for member in chosen), default=0.0)
        assert found.members == tuple(member.region for member in chosen)


def test_first_is_not_any() -> None:
    """The fastest member has the lowest priority: FIRST waits for the slow one, ANY does not."""
    members = [Member("far", True, False, 0.2), Member("near", True, False, 0.02)]
    assert acknowledge(_rule("first", 1, members, "block"), members).wait_s == 0.2
    assert acknowledge(_rule("any", 1, members, "block"), members).wait_s == 0.02


SYNC = """\
name: sync
horizon: 1h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: aws-2026}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    commit: RULE
    replication: {sender_timeout: 40s}
    wal: {commits: 100/s}
services: {orders: {writes: db}}
faults: [{kind: partition, between: [us-east], and: [eu-west], at: 600.5s, lasts: 10min}]
"""


@pytest.mark.parametrize(
    ("rule", "stall_s"),
    [
        ("{first: 1, of: [eu-west, ap-southeast]}", 40.0),
        ("{any: 1, of: [eu-west, ap-southeast]}", 0.0),
        ("{any: 2, of: [eu-west, ap-southeast], when_short: degrade}", 40.0),
        ("{first: 2, of: [eu-west, ap-southeast]}", 600.0),
        ("{any: 1, of: [eu-west], when_short: degrade}", 40.0),
        ("{any: 1, of: [eu-west]}", 600.0),
    ],
)
def test_a_silent_member_stalls_commits_until_it_is_dropped(rule: str, stall_s: float) -> None:
    for trace in Simulator(loads(SYNC.replace("RULE", rule))).run_chunk(42, 0, 40):
        spans = trace.stores["db"].acks["db@us-east"]
        gap = sum(later.start_s - earlier.acked_until_s for earlier, later in pairwise(spans))
        if stall_s == 600.0:
            # Until the path heals and the connection has been made again: an attempt to connect every 5 s and its SYNs.
            assert 600.0 < gap < 600.0 + 70.0
        else:
            # From the last commit that was answered in time: a round trip and the flushes before the cut.
            assert stall_s <= gap < stall_s + 0.3
        if stall_s:
            assert len(spans) == 2
            # Waiting commits fill the connections (100 at 100/s), then nothing is executed.
            assert spans[0].end_s == pytest.approx(spans[0].acked_until_s + 1.0, abs=1e-6)
        else:
            assert len(spans) == 1
