"""Wires the components of one trial, once; nothing is patched afterwards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.scenario.control import DecideLease, FenceToken
from mrsim.sim.bulk import load_of
from mrsim.sim.cluster import failover_inside
from mrsim.sim.consumers import Consumer
from mrsim.sim.database import Database
from mrsim.sim.endpoint import Endpoint
from mrsim.sim.injector import Injector
from mrsim.sim.network import Geometry, Network
from mrsim.sim.nodes import Node
from mrsim.sim.parts import Parts
from mrsim.sim.reach import Brownouts, Reach
from mrsim.sim.readings import Readings
from mrsim.sim.records import Records
from mrsim.sim.storage import Storage
from mrsim.sim.streaming import Streaming
from mrsim.sim.tier import Tier
from mrsim.sim.wiring import Wiring

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.stores import Store
    from mrsim.sim.health import Steady
    from mrsim.sim.network import Refresher
    from mrsim.sim.wal import Load
    from mrsim.sim.world import World


class Builder:
    """Builds trials of one scenario; what does not change from trial to trial is worked out once.

    Parameters
    ----------
    scenario
        The scenario.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.geometry = Geometry(scenario)
        self._steady: dict[str, Steady | None] = {}
        self._inside = {
            name: {region: failover_inside(store.in_region, region) for region in scenario.regions}
            if store.in_region is not None
            else {}
            for name, store in scenario.stores.items()
        }
        self._records = Records(scenario, self.geometry, self._steady)
        self._read_again = [
            name
            for name in scenario.stores
            if any(
                store == name and read.primary_for is not None
                for service in scenario.services.values()
                for store, read in service.reads.items()
            )
        ]
        self._leased = frozenset(
            name
            for name, store in scenario.stores.items()
            if (store.failover is not None and isinstance(store.failover.decide, DecideLease))
            or (store.in_region is not None and store.in_region.decide is not None)
        )

    def build(self, world: World) -> tuple[Parts, Injector]:
        """Wire one trial; return its components, and who brings the faults in."""
        scenario = self.scenario
        network = Network(world, self.geometry, scenario)
        reach = Reach(world, network, tuple(scenario.clients), scenario.regions)
        brownouts = Brownouts(world)
        refreshers: list[Refresher] = []

        def refresh(cause: int, touched: frozenset[str] | None = None) -> None:
            for places, look_again in refreshers:
                if touched is None or places is None or not places.isdisjoint(touched):
                    look_again(cause)

        network.listen(reach.on_network)
        loads = {name: load_of(world, name, store) for name, store in scenario.stores.items()}
        databases = {
            name: _database(world, network, name, store, loads[name]) for name, store in scenario.stores.items()
        }
        for database in databases.values():
            network.listen(database.on_network)
        endpoints = {
            name: Endpoint(world, network, name, store.endpoint, scenario.regions, databases[name].current.name)
            for name, store in scenario.stores.items()
        }
        for endpoint in endpoints.values():
            network.listen(endpoint.on_network)
        tier = Tier(world, network, scenario, refresh)
        network.listen(tier.on_network)
        _let_planes_edit(tier, scenario, endpoints)
        parts = Parts(network, reach, brownouts, databases, endpoints, {}, loads, tier)
        of_stores = (databases, endpoints, parts.returns, parts.switchovers)
        injector = Injector(world, network, scenario, *of_stores, brownouts, refresh, self._leased)
        for name in scenario.dns:
            parts.authorities[name] = self._records.wire(world, parts, name, refreshers)
        self._watch(world, parts, refreshers)
        for name in self._read_again:
            parts.readings[name] = Readings(world, scenario, name, databases[name], loads[name])
        self._consume(world, parts)
        # Probers and leases look again after everything that a change of paths has changed by itself.
        network.listen(lambda touched, cause: refresh(cause, touched))
        return parts, injector

    def _watch(self, world: World, parts: Parts, refreshers: list[Refresher]) -> None:
        """Set up what watches and commands stores."""
        for name, store in self.scenario.stores.items():
            database, endpoint = parts.databases[name], parts.endpoints[name]
            wiring = Wiring(
                world,
                parts.network,
                parts.brownouts,
                name,
                store,
                database,
                endpoint,
                refreshers,
                self._steady,
                self._inside[name],
            )
            parts.wirings.append(wiring)
            if wiring.decider is not None:
                wiring.decider.on_decided = partial(parts.tier.on_decided, name, wiring.decider.place)
            parts.tier.follow(name, database)
            parts.returns[name] = wiring.returns
            parts.switchovers[name] = wiring.switchovers or wiring.leased
            if wiring.reconciliation is not None:
                parts.reconciliations[name] = wiring.reconciliation

    def _consume(self, world: World, parts: Parts) -> None:
        """Set up who reads the changes of stores."""
        slotted = {name: one.slotted for name, one in zip(self.scenario.stores, parts.wirings, strict=True)}
        for name, feed in self.scenario.feeds.items():
            of = feed.of
            database, endpoint, load = parts.databases[of], parts.endpoints[of], parts.loads[of]
            store = self.scenario.stores[of]
            consumer = Consumer(world, parts.network, name, feed, store, database, endpoint, load, slotted[of])
            parts.network.listen(consumer.on_network)
            database.listen(consumer.look)
            parts.consumers[name] = consumer


def _let_planes_edit(tier: Tier, scenario: Scenario, endpoints: dict[str, Endpoint]) -> None:
    """Let management planes pass on the edits of the endpoints that they manage."""
    for name, store in scenario.stores.items():
        if store.endpoint.managed_by is not None:
            endpoints[name].through = partial(tier.carry, store.endpoint.managed_by, f"{name}/endpoint")


def _database(world: World, network: Network, name: str, store: Store, load: Load) -> Database:
    """Set up a store's nodes, with every standby streaming from the primary in steady state."""
    primary = Node(name, store.primary, "primary")
    nodes = {store.primary: primary}
    for standby in store.standbys:
        nodes[standby.region] = Node(name, standby.region, "standby")
    streaming = Streaming(world, network, store, load, nodes)
    for standby in store.standbys:
        streaming.connect(nodes[standby.region], primary, load.empty_at_s)
    checked = store.failover is not None and isinstance(store.failover.fence, FenceToken)
    storage = Storage(world, network, store) if store.storage or checked else None
    return Database(world, network, name, store, nodes, streaming, storage)
