"""The nodes of a store inside one region, and the manager there that replaces a dead primary among them.

The manager knows its own cluster only. What stands outside, such as services, probers and the failover control between
regions, sees the cluster through its service: the node that the manager last led it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.scenario.control import DecideAutomatic, Detect, Failover, OldPrimary, Promote
from mrsim.sim.signals import nobody_listens

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Cluster:
    """One region's nodes of a store, and who is primary among them.

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
        self.primary: Node | None = database.current if database.current.region in sites else None
        """Its node that was promoted last, as long as that has not become a standby; None for a cluster of standbys."""
        self.target = self.primary if self.primary is not None else database.nodes[min(sites)]
        """Where its service leads."""
        self._known = len(database.histories)
        self.watch: Callable[[int], None] = nobody_listens
        """Called with the cause when there is another primary to watch, or none."""

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
                if self._control.promoting != site:
                    # Somebody outside did it, and leads clients there.
                    self._lead(node, cause)
        if self.primary is not None and self.primary.role == "standby":
            self._control.adopt(self.primary.region)
            self.primary = None
            self.watch(cause)

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
