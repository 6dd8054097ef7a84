"""Archives of standbys: a standby ships on what it has received, segment by segment, for those that follow it.

A standby archives a segment when it holds all of it, however it came: the segments are those that the primary ended,
since ``archive_timeout`` ends none on a standby.

References
----------
PostgreSQL documentation, *archive_mode* (``always``: "all files restored from the archive or streamed with streaming
replication will be archived (again)"); ``walreceiver.c``, ``XLogWalRcvWrite`` (a segment is closed, and handed to the
archiver, once it is complete); ``checkpointer.c``, ``CheckArchiveTimeout`` (nothing during recovery). CloudNativePG,
*Replica clusters*: each keeps an object store of its own, which the next may follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.shipping import Archived, Shipped
from mrsim.sim.wal import LEVEL_S
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.stores import Store
    from mrsim.sim.nodes import Node
    from mrsim.sim.shipping import Segments
    from mrsim.sim.wal import Pace, Written


class Chain:
    """Whose archive each standby follows, as long as the first primary writes; after that all follow the new one's.

    Parameters
    ----------
    store
        Standbys and their sources; None: everybody follows the primary's archive.
    nodes
        The store's nodes by region.
    """

    def __init__(self, store: Store | None = None, nodes: Mapping[str, Node] | None = None) -> None:
        standbys = store.standbys if store is not None else ()
        self._origin = store.primary if store is not None else ""
        self._nodes = nodes or {}
        self.places = {standby.region: standby.archive for standby in standbys if standby.archive is not None}
        """Places of archives of their own, by their nodes' regions."""
        followed = {one.region: one.source for one in standbys if one.via == "archive" and one.source is not None}
        self._sources = {region: source for region, source in followed.items() if source != self._origin}
        self.length = 1 + len(self._sources)
        """No segment goes through more archives."""

    def shipper(self, node: Node, primary: Node) -> Node:
        """Return who ships what a standby fetches of a primary's WAL."""
        source = self._sources.get(node.region) if primary.region == self._origin else None
        return primary if source is None else self._nodes[source]

    def relays(self, node: Node, primary: Node) -> bool:
        """Return whether another standby follows the archive of a standby of this primary."""
        return primary.region == self._origin and node.region in self._sources.values()


class Receipts:
    """When a standby came to hold all of each segment of one history."""

    def __init__(self) -> None:
        self.whole: list[tuple[float, float]] = []
        """When, and up to which commit time the segment reaches."""

    @property
    def last_s(self) -> float:
        """Up to which commit time segments are held whole."""
        return self.whole[-1][1] if self.whole else -INF

    def note(self, at_s: float, position_s: float) -> None:
        """Note a segment that has become whole."""
        if position_s > self.last_s:
            self.whole.append((at_s, position_s))


class Received(Archived):
    """A stream to a standby that archives: it notes when each segment has arrived as a whole.

    Parameters
    ----------
    written, pace, start_s
        As for :class:`~mrsim.sim.wal.Stream`.
    segments
        Those that the primary ends.
    receipts
        Where to note them.
    since_s
        Since when it has streamed.
    """

    _segments: Segments

    def __init__(
        self, written: Written, pace: Pace, start_s: float, segments: Segments, receipts: Receipts, since_s: float
    ) -> None:
        super().__init__(written, pace, start_s, segments)
        self._receipts = receipts
        self._looked_s = since_s
        self._bandwidth = pace.bandwidth
        self._passed = 0

    def received(self, now_s: float) -> float:
        """Return the position up to which the standby holds the source's WAL."""
        if self.flowing:
            self._pass_ends(now_s)
        return super().received(now_s)

    def broken(self, now_s: float, *, in_flight_lost: bool) -> None:
        """Cut the stream; what is on the wire dies, or still arrives."""
        self.received(now_s)
        super().broken(now_s, in_flight_lost=in_flight_lost)
        for end_s in self._segments.ends_s[self._passed :]:
            if end_s <= self._sent.s:
                self._receipts.note(now_s, end_s)

    def resumed(self, now_s: float, bandwidth: float, latency_s: float) -> None:
        """Let it flow again from where the standby stands."""
        self._segments.restart(now_s)
        super().resumed(now_s, bandwidth, latency_s)
        self._bandwidth, self._looked_s = bandwidth, now_s

    def repath(self, now_s: float, bandwidth: float, latency_s: float) -> None:
        """Go on over a path whose bandwidth or latency changed."""
        super().repath(now_s, bandwidth, latency_s)
        self._bandwidth = bandwidth

    def _pass_ends(self, now_s: float) -> None:
        """Stop on the way at every end of a segment: what is still to be sent of it then leaves at the path's rate."""
        self._segments.advance(now_s)
        ends_s = self._segments.ends_s
        while self._passed < len(ends_s):
            end_s = ends_s[self._passed]
            if end_s > self._receipts.last_s:
                whole_s = end_s + self.latency_s
                if whole_s > now_s:
                    break
                held_s = super().received(whole_s)
                if end_s - held_s > LEVEL_S:
                    left = self._written.bytes_between(held_s, end_s)
                    whole_s = max(end_s, self._sent.t) + self.latency_s + left / self._bandwidth
                whole_s = max(whole_s, self._looked_s)
                if whole_s > now_s:
                    break
                self._receipts.note(whole_s, end_s)
            self._passed += 1
        self._looked_s = max(self._looked_s, now_s)


class Relay(Shipped):
    """What a standby ships into its own archive: the segments of one history, when it holds all of each.

    Parameters
    ----------
    node
        The standby.
    segments
        Those that the primary of the history ends.
    receipts
        Which the standby has received, and when.
    upload_s
        ``upload_s(k)`` is how long the k-th upload takes.
    """

    def __init__(self, node: Node, segments: Segments, receipts: Receipts, upload_s: Callable[[int], float]) -> None:
        super().__init__(-INF, upload_s)
        self._node = node
        self._segments = segments
        self._receipts = receipts
        self._taken = 0
        self._down = False
        self.cuts = 0
        """How often the way into the archive was cut."""

    @property
    def source_end_s(self) -> float:
        """When the source stopped writing."""
        return self._segments.source_end_s

    @source_end_s.setter
    def source_end_s(self, at_s: float) -> None:
        """Note when the source stopped writing."""
        self._segments.source_end_s = at_s

    def ship(self, now_s: float, *, on: bool, retry_s: float) -> None:
        """Open or cut the way into the archive; the archiver of a node that starts begins at once."""
        self.cuts += self.open and not on
        super().ship(now_s, on=on, retry_s=0.0 if self._down else retry_s)
        self._down = not on and (self._down or not self._node.running)

    def _complete(self, now_s: float) -> None:
        upstream = self._node.upstream
        if upstream is not None:
            upstream.stream.received(now_s)
        self._waiting += self._receipts.whole[self._taken :]
        self._taken = len(self._receipts.whole)
