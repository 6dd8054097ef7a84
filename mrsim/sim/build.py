"""Wires the components of one trial, once; nothing is patched afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import floor
from typing import TYPE_CHECKING

from mrsim.scenario.control import DecideLease
from mrsim.sim.control import Control
from mrsim.sim.database import Database
from mrsim.sim.dns import Authority, preferences
from mrsim.sim.endpoint import Endpoint
from mrsim.sim.health import Outcome, ProberGroup, Steady, Timing
from mrsim.sim.injector import Injector
from mrsim.sim.lease import LeaseControl
from mrsim.sim.network import Geometry, Network
from mrsim.sim.nodes import Node
from mrsim.sim.reach import Brownouts, Reach
from mrsim.sim.returns import Returns
from mrsim.sim.selfcheck import IsolationCheck
from mrsim.sim.streaming import Streaming
from mrsim.sim.wal import Load
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.control import Detect, Failover
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.services import HealthCheck, Record
    from mrsim.scenario.stores import Store
    from mrsim.sim.world import World

_MOVERS = {"controller": "", "gitops": "operations", "health": None}
"""Where the endpoint's mover stands: '' is wherever the failover is controlled; None: it follows health by itself."""


Refresher = tuple["frozenset[str] | None", "Callable[[int], None]"]
"""Who looks again after a change of paths, and the places it concerns; None: any."""


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
    returns: dict[str, Returns] = field(default_factory=dict)
    controls: list[Control] = field(default_factory=list)

    def close(self) -> None:
        """Take the finished trial apart, so that its components are freed at once and not by a search for cycles."""
        self.network.close()
        for database in self.databases.values():
            database.close()
        for endpoint in self.endpoints.values():
            endpoint.close()
        for control in self.controls:
            control.close()


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
        cohorts = tuple(scenario.clients)
        self._preferences = {
            name: preferences(record, scenario.regions, cohorts, self.geometry) for name, record in scenario.dns.items()
        }
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
        loads = {name: Load(store.wal, _burst_phase(world, name, store)) for name, store in scenario.stores.items()}
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
        parts = Parts(network, reach, brownouts, databases, endpoints, {}, loads)
        injector = Injector(world, network, scenario, databases, parts.returns, brownouts, refresh, self._leased)
        for name, record in scenario.dns.items():
            parts.authorities[name] = self._authority(world, parts, name, record, refreshers)
        for name, store in scenario.stores.items():
            self._control(world, parts, name, store, refreshers)
        # Probers and leases look again after everything that a change of paths has changed by itself.
        network.listen(lambda touched, cause: refresh(cause, touched))
        return parts, injector

    # Records -------------------------------------------------------------------------------------------------------

    def _authority(
        self, world: World, parts: Parts, name: str, record: Record, refreshers: list[Refresher]
    ) -> Authority:
        authority = Authority(world, name, record, self._preferences[name])
        check = record.health_check
        if check is None:
            return authority
        timing = Timing(
            check.every, check.interval_from == "end", check.fails, check.recovers, check.timeout, needed_down(check)
        )
        for region in record.regions or self.scenario.regions:
            look = partial(_look_at_front, parts.network, parts.brownouts, check, region)

            def verdict(down: bool, event: int, region: str = region) -> None:
                authority.on_verdict(region, event, down=down)

            label = f"{name}/check/{region}"
            standing = (check.stands,) * check.checkers
            steady = self._steady.get(label)
            group = ProberGroup(
                world, label, f"{name}@{region}", standing, timing, look, _at_once, verdict, steady=steady
            )
            self._steady.setdefault(label, group.steady)
            refreshers.append((frozenset((region, check.stands)), group.reassess))
        return authority

    # Stores --------------------------------------------------------------------------------------------------------

    def _control(self, world: World, parts: Parts, name: str, store: Store, refreshers: list[Refresher]) -> None:
        database, endpoint, network = parts.databases[name], parts.endpoints[name], parts.network
        failover = store.failover
        if failover is None:
            self._returns(world, parts, name, store, lambda _: database.current.name, leased=False)
            return
        if failover.self_check is not None:
            network.listen(IsolationCheck(world, network, name, failover.self_check, database).on_network)
        if isinstance(failover.decide, DecideLease):
            mover, takes = _MOVERS[store.endpoint.moved_by], failover.promote.takes
            lease = LeaseControl(world, network, name, failover.decide, database, endpoint, mover, takes)
            leased = failover.decide.enforced_by == "holder"
            returns = self._returns(world, parts, name, store, lease.primary_known_in, leased=leased)
            lease.on_news, lease.on_reset = returns.on_news, returns.reboot
            database.listen(lease.update)
            refreshers.append((None, lease.update))
        elif failover.detect is not None:
            detect = failover.detect
            place = failover.decide.runs_in or ("operations" if failover.decide.by == "operator" else detect.from_[0])
            mover = _MOVERS[store.endpoint.moved_by]
            control = Control(
                world,
                network,
                name,
                failover,
                failover.decide,
                place,
                database,
                endpoint,
                place if mover == "" else mover,
            )
            parts.controls.append(control)
            returns = self._returns(world, parts, name, store, control.primary_known_in, leased=False)
            control.on_news = returns.on_news
            network.listen(control.on_network)
            database.listen(control.on_change)
            self._watch(world, parts, name, detect, control, refreshers)
        if store.endpoint.moved_by == "health":
            self._follow_health(world, parts, name, store, failover, refreshers)

    def _returns(
        self,
        world: World,
        parts: Parts,
        name: str,
        store: Store,
        coordinator: Callable[[str], str | None],
        *,
        leased: bool,
    ) -> Returns:
        database = parts.databases[name]
        returns = Returns(world, parts.network, store, database, coordinator, leased=leased)
        database.listen(returns.on_change)
        parts.network.listen(returns.on_network)
        parts.returns[name] = returns
        return returns

    def _watch(
        self,
        world: World,
        parts: Parts,
        name: str,
        detect: Detect,
        control: Control,
        refreshers: list[Refresher],
    ) -> None:
        """Probe the primary from the places named; after a failover, the new one."""
        network, database = parts.network, parts.databases[name]
        timing = Timing(
            detect.every,
            detect.interval_from == "end",
            detect.fails,
            detect.recovers,
            detect.timeout,
            votes_needed(detect),
        )

        def delay(place: str) -> float:
            return network.one_way_s(place, control.place) if network.open(place, control.place) else INF

        def watch(node: Node, cause: int = NO_EVENT) -> ProberGroup:
            look = partial(_look_at_node, network, parts.brownouts, detect.probe, detect.timeout, node)
            label = f"{name}/detect/{node.region}"
            steady = self._steady.get(label) if world.now == 0.0 else None
            return ProberGroup(
                world,
                label,
                node.name,
                detect.from_,
                timing,
                look,
                delay,
                control.on_verdict,
                steady=steady,
                cause=cause,
            )

        watching = [watch(database.current)]
        self._steady.setdefault(f"{name}/detect/{database.current.region}", watching[0].steady)

        def look_again(cause: int) -> None:
            watching[0].reassess(cause)

        def new_primary(cause: int) -> None:
            watching[0].retire()
            watching[0] = watch(database.current, cause)

        control.on_new_primary = new_primary
        places = frozenset((*database.nodes, *detect.from_, control.place))
        refreshers.append((places, look_again))
        database.listen(look_again)

    def _follow_health(
        self,
        world: World,
        parts: Parts,
        name: str,
        store: Store,
        failover: Failover,
        refreshers: list[Refresher],
    ) -> None:
        """Let the endpoint answer with the first node that looks like a working primary from the authority."""
        network, database, endpoint = parts.network, parts.databases[name], parts.endpoints[name]
        detect = failover.detect
        if detect is None:
            return
        timing = Timing(detect.every, detect.interval_from == "end", detect.fails, detect.recovers, detect.timeout, 1)
        nodes = list(database.nodes.values())
        down = {node.name: node.role != "primary" for node in nodes}

        def verdict(is_down: bool, event: int, node: Node) -> None:
            down[node.name] = is_down
            healthy = [item.name for item in nodes if not down[item.name]]
            if healthy and healthy[0] != endpoint.target:
                endpoint.move(healthy[0], store.endpoint.authority, event, lambda _: None)

        for node in nodes:
            look = partial(_look_at_node, network, parts.brownouts, "process", detect.timeout, node, role=True)
            group = ProberGroup(
                world,
                f"{name}/endpoint/{node.region}",
                f"{name}-endpoint@{node.region}",
                (store.endpoint.authority,),
                timing,
                look,
                _at_once,
                partial(verdict, node=node),
                down=down[node.name],
            )
            refreshers.append((frozenset((node.region, store.endpoint.authority)), group.reassess))
            database.listen(group.reassess)


