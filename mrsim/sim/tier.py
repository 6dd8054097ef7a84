"""Services that do not serve everywhere from the start: which fact starts them, where it is known, who hears of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.deployments import Deployment
from mrsim.sim.management import Plane
from mrsim.sim.orders import Order, Orders
from mrsim.sim.signals import nobody_listens

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.model import Scenario
    from mrsim.scenario.services import Record
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.world import World
    from mrsim.trace import Span


class Tier:
    """The application of one trial, as far as it has to be started.

    Facts come from where they are known: a promotion from the new primary's region, a decision from whoever decides, a
    verdict on a front door from where its checkers stand. The order travels from there to the region.

    Parameters
    ----------
    world, network, scenario
        The trial, its paths and its scenario.
    refresh
        ``refresh(cause, places)`` makes probers look again at places whose instances serve now, or no more.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        scenario: Scenario,
        refresh: Callable[[int, frozenset[str] | None], None],
    ) -> None:
        self._network = network
        self._scenario = scenario
        self._refresh = refresh
        self._orders = Orders(world, network)
        self._planes = {
            name: Plane(world, network, name, model, self._orders.give_again)
            for name, model in scenario.management.items()
        }
        self.deployments: dict[tuple[str, str], Deployment] = {}
        for name, service in scenario.services.items():
            rule = service.scaled_down
            if rule is not None:
                for region in rule.regions:
                    self.deployments[name, region] = Deployment(world, network, name, region, rule, self._changed)
            if service.relocates is not None:
                store = scenario.stores[service.follows]
                homes = [network.geometry.home[site] for site in store.sites]
                for home in dict.fromkeys(homes):
                    there = home == homes[0]
                    self.deployments[name, home or ""] = Deployment(
                        world, network, name, home or "", service.relocates, self._changed, there=there
                    )

    def serving(self) -> dict[tuple[str, str], list[Span]]:
        """Return when the instances of each (service, region) served; pairs that always did are left out."""
        return {key: deployment.signal.spans for key, deployment in self.deployments.items()}

    def all_serve(self, services: tuple[str, ...], region: str) -> bool:
        """Return whether all these services serve in the region, as far as they are meant for it."""
        found = (self.deployments.get((service, region)) for service in services)
        return all(deployment is None or deployment.serving for deployment in found)

    def carry(
        self, plane: str, name: str, origin: str, target: str, cause: int, arrived: Callable[[int], None]
    ) -> None:
        """Let a management plane pass on an order that is none to instances."""
        self._orders.give(Order(name, origin, target, cause, arrived, self._planes[plane]))

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        for plane in self._planes.values():
            plane.on_network(touched, cause)
        for deployment in self.deployments.values():
            deployment.on_network(touched, cause)
        self._orders.give_again(cause)

    def close(self) -> None:
        """Forget who listens."""
        self._orders.close()
        self._refresh = nobody_listens
        for plane in self._planes.values():
            plane.close()
        for deployment in self.deployments.values():
            deployment.close()

    def follow(self, name: str, database: Database) -> None:
        """Start what waits for a primary of this store in its region, whenever one is made there; move its workers.

        Workers in other regions are told to stop, which those hear once there is a way to them.
        """
        followers = self._started_by("promoted", name)
        workers = [key for key in self.deployments if self._works_for(key[0], name)]
        if not followers and not workers:
            return
        known = 1

        def look(_: int) -> None:
            nonlocal known
            if len(database.histories) == known:
                return
            known = len(database.histories)
            history, home = database.histories[-1], self._network.geometry.home
            # what a manager promotes in a cluster that was given up is announced to nobody
            if history.node == database.current.name:
                region = home[database.current.region] or ""
                self._start([(service, region) for service in followers], region, history.event)
                for key in workers:
                    deployment, wanted = self.deployments[key], key[1] == region
                    self._order(key, region, history.event, partial(deployment.told, known, wanted))

        database.listen(look)

    def on_decided(self, store: str, place: str, event: int) -> None:
        """Start what waits for somebody to decide on a failover of this store."""
        self._start(self._everywhere(self._started_by("decided", store)), place, event)

    def on_front_down(self, record: Record, region: str, event: int) -> None:
        """Start what waits for a front door at which it runs to be taken out of the answers."""
        services = [
            name
            for name in record.serves
            if (rule := self._scenario.services[name].scaled_down) is not None
            and rule.starts_when == "front-down"
            and region not in rule.regions
        ]
        if services and record.health_check is not None:
            self._start(self._everywhere(services), record.health_check.stands, event)

    def _started_by(self, fact: str, store: str) -> list[str]:
        return [
            name
            for name, service in self._scenario.services.items()
            if service.scaled_down is not None and service.scaled_down.starts_when == fact and service.follows == store
        ]

    def _works_for(self, service: str, store: str) -> bool:
        model = self._scenario.services[service]
        return model.is_worker and model.follows == store

    def _everywhere(self, services: list[str]) -> list[tuple[str, str]]:
        return [key for key in self.deployments if key[0] in services]

    def _start(self, keys: list[tuple[str, str]], origin: str, cause: int) -> None:
        for key in keys:
            deployment = self.deployments.get(key)
            if deployment is not None:
                self._order(key, origin, cause, deployment.order)

    def _order(self, key: tuple[str, str], origin: str, cause: int, arrived: Callable[[int], None]) -> None:
        service = self._scenario.services[key[0]]
        rule = service.scaled_down or service.relocates
        through = self._planes[rule.managed_by] if rule is not None and rule.managed_by is not None else None
        self._orders.give(Order(self.deployments[key].name, origin, key[1], cause, arrived, through))

    def _changed(self, event: int, region: str) -> None:
        self._refresh(event, frozenset((region,)))
