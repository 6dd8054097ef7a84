"""Objects that a storage service copies to another region one by one, each after a lag of its own, in no order.

An object is there once copying has gone on for as long as its lag since it was put: the clock of a lag stands still
while the two regions are cut from each other, while one of the two ends is down, and while replication is stalled.

References
----------
Amazon S3 User Guide, *Replicating objects*: asynchronous, object by object, in no promised order, retried until it
succeeds; *S3 Replication metrics*: the latency reported is the age of the oldest object that waits.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from mrsim.lags import Lag, since
from mrsim.sim.nodes import Upstream
from mrsim.sim.supplies import Supplier, Supply
from mrsim.trace import INF, Copied

if TYPE_CHECKING:
    from mrsim.scenario.stores import Objects
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.wal import Written
    from mrsim.sim.world import World


LEFT_OUT = 1e-3
"""Share of the chance of something older that is not looked for."""

TOGETHER = 0.02
"""Objects whose ages differ by no more than this share of them are looked at together."""


class Copies(Supply):
    """The copies of one primary's objects in one standby.

    Parameters
    ----------
    copying
        Whose lags they have.
    written
        What the primary writes.
    bytes_per_commit
        Size of an object.
    since_s, level_s
        Since when it is copied, and before which time everything is there to begin with.
    oldest
        An exponential of mean 1: which object is the oldest that is missing.
    """

    def __init__(
        self, copying: Copying, written: Written, bytes_per_commit: float, since_s: float, level_s: float, oldest: float
    ) -> None:
        self._copying = copying
        self._written = written
        self._bytes_per_commit = bytes_per_commit
        self._level_s = level_s
        self._oldest = oldest
        self._ended: list[tuple[float, float]] = []
        self._since_s = since_s
        self.flowing = True
        self.source_end_s = INF

    def flow(self, now_s: float, *, on: bool) -> None:
        """Let copying go on, or stop it."""
        if on == self.flowing:
            return
        self.flowing = on
        if on:
            self._since_s = now_s
        elif now_s > self._since_s:
            self._ended.append((self._since_s, now_s))

    def _until(self, now_s: float) -> Copied:
        spans = (*self._ended, (self._since_s, now_s)) if self.flowing and now_s > self._since_s else (*self._ended,)
        return Copied(spans, self._level_s, self._oldest)

    def received(self, now_s: float) -> float:
        """Return when the oldest object was put that is missing; if none is, when copying last went on."""
        copied = self._until(now_s)
        if not copied.spans:
            return self._level_s
        newest_s = copied.spans[-1][1]
        return max(min(self._first_missing_s(copied, newest_s), newest_s), min(self._level_s, now_s))

    def copied(self, now_s: float) -> Copied | None:
        """Return when copying went on; None if everything that was put until it last did is there."""
        copied = self._until(now_s)
        if not copied.spans or self.received(now_s) >= copied.spans[-1][1]:
            return None
        return copied

    def _first_missing_s(self, copied: Copied, newest_s: float) -> float:
        lag, left = self._copying.lag, copied.oldest
        at_s = since(copied, lag.age_of(LEFT_OUT * left * self._bytes_per_commit / self._written.peak_bytes_per_s))
        for start_s, end_s in copied.spans:
            # What is put between two spans has the age of what is put as the second begins.
            later_s = sum(end - start for start, end in copied.spans if start >= end_s)
            while at_s < end_s:
                inside = at_s >= start_s
                age_s = later_s + end_s - max(at_s, start_s)
                rate, until_s = self._rate(at_s, end_s if inside else start_s, age_s)
                if rate > 0.0:
                    beyond, gap = lag.beyond(age_s), 0.0 if inside else lag.missing_at(age_s)
                    adds = rate * (lag.beyond(later_s + end_s - until_s) - beyond if inside else gap * (until_s - at_s))
                    if adds >= left:
                        return at_s + (age_s - lag.age_of(beyond + left / rate) if inside else left / rate / gap)
                    left -= adds
                at_s = until_s
        return newest_s

    def _rate(self, at_s: float, end_s: float, age_s: float) -> tuple[float, float]:
        """Return how many objects per second were put, and until when; on average where that changes often."""
        rate, until_s = self._written.piece(at_s)
        until_s = min(until_s, end_s)
        if until_s - at_s < TOGETHER * age_s:
            until_s = min(at_s + TOGETHER * age_s, end_s)
            rate = self._written.bytes_between(at_s, until_s) / (until_s - at_s)
        return rate / self._bytes_per_commit, until_s


class Copying(Supplier):
    """A storage service that copies a store's objects from region to region.

    Parameters
    ----------
    world, network
        The trial and its paths.
    objects
        Lags.
    bytes_per_commit
        Size of an object.
    """

    def __init__(self, world: World, network: Network, objects: Objects, bytes_per_commit: float) -> None:
        self._world = world
        self._network = network
        self._objects = objects
        self._bytes_per_commit = bytes_per_commit
        self._connected = 0

    @property
    def lag(self) -> Lag:
        """The lag of an object."""
        return self._world.once("lag", self._objects.lag, Lag)

    def connect(self, node: Node, primary: Node, written: Written, position_s: float, steady_s: float | None) -> bool:
        """Let a standby be copied to; what it holds of the primary's history it does not get again."""
        now = self._world.now
        self._connected += 1
        oldest = -log(self._world.uniform(f"{node.name}/oldest", self._connected))
        since_s, level_s = (now, position_s) if steady_s is None else (-INF, -INF)
        copies = Copies(self, written, self._bytes_per_commit, since_s, level_s, oldest)
        node.upstream = upstream = Upstream(primary, copies)
        whole = self._whole(node, primary)
        copies.flow(now, on=whole)
        upstream.flowing = upstream.whole = whole
        node.history = primary.history
        return whole

    def follow(self, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Let copying go on or stop, as paths and both ends allow."""
        copies = upstream.stream
        whole = self._whole(node, upstream.source) and not stalled
        if whole == upstream.flowing or not isinstance(copies, Copies):
            return
        now = self._world.now
        copies.flow(now, on=whole)
        upstream.flowing = upstream.whole = whole
        self._world.stirred += 1
        if whole:
            upstream.attempt += 1
            self._world.emit("copying-resumed", node.name, cause, "reconnect", "objects are copied again")
        else:
            upstream.cut_s = now

    def end_segment(self, primary: Node) -> None:
        """Leave things as they are: every object is on its way already."""

    def _whole(self, node: Node, primary: Node) -> bool:
        return primary.is_primary and node.running and self._network.both_ways(primary.region, node.region)
