"""The way back of a switchover that was given up: whoever was shut down for it answers again, once it can be told.

Operations look when they turn back. What they cannot reach then stays shut down, and whoever fails over acts again.
They go on looking until they can reach it, or until there is nothing to go back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.attempt import Again
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.shutdown import Shutdown
    from mrsim.sim.switchover import Switchovers
    from mrsim.sim.world import World


class WayBack:
    """From giving a switchover up to the old primary being primary again, or being left to others.

    It is left if another node has become primary, if another switchover has begun, or if it has died: then it has been
    called off, and whoever starts it starts a primary. The others of a cluster that was demoted with it are let in as
    soon as they can be reached, so that their manager can make one of them primary.

    Parameters
    ----------
    owner
        Who holds the failover control still, and lets it act.
    old, place
        The old primary, and where whoever goes back stands.
    stopped_s
        When its writes stopped.
    number
        The switchover's number.
    shutdown
        What has happened to the old primary, and to the others of its cluster.
    cause
        The event of giving up.
    """

    def __init__(
        self,
        owner: Switchovers,
        old: Node,
        place: str,
        stopped_s: float,
        number: int,
        shutdown: Shutdown,
        cause: int,
    ) -> None:
        self._owner = owner
        self._world: World
        self._network: Network
        self._database: Database
        self._world, self._network, self._database, name = owner.parts
        self._old = old
        self._place = place
        self._number = number
        self._shutdown = shutdown
        self._cause = cause
        self._drained_s = (stopped_s, INF)
        self._left = False
        self._again = Again(self._world, f"{name}/switchover/back", self._look)

    def begin(self) -> None:
        """Go back if the old primary can be reached; else let others act, and look again."""
        old, owner = self._old, self._owner
        resumed = owner.may_go_back(old, self._place)
        if resumed:
            self._resume()
        else:
            if not old.running:
                # Whoever starts it again starts a primary: it has been called off.
                old.end_drain(self._world.now)
            self._let_others_in()
        owner.released(old, self._cause, resumed=resumed)
        if not resumed:
            owner.look_for(self)

    def follow(self) -> bool:
        """Follow a change, by a look to come; return whether there is still something to go back to."""
        remains = self.remains()
        if remains:
            self._again.plan()
        return remains

    def remains(self) -> bool:
        """Return whether there is still something to go back to."""
        old, current = self._old, self._database.current is self._old
        last = self._owner.is_last(self._number)
        if current and not last:
            # The next switchover has taken it over as it is.
            self._shutdown.leave()
            return False
        if not (current and old.is_primary and old.drained_s == self._drained_s):
            if not self._left and current and not old.running and old.drained_s == self._drained_s:
                old.end_drain(self._world.now)
            self._left = True
        return not self._left or bool(self._shutdown.others)

    def _look(self) -> None:
        old, owner = self._old, self._owner
        if not self.remains():
            return
        self._let_others_in()
        if self._left:
            return
        if owner.may_go_back(old, self._place) and owner.takes_back(old, self._place, self._cause):
            self._resume()
            owner.released(old, self._cause, resumed=True)

    def _resume(self) -> None:
        self._left = True
        self._old.end_drain(self._world.now)
        event = self._world.emit("resumed-as-primary", self._old.name, self._cause, "repair", "called off")
        self._shutdown.call_off(event)
        self._database.changed(event)

    def _let_others_in(self) -> None:
        reached = [node for node in self._shutdown.others if self._network.both_ways(self._place, node.region)]
        self._shutdown.let_in(reached, self._cause)
