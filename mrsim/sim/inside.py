"""Wires what promotes a store's nodes inside their regions: a manager in each, or agents that race for its lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.agents import Agents
from mrsim.sim.cluster import Cluster
from mrsim.sim.control import Control
from mrsim.sim.gates import LeaseGate, ManagerGate
from mrsim.sim.hosts import HostWatch
from mrsim.sim.lease_store import LeaseStore
from mrsim.sim.selfcheck import check_inside
from mrsim.sim.signals import nobody_listens
from mrsim.sim.site_lease import LeaseWatch
from mrsim.sim.succession import Succession
from mrsim.sim.world import ROUTING
from mrsim.trace import NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.control import DecideAutomatic, Failover, InRegion, SiteLease
    from mrsim.scenario.stores import Store
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.network import Network, Refresher
    from mrsim.sim.nodes import Node
    from mrsim.sim.reach import Brownouts
    from mrsim.sim.world import World

Inside = dict[str, tuple["Failover", "DecideAutomatic"]]
"""What the manager of each region does."""

_Watch = HostWatch | LeaseWatch


class Insiders:
    """What promotes one store's nodes inside their regions in one trial.

    Parameters
    ----------
    world, network, brownouts
        The trial.
    name, store, rule
        The store's id, its scenario, and what is done inside its regions.
    database, endpoint
        What is watched and commanded.
    refreshers
        Takes those who look again after changes.
    inside
        What the manager of each region does.

    Attributes
    ----------
    clusters
        By the region or zone of a node: the nodes of its region, where there are several.
    controls
        Who decides in each region; has to be taken apart after the trial.
    agents
        By the region or zone of a node: whose turns starts of databases wait for. Empty without leases.
    on_reset
        ``on_reset(region, cause)``: the host there is back after its watchdog has reset it.
    """

    __slots__ = (
        "_brownouts",
        "_database",
        "_endpoint",
        "_inside",
        "_name",
        "_network",
        "_refreshers",
        "_rule",
        "_store",
        "_watching",
        "_world",
        "agents",
        "clusters",
        "controls",
        "on_reset",
    )

    def __init__(
        self,
        world: World,
        network: Network,
        brownouts: Brownouts,
        name: str,
        store: Store,
        rule: InRegion,
        database: Database,
        endpoint: Endpoint,
        refreshers: list[Refresher],
        inside: Inside,
    ) -> None:
        self._world = world
        self._network = network
        self._brownouts = brownouts
        self._name = name
        self._store = store
        self._rule = rule
        self._database = database
        self._endpoint = endpoint
        self._refreshers = refreshers
        self._inside = inside
        self.on_reset: Callable[[str, int], None] = nobody_listens
        self.controls: list[Control] = []
        self.agents: dict[str, Agents] = {}
        self.clusters: dict[str, Cluster] = {}
        home = network.geometry.home
        for region in network.geometry.regions:
            sites = frozenset(site for site in database.nodes if home[site] == region)
            if len(sites) > 1:
                self.clusters |= dict.fromkeys(sites, self._cluster(region, sites))

    def close(self) -> None:
        """Forget who listens."""
        self.on_reset = nobody_listens
        for control in self.controls:
            control.close()
        for cluster in self.clusters.values():
            cluster.close()

    def turn_s(self, node: Node) -> float:
        """Return how long it takes until the agent that would start a node's database has its turn, in seconds."""
        agents = self.agents.get(node.region)
        return agents.wait_s(node) if agents is not None else 0.0

    def needs_agent(self, node: Node) -> bool:
        """Return whether a node's database is started by the agent beside it."""
        return node.region in self.agents

    def _cluster(self, region: str, sites: frozenset[str]) -> Cluster:
        world, network, database, rule = self._world, self._network, self._database, self._rule
        name = f"{self._name}/{region}"
        failover, decide = self._inside[region]
        control = Control(
            world, network, name, failover, decide, region, database, self._endpoint, region, inside=sites
        )
        cluster = Cluster(network, database, region, sites, control)
        succession = Succession(world, network, database, name, rule, cluster)
        watch = (
            self._by_hosts(control, cluster, succession)
            if rule.decide is None
            else self._by_lease(rule.decide, control, cluster, succession)
        )
        names = frozenset(database.nodes[site].name for site in sites)
        moves = 0

        def redirect(node: Node, cause: int, done: Callable[[int], None]) -> None:
            nonlocal moves
            moves += 1
            when = world.now + world.sample(f"{name}/redirects", rule.redirects, moves)

            def lead() -> None:
                cluster.redirected(node)
                done(self._endpoint.lead(names, node.name, cause))
                database.changed(cause)

            world.at(when, ROUTING, f"{name}/redirects", lead)

        control.redirect = redirect
        self.controls.append(control)
        network.listen(control.on_network)
        database.listen(cluster.on_change)
        if isinstance(control.gate, ManagerGate):
            database.listen(control.gate.look)
        database.listen(control.on_change)
        self._follow(control, cluster, succession, watch)
        return cluster

    def _by_hosts(self, control: Control, cluster: Cluster, succession: Succession) -> Callable[[Node, int], _Watch]:
        """Let a manager hear of its hosts; return how it watches a leader."""
        world, network, database, rule = self._world, self._network, self._database, self._rule
        name = f"{self._name}/{cluster.region}"
        control.gate = gate = ManagerGate(world, network, name, self._store, rule, database, cluster)
        network.listen(gate.on_network)
        check_inside(world, network, self._name, rule, database, cluster)

        def watch(node: Node, cause: int) -> HostWatch:
            told = succession if cluster.primary is None else control
            return HostWatch(world, network, self._brownouts, f"{name}/{node.region}", node, rule, told, cause)

        return watch

    def _by_lease(
        self, lease: SiteLease, control: Control, cluster: Cluster, succession: Succession
    ) -> Callable[[Node, int], _Watch]:
        """Let agents race for a lease in the region's own store; return how its holder is watched."""
        world, network, database, region = self._world, self._network, self._database, cluster.region
        _, *zones = network.geometry.with_zones((region,))
        store = LeaseStore(network, tuple(zones) if lease.voters == "zones" and zones else (region,), lease)
        agents = Agents(world, network, [database.nodes[site] for site in sorted(cluster.sites)], lease.loop_wait)
        self.agents |= dict.fromkeys(cluster.sites, agents)
        database.listen(agents.look)
        self._refreshers.append((None, agents.look))
        gate = LeaseGate(world, network, store, lease, database, cluster)
        control.gate = succession.gate = gate

        def watch(node: Node, cause: int) -> LeaseWatch:
            label = f"{self._name}/{region}/{node.region}"
            told = succession if cluster.primary is None else control
            watched = LeaseWatch(
                world, network, database, label, node, cluster, lease, self._rule.takes, store, agents, gate, told
            )
            watched.on_reset = self._reset
            watched.look(cause)
            return watched

        return watch

    def _reset(self, region: str, cause: int) -> None:
        self.on_reset(region, cause)

    def _follow(
        self, control: Control, cluster: Cluster, succession: Succession, watch: Callable[[Node, int], _Watch]
    ) -> None:
        """Watch the leader, and each new one."""
        watching: list[_Watch] = []
        self._database.listen(succession.on_change)

        def follow(cause: int) -> None:
            for one in watching:
                one.retire()
            watching.clear()
            succession.reset()
            if not cluster.held:
                watching.append(watch(cluster.target if cluster.primary is None else cluster.primary, cause))

        def look_again(cause: int) -> None:
            for one in watching:
                one.look(cause)

        follow(NO_EVENT)
        control.on_new_primary = cluster.watch = follow
        # The members of a lease's store may be in zones without a node.
        zones = self._network.geometry.with_zones((cluster.region,)) if self.agents else ()
        self._refreshers.append((frozenset((*cluster.sites, cluster.region, *zones)), look_again))
        self._database.listen(look_again)
