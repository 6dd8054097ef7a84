"""Fencing that fails against theory: tries are geometric, a dead device splits as often as it is dead, or never."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import Trace
from tests.happened import kinds, when

ALPHA = 1e-5
TEXT = """
name: cut-off
horizon: 4h
regions: [us-east, eu-west]
network: {rtt: {us-east/eu-west: 70ms}}
control_points:
  cloud-api: {inside: none}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    endpoint: {ttl: 1s, moved_by: controller, takes: 1s, reconnect: 1s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [eu-west], every: 10s, fails: 3, timeout: 4s}
      decide: automatic
      fence:
        through: cloud-api
        takes: 8s
        timeout: 20s
        fails: 0%
        dead: 0%
        if_unconfirmed: {retry: 2, then: proceed, after: 60s}
      promote: {takes: 5s}
      old_primary: {on_return: stays-down}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: latency, ttl: 60s}
clients:
  here: {near: us-east, share: 50%, resolvers: honest, class: browser}
  there: {near: eu-west, share: 50%, resolvers: honest, class: browser}
faults:
  - {kind: isolation, region: us-east, at: 1000.37s, lasts: 1h, cut_from: rest, still_reached_by: [here, cloud-api]}
"""
FENCE = "stores.db.failover.fence."


def traces(changes: dict[str, Any], trials: int = 1000) -> list[Trace]:
    return Simulator(loads(TEXT).with_({FENCE + key: value for key, value in changes.items()})).run_chunk(4, 0, trials)


def split(changes: dict[str, Any], trials: int = 1000) -> int:
    scenario = loads(TEXT).with_({FENCE + key: value for key, value in changes.items()})
    return int(run(scenario, trials=trials, seed=4, workers=1).trials["split_brain{store=db}"].sum())


def test_the_tries_until_one_is_not_refused_are_geometric() -> None:
    """Blocked until it is confirmed; a refusal is heard after a round trip, and every third is followed by a minute."""
    found = traces({"fails": "40%", "if_unconfirmed.then": "block"})
    tries = np.array([1 + kinds(trace).count("fence-unconfirmed") for trace in found])
    most = 6
    seen = np.bincount(np.minimum(tries, most), minlength=most + 1)[1:]
    expected = len(tries) * np.array([*(0.6 * 0.4**k for k in range(most - 1)), 0.4 ** (most - 1)])
    assert stats.chisquare(seen, expected).pvalue > ALPHA
    for trace, made in zip(found, tries, strict=True):
        # After the third refusal a minute before each further try.
        waited = 60.0 * max(0, made - 3) + 8.0
        assert when(trace, "fence-confirmed") - when(trace, "decided") == pytest.approx(waited, abs=0.5)


def test_each_try_of_a_dead_device_costs_the_whole_timeout_and_none_is_confirmed() -> None:
    for trace in traces({"dead": "100%"}, 50):
        assert kinds(trace).count("fence-confirmed") == kinds(trace).count("fenced") == 0
        assert when(trace, "promotion-commanded") - when(trace, "decided") == pytest.approx(3 * 20.0)


def test_who_proceeds_without_a_confirmation_splits_as_often_as_the_device_is_dead() -> None:
    assert stats.binomtest(split({"dead": "30%"}), 1000, 0.3).pvalue > ALPHA


def test_who_proceeds_after_refusals_splits_as_often_as_all_three_were_refused() -> None:
    assert stats.binomtest(split({"fails": "50%"}), 1000, 0.5**3).pvalue > ALPHA


@pytest.mark.parametrize(
    ("changes", "promoted"),
    [
        ({}, True),
        ({"fails": "50%", "if_unconfirmed.then": "block"}, True),
        ({"dead": "100%", "if_unconfirmed.then": "block"}, False),
    ],
    ids=["confirmed", "refused and tried again", "dead and blocked"],
)
def test_no_split_where_a_promotion_waits_for_the_confirmation(changes: dict[str, Any], *, promoted: bool) -> None:
    assert split(changes, 200) == 0
    assert {kinds(trace).count("promoted") for trace in traces(changes, 200)} == {int(promoted)}


def test_a_person_who_overrides_a_dead_device_splits_too() -> None:
    assert split({"dead": "100%", "if_unconfirmed.then": "operator-override"}, 100) == 100
