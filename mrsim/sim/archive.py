"""WAL by way of an archive: segments that a primary ships when they are full or old, and a standby fetches.

A segment ends when it is full, or when ``timeout`` has passed since the last one ended and something was written. One
after the other they are uploaded; a standby looks for the next one every ``poll``. What is in no segment that has
landed is in no copy but the primary's.

References
----------
PostgreSQL 15, ``pgarch.c`` (three tries, then a pause of ``PGARCH_AUTOWAKE_INTERVAL``); ``xlogrecovery.c``,
``WaitForWALToBecomeAvailable`` (a standby asks again every ``wal_retrieve_retry_interval``, and a promoted one first
restores what the archive still holds).
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from mrsim.sim.behind import Backed
from mrsim.sim.nodes import Upstream
from mrsim.sim.relays import Chain, Receipts, Received, Relay
from mrsim.sim.restoring import Restored
from mrsim.sim.shipping import Segments, Shipped
from mrsim.sim.supplies import Supplier
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.stores import Archive, Replication
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.wal import Pace, Stream, Written
    from mrsim.sim.world import World

AUTOWAKE_S = 60.0
"""PGARCH_AUTOWAKE_INTERVAL: a failed upload is tried again after this, once three quick tries have failed."""


class Archiving(Supplier):
    """A store's archives: who ships into them and who fetches from them.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name
        Name of its draws.
    archive
        Sizes and times.
    chain
        Who follows another standby's archive; None: everybody follows the primary's.
    """

    def __init__(self, world: World, network: Network, name: str, archive: Archive, chain: Chain | None = None) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._archive = archive
        self._chain = chain or Chain()
        self._segments: dict[int, Segments] = {}
        self._relays: dict[tuple[str, int], Relay] = {}
        self._receipts: dict[tuple[str, int], Receipts] = {}

    def connect(self, node: Node, primary: Node, written: Written, position_s: float, steady_s: float | None) -> bool:
        """Let a standby restore what a primary ships, or another standby; return whether all ways are open."""
        self._forget(node, primary)
        segments = self._segments_of(primary, written, steady_s)
        shipper = self._chain.shipper(node, primary)
        shipped: Shipped = segments if shipper is primary else self._relay_of(shipper, primary.history, segments)
        start_s, since_s = (position_s, self._world.now)
        if steady_s is not None:
            start_s, since_s = self._since(written, steady_s), -INF
        supply = self._supply(node, shipped, start_s, since_s)
        supply.receipts = self._receipts_of(node, primary.history)
        node.upstream = upstream = Upstream(primary, supply)
        ships, fetches = self._ways(node, primary, shipper)
        shipped.ship(self._world.now, on=ships, retry_s=0.0)
        supply.fetch(self._world.now, on=fetches)
        upstream.flowing = upstream.whole = ships and fetches and self._reaches(shipper, primary)
        node.history = primary.history
        return upstream.whole

    def stream(self, node: Node, primary: Node, written: Written, pace: Pace, start_s: float) -> Stream | None:
        """Return a stream that notes which segments a standby has received; None if nobody follows its archive.

        Parameters
        ----------
        node, primary, written
            As for :meth:`connect`.
        pace
            How fast it is.
        start_s
            Where both ends stand when the stream begins.
        """
        self._forget(node, primary)
        if not self._chain.relays(node, primary):
            return None
        steady_s = self._steady_s(primary, start_s)
        segments = self._segments_of(primary, written, steady_s)
        since_s = self._world.now if steady_s is None else -INF
        receipts = self._receipts_of(node, primary.history)
        return Received(written, pace, start_s, segments, receipts, since_s)

    def backed(
        self,
        node: Node,
        primary: Node,
        written: Written,
        pace: Pace,
        start_s: float,
        timers: Replication,
    ) -> Backed:
        """Return a stream whose standby restores what a primary ships while it does not run; see :meth:`stream`."""
        segments = self._segments_of(primary, written, self._steady_s(primary, start_s))
        supply = self._supply(node, segments, start_s, -INF)
        supply.fetch(self._world.now, on=False)
        return Backed(written, pace, start_s, supply, timers)

    def follow_behind(self, stream: Backed, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Look again whether a standby whose stream does not run restores what its primary ships."""
        source = upstream.source
        ships, fetches = self._ways(node, source, source)
        self._ship(stream.behind.segments, source, upstream.attempt, on=ships)
        silent = not self._network.both_ways(source.region, node.region)
        begins = stream.look(self._world.now, on=fetches and not stalled, silent=silent)
        if begins and not upstream.began and not node.rebuilding:
            # It has never streamed from this primary: the new history comes by way of the archive as well.
            upstream.began = upstream.closed = True
            node.history = source.history
        if begins and ships:
            note = "its stream is cut: segments come by way of the archive"
            self._world.emit("archive-resumed", node.name, cause, "reconnect", note)

    def _steady_s(self, primary: Node, start_s: float) -> float | None:
        """Return when the primary's queues were last empty, if a stream is one with which a trial begins."""
        return start_s if primary.history == 0 and self._world.now <= 0.0 else None

    def _segments_of(self, primary: Node, written: Written, steady_s: float | None) -> Segments:
        """Return what a primary ships of its history."""
        history = primary.history
        segments = self._segments.get(history)
        if segments is None:
            began_s = self._world.now if steady_s is None else self._since(written, steady_s)
            segments = Segments(self._archive, written, began_s, lambda number: self._upload_s(str(history), number))
            self._segments[history] = segments
            # Before it was promoted it may have shipped what it received.
            for (region, _), relay in self._relays.items():
                if region == primary.region:
                    segments.take_over(relay, self._world.now)
        return segments

    def _relay_of(self, node: Node, history: int, segments: Segments) -> Relay:
        """Return what a standby ships of a history."""
        key = (node.region, history)
        if key not in self._relays:
            label = f"{node.region}/{history}"
            receipts = self._receipts_of(node, history)
            self._relays[key] = Relay(node, segments, receipts, lambda number: self._upload_s(label, number))
        return self._relays[key]

    def _forget(self, node: Node, primary: Node) -> None:
        """Drop what a standby shipped of histories that it no longer follows."""
        for key in [key for key in self._relays if key[0] == node.region and key[1] != primary.history]:
            del self._relays[key]

    def _receipts_of(self, node: Node, history: int) -> Receipts:
        return self._receipts.setdefault((node.region, history), Receipts())

    def _supply(self, node: Node, segments: Shipped, start_s: float, since_s: float) -> Restored:
        poll_s = self._world.uniform(f"{node.name}/poll", len(self._segments)) * self._archive.poll
        return Restored(self._archive, segments, self._world.now - poll_s, start_s, since_s)

    def follow(self, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Look again whether segments are shipped and fetched."""
        supply = upstream.stream
        if not isinstance(supply, Restored):
            return
        shipper = self._chain.shipper(node, upstream.source)
        ships, fetches = self._ways(node, upstream.source, shipper)
        fetches = fetches and not stalled
        self._ship(supply.segments, shipper, upstream.attempt, on=ships)
        supply.fetch(self._world.now, on=fetches)
        whole = ships and fetches and self._reaches(shipper, upstream.source)
        if whole == upstream.flowing:
            return
        upstream.flowing = upstream.whole = whole
        self._world.stirred += 1
        if upstream.flowing:
            upstream.attempt += 1
            self._world.emit("archive-resumed", node.name, cause, "reconnect", "segments come by way of the archive")
        else:
            upstream.cut_s = self._world.now

    def _ship(self, shipped: Shipped, shipper: Node, attempt: int, *, on: bool) -> None:
        name = self._name
        if isinstance(shipped, Relay):
            name, attempt = shipper.name, shipped.cuts
        retry_s = self._world.uniform(f"{name}/archiver", attempt) * AUTOWAKE_S
        shipped.ship(self._world.now, on=on, retry_s=retry_s)

    def _reaches(self, shipper: Node, primary: Node) -> bool:
        """Return whether what a primary writes gets to whoever ships it."""
        if shipper is primary:
            return True
        upstream = shipper.upstream
        if upstream is None or upstream.source is not primary or not upstream.flowing:
            return False
        if isinstance(upstream.stream, Restored):
            before = self._chain.shipper(shipper, primary)
            return all(self._ways(shipper, primary, before)) and self._reaches(before, primary)
        return primary.is_primary and self._network.both_ways(primary.region, shipper.region)

    def end_segment(self, primary: Node) -> None:
        """End a primary's segment in progress now."""
        segments = self._segments.get(primary.history)
        if segments is not None:
            segments.end_now(self._world.now)

    def _ways(self, node: Node, primary: Node, shipper: Node) -> tuple[bool, bool]:
        network, place = self._network, self._chain.places.get(shipper.region, self._archive.place)
        ships = shipper.running and network.both_ways(shipper.region, place)
        if shipper is primary:
            ships = ships and primary.role == "primary"
        return ships, node.running and network.both_ways(place, node.region)

    def _upload_s(self, line: str, number: int) -> float:
        return self._world.sample(f"{self._name}/upload/{line}", self._archive.upload, number)

    def _since(self, written: Written, steady_s: float) -> float:
        """Return when a segment was begun, long enough before the trial that its first ones have been restored."""
        archive = self._archive
        rate = written.piece(steady_s)[0]
        cycle_s = min(archive.timeout, archive.segment / rate) if rate > 0.0 else archive.timeout
        under_way_s = float(archive.upload.quantile(0.999)) + archive.poll + archive.restore
        cycles = ceil(self._chain.length * under_way_s / cycle_s) + 1
        return min(steady_s, 0.0) - (self._world.uniform(f"{self._name}/segment") + cycles) * cycle_s
