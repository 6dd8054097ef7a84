"""People by time of day against theory: what they take is a mixture by the share of the day that each shift has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace
from tests.happened import events, when

ALPHA = 1e-5
MIN_S, HOUR_S = 60.0, 3600.0
TEXT = """
name: on-call
horizon: 2d
regions: [us-east, us-west]
network: {rtt: {us-east/us-west: 60ms}}
stores:
  db:
    primary: us-east
    standbys: [us-west]
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 4s}
      decide:
        by: operator
        page: 30s
        acknowledge: 2min..8min
        assess: 1min
HOURS
      promote: {takes: 11s}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-west, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: region-loss, region: us-east, connections: hang, in_flight: lost, at: 1000.37s}
"""
SHIFTS = """
        hours:
          at: random
          shifts:
            night: {from: 22h, to: 7h, acknowledge: {exponential: {mean: 20min}}, nobody: 25%, assess: 3min}
            office: {from: 9h, to: 17h, acknowledge: {exponential: {mean: 1min}}}
"""
SECOND = "          escalates: {after: 15min, acknowledge: {exponential: {mean: 10min}}, nobody: 10%}\n"


def traces(hours: str, changes: dict[str, Any] | None = None, trials: int = 1000) -> list[Trace]:
    return Simulator(loads(TEXT.replace("HOURS", hours.strip("\n"))).with_(changes or {})).run_chunk(8, 0, trials)


def span(trace: Trace, start: str, end: str) -> float:
    return when(trace, end) - when(trace, start)


def time_of_day(trace: Trace) -> float:
    """Return the time of day of the page in hours, from what the trace says."""
    note = events(trace, "paged")[0].note
    hours, minutes = note.split(", ")[1].split(":")
    return int(hours) + int(minutes) / 60.0


def test_the_time_of_day_is_uniform_unless_it_is_given() -> None:
    """To the minute, in which half a minute more on average is not shown."""
    times = [time_of_day(trace) + 1 / 120.0 for trace in traces(SHIFTS)]
    assert stats.kstest(times, stats.uniform(0.0, 24.0).cdf).pvalue > ALPHA


def test_who_answers_is_a_mixture_over_the_day_and_the_first_of_two() -> None:
    """9 h of night, 8 h of office, 7 h of neither; a second person 15 min after the first, who is away in 10 %."""
    minutes = [span(trace, "paged", "acknowledged") / MIN_S for trace in traces(SHIFTS + SECOND)]

    def answered(t: np.ndarray) -> np.ndarray:
        second = np.where(t < 15.0, 1.0, 0.1 + 0.9 * np.exp(-np.maximum(t - 15.0, 0.0) / 10.0))
        night = 0.25 + 0.75 * np.exp(-t / 20.0)
        office = np.exp(-t)
        other = 1.0 - np.clip((t - 2.0) / 6.0, 0.0, 1.0)
        first = (9.0 * night + 8.0 * office + 7.0 * other) / 24.0
        return np.asarray(1.0 - first * second)

    # Whom nobody answers is paged again hours later: 0.9 % of all, left out of the comparison by their share.
    late = 9.0 / 24.0 * 0.25 * 0.1
    seen = np.sort([min(value, 120.0) for value in minutes])
    assert stats.binomtest(int((np.array(minutes) > 120.0).sum()), len(minutes), late).pvalue > ALPHA
    below = seen[seen < 110.0]
    grid = np.linspace(0.5, 100.0, 400)
    gap = np.abs(np.searchsorted(below, grid) / len(minutes) - answered(grid)).max()
    assert gap < stats.kstwo.isf(ALPHA, len(minutes))


def test_each_step_goes_by_the_shift_at_its_own_instant() -> None:
    """The assessment takes 3 min at night and 1 min otherwise: by when somebody had answered, not by the page."""
    for trace in traces(SHIFTS + SECOND, trials=300):
        note = events(trace, "acknowledged")[0].note
        assert span(trace, "acknowledged", "decided") == pytest.approx(180.0 if note.endswith("night") else 60.0)


def test_whom_nobody_answers_is_paged_again_when_the_next_shift_begins() -> None:
    """At 3:00 nobody is there at night; people of no shift answer from 7:00 on, in 2 to 8 minutes."""
    change = {
        "stores.db.failover.decide.hours.at": "3h",
        "stores.db.failover.decide.hours.shifts.night.nobody": "100%",
    }
    found = [when(trace, "acknowledged") - 1000.37 - 4 * HOUR_S for trace in traces(SHIFTS, change, 500)]
    assert stats.kstest(found, stats.uniform(2 * MIN_S, 6 * MIN_S).cdf).pvalue > ALPHA


def test_the_fault_can_be_put_into_a_shift() -> None:
    times = np.array([time_of_day(trace) for trace in traces(SHIFTS, {"stores.db.failover.decide.hours.at": "night"})])
    since = (times + 1 / 120.0 - 22.0) % 24.0
    # Noticed half a minute later and paged another half.
    assert stats.kstest(since, stats.uniform(1.0 / 60.0, 9.0).cdf).pvalue > ALPHA


def test_hours_in_which_nothing_differs_change_nothing() -> None:
    same = "        hours: {shifts: {night: {from: 22h, to: 7h}}}"
    for plain, other in zip(traces("", trials=100), traces(same, trials=100), strict=True):
        assert [(event.at_s, event.kind) for event in other.events] == [
            (event.at_s, event.kind) for event in plain.events
        ]


def test_if_nobody_ever_answers_nobody_decides() -> None:
    hours = "        hours: {shifts: {always: {from: 0h, to: 24h, nobody: 100%}}}"
    for trace in traces(hours, trials=20):
        assert {"promoted", "acknowledged"}.isdisjoint(event.kind for event in trace.events)
