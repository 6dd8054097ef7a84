"""The nodes of a store inside one region, and the manager there that replaces a dead primary among them.

The manager knows its own cluster only. What stands outside, such as services, probers and the failover control between
regions, sees the cluster through its service: the node that the manager last led it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrsim.scenario.control import DecideAutomatic, Detect, Failover, OldPrimary, Promote
from mrsim.sim.signals import nobody_listens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.control import InRegion
    from mrsim.sim.control import Control
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node


def failover_inside(rule: InRegion, region: str) -> tuple[Failover, DecideAutomatic]:
    """Return what a manager does as the failover policy that it is: automatic, unfenced, the most advanced node."""
    decide = DecideAutomatic(by="automatic", runs_in=region, delay=rule.delay)
    failover = Failover(
        detect=Detect(from_=(region,), every=rule.every, fails=rule.fails, timeout=rule.timeout),
        decide=decide,
        promote=Promote(takes=rule.takes, fails=rule.fails_to_promote, attempt_timeout=rule.attempt_timeout),
        old_primary=OldPrimary(on_return="rejoins", starts_after=rule.starts_after, rebuild=rule.rebuild),
    )
    return failover, decide


Hold = Literal["asks", "switchover"]


class Cluster:
    """One region's nodes of a store, and who leads them.

    The leader is the primary, or in a cluster of standbys the one that follows the primary elsewhere: CloudNativePG's
    designated primary, Patroni's standby leader. The others get their WAL through it.

    Parameters
    ----------
    network, database
        The trial's paths, and the store.
    region
        Where the manager is; it works while the region does, whatever becomes of single zones.
    sites
        Regions and zones of its nodes.
    control
        The manager's decision.
    """

    def __init__(
        self, network: Network, database: Database, region: str, sites: frozenset[str], control: Control
    ) -> None:
        self._network = network
        self._database = database
        self.region = region
        self.sites = sites
        self._control = control
        self._leaders = leaders = database.streaming.hops.leaders
        self.primary: Node | None = database.current if database.current.region in sites else None
        """Its node that was promoted last, as long as that has not become a standby; None for a cluster of standbys."""
        self.target = self.primary if self.primary is not None else database.nodes[leaders[min(sites)]]
        """Who leads it, and where its service leads."""
        self._holds: set[Hold] = set()
        self.given_up = False
        """Whether it was told that the primary is elsewhere now."""
        self._known = len(database.histories)
        self.watch: Callable[[int], None] = nobody_listens
        """Called with the cause when there is another leader to watch."""

    def close(self) -> None:
        """Forget who listens."""
        self.watch = nobody_listens

    def on_change(self, cause: int) -> None:
        """React to a change of the database: one of its nodes was promoted, or its primary has become a standby."""
        database = self._database
        new = [history.node for history in database.histories[self._known :]]
        self._known += len(new)
        for site in sorted(self.sites):
            node = database.nodes[site]
            if node.name in new:
                self.primary = node
                self.given_up = False
                for one in self.sites:
                    self._leaders.pop(one, None)
                if self._control.promoting != site:
                    # Somebody outside did it, and leads clients there.
                    self._lead(node, cause)
        if self.primary is not None and self.primary.role == "standby":
            self.stand_by(cause)

    def stand_by(self, cause: int) -> None:
        """Become a cluster of standbys: what is under way inside is called off."""
        primary = self.primary
        if primary is None:
            return
        self._control.adopt(primary.region)
        self.primary, self.target = None, primary
        self.follow_leader(primary)
        self.given_up = True
        self._holds.clear()
        self.watch(cause)

    @property
    def held(self) -> bool:
        """Whether its manager leaves the primary alone."""
        return bool(self._holds)

    @property
    def watching(self) -> bool:
        """Whether its manager has no failover under way."""
        return self._control.watching

    @property
    def asks(self) -> bool:
        """Whether its manager waits to be told who is primary, as one that was lost with its region does."""
        return "asks" in self._holds

    def hold(self, why: Hold, cause: int) -> None:
        """Let the manager leave the primary alone until that is over."""
        if self.primary is not None and why not in self._holds:
            self._holds.add(why)
            self._control.adopt(self.primary.region)
            self.watch(cause)

    def let(self, why: Hold, cause: int) -> None:
        """Let the manager go on."""
        if why in self._holds:
            self._holds.remove(why)
            self.watch(cause)

    @property
    def redirect(self) -> Callable[[Node, int, Callable[[int], None]], None]:
        """How its clients are led to a new primary: ``redirect(node, cause, done)``."""
        return self._control.redirect

    def follow_leader(self, leader: Node) -> None:
        """Let a cluster of standbys get its WAL through one of them."""
        self.target = leader
        for site in self.sites:
            self._leaders[site] = leader.region

    def redirected(self, node: Node) -> None:
        """Take note that the manager has led its service to a new primary."""
        self.target = node

    def _lead(self, node: Node, cause: int) -> None:
        self.target = node
        self._control.adopt(node.region)
        self.watch(cause)

    def primary_known_in(self, site: str) -> str | None:
        """Return the name of the primary as a node of the cluster is told.

        None if it cannot ask, if there is none, or while another is being made: CloudNativePG's target primary is then
        *pending*, and an old one that comes back waits.
        """
        if self.primary is None or self._control.promoting or not self._network.both_ways(site, self.region):
            return None
        return self.primary.name


def sites_with(site: str, clusters: Mapping[str, Cluster]) -> list[str]:
    """Return the sites of the cluster that a node is in; its own alone if it is in none."""
    cluster = clusters.get(site)
    return sorted(cluster.sites) if cluster is not None else [site]


def may_lead(site: str, clusters: Mapping[str, Cluster]) -> bool:
    """Return whether a node would be promoted from outside: of a cluster of standbys, its leader alone."""
    cluster = clusters.get(site)
    return cluster is None or cluster.primary is not None or cluster.target.region == site


def with_mates(order: tuple[str, ...], clusters: Mapping[str, Cluster]) -> tuple[str, ...]:
    """Return an order of candidates in which the others of a node's cluster stand behind it: one of them leads it."""
    full = list(order)
    for site in reversed(order):
        cluster = clusters.get(site)
        mates = sorted(cluster.sites.difference(full)) if cluster is not None else []
        full[full.index(site) + 1 : full.index(site) + 1] = mates
    return tuple(full)
