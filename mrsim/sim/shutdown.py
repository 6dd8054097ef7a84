"""The shutdown of a primary that hands over: from its sessions' end it answers nobody, until it starts again.

References
----------
PostgreSQL documentation, *Shutting Down the Server*: a fast shutdown ends all sessions, then the shutdown checkpoint is
written, and what sends WAL ends last. CloudNativePG, ``pkg/reconciler/replicaclusterswitch/reconciler.go``: all
instances of a cluster that is demoted are fenced until the token is known. Patroni, ``patroni/ha.py``,
``demote('graceful')``: the database is stopped, the key released, and the database started again as a standby.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.world import DATABASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.distributions import Distribution
    from mrsim.sim.database import Database
    from mrsim.sim.nodes import Node
    from mrsim.sim.returns import Returns
    from mrsim.sim.world import World


class Shutdown:
    """What a switchover does to the old primary's database, and to the others of a cluster that is demoted as a whole.

    Parameters
    ----------
    world, database, returns
        The trial, the store, and who points standbys at their primary.
    name
        The store's id, for its draws.
    nodes
        Who is shut down, the old primary first.
    starts_again
        How long a start takes, and whoever orders it.
    number
        The switchover's number.
    """

    def __init__(
        self,
        world: World,
        database: Database,
        returns: Returns,
        name: str,
        nodes: Sequence[Node],
        starts_again: Distribution,
        number: int,
    ) -> None:
        self._world = world
        self._database = database
        self._returns = returns
        self._name = name
        self._nodes = nodes
        self._takes = starts_again
        self._number = number
        self._called_off = False

    def end_sessions(self, cause: int) -> int:
        """Let nobody in any more; return the event."""
        note = "its last session has ended: it answers nobody"
        event = self._world.emit("sessions-ended", self._nodes[0].name, cause, "drain", note)
        for node in self._nodes:
            if node.running:
                node.answers.set(self._world.now, on=False, event=event)
        self._database.changed(event)
        return event

    def complete(self, cause: int) -> None:
        """End what sends WAL: everything has been sent."""
        self._nodes[0].handed_over = True
        self._database.changed(cause)

    def start_again(self, cause: int) -> None:
        """Start what was shut down again, as standbys of whoever is or becomes primary."""
        takes_s = self._world.sample(f"{self._name}/switchover/starts-again", self._takes, self._number)
        self._world.at(
            self._world.now + takes_s, DATABASE, f"{self._name}/starts-again", lambda: self._started(cause, "standby")
        )

    def call_off(self, cause: int) -> None:
        """Let those who run answer again: the old primary is primary again."""
        self._started(cause, "primary")
        self._called_off = True

    def leave(self) -> None:
        """Leave what is to come to another switchover."""
        self._called_off = True

    @property
    def others(self) -> list[Node]:
        """Who was shut down with the old primary, runs, and is not let in yet."""
        return [node for node in self._nodes[1:] if node.running and not node.answers.on]

    def let_in(self, others: Sequence[Node], cause: int) -> None:
        """Let some of the others answer again, as the standbys that they are, whatever becomes of the old primary."""
        for node in others:
            event = self._world.emit("started-again", node.name, cause, "restore", "answers reads, as standby")
            node.answers.set(self._world.now, on=True, event=event)
            self._returns.follow(node, event)
            self._database.changed(event)

    def _started(self, cause: int, role: str) -> None:
        down = [node for node in self._nodes if not node.answers.on]
        if self._called_off or not down:
            return
        event = self._world.emit("started-again", down[0].name, cause, "restore", f"answers reads, as {role}")
        for node in down:
            node.answers.set(self._world.now, on=True, event=event)
        for node in down:
            if node.running:
                self._returns.follow(node, event)
        self._database.changed(event)
