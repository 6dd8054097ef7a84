"""Copies taken now and then: a backup, a dump, a saved state, from which a node is restored when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.scenario.stores import Archive
from mrsim.sim.archive import Archiving
from mrsim.sim.restoring import Restored
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.stores import Snapshots
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.shipping import Shipped
    from mrsim.sim.wal import Written
    from mrsim.sim.world import World


class Backup(Restored):
    """The last snapshot that has landed; a node is made from it only when it is promoted.

    Parameters
    ----------
    archive, segments, start_s
        As for :class:`~mrsim.sim.restoring.Restored`; a segment is a snapshot.
    restore_s
        Returns how long it takes to make a node from a snapshot.
    """

    def __init__(self, archive: Archive, segments: Shipped, start_s: float, restore_s: Callable[[], float]) -> None:
        super().__init__(archive, segments, 0.0, start_s, -INF)
        self._restore_s = restore_s

    def received(self, now_s: float) -> float:
        """Return the instant of the last snapshot that has landed."""
        self.segments.advance(now_s)
        if self.segments.positions_s:
            self._position_s = max(self._position_s, self.segments.positions_s[-1])
        return self._position_s

    def usable(self, now_s: float) -> bool:
        """Return whether there is a snapshot, and a way to it."""
        self.segments.advance(now_s)
        return self.fetching and bool(self.segments.positions_s)

    def end_recovery_s(self, now_s: float) -> float:
        """Return how long it takes to make a node from the last snapshot."""
        self.received(now_s)
        return self._restore_s()


class Snapshotting(Archiving):
    """A store's snapshots: who takes them, and who is made from them.

    Parameters
    ----------
    world, network, name
        As for :class:`~mrsim.sim.archive.Archiving`.
    rule
        Where snapshots are kept, how often they are taken, and how fast a node is made from one.
    """

    def __init__(self, world: World, network: Network, name: str, rule: Snapshots) -> None:
        # A snapshot is taken when its time has come, however much was written: a segment that is never full.
        as_archive = Archive.model_construct(
            place=rule.place,
            timeout=rule.every,
            segment=INF,
            upload=rule.takes,
            poll=rule.every,
            restore=0.0,
        )
        super().__init__(world, network, f"{name}/snapshot", as_archive)
        self._rule = rule
        self._restored = 0

    def connect(self, node: Node, primary: Node, written: Written, position_s: float, steady_s: float | None) -> bool:
        """Let a node be made from a primary's snapshots; it answers for no commit."""
        whole = super().connect(node, primary, written, position_s, steady_s)
        if node.upstream is not None:
            node.upstream.streaming = False
        return whole

    def _supply(self, node: Node, segments: Shipped, start_s: float, since_s: float) -> Restored:
        node.made = False
        node.reads.set(self._world.now, on=False)

        def restore_s() -> float:
            self._restored += 1
            prepares_s = self._world.sample(f"{node.name}/prepares", self._rule.prepares, self._restored)
            return prepares_s + self._rule.size / self._rule.throughput

        return Backup(self._archive, segments, start_s, restore_s)

    def end_segment(self, primary: Node) -> None:
        """Leave things as they are: nobody takes a snapshot because a primary ends."""
