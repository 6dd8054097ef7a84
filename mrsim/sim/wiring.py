"""Wires what watches and commands one store in one trial: managers, failover control, probers, and who returns."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from mrsim.scenario.control import DecideLease
from mrsim.scenario.places import OPERATIONS
from mrsim.sim.control import Control
from mrsim.sim.fences import presenting_of
from mrsim.sim.health import Outcome, ProberGroup, Steady, Timing
from mrsim.sim.inside import Insiders
from mrsim.sim.lease import LeaseControl
from mrsim.sim.lease_switchover import LeaseSwitchovers
from mrsim.sim.looks import at_once, look_at_node
from mrsim.sim.reconcile import Reconciliation
from mrsim.sim.returns import Returns
from mrsim.sim.selfcheck import IsolationCheck
from mrsim.sim.signals import nobody_listens
from mrsim.sim.slots import Slotted
from mrsim.sim.switchover import Switchovers
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.control import DecideAutomatic, DecideOperator, Detect, Failover
    from mrsim.scenario.stores import Store
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.inside import Inside
    from mrsim.sim.network import Network, Refresher
    from mrsim.sim.nodes import Node
    from mrsim.sim.presenting import Presenting
    from mrsim.sim.reach import Brownouts
    from mrsim.sim.world import World

_MOVERS = {"controller": "", "gitops": OPERATIONS, "health": None}
"""Where the endpoint's mover stands: '' is wherever the failover is controlled; None: it follows health by itself."""

_NO_CLUSTERS: Mapping[str, Cluster] = MappingProxyType({})


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
    controls
        What has to be taken apart after the trial.
    clusters
        Nodes that are looked after inside their region, by where each is.
    decider
        Who decides on failovers between regions; None where nobody does, or a lease.
    presenting
        How new primaries under a lease fence the old ones at the storage; None where they do not.
    """

    __slots__ = (
        "_brownouts",
        "_database",
        "_endpoint",
        "_insiders",
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
        "presenting",
        "reconciliation",
        "returns",
        "slotted",
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
        self.controls: list[Control] = []
        self.decider: Control | None = None
        self.switchovers: Switchovers | None = None
        self.leased: LeaseSwitchovers | None = None
        self.presenting: Presenting | None = None
        self._insiders = self._manage(inside)
        self.clusters = _NO_CLUSTERS if self._insiders is None else self._insiders.clusters
        self.returns = self._control(store.failover)
        if self._insiders is not None:
            self._insiders.on_reset = self.returns.reboot
        self.reconciliation = self._reconcile(store.failover)
        self.slotted = Slotted(world, store, store.slots, database, self.returns) if store.slots is not None else None
        if self.slotted is not None:
            network.listen(self.slotted.on_network)
            database.listen(self.slotted.look)

    def close(self) -> None:
        """Forget who listens."""
        for control in self.controls:
            control.close()
        if self._insiders is not None:
            self._insiders.close()
        for planned in (self.switchovers, self.leased):
            if planned is not None:
                planned.close()

    # Between regions -----------------------------------------------------------------------------------------------

    def _control(self, failover: Failover | None) -> Returns:
        database, network, world = self._database, self._network, self._world
        if failover is None:
            returns = self._returns(self._known_without_control, leased=False)
            self.switchovers = self._plan(None, returns) if self.clusters else None
            return returns
        detect, decide = failover.detect, failover.decide
        if failover.self_check is not None:
            check = IsolationCheck(world, network, self._name, failover.self_check, database)
            network.listen(check.on_network)
            database.listen(check.look)
        mover = _MOVERS[self._store.endpoint.moved_by]
        if isinstance(decide, DecideLease):
            lease = LeaseControl(
                world, network, self._name, decide, database, self._endpoint, mover, failover.promote.takes
            )
            leased = decide.enforced_by == "holder"
            returns = self._returns(lease.primary_known_in, leased=leased)
            lease.on_news, lease.clock.on_reset = returns.on_news, returns.reboot
            # Nobody sends a fence under a lease.
            self.presenting = presenting_of(world, network, self._name, failover, database, self.clusters)
            self.leased = LeaseSwitchovers(world, network, self._name, database, lease, returns)
            lease.clock.on_accepted = self.leased.look
            for looks_again in (lease.update, self.leased.look):
                database.listen(looks_again)
                self._refreshers.append((None, looks_again))
        elif detect is not None:
            returns = self._probed(failover, detect, decide, mover)
        else:
            # Nobody probes, so nobody ever decides.
            returns = self._returns(self._known_without_control, leased=False)
        if self._store.endpoint.moved_by == "health" and detect is not None:
            self._follow_health(detect)
        return returns

    def _manage(self, inside: Inside) -> Insiders | None:
        """Set up who promotes inside regions, if anybody does."""
        rule = self._store.in_region
        if rule is None:
            return None
        of_store = (self._name, self._store, rule, self._database, self._endpoint)
        return Insiders(self._world, self._network, self._brownouts, *of_store, self._refreshers, inside)

    def _plan(self, mover: str | None, returns: Returns) -> Switchovers:
        network, database, endpoint = self._network, self._database, self._endpoint
        planned = Switchovers(self._world, network, self._name, database, endpoint, mover, returns, self.clusters)
        database.listen(planned.look)
        self._refreshers.append((None, planned.look))
        for manager in self._insiders.controls if self._insiders is not None else ():
            manager.on_stage = planned.look
        return planned

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
        place = decide.runs_in or (OPERATIONS if decide.by == "operator" else detect.from_[0])
        mover = place if mover == "" else mover
        name, network, database, endpoint = self._name, self._network, self._database, self._endpoint
        control = Control(self._world, network, name, failover, decide, place, database, endpoint, mover, self.clusters)
        self.controls.append(control)
        self.decider = control
        returns = self._returns(control.primary_known_in, leased=False)
        self.switchovers = self._plan(mover, returns)
        self.switchovers.control = control
        control.on_stage = self.switchovers.look
        control.on_news = returns.on_news
        network.listen(control.on_network)
        database.listen(control.on_change)
        self._watch(detect, control)
        return returns

    def _returns(self, coordinator: Callable[[str], str | None], *, leased: bool) -> Returns:
        returns = Returns(
            self._world, self._network, self._store, self._database, coordinator, self.clusters, leased=leased
        )
        if self._insiders is not None:
            returns.turn_s, returns.needs_agent = self._insiders.turn_s, self._insiders.needs_agent
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
                endpoint.move(healthy[0], authority, event, nobody_listens)

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


def _timing(detect: Detect, need: int) -> Timing:
    return Timing(detect.every, detect.interval_from == "end", detect.fails, detect.recovers, detect.timeout, need)


def votes_needed(detect: Detect) -> int:
    """Return how many probers must report down."""
    count = len(detect.from_)
    if isinstance(detect.verdict, int):
        return detect.verdict
    return {"all": count, "any": 1, "majority": count // 2 + 1}[detect.verdict]
