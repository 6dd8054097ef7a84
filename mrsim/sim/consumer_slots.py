"""The slots that a consumer has at primaries: what promoted standbys have of them, and what WAL is kept for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.lines import agreed_s
from mrsim.sim.slot_copies import SlotCopies
from mrsim.sim.slots import ROUNDING
from mrsim.sim.world import DATABASE
from mrsim.trace import INF, site_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.feeds import ChangeFeed
    from mrsim.scenario.stores import Store
    from mrsim.sim.consumer_progress import Progress
    from mrsim.sim.database import Database
    from mrsim.sim.nodes import Node
    from mrsim.sim.slots import Slotted
    from mrsim.sim.world import Timer, World


class ConsumerSlots:
    """The slots of one consumer.

    Parameters
    ----------
    world
        The trial.
    name, model, store
        The feed's id, the feed and its store as written.
    database, progress
        The store's nodes, and how far the consumer has read.
    slotted
        How much WAL a primary keeps for those who are away; None: everything.
    away
        Whether the consumer reads nothing.
    """

    def __init__(
        self,
        world: World,
        name: str,
        model: ChangeFeed,
        store: Store,
        database: Database,
        progress: Progress,
        slotted: Slotted | None,
        away: Callable[[], bool],
    ) -> None:
        self._world = world
        self._name = name
        self._database = database
        self._progress = progress
        self._slotted = slotted
        self._away = away
        slot = model.slot
        self._copies = (
            SlotCopies(world, name, slot, store, database, progress.confirmed_at) if slot is not None else None
        )
        self._confirmed_s: dict[int, float] = {0: -INF}
        """Per line of WAL: up to where the slot at its primary was confirmed when the consumer left it."""
        self._filling: Timer | None = None
        if slotted is not None:
            slotted.consumers.append(self._absent)

    def close(self) -> None:
        """Forget whom it asks."""
        self._away = lambda: False

    def at(self, node: Node) -> float | None:
        """Return where a primary's slot stands; one that was promoted has what it had a copy of. None: it has none."""
        copy = self._copies.take(node) if self._copies is not None else None
        if node.history not in self._confirmed_s and copy is not None:
            self._confirmed_s[node.history] = agreed_s(self._database.histories, *copy, node.history)
        return self._confirmed_s.get(node.history)

    def note(self, history: int, confirmed_s: float) -> None:
        """Note where the slot at the primary of a line stands."""
        self._confirmed_s[history] = confirmed_s

    def create(self, history: int) -> None:
        """Have a new slot at one primary, and nowhere else."""
        self._confirmed_s = {history: self._world.now}
        if self._copies is not None:
            self._copies.forget()

    def look(self, source: Node | None) -> None:
        """Let standbys fetch from the primary that the consumer reads from, or else from the one it read from last."""
        if self._copies is None:
            return
        if source is None and self._progress.history in self._confirmed_s:
            source = self._writer(self._progress.history)
        self._copies.look(source if source is None or not source.handed_over else None)

    def _writer(self, history: int) -> Node:
        return self._database.nodes[site_of(self._database.histories[history].node)]

    # What is kept for it while it is away ---------------------------------------------------------------------------

    def keep(self, cause: int) -> None:
        """Look again when the primary that it read from last may keep as much WAL for it as it can."""
        progress, slotted = self._progress, self._slotted
        waits = self._filling is not None and self._filling.pending
        if slotted is None or waits or progress.history not in self._confirmed_s:
            return
        source = self._writer(progress.history)
        if not _writes(source, progress.history):
            return
        at_s = progress.line(progress.history).end_s(progress.confirmed_s, slotted.limit[0])
        if at_s < self._world.horizon_s:
            name = f"feed/{self._name}/kept"
            self._filling = self._world.at(at_s, DATABASE, name, lambda: self._kept(source, slotted, cause))

    def _kept(self, source: Node, slotted: Slotted, cause: int) -> None:
        progress, history = self._progress, self._progress.history
        if not self._away() or not _writes(source, history):
            return
        limit, full = slotted.limit
        if progress.line(history).bytes_between(progress.confirmed_s, self._world.now) < limit * ROUNDING:
            self.keep(cause)
        elif full:
            slotted.fill(source, self._name, cause)
        else:
            self._lose(history)
            self._world.stirred += 1
            note = f"{source.name} would keep more WAL for it than it may"
            self._world.emit("slot-invalidated", self._name, cause, "", note)

    def _absent(self, source: Node) -> Callable[[], None] | None:
        """Return what drops its slot at a primary, if it has one there and reads nothing."""
        history = source.history
        return (lambda: self._lose(history)) if self._away() and history in self._confirmed_s else None

    def _lose(self, history: int) -> None:
        self._confirmed_s.pop(history, None)
        if self._copies is not None:
            self._copies.forget()


def _writes(source: Node, history: int) -> bool:
    return source.is_primary and source.history == history
