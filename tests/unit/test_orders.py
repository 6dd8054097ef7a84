"""Orders and who carries them out, one step at a time: what arrives late, and what finds nobody."""

from __future__ import annotations

from pathlib import Path

from mrsim.rng import Draws
from mrsim.scenario.loader import load
from mrsim.sim.build import Builder
from mrsim.sim.orders import Order, Orders
from mrsim.sim.world import Sampler, World
from mrsim.trace import NO_EVENT

ROOT = Path(__file__).resolve().parents[2]


class Paths:
    """Two places, a second apart, of which one can be gone."""

    def __init__(self) -> None:
        self.there = True

    def both_ways(self, a: str, b: str) -> bool:
        return self.there

    def one_way_s(self, a: str, b: str) -> float:
        return 1.0

    def alive(self, place: str) -> bool:
        return self.there


def world() -> World:
    return World(Sampler(Draws(1, 0, 1)), 0, 1000.0)


def test_an_older_declaration_that_arrives_later_changes_nothing() -> None:
    scenario = load(ROOT / "scenarios" / "active-passive" / "bookstore-worker-relocation.yaml")
    parts, _ = Builder(scenario).build(world())
    worker = parts.tier.deployments["payments-worker", "us-east"]
    worker.told(3, True, NO_EVENT)
    worker.told(2, False, NO_EVENT)
    assert (worker.wanted, worker.serving) == (True, True)
    worker.told(4, False, NO_EVENT)
    assert (worker.wanted, worker.serving) == (False, False)


def test_an_order_that_finds_its_target_gone_is_given_again() -> None:
    clock, paths = world(), Paths()
    orders = Orders(clock, paths)  # type: ignore[arg-type]
    arrived: list[int] = []
    orders.give(Order("api@west", "east", "west", 5, arrived.append))
    paths.there = False
    clock.clock.run_to(10.0)
    assert arrived == []
    orders.give_again(6)
    clock.clock.run_to(20.0)
    assert arrived == []
    paths.there = True
    orders.give_again(7)
    clock.clock.run_to(30.0)
    assert arrived == [7]