def needed_down(check: HealthCheck) -> int:
    """Return how many checkers must report down for the verdict: healthy needs more than a share of them."""
    healthy_needed = floor(check.healthy_above * check.checkers + 1e-9) + 1
    return check.checkers - healthy_needed + 1


def votes_needed(detect: Detect) -> int:
    """Return how many probers must report down."""
    count = len(detect.from_)
    if isinstance(detect.verdict, int):
        return detect.verdict
    return {"all": count, "any": 1, "majority": count // 2 + 1}[detect.verdict]


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


def _burst_phase(world: World, name: str, store: Store) -> float:
    bursts = store.wal.bursts
    if bursts is None:
        return 0.0
    fraction = world.uniform(f"{name}/burst") if isinstance(bursts.phase, str) else bursts.phase
    return fraction * bursts.every


def _at_once(_: str) -> float:
    return 0.0


def _look_at_front(network: Network, brownouts: Brownouts, check: HealthCheck, region: str, place: str) -> Outcome:
    """Return what a health check of a region's front door sees."""
    rtt = network.rtt_s(place, region)
    if not network.both_ways(place, region):
        takes = rtt if network.refuses(region) else check.timeout
        return Outcome(1.0, takes, rtt)
    if rtt >= check.timeout:
        return Outcome(1.0, check.timeout, check.timeout)
    lost = network.probe_loss(place, region)
    failing = brownouts.failing(region, check.answer_within or check.timeout) if check.depth == "application" else 0.0
    return Outcome(1.0 - (1.0 - lost) * (1.0 - failing), check.timeout, rtt)


def _look_at_node(
    network: Network, brownouts: Brownouts, depth: str, timeout_s: float, node: Node, place: str, *, role: bool = False
) -> Outcome:
    """Return what a probe of a database node sees: host, process, or a write; ``role`` asks for a primary."""
    rtt = network.rtt_s(place, node.region)
    if not network.both_ways(place, node.region):
        return Outcome(1.0, rtt if network.refuses(node.region) else timeout_s, rtt)
    if node.fenced or not node.host_up or rtt >= timeout_s:
        return Outcome(1.0, timeout_s, min(rtt, timeout_s))
    lost = network.probe_loss(place, node.region)
    if depth == "reachability":
        return Outcome(lost, timeout_s, rtt)
    if not node.running or (role and node.role != "primary"):
        return Outcome(1.0, rtt, rtt)
    if depth == "write-path" and not node.acknowledging:
        return Outcome(1.0, timeout_s if node.role == "primary" else rtt, rtt)
    failing = brownouts.failing(network.geometry.home[node.region] or "", timeout_s) if depth == "write-path" else 0.0
    return Outcome(1.0 - (1.0 - lost) * (1.0 - failing), timeout_s, rtt)
