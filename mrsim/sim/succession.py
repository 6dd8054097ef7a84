"""Who leads a cluster of standbys when its leader is dead: another of the same region, without any promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from mrsim.scenario.control import InRegion
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.gates import Gate
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import Timer, World


class Succession:
    """A manager's decision about the leader of its standbys: the most advanced that answers takes a dead one's place.

    Nothing is promoted and no history begins: the new leader connects to the primary elsewhere, the others to it.

    Parameters
    ----------
    world, network, database
        The trial and the store.
    name
        Name of the cluster, for its draws.
    rule
        What the manager does.
    cluster
        Whose leader it is.

    References
    ----------
    CloudNativePG, docs/src/replica_cluster.md: a replica cluster has a designated primary, and the operator elects
    another when it fails. Patroni, docs/standby_cluster.rst: the standby leader is elected as a leader is.
    """

    def __init__(
        self, world: World, network: Network, database: Database, name: str, rule: InRegion, cluster: Cluster
    ) -> None:
        self._world = world
        self._network = network
        self._database = database
        self._name = name
        self._rule = rule
        self._cluster = cluster
        self.place = cluster.region
        self._down = self._asking = False
        self._rounds = 0
        self._timer: Timer | None = None
        self.gate: Gate | None = None
        """Who may lead, under a lease."""

    def reset(self) -> None:
        """Forget what was known of a leader: there is another."""
        self._down = self._asking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def on_verdict(self, down: bool, event: int) -> None:
        """Take in what the leader's host, or its silence, tells."""
        self.reset()
        self._down = down
        if down:
            self._rounds += 1
            self._choose_in(self._world.sample(f"{self._name}/succession", self._rule.delay, self._rounds), event)

    def on_change(self, cause: int) -> None:
        """Ask again when a node has changed while none could be chosen."""
        if self._asking:
            self._asking = False
            self._choose_in(0.0, cause)

    def _choose_in(self, wait_s: float, cause: int) -> None:
        when = self._world.now + wait_s
        self._timer = self._world.at(when, CONTROL, f"{self._name}/succession", lambda: self._choose(cause))

    def _choose(self, cause: int) -> None:
        self._timer = None
        cluster = self._cluster
        if cluster.primary is not None or not self._down:
            return
        fit = [node for site in sorted(cluster.sites) if self._fit(node := self._database.nodes[site])]
        if not fit:
            self._asking = True
            return
        position = self._database.streaming.position
        new = max(fit, key=lambda node: (not node.rebuilding, position(node), node.region))
        cluster.follow_leader(new)
        event = self._world.emit("leader-replaced", new.name, cause, "", "leads the standbys of its region")
        cluster.watch(event)
        for site in sorted(cluster.sites):
            self._database.streaming.reconnect(self._database.nodes[site], event)
        self._database.changed(event)

    def _fit(self, node: Node) -> bool:
        able = node.running and node.role == "standby" and not node.promoting and node is not self._cluster.target
        able = able and (self.gate is None or self.gate.able(node.region))
        return able and self._network.both_ways(self.place, node.region)
