"""Between which places WAL passes on its way from a primary to a standby: cascades, and leaders of clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrsim.scenario.stores import Store
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node


class Hops:
    """The ways of one store's WAL.

    Parameters
    ----------
    network
        The trial's paths.
    store
        Its cascade sources, which hold as long as the first primary is that.
    flush_s
        What each node on the way takes to pass WAL on, in seconds.

    Attributes
    ----------
    leaders
        By the region or zone of a node in a cluster of standbys: where the cluster's leader is, through which the
        others get their WAL. Whoever leads the cluster writes here.
    """

    __slots__ = ("_flush_s", "_network", "_origin", "_sources", "leaders")

    def __init__(self, network: Network, store: Store, flush_s: float) -> None:
        self._network = network
        self._origin = store.primary
        self._flush_s = flush_s
        home, managed = network.geometry.home, store.in_region is not None
        first = {home[site]: site for site in reversed(store.sites)} if managed else {}
        self.leaders = {site: first[home[site]] for site in store.sites[1:] if managed}
        for site in store.sites:
            if home[site] == home[store.primary]:
                self.leaders.pop(site, None)
        self._sources = {
            standby.region: standby.source
            for standby in store.standbys
            if standby.source and self.leaders.get(standby.region) != self.leaders.get(standby.source, "")
        }

    def between(self, source: Node, node: Node) -> list[tuple[str, str]]:
        """Return the pairs of places that WAL passes between, the last hop first."""
        hops: list[tuple[str, str]] = []
        at = node.region
        # Who leads may have changed since sources were written down: nobody gets anything through itself.
        while len(hops) <= len(self._sources) + len(self.leaders):
            following = self.leaders.get(at, at)
            if following == at and source.region == self._origin:
                following = self._sources.get(at, at)
            if following == at:
                return [*hops, (source.region, at)]
            hops.append((following, at))
            at = following
        return [(source.region, node.region)]

    def path(self, source: Node, node: Node) -> tuple[float, float]:
        """Return the bandwidth in bytes per second and the latency in seconds."""
        hops = self.between(source, node)
        if len(hops) == 1:
            a, b = hops[0]
            return self._network.bandwidth(a, b), self._network.one_way_s(a, b)
        return (
            min(self._network.bandwidth(a, b) for a, b in hops),
            sum(self._network.one_way_s(a, b) for a, b in hops) + self._flush_s * (len(hops) - 1),
        )
