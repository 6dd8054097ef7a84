"""Wires what watches and commands one store in one trial: managers, failover control, probers, and who returns."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from mrsim.scenario.control import DecideAutomatic, DecideLease, Failover
from mrsim.sim.cluster import Cluster
from mrsim.sim.control import Control
from mrsim.sim.health import Outcome, ProberGroup, Steady, Timing
from mrsim.sim.hosts import HostWatch
from mrsim.sim.lease import LeaseControl
from mrsim.sim.lease_switchover import LeaseSwitchovers
from mrsim.sim.looks import at_once, look_at_node
from mrsim.sim.reconcile import Reconciliation
from mrsim.sim.returns import Returns
from mrsim.sim.selfcheck import IsolationCheck
from mrsim.sim.slots import Slotted
from mrsim.sim.switchover import Switchovers
from mrsim.sim.world import ROUTING
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.control import DecideOperator, Detect, InRegion
    from mrsim.scenario.stores import Store
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.reach import Brownouts
    from mrsim.sim.world import World

_MOVERS = {"controller": "", "gitops": "operations", "health": None}
"""Where the endpoint's mover stands: '' is wherever the failover is controlled; None: it follows health by itself."""

_NO_CLUSTERS: Mapping[str, Cluster] = MappingProxyType({})

Refresher = tuple["frozenset[str] | None", "Callable[[int], None]"]
"""Who looks again after a change of paths, and the places it concerns; None: any."""


Inside = dict[str, tuple[Failover, DecideAutomatic]]
"""What the manager of each region does."""


