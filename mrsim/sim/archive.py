"""WAL by way of an archive: segments that a primary ships when they are full or old, and a standby fetches.

A segment ends when it is full, or when ``timeout`` has passed since the last one ended and something was written. One
after the other they are uploaded; a standby looks for the next one every ``poll``. What is in no segment that has
landed is in no copy but the primary's.

References
----------
PostgreSQL 15, ``checkpointer.c``, ``CheckArchiveTimeout`` (an idle server switches no segment, and looks again a
timeout later); ``pgarch.c`` (one segment after the other; three tries, then a pause of ``PGARCH_AUTOWAKE_INTERVAL``);
``xlogrecovery.c``, ``WaitForWALToBecomeAvailable`` (a standby asks again every ``wal_retrieve_retry_interval``, and a
promoted one first restores what the archive still holds).
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from mrsim.sim.feeds import Feed, Feeder
from mrsim.sim.nodes import Upstream
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.stores import Archive
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.wal import Written
    from mrsim.sim.world import World

AUTOWAKE_S = 60.0
"""PGARCH_AUTOWAKE_INTERVAL: a failed upload is tried again after this, once three quick tries have failed."""


class Segments:
    """The segments that one primary writes on one line: when each ends, and when it has landed in the archive.

    Parameters
    ----------
    archive
        Sizes and times.
    written
        What the primary writes.
    began_s
        When the segment in progress was begun.
    upload_s
        ``upload_s(k)`` is how long the k-th upload takes.
    """

    def __init__(self, archive: Archive, written: Written, began_s: float, upload_s: Callable[[int], float]) -> None:
        self._archive = archive
        self._written = written
        self._upload_s = upload_s
        self._timer_s = self._position_s = self._free_s = began_s
        self._waiting: list[float] = []
        self._next = self._end_after()
        self.source_end_s = INF
        """When the primary stopped writing."""
        self.open = True
        """Whether the primary can ship."""
        self.landed_s: list[float] = []
        """When each segment landed."""
        self.positions_s: list[float] = []
        """Up to which commit time each reaches."""

    def advance(self, now_s: float) -> None:
        """Let segments end and land up to an instant; none ends once the primary has stopped writing."""
        while self._next <= min(now_s, self.source_end_s):
            # What was blocked meanwhile has filled less than was foreseen.
            later = self._end_after()
            if later > self._next:
                self._next = later
                continue
            if self._written.bytes_between(self._position_s, self._next) > 0.0:
                self._waiting.append(self._next)
                self._position_s = self._next
            self._timer_s = self._next
            self._next = self._end_after()
        while self._waiting and self.open:
            lands = max(self._waiting[0], self._free_s) + self._upload_s(len(self.landed_s))
            if lands > now_s:
                return
            self._free_s = lands
            self.landed_s.append(lands)
            self.positions_s.append(self._waiting.pop(0))

    def end_now(self, now_s: float) -> None:
        """End the segment in progress: a shutdown checkpoint is written to it, and it is archived."""
        self.advance(now_s)
        self._waiting.append(now_s)
        self._position_s = self._timer_s = now_s
        self._next = self._end_after()

    def ship(self, now_s: float, *, on: bool, retry_s: float) -> None:
        """Open or cut the way into the archive: an upload that is cut off is lost, and made again ``retry_s`` later."""
        if on == self.open:
            return
        self.advance(now_s)
        self.open = on
        if not on:
            return
        if self.source_end_s < INF:
            # A server that starts counts its timeout anew, and its archiver begins at once.
            self.source_end_s, retry_s = INF, 0.0
            self._timer_s = now_s
            self._next = self._end_after()
        self._free_s = max(self._free_s, now_s + retry_s)

    def _end_after(self) -> float:
        """Return when the segment in progress ends: full, or old."""
        due = self._timer_s + self._archive.timeout
        left, at = self._archive.segment, self._position_s
        while at < due:
            rate, until = self._written.piece(at)
            step = min(until, due)
            if rate * (step - at) >= left:
                return max(at + left / rate, self._timer_s)
            left -= rate * (step - at)
            at = step
        return due


class Restored(Feed):
    """What a standby has fetched of a primary's segments.

    Parameters
    ----------
    archive
        Times of polling and restoring.
    segments
        What is in the archive.
    poll_phase_s
        When the standby looked for the next segment first; from then on every ``poll``.
    start_s
        Up to which commit time it holds the primary's WAL to begin with.
    since_s
        Since when it has fetched segments.
    """

    def __init__(
        self, archive: Archive, segments: Segments, poll_phase_s: float, start_s: float, since_s: float
    ) -> None:
        self._archive = archive
        self.segments = segments
        self._poll_phase_s = poll_phase_s
        self._since_s = since_s
        self._done_s = -INF
        self._got = 0
        self._position_s = start_s
        self.fetching = True
        """Whether it reaches the archive."""

    def received(self, now_s: float) -> float:
        """Return the position up to which the standby holds the source's WAL."""
        self.segments.advance(now_s)
        while self.fetching and self._more():
            done_s = self._start_s() + self._archive.restore
            if done_s > now_s:
                break
            self._take(done_s)
        return self._position_s

    @property
    def source_end_s(self) -> float:
        """When the source stopped writing."""
        return self.segments.source_end_s

    @source_end_s.setter
    def source_end_s(self, at_s: float) -> None:
        """Note when the source stopped writing."""
        self.segments.source_end_s = at_s

    def fetch(self, now_s: float, *, on: bool) -> None:
        """Open or cut the way out of the archive; a segment is fetched whole or not at all."""
        if on != self.fetching:
            self.received(now_s)
            self.fetching = on
            self._since_s = now_s

    def end_recovery_s(self, now_s: float) -> float:
        """Restore all that has landed, as a standby does that is being promoted; return how long that takes."""
        self.received(now_s)
        ready_s = now_s
        while self.fetching and self._more():
            # One may be under way; nobody waits for a poll any more.
            ready_s = min(self._start_s(), ready_s) + self._archive.restore
            self._take(ready_s)
        return ready_s - now_s

    def _more(self) -> bool:
        """Return whether a segment has landed that holds what the standby lacks; those before it are passed over."""
        positions_s = self.segments.positions_s
        while self._got < len(positions_s) and positions_s[self._got] <= self._position_s:
            self._got += 1
        return self._got < len(positions_s)

    def _start_s(self) -> float:
        """Return when the next segment begins to be restored: right after the one before it, or at a poll."""
        ready_s = max(self.segments.landed_s[self._got], self._since_s)
        if ready_s <= self._done_s:
            return self._done_s
        return self._poll_phase_s + ceil((ready_s - self._poll_phase_s) / self._archive.poll) * self._archive.poll

    def _take(self, done_s: float) -> None:
        self._position_s = self.segments.positions_s[self._got]
        self._done_s = done_s
        self._got += 1


