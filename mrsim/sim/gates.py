"""What is waited for before a node is promoted inside its region, whether a manager does it or a lease is raced for."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Protocol

from mrsim.sim.candidates import candidates, received_until_s
from mrsim.sim.lease_store import takeover_s
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.scenario.control import InRegion, SiteLease
    from mrsim.scenario.stores import Store
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.lease_store import LeaseStore
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World


class Gate(Protocol):
    """The conditions under which one of a region's nodes is promoted."""

    def able(self, site: str) -> bool:
        """Return whether the node there may be promoted at all."""

    def hold(self, sites: Sequence[str], primary: Node) -> tuple[float, str] | None:
        """Return until when nobody may be promoted, infinite until something changes, and why; None if one may be.

        Parameters
        ----------
        sites
            Regions and zones of the nodes that may be promoted.
        primary
            The old primary.
        """


class ManagerGate(Gate):
    """The conditions under which a manager promotes one of its nodes.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, store, rule
        Name of the draws, the store's scenario, and what its managers do.
    database, cluster
        The nodes, and those that the manager looks after.

    References
    ----------
    CloudNativePG, docs/src/failover.md: no standby is promoted before all WAL receivers are down; with the primary's
    lease, none before it was released or has not changed for its duration; with quorum failover, none unless R + W > N.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        store: Store,
        rule: InRegion,
        database: Database,
        cluster: Cluster,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._store = store
        self._rule = rule
        self._database = database
        self._cluster = cluster
        self._holder: Node | None = cluster.primary
        self._renewed_s = INF
        self._over_s = 0.0
        self._losses = 0

    def look(self, _cause: int) -> None:
        """Follow a change: the primary may have stopped to renew its lease, or begun again."""
        if self._rule.lease is None:
            return
        holder = self._cluster.primary
        renews = holder is not None and holder.running and self._network.both_ways(holder.region, self._cluster.region)
        if renews or holder is not self._holder:
            self._holder, self._renewed_s = holder, INF
        if holder is not None and not renews and self._renewed_s == INF:
            every_s, ttl_s = self._rule.lease_every, self._rule.lease
            self._losses += 1
            self._renewed_s = self._world.now - self._world.uniform(f"{self._name}/renewal", self._losses) * every_s
            points = self._world.uniforms(f"{self._name}/polls", ceil(ttl_s / every_s) + 3, self._losses)
            self._over_s = takeover_s(self._renewed_s, ttl_s, every_s, points)

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """Follow a change of paths."""
        if not self._cluster.sites.isdisjoint(touched) or self._cluster.region in touched:
            self.look(cause)

    def able(self, site: str) -> bool:
        """Return whether the node there may be promoted at all: any of the cluster's."""
        return site in self._cluster.sites

    def hold(self, sites: Sequence[str], primary: Node) -> tuple[float, str] | None:
        """Return how receivers, the lease or a quorum hold a promotion up; see :meth:`Gate.hold`."""
        now, place = self._world.now, self._cluster.region
        until_s = received_until_s(self._network, self._database, place, sites, primary)
        if until_s > now:
            return until_s, "WAL still arrives from the old primary"
        if self._cluster.primary is None:
            # One standby leads the others instead of another: nobody is promoted.
            return None
        if self._rule.lease is not None:
            if self._renewed_s == INF:
                return INF, "the old primary renews its lease"
            if self._over_s > now:
                return self._over_s, "the old primary's lease has not run out"
        short = self._short(sites, primary) if self._rule.quorum else ""
        return (INF, short) if short else None

    def _short(self, sites: Sequence[str], primary: Node) -> str:
        """Return why a quorum is missing; empty if R promotable standbys and W acknowledgements overlap in N."""
        commit = self._store.commit
        members = self._store.synchronous(primary.region, self._network.geometry.home.__getitem__)
        if self._cluster.sites.isdisjoint(members):
            # The synchronous standbys are those of another region, which was given up.
            return ""
        found = candidates(self._network, self._database, self._cluster.region, sites, INF)
        promotable = sum(item.region in members for item in found)
        needed = commit.any or commit.first or 0
        if promotable + needed > len(members):
            return ""
        return f"no quorum: {promotable} promotable and {needed} acknowledged of {len(members)}"


class LeaseGate(Gate):
    """Who may take the lease of a region: who can use its store, and is not too far behind the last holder.

    Parameters
    ----------
    world, network
        The trial and its paths.
    store, lease
        The members that keep the lease, and the lease.
    database, cluster
        The nodes, and those that race for it.

    Attributes
    ----------
    reported_s
        When the last holder wrote its position into the store.

    References
    ----------
    Patroni 4.1, ``patroni/ha.py``: ``is_lagging`` compares ``maximum_lag_on_failover`` with the position that the
    holder wrote with its last renewal; ``is_healthiest_node``.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        store: LeaseStore,
        lease: SiteLease,
        database: Database,
        cluster: Cluster,
    ) -> None:
        self._world = world
        self._network = network
        self._store = store
        self._lease = lease
        self._database = database
        self._cluster = cluster
        self.reported_s = INF

    def able(self, site: str) -> bool:
        """Return whether the node there may take the lease."""
        node = self._database.nodes[site]
        if site not in self._cluster.sites or not node.agent_alive or not self._store.usable_from(site):
            return False
        return self._cluster.primary is None or self._lag_bytes(node) <= self._limit_bytes

    def ahead(self, but: Node) -> Node | None:
        """Return the most advanced of those who may take the lease; None if nobody may."""
        able = (site for site in self._cluster.sites if site != but.region and self.able(site))
        found = candidates(self._network, self._database, self._cluster.region, able, INF)
        best = max(found, key=lambda item: (item.position, item.region), default=None)
        return self._database.nodes[best.region] if best is not None else None

    def hold(self, sites: Sequence[str], primary: Node) -> tuple[float, str] | None:
        """Return how the lag of those that could take the lease holds it up; see :meth:`Gate.hold`."""
        nodes = self._database.nodes
        others = [site for site in sorted(self._cluster.sites) if site != primary.region]
        found = candidates(self._network, self._database, self._cluster.region, others, INF)
        behind = [nodes[item.region] for item in found if self._store.usable_from(item.region)]
        if sites or not behind:
            return None
        least = min(self._lag_bytes(node) for node in behind)
        why = f"every standby lags by more than the limit: the best by {least / 1e6:.0f} MB"
        receives = any(node.upstream is not None and node.upstream.flowing for node in behind)
        return self._world.now + self._lease.loop_wait if receives else INF, why

    @property
    def _limit_bytes(self) -> float:
        return INF if self._lease.max_lag_bytes is None else self._lease.max_lag_bytes

    def _lag_bytes(self, node: Node) -> float:
        return self._database.streaming.bytes_behind(node, min(self.reported_s, self._world.now))