class Wiring:
    """What watches and commands one store in one trial.

    Parameters
    ----------
    world, network, brownouts
        The trial.
    name, store
        The store's id and its scenario.
    database, endpoint
        What is watched and commanded.
    refreshers
        Takes those who look again after changes.
    steady
        What the groups of probers were in another trial at t = 0, by label.
    inside
        What the manager of each region does.

    Attributes
    ----------
    returns
        Who starts the store's nodes again.
    switchovers
        Who carries planned work out; None where nobody decides over it, or a lease does.
    leased
        Who carries it out under a lease; None where there is none.
    controls, clusters
        What has to be taken apart after the trial.
    decider
        Who decides on failovers between regions; None where nobody does, or a lease.
    """

    __slots__ = (
        "_brownouts",
        "_database",
        "_endpoint",
        "_inside",
        "_name",
        "_network",
        "_refreshers",
        "_steady",
        "_store",
        "_world",
        "clusters",
        "controls",
        "decider",
        "leased",
        "reconciliation",
        "returns",
        "switchovers",
    )

    def __init__(
        self,
        world: World,
        network: Network,
        brownouts: Brownouts,
        name: str,
        store: Store,
        database: Database,
        endpoint: Endpoint,
        refreshers: list[Refresher],
        steady: dict[str, Steady | None],
        inside: Inside,
    ) -> None:
        self._world = world
        self._network = network
        self._brownouts = brownouts
        self._name = name
        self._store = store
        self._database = database
        self._endpoint = endpoint
        self._refreshers = refreshers
        self._steady = steady
        self._inside = inside
        self.controls: list[Control] = []
        self.decider: Control | None = None
        self.switchovers: Switchovers | None = None
        self.leased: LeaseSwitchovers | None = None
        self.clusters = self._manage(store.in_region) if store.in_region is not None else _NO_CLUSTERS
        self.returns = self._control(store.failover)
        self.reconciliation = self._reconcile(store.failover)
        if store.slots is not None:
            slots = Slotted(world, store, store.slots, database, self.returns)
            network.listen(slots.on_network)
            database.listen(slots.look)

    def close(self) -> None:
        """Forget who listens."""
        for control in self.controls:
            control.close()
        for cluster in self.clusters.values():
            cluster.close()
        for planned in (self.switchovers, self.leased):
            if planned is not None:
                planned.close()

    # Between regions -----------------------------------------------------------------------------------------------

    def _control(self, failover: Failover | None) -> Returns:
        database, network, world = self._database, self._network, self._world
        if failover is None:
            return self._returns(self._known_without_control, leased=False)
        detect, decide = failover.detect, failover.decide
        if failover.self_check is not None:
            network.listen(IsolationCheck(world, network, self._name, failover.self_check, database).on_network)
        mover = _MOVERS[self._store.endpoint.moved_by]
        if isinstance(decide, DecideLease):
            lease = LeaseControl(
                world, network, self._name, decide, database, self._endpoint, mover, failover.promote.takes
            )
            leased = decide.enforced_by == "holder"
            returns = self._returns(lease.primary_known_in, leased=leased)
            lease.on_news, lease.on_reset = returns.on_news, returns.reboot
            self.leased = LeaseSwitchovers(world, network, self._name, database, lease, returns)
            database.listen(lease.update)
            self._refreshers.append((None, lease.update))
        elif detect is not None:
            returns = self._probed(failover, detect, decide, mover)
        else:
            # Nobody probes, so nobody ever decides.
            returns = self._returns(self._known_without_control, leased=False)
        if self._store.endpoint.moved_by == "health" and detect is not None:
            self._follow_health(detect)
        return returns

    def _reconcile(self, failover: Failover | None) -> Reconciliation | None:
        rule = failover.old_primary.reconcile if failover is not None else None
        if rule is None:
            return None
        reconciliation = Reconciliation(self._world, self._network, rule, self._database)
        self._database.listen(reconciliation.on_change)
        self._network.listen(reconciliation.on_network)
        return reconciliation

    def _known_without_control(self, site: str) -> str | None:
        """Return the primary as a node is told where nobody fails over between regions."""
        cluster = self.clusters.get(site)
        return self._database.current.name if cluster is None else cluster.primary_known_in(site)

    def _probed(
        self, failover: Failover, detect: Detect, decide: DecideAutomatic | DecideOperator, mover: str | None
    ) -> Returns:
        """Let probers report to a program or a person."""
        place = decide.runs_in or ("operations" if decide.by == "operator" else detect.from_[0])
        mover = place if mover == "" else mover
        control = Control(
            self._world,
            self._network,
            self._name,
            failover,
            decide,
            place,
            self._database,
            self._endpoint,
            mover,
            self.clusters,
        )
        self.controls.append(control)
        self.decider = control
        returns = self._returns(control.primary_known_in, leased=False)
        self.switchovers = Switchovers(
            self._world, self._network, self._name, self._database, self._endpoint, mover, returns
        )
        self.switchovers.control = control
        control.on_news = returns.on_news
        self._network.listen(control.on_network)
        self._database.listen(control.on_change)
        self._watch(detect, control)
        return returns

    def _returns(self, coordinator: Callable[[str], str | None], *, leased: bool) -> Returns:
        returns = Returns(
            self._world, self._network, self._store, self._database, coordinator, self.clusters, leased=leased
        )
        self._database.listen(returns.on_change)
        self._network.listen(returns.on_network)
        return returns

    def _watch(self, detect: Detect, control: Control) -> None:
        """Probe the primary from the places named, through its cluster's service; after a failover, the new one."""
        network, database, name = self._network, self._database, self._name
        timing = _timing(detect, votes_needed(detect))
        on_verdict = self.switchovers.on_verdict if self.switchovers is not None else control.on_verdict

        def delay(place: str) -> float:
            return network.one_way_s(place, control.place) if network.open(place, control.place) else INF

        def watch(node: Node, cause: int = NO_EVENT) -> ProberGroup:
            cluster = self.clusters.get(node.region)

            def look(place: str) -> Outcome:
                behind = node if cluster is None else cluster.target
                return look_at_node(network, self._brownouts, detect.probe, detect.timeout, behind, place)

            label = f"{name}/detect/{node.region}"
            steady = self._steady.get(label) if self._world.now == 0.0 else None
            return ProberGroup(
                self._world,
                label,
                node.name,
                detect.from_,
                timing,
                look,
                delay,
                on_verdict,
                steady=steady,
                cause=cause,
            )

        watching = [watch(database.current)]
        self._steady.setdefault(f"{name}/detect/{database.current.region}", watching[0].steady)

        def look_again(cause: int) -> None:
            watching[0].reassess(cause)

        def new_primary(cause: int) -> None:
            watching[0].retire()
            watching[0] = watch(database.nodes[control.state.primary], cause)

        control.on_new_primary = new_primary
        places = frozenset((*database.nodes, *detect.from_, control.place))
        self._refreshers.append((places, look_again))
        database.listen(look_again)

    def _follow_health(self, detect: Detect) -> None:
        """Let the endpoint answer with the first node that looks like a working primary from the authority."""
        network, endpoint = self._network, self._endpoint
        authority, timing = self._store.endpoint.authority, _timing(detect, 1)
        nodes = list(self._database.nodes.values())
        down = {node.name: node.role != "primary" for node in nodes}

        def verdict(is_down: bool, event: int, node: Node) -> None:
            down[node.name] = is_down
            healthy = [item.name for item in nodes if not down[item.name]]
            if healthy and healthy[0] != endpoint.target:
                endpoint.move(healthy[0], authority, event, lambda _: None)

        for node in nodes:
            look = partial(look_at_node, network, self._brownouts, "process", detect.timeout, node, role=True)
            group = ProberGroup(
                self._world,
                f"{self._name}/endpoint/{node.region}",
                f"{self._name}-endpoint@{node.region}",
                (authority,),
                timing,
                look,
                at_once,
                partial(verdict, node=node),
                down=down[node.name],
            )
            self._refreshers.append((frozenset((node.region, authority)), group.reassess))
            self._database.listen(group.reassess)

    # Inside a region -----------------------------------------------------------------------------------------------

    def _manage(self, rule: InRegion) -> dict[str, Cluster]:
        """Set up a manager in every region with several nodes; return their clusters by region or zone of a node."""
        home = self._network.geometry.home
        found: dict[str, Cluster] = {}
        for region in self._network.geometry.regions:
            sites = frozenset(site for site in self._database.nodes if home[site] == region)
            if len(sites) > 1:
                found |= dict.fromkeys(sites, self._cluster(rule, region, sites))
        return found

    def _cluster(self, rule: InRegion, region: str, sites: frozenset[str]) -> Cluster:
        world, network, database, name = self._world, self._network, self._database, f"{self._name}/{region}"
        failover, decide = self._inside[region]
        control = Control(
            world, network, name, failover, decide, region, database, self._endpoint, region, inside=sites
        )
        cluster = Cluster(network, database, region, sites, control)
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
        database.listen(control.on_change)
        self._watch_hosts(rule, control, cluster)
        return cluster

    def _watch_hosts(self, rule: InRegion, control: Control, cluster: Cluster) -> None:
        """Let the primary's host report its database and itself to the manager, and follow each new primary."""
        world, network, database = self._world, self._network, self._database
        watching: list[HostWatch] = []

        def follow(cause: int) -> None:
            for watch in watching:
                watch.retire()
            watching.clear()
            if cluster.primary is not None:
                node = cluster.primary
                label = f"{self._name}/{cluster.region}/{node.region}"
                watching.append(HostWatch(world, network, self._brownouts, label, node, rule, control, cause))

        def look_again(cause: int) -> None:
            for watch in watching:
                watch.look(cause)

        follow(NO_EVENT)
        control.on_new_primary = cluster.watch = follow
        self._refreshers.append((frozenset((*cluster.sites, cluster.region)), look_again))
        database.listen(look_again)


def _timing(detect: Detect, need: int) -> Timing:
    return Timing(detect.every, detect.interval_from == "end", detect.fails, detect.recovers, detect.timeout, need)


def votes_needed(detect: Detect) -> int:
    """Return how many probers must report down."""
    count = len(detect.from_)
    if isinstance(detect.verdict, int):
        return detect.verdict
    return {"all": count, "any": 1, "majority": count // 2 + 1}[detect.verdict]
