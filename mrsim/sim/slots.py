"""Replication slots: WAL that a primary keeps for who is away, until its disk is full or they are given up.

References
----------
PostgreSQL documentation, *Replication Slots* ("can cause a server to fill up the space allocated for pg_wal") and
*max_slot_wal_keep_size*; ``xlog.c`` (a failed write of WAL is a PANIC: the server ends, and cannot start again without
room). Invalidation is due at the next checkpoint; here it is due at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.wal import Stream
from mrsim.sim.world import DATABASE
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.stores import Slots, Store
    from mrsim.sim.database import Database
    from mrsim.sim.nodes import Node, Upstream
    from mrsim.sim.returns import Returns
    from mrsim.sim.world import Timer, World

ROUNDING = 1.0 - 1e-9


class Slotted:
    """The slots of one store's standbys.

    Parameters
    ----------
    world
        The trial.
    store, rule
        The store, and how much WAL it keeps.
    database
        Its nodes.
    returns
        Who starts a primary again once there is room.
    """

    def __init__(self, world: World, store: Store, rule: Slots, database: Database, returns: Returns) -> None:
        self._world = world
        self._rule = rule
        self._database = database
        self._returns = returns
        self._cascaded = {standby.region for standby in store.standbys if standby.source not in {None, store.primary}}
        self._timers: dict[str, tuple[Upstream, Timer]] = {}
        self._clones: dict[str, Upstream] = {}
        self._filled = self._cloned = 0
        self.consumers: list[Callable[[Node], Callable[[], None] | None]] = []
        """Asked by a primary for what drops their slots there, if they are away."""

    def on_network(self, _: frozenset[str], cause: int) -> None:
        """Look again after a change of paths."""
        self.look(cause)

    def look(self, cause: int) -> None:
        """Follow what is kept for every standby that is away, and make those anew that can follow no more."""
        for node in self._database.nodes.values():
            upstream = node.upstream
            if node.role != "standby" or upstream is None or not isinstance(upstream.stream, Stream):
                continue
            if node.region in self._cascaded:
                continue
            if upstream.lost:
                self._clone(node, upstream, cause)
            elif not upstream.flowing and upstream.source.is_primary:
                known = self._timers.get(node.name)
                if known is None or known[0] is not upstream or not known[1].pending:
                    self._wait(node, upstream, cause)

    @property
    def limit(self) -> tuple[float, bool]:
        """How much is kept, and whether the disk is what ends it."""
        disk, most = self._rule.disk, self._rule.max_slot_wal_keep_size
        full = disk is not None and (most is None or disk <= most)
        return (disk if full else most) or INF, full

    def _wait(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Look again when as much may be kept as can be."""
        line = self._database.streaming.lines[upstream.source.history]
        _, position_s = self._database.streaming.position(node)
        at_s = line.end_s(position_s, self.limit[0])
        if at_s < self._world.horizon_s:
            timer = self._world.at(at_s, DATABASE, f"{node.name}/slot", lambda: self._reached(node, upstream, cause))
            self._timers[node.name] = upstream, timer

    def _reached(self, node: Node, upstream: Upstream, cause: int) -> None:
        source, now = upstream.source, self._world.now
        if node.upstream is not upstream or upstream.flowing or upstream.lost or not source.is_primary:
            return
        limit, full = self.limit
        line = self._database.streaming.lines[source.history]
        _, position_s = self._database.streaming.position(node)
        if line.bytes_between(position_s, now) < limit * ROUNDING:
            # Commits were blocked meanwhile: less was written than was foreseen.
            self._wait(node, upstream, cause)
            return
        if not full:
            note = "more WAL than is kept for it: it has to be made anew"
            upstream.lost = True
            self._world.stirred += 1
            self._database.changed(self._world.emit("slot-invalidated", node.name, cause, "", note))
            return
        self.fill(source, node.name, cause)

    def fill(self, source: Node, whom: str, cause: int) -> None:
        """Let a primary's disk be full of WAL that it keeps for somebody who is away."""
        now = self._world.now
        away = [up for up in self._upstreams(source) if not up.flowing]
        drops = [drop for absent in self.consumers if (drop := absent(source)) is not None]
        self._filled += 1
        source.disk_full = True
        event = self._world.emit("disk-full", source.name, cause, "", f"of WAL that is kept for {whom}")
        self._database.stop(source.region, event, "it cannot write WAL")
        takes_s = self._world.sample(f"{source.name}/makes-room", self._rule.makes_room, self._filled)
        self._world.at(
            now + takes_s, DATABASE, f"{source.name}/room", lambda: self._make_room(source, away, drops, event)
        )

    def _upstreams(self, source: Node) -> list[Upstream]:
        """Return the connections that a primary keeps slots for."""
        nodes = [node for node in self._database.nodes.values() if node.region not in self._cascaded]
        connections = [node.upstream for node in nodes if node.role == "standby" and node.upstream is not None]
        return [up for up in connections if up.source is source and isinstance(up.stream, Stream)]

    def _make_room(self, source: Node, away: list[Upstream], drops: list[Callable[[], None]], cause: int) -> None:
        """Drop the slots of those who were away, and start the primary again."""
        source.disk_full = False
        for upstream in away:
            upstream.lost = True
        for drop in drops:
            drop()
        event = self._world.emit(
            "room-made", source.name, cause, "repair", "the slots of those who are away are dropped"
        )
        self._returns.restart(source.region, event)

    def _clone(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Make a standby anew as soon as it reaches its primary."""
        if self._clones.get(node.name) is upstream or not self._database.streaming.whole(node, upstream):
            return
        self._clones[node.name] = upstream
        self._cloned += 1
        takes_s = self._world.sample(f"{node.name}/reclone", self._rule.reclone, self._cloned)
        node.rebuilding = True
        node.reads.set(self._world.now, on=False, event=cause)
        now = self._world.now
        self._world.at(
            now + takes_s, DATABASE, f"{node.name}/recloned", lambda: self._cloned_now(node, upstream, cause)
        )

    def _cloned_now(self, node: Node, upstream: Upstream, cause: int) -> None:
        self._clones.pop(node.name, None)
        if node.upstream is not upstream or node.role != "standby" or node.promoting:
            return
        if not self._database.streaming.whole(node, upstream):
            # The copy broke off, and is begun again.
            return
        self._database.streaming.connect(node, upstream.source, self._world.now, cause)
        node.rebuilding = False
        note = "it lacked WAL that was gone, and has been made anew"
        event = self._world.emit("standby-attached", node.name, cause, "restore", note)
        node.reads.set(self._world.now, on=node.made, event=event)
        self._database.changed(event)
