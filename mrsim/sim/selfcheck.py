"""A primary that stops itself when it can reach none of the places it should see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.scenario.control import SelfCheck
from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from mrsim.scenario.control import InRegion
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.world import Timer, World


class IsolationCheck:
    """The isolation self-check of every node of a store; only a node that believes itself primary acts on it.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, check
        The store's id and the check.
    database
        Whose nodes stop themselves.
    sites
        Regions and zones of those nodes; None: all.
    sessions_s
        How long sessions that are open write on once a node is to stop, in seconds.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        check: SelfCheck,
        database: Database,
        sites: frozenset[str] | None = None,
        sessions_s: float = 0.0,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._check = check
        self._database = database
        self._sites = frozenset(database.nodes) if sites is None else sites
        self._sessions_s = sessions_s
        self._timers: dict[str, Timer] = {}

    def on_network(self, _: frozenset[str], cause: int) -> None:
        """React to a change of paths: a place that a node should see may be gone without anything near the node."""
        self.look(cause)

    def look(self, cause: int) -> None:
        """Look again which nodes are alone: one that starts while it is cut off is as well."""
        for site in sorted(self._sites):
            node = self._database.nodes[site]
            alone = node.running and not any(self._network.both_ways(site, place) for place in self._check.sees)
            timer = self._timers.get(site)
            waiting = timer is not None and timer.pending
            if alone and not waiting:
                self._timers[site] = self._start(site, cause)
            elif not alone and waiting and timer is not None:
                timer.cancel()

    def _start(self, region: str, cause: int) -> Timer:
        check = self._check
        cycle = max(check.every, check.timeout)
        first = self._world.uniform(f"{self._name}@{region}/self-check") * check.every
        at = self._world.now + first + (check.fails - 1) * cycle + check.timeout + self._sessions_s
        return self._world.at(at, CONTROL, f"{self._name}@{region}/self-check", lambda: self._act(region, cause))

    def _act(self, region: str, cause: int) -> None:
        node = self._database.nodes[region]
        if node.is_primary:
            self._database.stop(region, cause, "isolated: it can reach none of the places it should see")


def check_inside(
    world: World, network: Network, name: str, rule: InRegion, database: Database, cluster: Cluster
) -> None:
    """Let each node of a cluster check that it reaches its manager, or any other of its nodes.

    References
    ----------
    CloudNativePG, docs/src/instance_manager.md, *Primary Isolation*: the liveness probe of a primary fails when it
    reaches neither the API server nor any other instance. Its issue 11280: up to 1.30 that ends the container by a
    smart shutdown, for which open sessions write on until ``smartShutdownTimeout``.
    """
    if not rule.isolation_check:
        return
    for site in sorted(cluster.sites):
        sees = (cluster.region, *sorted(cluster.sites - {site}))
        check = SelfCheck(sees=sees, every=rule.every, fails=rule.fails)
        own = IsolationCheck(world, network, name, check, database, frozenset((site,)), rule.open_sessions)
        network.listen(own.on_network)
        database.listen(own.look)
