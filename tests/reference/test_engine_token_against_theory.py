"""A fencing token at the storage against theory: it works from its arrival on, and arrives where there is a way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import Trace
from tests.happened import kinds, only

ALPHA = 1e-5
AT_S, LASTS_S = 1000.37, 3600.0
TEXT = """
name: cut-off
horizon: 4h
regions: [us-east, us-central, eu-west]
network: {rtt: {us-east/eu-west: 80ms, us-east/us-central: 30ms, us-central/eu-west: 100ms}}
stores:
  db:
    primary: us-east
    standbys: [eu-west]
    endpoint: {ttl: 1s, moved_by: controller, takes: 1s, reconnect: 1s}
    wal: {commits: 100/s, bytes_per_commit: 2KB}
    failover:
      detect: {from: [eu-west], probe: process, every: 10s, fails: 3, timeout: 4s}
      decide: automatic
      fence: {by: token, takes: 50ms, every: 10s, timeout: 5s, if_unconfirmed: {retry: 1, then: proceed, after: 60s}}
      promote: {takes: 5s}
      old_primary: {on_return: starts-as-primary, starts_after: 20s}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: latency, ttl: 60s}
clients:
  here: {near: us-east, share: 50%, resolvers: honest, class: browser}
  there: {near: eu-west, share: 50%, resolvers: honest, class: browser}
faults:
  - {kind: isolation, region: us-east, at: 1000.37s, lasts: 1h, cut_from: rest, still_reached_by: [here, us-central]}