class Archiving(Feeder):
    """A store's archive: who ships into it and who fetches from it.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name
        Name of its draws.
    archive
        Sizes and times.
    """

    def __init__(self, world: World, network: Network, name: str, archive: Archive) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._archive = archive
        self._segments: dict[int, Segments] = {}

    def connect(self, node: Node, primary: Node, written: Written, position_s: float, steady_s: float | None) -> bool:
        """Let a standby restore what a primary ships; return whether both ways are open."""
        began_s = self._world.now if steady_s is None else self._since(written, steady_s)
        segments = self._segments.get(primary.history)
        if segments is None:
            history = primary.history
            segments = Segments(self._archive, written, began_s, lambda number: self._upload_s(history, number))
            self._segments[history] = segments
        start_s, since_s = (position_s, self._world.now) if steady_s is None else (began_s, -INF)
        feed = self._feed(node, segments, start_s, since_s)
        node.upstream = upstream = Upstream(primary, feed)
        ships, fetches = self._ways(node, primary)
        segments.ship(self._world.now, on=ships, retry_s=0.0)
        feed.fetch(self._world.now, on=fetches)
        upstream.flowing = upstream.whole = ships and fetches
        node.history = primary.history
        return upstream.whole

    def _feed(self, node: Node, segments: Segments, start_s: float, since_s: float) -> Restored:
        poll_s = self._world.uniform(f"{node.name}/poll", len(self._segments)) * self._archive.poll
        return Restored(self._archive, segments, self._world.now - poll_s, start_s, since_s)

    def follow(self, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Look again whether segments are shipped and fetched."""
        feed = upstream.stream
        if not isinstance(feed, Restored):
            return
        ships, fetches = self._ways(node, upstream.source)
        fetches = fetches and not stalled
        retry_s = self._world.uniform(f"{self._name}/archiver", upstream.attempt) * AUTOWAKE_S
        feed.segments.ship(self._world.now, on=ships, retry_s=retry_s)
        feed.fetch(self._world.now, on=fetches)
        if (ships and fetches) == upstream.flowing:
            return
        upstream.flowing = upstream.whole = ships and fetches
        self._world.stirred += 1
        if upstream.flowing:
            upstream.attempt += 1
            self._world.emit("archive-resumed", node.name, cause, "reconnect", "segments come by way of the archive")
        else:
            upstream.cut_s = self._world.now

    def end_segment(self, primary: Node) -> None:
        """End a primary's segment in progress now."""
        segments = self._segments.get(primary.history)
        if segments is not None:
            segments.end_now(self._world.now)

    def _ways(self, node: Node, primary: Node) -> tuple[bool, bool]:
        network, place = self._network, self._archive.place
        ships = primary.running and primary.role == "primary" and network.both_ways(primary.region, place)
        return ships, node.running and network.both_ways(place, node.region)

    def _upload_s(self, history: int, number: int) -> float:
        return self._world.sample(f"{self._name}/upload/{history}", self._archive.upload, number)

    def _since(self, written: Written, steady_s: float) -> float:
        """Return when a segment was begun, long enough before the trial that its first ones have been restored."""
        archive = self._archive
        rate = written.piece(steady_s)[0]
        cycle_s = min(archive.timeout, archive.segment / rate) if rate > 0.0 else archive.timeout
        under_way_s = float(archive.upload.quantile(0.999)) + archive.poll + archive.restore
        cycles = ceil(under_way_s / cycle_s) + 1
        return min(steady_s, 0.0) - (self._world.uniform(f"{self._name}/segment") + cycles) * cycle_s
