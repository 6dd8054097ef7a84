"""What primaries know of connections that have stopped: when each takes its standby for gone.

References
----------
PostgreSQL ``walsender.c``: a standby that is silent for ``wal_sender_timeout`` is given up; one whose end is closed, or
answers that there is no connection any more, at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.tcp import next_retransmission_s
from mrsim.sim.world import NETWORK
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node, Upstream
    from mrsim.sim.world import World


class Senders:
    """The primaries' ends of a store's streaming connections.

    Parameters
    ----------
    world, network
        The trial and its paths.
    nodes, stalls
        The store's nodes by region, and the regions of those that receive nothing, whatever the paths are.
    timeout_s
        How long a primary waits for a standby that is silent.
    on_dropped
        Called with the event once a standby is taken for gone; None: nothing follows from it, and no event is needed.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        nodes: Mapping[str, Node],
        stalls: AbstractSet[str],
        timeout_s: float,
        on_dropped: Callable[[int], None] | None,
    ) -> None:
        self._world = world
        self._network = network
        self._nodes = nodes
        self._stalls = stalls
        self._timeout_s = timeout_s
        self._on_dropped = on_dropped
        self._left: dict[tuple[str, str], Upstream] = {}
        """Connections that a standby has given up, by the regions of primary and standby."""

    def left(self, primary: Node, node: Node) -> Upstream | None:
        """Return the connection that a standby of a primary has given up, if any."""
        return self._left.get((primary.region, node.region))

    def leave(self, node: Node, upstream: Upstream) -> None:
        """Note that a standby has given a connection up."""
        self._left[upstream.source.region, node.region] = upstream

    def forget(self, primary: Node) -> None:
        """Note that a primary knows of no connection any more."""
        for region in self._nodes:
            self._left.pop((primary.region, region), None)

    def broken(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Let the primary wait for a standby whose connection has stopped just now, if it is there to wait."""
        if not upstream.source.is_primary:
            upstream.dropped_s = -INF
            return
        closing_s = self._closing_s(node, upstream) if upstream.closed else INF
        self._drop_at(node, upstream, min(self._world.now + self._timeout_s, closing_s), cause)

    def closed(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Let the primary hear, if it can, that the standby's end of a stopped connection was closed just now."""
        if self._world.now < upstream.dropped_s:
            self._drop_at(node, upstream, min(upstream.dropped_s, self._closing_s(node, upstream)), cause)

    def follow_paths(self, current: Iterable[tuple[str, Upstream]], cause: int) -> None:
        """Let primaries that still wait for a closed connection be told so when they send again over a whole path.

        Parameters
        ----------
        current
            Regions of the standbys, and their connections.
        cause
            What may have made a path whole.
        """
        now = self._world.now
        gone = {(up.source.region, region): up for region, up in current if up.closed}
        for (primary, region), upstream in [*gone.items(), *self._left.items()]:
            reached = self._network.both_ways(primary, region) and self._nodes[region].powered
            if upstream.flowing or now >= upstream.dropped_s or not reached:
                continue
            rtt = self._network.rtt_s(primary, region)
            told = next_retransmission_s(upstream.cut_s, now, rtt) + rtt
            if told < upstream.dropped_s:
                self._drop_at(self._nodes[region], upstream, told, cause)

    def _closing_s(self, node: Node, upstream: Upstream) -> float:
        """Return when the primary hears that the standby's end was closed just now; infinite if it does not."""
        a, b = node.region, upstream.source.region
        heard = node.powered and a not in self._stalls and self._network.open(a, b)
        return self._world.now + self._network.one_way_s(a, b) if heard else INF

    def _drop_at(self, node: Node, upstream: Upstream, dropped_s: float, cause: int) -> None:
        upstream.dropped_s = dropped_s
        if self._on_dropped is not None:
            told = self._on_dropped
            name = f"{node.name}/dropped"
            self._world.at(dropped_s, NETWORK, name, lambda: self._dropped(node, upstream, cause, told))

    def _dropped(self, node: Node, upstream: Upstream, cause: int, told: Callable[[int], None]) -> None:
        if upstream.flowing or upstream.dropped_s != self._world.now or not upstream.source.is_primary:
            return
        silent = self._world.now - upstream.cut_s >= self._timeout_s
        note = "silent for the sender timeout" if silent else "its connection is closed"
        told(self._world.emit("standby-dropped", node.name, cause, "detection", note))