"""
FENCE = "stores.db.failover.fence."
BLOCK = {FENCE + "if_unconfirmed.then": "block"}
CENTRAL: dict[str, Any] = {"stores.db.storage": ["us-central"]}


def scenario(changes: dict[str, Any]) -> Scenario:
    return loads(TEXT).with_(changes)


def traces(changes: dict[str, Any], trials: int = 20) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(4, 0, trials)


def acked_until(trace: Trace, node: str) -> float:
    return trace.stores["db"].acks[node][-1].acked_until_s


def split_s(changes: dict[str, Any], trials: int = 300) -> np.ndarray[Any, Any]:
    return run(scenario(changes), trials=trials, seed=4, workers=1).trials["split_brain_s{store=db}"].to_numpy()


# Beside the primary: inside the cut --------------------------------------------------------------------------------


def test_a_token_that_has_no_way_ends_the_split_at_the_first_turn_after_the_cut() -> None:
    """The new primary tries every 10 s since it is one; the cut ends somewhere in between, evenly."""
    waits = []
    for trace in traces({}, 800):
        refused, promoted = only(trace, "writes-refused"), only(trace, "promoted")
        healed = AT_S + LASTS_S
        turns = np.ceil((healed - promoted.at_s) / 10.0)
        assert refused.at_s == pytest.approx(promoted.at_s + 10.0 * turns + 0.04 + 0.05)
        assert trace.events[refused.cause].kind == "promoted"
        assert acked_until(trace, "db@us-east") <= refused.at_s
        waits.append(refused.at_s - healed - 0.09)
    assert stats.kstest(waits, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA


def test_without_a_token_the_old_primary_can_acknowledge_to_the_end() -> None:
    """Services are led to the new primary once the cut ends; the old one stays open to whoever has its address."""
    columns = ["split_brain_s{store=db}", "exposed_s{store=db}"]
    with_token, without = (
        run(scenario(change), trials=60, seed=4, workers=1).trials[columns].to_numpy()
        for change in ({}, {"stores.db.failover.fence": None})
    )
    # Both are written from some 45 s after the cut (30 to 40 of detection, 5 of promotion) to its end.
    assert (np.abs(with_token[:, 0] - (LASTS_S - 45.0)) < 15.0).all()
    assert (np.abs(without[:, 0] - (LASTS_S - 35.0)) < 15.0).all()
    assert (with_token[:, 1] < 10.0 + 5.0).all()
    assert (without[:, 1] > 4 * 3600.0 - AT_S - LASTS_S - 5.0).all()


def test_who_waits_for_the_confirmation_does_not_promote_through_the_cut() -> None:
    for trace in traces(BLOCK):
        assert "promoted" not in kinds(trace)
        assert "stood-down" in kinds(trace)
        assert [span.acked_until_s for span in trace.stores["db"].acks["db@us-east"]] == [np.inf]
    assert (split_s(BLOCK, 50) == 0.0).all()


def test_a_primary_that_starts_again_is_refused_at_the_next_turn() -> None:
    """Its region is lost, and its storage is told once it is back, some time before the database has started."""
    lost = {"kind": "region-loss", "region": "us-east", "at": "1000.37s", "lasts": "20min"}
    change = {"faults[0]": lost | {"connections": "hang", "in_flight": "lost"}}
    for trace in traces(change):
        promoted, up = only(trace, "promoted").at_s, only(trace, "node-up", "db@us-east").at_s
        assert up == pytest.approx(AT_S + 1200.0 + 20.0)
        told = promoted + 10.0 * np.ceil((AT_S + 1200.0 - promoted) / 10.0) + 0.09
        # The storage is back 20 s before the database: it refuses from the first write on.
        assert told < up
        assert only(trace, "writes-refused").at_s == up
        assert len(trace.stores["db"].acks["db@us-east"]) == 1
    assert (split_s(change, 50) == 0.0).all()


# Elsewhere: outside the cut ----------------------------------------------------------------------------------------


def test_a_token_at_a_storage_outside_the_cut_works_before_the_promotion() -> None:
    """It is presented at the decision, a way of 50 ms; what the old primary acknowledged later is nothing."""
    for change in (CENTRAL, CENTRAL | BLOCK):
        for trace in traces(change):
            decided, refused = only(trace, "decided").at_s, only(trace, "writes-refused").at_s
            confirmed = only(trace, "fence-confirmed").at_s
            assert refused == pytest.approx(decided + 0.05 + 0.05)
            assert confirmed == pytest.approx(refused + 0.05)
            assert only(trace, "promotion-commanded").at_s == confirmed
            # A commit takes a round trip to the storage: none that began within the last one is acknowledged.
            assert refused - 0.032 < acked_until(trace, "db@us-east") < refused - 0.03
        assert (split_s(change, 100) == 0.0).all()


def test_where_only_the_new_primary_reaches_the_storage_the_split_lasts_a_way() -> None:
    """The controller is cut from the storage and goes on without a confirmation; the new primary presents at once."""
    cut = [{"kind": "partition", "between": ["operations"], "and": ["us-central"], "at": "900s", "lasts": "3h"}]
    isolated = {"kind": "isolation", "region": "us-east", "at": "1000.37s", "lasts": "1h"}
    isolated |= {"cut_from": "rest", "still_reached_by": ["here", "us-central"]}
    change: dict[str, Any] = CENTRAL | {"faults": [*cut, isolated], "stores.db.failover.decide.runs_in": "operations"}
    for trace in traces(change):
        refused, promoted = only(trace, "writes-refused").at_s, only(trace, "promoted").at_s
        assert refused == pytest.approx(promoted + 0.05 + 0.05)
        assert "fence-confirmed" not in kinds(trace)


@pytest.mark.parametrize(("inside", "told"), [(["us-east"], True), (["us-east", "us-south"], False)])
def test_a_majority_of_the_storage_decides(inside: list[str], *, told: bool) -> None:
    """Of three places two have to be told: with one of them inside the cut they are, with two not before its end."""
    regions = ["us-east", "us-central", "eu-west", "us-south"]
    rtt = {f"{a}/{b}": "60ms" for i, a in enumerate(regions) for b in regions[i + 1 :]}
    change: dict[str, Any] = {"regions": regions, "network.rtt": rtt}
    change["stores.db.storage"] = ["us-east", "us-central", "us-south"]
    cut = {"kind": "partition", "between": inside, "and": ["eu-west", "operations"]}
    change["faults[0]"] = cut | {"at": "1000.37s", "lasts": "1h"}
    for trace in traces(change, 10):
        refused = only(trace, "writes-refused").at_s
        if told:
            assert refused == pytest.approx(only(trace, "decided").at_s + 0.03 + 0.05)
        else:
            assert AT_S + LASTS_S < refused < AT_S + LASTS_S + 10.0 + 0.09


def test_a_primary_cut_from_most_of_its_storage_writes_nothing_until_it_is_back() -> None:
    change: dict[str, Any] = CENTRAL | {"stores.db.failover.decide.delay": "2h"}
    fault = {"kind": "isolation", "region": "us-east", "at": "1000.37s", "lasts": "100s", "cut_from": "rest"}
    for trace in traces(change | {"faults[0]": fault | {"still_reached_by": ["here"]}}, 5):
        assert only(trace, "writes-refused").at_s == AT_S
        assert only(trace, "writes-taken").at_s == AT_S + 100.0
        one, other = trace.stores["db"].acks["db@us-east"]
        assert (one.end_s, other.start_s, other.history) == (AT_S, AT_S + 100.0, 0)


def test_a_storage_elsewhere_costs_every_write_a_round_trip() -> None:
    beside, elsewhere = (
        run(scenario(change), trials=20, seed=4, workers=1)
        .trials["write_latency_s{service=api,from=here,writes=mean,when=before}"]
        .to_numpy()
        for change in ({}, CENTRAL)
    )
    assert elsewhere - beside == pytest.approx(0.030)


# Called off ---------------------------------------------------------------------------------------------------------


def test_who_calls_a_failover_off_gives_the_old_primary_a_later_epoch() -> None:
    """The token arrived and its confirmation was lost; the primary answers again, and is let go on."""
    lost = {"kind": "partition", "between": ["us-central"], "and": ["eu-west"], "direction": "forward"}
    away = {"kind": "partition", "between": ["us-east"], "and": ["eu-west"], "at": "1000.37s", "lasts": "100s"}
    change = CENTRAL | BLOCK | {"faults": [lost | {"at": "900s", "lasts": "1h"}, away]}
    for trace in traces(change):
        refused, taken = only(trace, "writes-refused").at_s, only(trace, "writes-taken").at_s
        off = only(trace, "stood-down").at_s
        assert refused < off
        assert taken == pytest.approx(off + 0.04)
        assert "promoted" not in kinds(trace)
        assert len(trace.stores["db"].acks["db@us-east"]) == 2


# Under a lease ------------------------------------------------------------------------------------------------------


def test_a_lease_that_only_gates_promotion_is_made_whole_by_a_token() -> None:
    """The old primary goes on without its lease until its storage refuses: a way after the promotion."""
    lease = {"preset": "cloudnative-pg-lease", "voters": ["eu-west", "operations", "us-east"]}
    change: dict[str, Any] = {"stores.db.failover.decide": lease, "stores.db.failover.detect": None}
    cut = {"kind": "isolation", "region": "us-east", "at": "1000.37s", "lasts": "1h", "cut_from": "rest"}
    change |= CENTRAL | {"faults[0]": cut | {"still_reached_by": ["here", "us-central"]}}
    for trace in traces(change):
        assert only(trace, "writes-refused").at_s == pytest.approx(only(trace, "promoted").at_s + 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({FENCE + "through": "us-east-control"}, "through"),
        ({"stores.db.storage": ["us-central", "us-central"]}, "named twice"),
        ({"stores.db.storage": ["us-east"]}, "anyway"),
        ({"stores.db.storage": ["us-centrl"]}, "did you mean 'us-central'"),
        ({FENCE + "by": "tokn"}, "tokn"),
        (
            {"stores.db.failover.detect": None, "stores.db.failover.decide": {"by": "lease", "voters": ["eu-west"]}}
            | BLOCK,
            "waits for no answer",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenario(change)
