"""The first scenario: what a person writes, and what the engine reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrsim.scenario.loader import load
from mrsim.scenario.model import Scenario

BOOKSTORE = Path(__file__).parents[2] / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"


@pytest.fixture(scope="module")
def bookstore() -> Scenario:
    return load(BOOKSTORE)


def test_quantities_are_in_base_units(bookstore: Scenario) -> None:
    store = bookstore.stores["orders-db"]
    assert bookstore.horizon == 4 * 3600
    assert store.wal.commits == 200
    assert store.wal.bytes_per_commit == 2000
    assert bookstore.network.wal_bandwidth == {"us-east/*": 5e6}
    assert store.wal.bursts is not None
    assert store.wal.bursts.rate == 20


def test_presets_supply_values_and_are_listed(bookstore: Scenario) -> None:
    check = bookstore.dns["shop"].health_check
    assert check is not None
    assert (check.checkers, check.every, check.interval_from, check.timeout) == (16, 10.0, "end", 4.0)
    supplied = {assumption.where: assumption for assumption in bookstore.assumptions}
    assert supplied["dns.shop.health_check.every"].preset == "route53-fast"
    assert supplied["stores.orders-db.endpoint.reconnect"].preset == ""
    assert "stores.orders-db.endpoint.ttl" not in supplied, "it was written"


def test_round_trips_hold_in_both_orders(bookstore: Scenario) -> None:
    rtt = bookstore.network.rtt_s
    assert len(rtt) == 6
    assert rtt["us-east/ap-southeast"] == rtt["ap-southeast/us-east"] == pytest.approx(0.226)


def test_budgets_are_parsed_with_their_lines(bookstore: Scenario) -> None:
    columns = [budget.column for budget in bookstore.budgets]
    assert columns[0] == "rto_s{service=storefront,op=read,clients=90%,of=affected}"
    assert [budget.limit for budget in bookstore.budgets] == [300.0, 600.0, 1.0, 120.0, 0.01]
    assert all(budget.line > 0 for budget in bookstore.budgets)
