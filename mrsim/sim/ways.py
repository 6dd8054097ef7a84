"""Who brings what to the standbys of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.archive import Archiving
from mrsim.sim.behind import Backed
from mrsim.sim.objects import Copying
from mrsim.sim.relays import Chain
from mrsim.sim.snapshots import Snapshotting
from mrsim.sim.wal import Stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrsim.scenario.stores import Store
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node, Upstream
    from mrsim.sim.supplies import Supplier
    from mrsim.sim.wal import Pace, Written
    from mrsim.sim.world import World


class Ways:
    """How WAL comes to the standbys of a store: by a supplier, or over a stream, which an archive may stand behind.

    Parameters
    ----------
    world, network
        The trial and its paths.
    label
        Name of its draws.
    store
        The store.
    nodes
        Its nodes by region.

    Attributes
    ----------
    suppliers
        Who brings it to the standbys that do not stream, by their regions.
    """

    def __init__(self, world: World, network: Network, label: str, store: Store, nodes: Mapping[str, Node]) -> None:
        by_way: dict[str, Supplier] = {}
        self._archiving: Archiving | None = None
        if store.archive is not None:
            self._archiving = Archiving(world, network, label, store.archive, Chain(store, nodes))
            by_way["archive"] = self._archiving
        if store.snapshots is not None:
            by_way["snapshot"] = Snapshotting(world, network, label, store.snapshots)
        if store.objects is not None:
            by_way["objects"] = Copying(world, network, store.objects, store.wal.bytes_per_commit)
        self._backed = {standby.region for standby in store.standbys if standby.fallback is not None}
        self._world = world
        self._timers = store.replication
        self.suppliers = {one.region: by_way[one.via] for one in store.standbys if one.via in by_way}

    def stream(self, node: Node, primary: Node, written: Written, pace: Pace, start_s: float) -> Stream:
        """Return a stream from a primary to a standby.

        Parameters
        ----------
        node, primary
            Who follows whom.
        written
            What the primary writes.
        pace
            How fast it is.
        start_s
            Where both ends stand when the stream begins.
        """
        archiving = self._archiving
        if archiving is None:
            return Stream(written, pace, start_s)
        if node.region in self._backed:
            return archiving.backed(node, primary, written, pace, start_s, self._timers)
        return archiving.stream(node, primary, written, pace, start_s) or Stream(written, pace, start_s)

    def follow_behind(self, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Look again whether a standby restores from the archive while its stream does not run, if it would."""
        if isinstance(upstream.stream, Backed) and self._archiving is not None:
            self._archiving.follow_behind(upstream.stream, node, upstream, stalled=stalled, cause=cause)

    def begin_behind(self, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Let a standby whose new primary is out of reach restore what that ships, if it would."""
        if isinstance(upstream.stream, Backed):
            upstream.stream.apart(self._world.now)
            self.follow_behind(node, upstream, stalled=stalled, cause=cause)
