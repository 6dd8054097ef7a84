"""Slots of a standby that is away: the disk is full after room / WAL rate, or the standby is given up before."""

from __future__ import annotations

from typing import Any

import pytest

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace
from tests.happened import events

TEXT = """
name: slots
horizon: 12h
regions: [us-east, eu-west]
network: {rtt: {us-east/eu-west: 80ms}, last_mile: 1ms}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    slots: {disk: 20GB, makes_room: 30min, reclone: 40min}
    endpoint: {ttl: 1ms, moved_by: controller, takes: 7s, reconnect: 2s}
    wal: {commits: 1000/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [operations], every: 10s, fails: 3, timeout: 5s}
      decide: {by: operator, page: 1h, acknowledge: 5h, assess: 1h}
      promote: {takes: 11s}
      old_primary: {on_return: starts-as-primary, starts_after: 5s}
services:
  api: {reads: {db: nearest}, writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 1s, health_check: route53-fast}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: partition, between: [eu-west], and: [us-east], at: 1000.5s, lasts: 6h, in_flight: lost}
"""
CUT_S, LASTS_S, ONE_WAY_S, RATE = 1000.5, 6 * 3600.0, 0.04, 2e6
FULL_S = CUT_S - ONE_WAY_S + 20e9 / RATE
"""20 GB at 2 MB/s beyond what the standby holds: 2 h 47 min."""


def one(changes: dict[str, Any] | None = None, text: str = TEXT) -> Trace:
    return Simulator(loads(text).with_(changes or {})).run_chunk(2, 0, 1)[0]


def test_the_disk_is_full_after_its_room_at_the_rate_of_wal() -> None:
    """A standby's loss is the primary's outage: from there to room being made, and its start."""
    trace = one()
    (full,) = events(trace, "disk-full")
    assert full.subject == "db@us-east"
    assert full.at_s == pytest.approx(FULL_S, abs=1e-3)
    first, second = trace.stores["db"].acks["db@us-east"]
    assert first.end_s == full.at_s
    assert second.start_s == pytest.approx(full.at_s + 1800.0 + 5.0)
    assert len(trace.stores["db"].histories) == 1


def test_without_its_slot_the_standby_is_made_anew_once_it_is_back() -> None:
    trace = one()
    (attached,) = events(trace, "standby-attached")
    assert attached.at_s == pytest.approx(CUT_S + LASTS_S + 2400.0, abs=1e-3)
    assert not events(trace, "stream-resumed")
    away = trace.stores["db"].reads["db@eu-west"]
    assert [round(span.start_s) for span in away[1:]] == [round(attached.at_s)]


def test_a_limit_saves_the_primary_and_gives_the_standby_up() -> None:
    trace = one({"stores.db.slots.max_slot_wal_keep_size": "10GB"})
    (invalid,) = events(trace, "slot-invalidated")
    assert invalid.at_s == pytest.approx(CUT_S - ONE_WAY_S + 10e9 / RATE, abs=1e-3)
    assert not events(trace, "disk-full")
    (span,) = trace.stores["db"].acks["db@us-east"]
    assert span.end_s == float("inf")
    assert len(events(trace, "standby-attached")) == 1


def test_a_cut_that_ends_before_costs_nothing() -> None:
    trace = one({"faults[0].lasts": "2h30min"})
    assert not events(trace, "disk-full")
    assert not events(trace, "standby-attached")
    assert len(events(trace, "stream-resumed")) == 1


def test_less_is_kept_while_less_is_written() -> None:
    """Half an hour without a primary's WAL: full half an hour later."""
    crash = "  - {kind: process-crash, store: db, region: us-east, at: 2000.5s, lasts: 30min}\n"
    trace = one(text=TEXT + crash)
    first, second, *_ = trace.stores["db"].acks["db@us-east"]
    (full,) = events(trace, "disk-full")
    assert full.at_s == pytest.approx(FULL_S + second.start_s - first.end_s, abs=1e-3)


def test_a_store_without_limits_keeps_everything() -> None:
    trace = one(text=TEXT.replace("    slots: {disk: 20GB, makes_room: 30min, reclone: 40min}\n", ""))
    assert not events(trace, "disk-full")
    assert len(events(trace, "stream-resumed")) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{disk: 20GB, makes_room: 30min, reclone: 40min}", "{}", "neither a disk nor a limit"),
        ("disk: 20GB,", "disk: 20GB, max_slot_wal_keep_size: 30GB,", "before the limit"),
        ("disk: 20GB,", "disc: 20GB,", "disk"),
        (
            "[eu-west]\n    slots",
            "[{region: eu-west, via: archive}]\n    archive: {place: eu-west}\n    slots",
            "no slots",
        ),
    ],
)
def test_what_makes_no_sense_is_said(old: str, new: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        loads(TEXT.replace(old, new))
