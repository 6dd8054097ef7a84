"""Copies of a logical slot on standbys, by which a consumer goes on after a promotion.

References
----------
PostgreSQL documentation, *Replication Slot Synchronization*; ``slotsync.c``: a standby fetches the slot's confirmed
position now and then, and none that it does not hold the WAL up to. Copies are made from the primary alone, so a
standby behind another one has none, and neither has one that restores from an archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.sim.lines import agreed_s
from mrsim.sim.wal import Stream
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.feeds import FailoverSlot
    from mrsim.scenario.stores import Store
    from mrsim.sim.database import Database
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World


class Ticks:
    """Instants at even distances, at a random phase; all of them if the distance is 0."""

    def __init__(self, every_s: float, phase: float) -> None:
        self._every_s = every_s
        self._ahead_s = phase * every_s

    def last_s(self, at_s: float) -> float:
        """Return the last one that is not after an instant."""
        return at_s if self._every_s <= 0.0 else at_s - (at_s + self._ahead_s) % self._every_s


@dataclass(slots=True)
class _Copy:
    """What one standby knows: up to where, if anything; and since when it has been fetching."""

    history: int
    position_s: float | None
    since_s: float = INF


class SlotCopies:
    """The copies of one consumer's slot on a store's standbys.

    Parameters
    ----------
    world
        The trial.
    name, rule, store
        The consumer, how copies are made, and the store as written.
    database
        Its nodes.
    confirmed_s
        ``confirmed_s(at_s)``: on which line of WAL the slot was at an instant, and how far it had been confirmed there.
    """

    def __init__(
        self,
        world: World,
        name: str,
        rule: FailoverSlot,
        store: Store,
        database: Database,
        confirmed_s: Callable[[float], tuple[int, float]],
    ) -> None:
        self._world = world
        self._database = database
        self._confirmed_s = confirmed_s
        every_s = world.sample(f"feed/{name}/synced", rule.synced_every)
        self._nodes = [database.nodes[site] for site in store.direct]
        origin = database.nodes[store.primary]
        # Once another node is primary, the first one is its standby.
        self._nodes.append(origin)
        self._ticks = {node.name: Ticks(every_s, world.uniform(f"feed/{name}/{node.name}")) for node in self._nodes}
        self._copies = {node.name: _Copy(0, None) for node in self._nodes}

    def look(self, holder: Node | None) -> None:
        """Follow who fetches from the primary that has the slot; None: no primary has it."""
        now = self._world.now
        for node in self._nodes:
            copy, upstream = self._copies[node.name], node.upstream
            fetches = (
                holder is not None
                and upstream is not None
                and upstream.source is holder
                and upstream.flowing
                and isinstance(upstream.stream, Stream)
            )
            if fetches and copy.since_s == INF:
                copy.since_s = now if now > 0.0 else -INF
            elif not fetches and copy.since_s < INF:
                self._fetch(node, copy)
                copy.since_s = INF

    def take(self, node: Node) -> tuple[int, float] | None:
        """Return up to where a node knows the slot, with its line; None if it has no copy."""
        copy = self._copies.get(node.name)
        return None if copy is None or copy.position_s is None else (copy.history, copy.position_s)

    def forget(self) -> None:
        """Let all copies go, because the slot is gone."""
        for copy in self._copies.values():
            copy.position_s = None
            if copy.since_s < INF:
                copy.since_s = self._world.now

    def _fetch(self, node: Node, copy: _Copy) -> None:
        """Note what a standby had fetched by now."""
        tick_s = self._ticks[node.name].last_s(self._world.now)
        if tick_s < copy.since_s:
            return
        history, position_s = self._confirmed_s(tick_s)
        held = self._database.streaming.position(node)
        held_s = agreed_s(self._database.histories, *held, history)
        copy.history, copy.position_s = history, min(position_s, held_s)
