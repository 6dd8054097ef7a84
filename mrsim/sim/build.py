"""Wires the components of one trial, once; nothing is patched afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import floor
from typing import TYPE_CHECKING

from mrsim.scenario.control import DecideLease
from mrsim.sim.bulk import load_of
from mrsim.sim.cluster import failover_inside
from mrsim.sim.database import Database
from mrsim.sim.dns import Authority, preferences
from mrsim.sim.endpoint import Endpoint
from mrsim.sim.health import ProberGroup, Steady, Timing
from mrsim.sim.injector import Injector
from mrsim.sim.instances import Instance, look_through_front
from mrsim.sim.lease_switchover import LeaseSwitchovers
from mrsim.sim.looks import at_once, look_at_front
from mrsim.sim.network import Geometry, Network
from mrsim.sim.nodes import Node
from mrsim.sim.reach import Brownouts, Reach
from mrsim.sim.readings import Readings
from mrsim.sim.reconcile import Reconciliation
from mrsim.sim.returns import Returns
from mrsim.sim.streaming import Streaming
from mrsim.sim.switchover import Switchovers
from mrsim.sim.tier import Tier
from mrsim.sim.wal import Load
from mrsim.sim.weighted import WeightedAuthority
from mrsim.sim.wiring import Refresher, Wiring

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.services import HealthCheck, Record
    from mrsim.scenario.stores import Store
    from mrsim.sim.world import World


@dataclass(slots=True)
class Parts:
    """The components of one trial."""

    network: Network
    reach: Reach
    brownouts: Brownouts
    databases: dict[str, Database]
    endpoints: dict[str, Endpoint]
    authorities: dict[str, Authority]
    loads: dict[str, Load]
    tier: Tier
    returns: dict[str, Returns] = field(default_factory=dict)
    switchovers: dict[str, Switchovers | LeaseSwitchovers | None] = field(default_factory=dict)
    reconciliations: dict[str, Reconciliation] = field(default_factory=dict)
    readings: dict[str, Readings] = field(default_factory=dict)
    wirings: list[Wiring] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)

    def close(self) -> None:
        """Take the finished trial apart, so that its components are freed at once and not by a search for cycles."""
        self.network.close()
        for database in self.databases.values():
            database.close()
        for endpoint in self.endpoints.values():
            endpoint.close()
        self.tier.close()
        for wiring in self.wirings:
            wiring.close()
        for instance in self.instances:
            instance.close()
        for authority in self.authorities.values():
            authority.close()


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
        cohorts = tuple(scenario.clients)
        self._preferences = {
            name: preferences(record, scenario.regions, cohorts, self.geometry) for name, record in scenario.dns.items()
        }
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
            if store.failover is not None and isinstance(store.failover.decide, DecideLease)
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
        for name, record in scenario.dns.items():
            parts.authorities[name] = self._authority(world, parts, name, record, refreshers)
        for name, store in scenario.stores.items():
            wiring = Wiring(
                world,
                network,
                brownouts,
                name,
                store,
                databases[name],
                endpoints[name],
                refreshers,
                self._steady,
                self._inside[name],
            )
            parts.wirings.append(wiring)
            if wiring.decider is not None:
                wiring.decider.on_decided = partial(tier.on_decided, name, wiring.decider.place)
            tier.follow(name, databases[name])
            parts.returns[name] = wiring.returns
            parts.switchovers[name] = wiring.switchovers or wiring.leased
            if wiring.reconciliation is not None:
                parts.reconciliations[name] = wiring.reconciliation
        for name in self._read_again:
            parts.readings[name] = Readings(world, scenario, name, databases[name], loads[name])
        # Probers and leases look again after everything that a change of paths has changed by itself.
        network.listen(lambda touched, cause: refresh(cause, touched))
        return parts, injector

    # Records -------------------------------------------------------------------------------------------------------

    def _authority(
        self, world: World, parts: Parts, name: str, record: Record, refreshers: list[Refresher]
    ) -> Authority:
        offered = record.regions or self.scenario.regions
        check, tier = record.health_check, parts.tier
        asleep: frozenset[str] = frozenset()
        serving = partial(tier.all_serve, record.serves)
        if check is not None:
            asleep = frozenset(region for region in offered if check.depth != "reachability" and not serving(region))
        if record.policy == "weighted":
            cohorts = tuple(self.scenario.clients)
            weighted = WeightedAuthority(world, parts.network, name, record, offered, cohorts, asleep)
            parts.network.listen(weighted.on_network)
            authority: Authority = weighted
        else:
            authority = Authority(world, name, record, offered, self._preferences[name], asleep)
        if check is None:
            return authority
        timing = Timing(
            check.every, check.interval_from == "end", check.fails, check.recovers, check.timeout, needed_down(check)
        )
        for region in offered:
            label = f"{name}/check/{region}"
            stores = self._written(record, region) if check.depth == "write-path" else []
            instances = [self._instance(world, parts, f"{label}/{store}", region, store) for store in stores]
            look = partial(look_at_front, parts.network, parts.brownouts, serving, check, region)
            if instances:
                look = partial(look_through_front, parts.network, parts.brownouts, serving, check, region, instances)

            def verdict(down: bool, event: int, region: str = region) -> None:
                authority.on_verdict(region, event, down=down)
                if down:
                    tier.on_front_down(record, region, event)

            standing = (check.stands,) * check.checkers
            # How long a deep probe takes follows from the trial's own draws.
            steady = None if instances else self._steady.get(label)
            group = ProberGroup(
                world,
                label,
                f"{name}@{region}",
                standing,
                timing,
                look,
                at_once,
                verdict,
                down=region in asleep,
                steady=steady,
            )
            if not instances:
                self._steady.setdefault(label, group.steady)
            for instance in instances:
                instance.on_change = group.reassess
            for store in stores:
                parts.databases[store].listen(group.reassess)
            sites = (site for store in stores for site in parts.databases[store].nodes)
            refreshers.append((frozenset((region, check.stands, *sites)), group.reassess))
        return authority

    def _written(self, record: Record, region: str) -> list[str]:
        """Return the stores that services behind a record write from a region."""
        services = (self.scenario.services[name] for name in record.serves)
        stores = (service.writes for service in services if service.may_serve(region))
        return list(dict.fromkeys(store for store in stores if store is not None))

    def _instance(self, world: World, parts: Parts, label: str, region: str, store: str) -> Instance:
        model = self.scenario.stores[store].endpoint
        instance = Instance(world, label, region, model, parts.endpoints[store], parts.databases[store])
        parts.instances.append(instance)
        return instance


def _let_planes_edit(tier: Tier, scenario: Scenario, endpoints: dict[str, Endpoint]) -> None:
    """Let management planes pass on the edits of the endpoints that they manage."""
    for name, store in scenario.stores.items():
        if store.endpoint.managed_by is not None:
            endpoints[name].through = partial(tier.carry, store.endpoint.managed_by, f"{name}/endpoint")


def needed_down(check: HealthCheck) -> int:
    """Return how many checkers must report down for the verdict: healthy needs more than a share of them."""
    healthy_needed = floor(check.healthy_above * check.checkers + 1e-9) + 1
    return check.checkers - healthy_needed + 1


def _database(world: World, network: Network, name: str, store: Store, load: Load) -> Database:
    """Set up a store's nodes, with every standby streaming from the primary in steady state."""
    primary = Node(name, store.primary, "primary")
    nodes = {store.primary: primary}
    for standby in store.standbys:
        nodes[standby.region] = Node(name, standby.region, "standby")
    streaming = Streaming(world, network, store, load, nodes)
    for standby in store.standbys:
        streaming.connect(nodes[standby.region], primary, load.empty_at_s)
    return Database(world, network, name, store, nodes, streaming)
