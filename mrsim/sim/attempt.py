"""What every switchover does to the old primary: no new sessions, the end of the old ones, its last write, the end.

What follows, and what speaks against going on, depends on who decides over the store: see
:mod:`mrsim.sim.switchover` and :mod:`mrsim.sim.lease_switchover`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil
from typing import TYPE_CHECKING

from mrsim.scenario.places import OPERATIONS
from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
    from mrsim.scenario.faults import Switchover
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.shutdown import Shutdown
    from mrsim.sim.world import Timer, World

PLACE = OPERATIONS
"""Where whoever carries a switchover out stands: a person, or a pipeline."""

LOOKS_EVERY_S = 1.0
"""How often the new primary compares its position with the token, and operations look whether a way is open again."""


class Again:
    """Looks again at full intervals since now, for as long as somebody asks for it.

    It is asked after every change: a look before which nothing has changed would see what the last one saw.

    Parameters
    ----------
    world, name
        The trial, and the name of the looks.
    look
        What is done at each.
    """

    def __init__(self, world: World, name: str, look: Callable[[], None]) -> None:
        self._world = world
        self._name = name
        self._look = look
        self._since_s = world.now
        self._timer: Timer | None = None

    def plan(self) -> None:
        """Look at the end of the interval that has begun."""
        if self._timer is None or not self._timer.pending:
            intervals = max(1, ceil((self._world.now - self._since_s) / LOOKS_EVERY_S))
            at_s = self._since_s + intervals * LOOKS_EVERY_S
            self._timer = self._world.at(at_s, CONTROL, self._name, self._look)

    def stop(self) -> None:
        """Do not look, even if that was planned."""
        if self._timer is not None:
            self._timer.cancel()


class Attempt(ABC):
    """One switchover, up to the shutdown of the old primary.

    Parameters
    ----------
    world, network, database, name
        The trial, its paths, and the store.
    plan
        What was planned.
    old, new
        Who hands over, and to whom.
    number
        The switchover's number, for its draws.
    event
        What it follows from.
    shutdown
        What happens to the old primary, and to whoever is shut down with it.
    """

    shut_note: str
    """What to say of the shutdown."""

    def __init__(
        self,
        world: World,
        network: Network,
        database: Database,
        name: str,
        plan: Switchover,
        old: Node,
        new: Node,
        number: int,
        event: int,
        shutdown: Shutdown,
    ) -> None:
        self._world = world
        self._network = network
        self._database = database
        self._name = name
        self._plan = plan
        self._old = old
        self._new = new
        self._number = number
        self._last = event
        self._stopped_s = 0.0
        self._shutdown = shutdown

    def begin(self) -> None:
        """Order the old primary to stop accepting writes."""
        self._after(self._network.one_way_s(self._place, self._old.region), "order", self._drain)

    @property
    def _place(self) -> str:
        """Where the order comes from."""
        return PLACE

    def _after(self, wait_s: float, step: str, action: Callable[[], None]) -> Timer:
        return self._world.at(self._world.now + wait_s, CONTROL, f"{self._name}/switchover/{step}", action)

    def _sample(self, step: str, takes: Distribution) -> float:
        return self._world.sample(f"{self._name}/switchover/{step}", takes, self._number)

    # What differs --------------------------------------------------------------------------------------------------

    @abstractmethod
    def _may_begin(self) -> bool:
        """Return whether the old primary does as it is told."""

    @abstractmethod
    def _goes_on(self) -> bool:
        """Return whether the old primary is still about to shut down."""

    @abstractmethod
    def _hold_still(self) -> None:
        """Tell who would take it for dead that this is planned."""

    @abstractmethod
    def _hand_on(self) -> None:
        """Go on once the old primary has shut down."""

    # What is alike -------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        if not self._may_begin():
            return
        old = self._old
        self._last = self._world.emit("writes-stopped", old.name, self._last, "drain", "no new sessions begin")
        self._hold_still()
        if not old.handed_over:
            # Else it is shut down still, for one that was given up.
            old.drain(self._world.now)
        self._stopped_s, _ = old.drained_s
        self._database.changed(self._last)
        drains_s = self._sample("drain", self._plan.drain)
        takes = drains_s + self._sample("checkpoint", self._plan.checkpoint)
        self._after(drains_s, "sessions", self._end_sessions)
        self._after(takes, "shutdown", self._shut_down)

    def _end_sessions(self) -> None:
        if self._goes_on():
            self._last = self._shutdown.end_sessions(self._last)

    def _shut_down(self) -> None:
        if not self._goes_on():
            return
        self._database.streaming.end_segment(self._old)
        self._last = self._world.emit("shut-down", self._old.name, self._last, "drain", self.shut_note)
        self._shutdown.complete(self._last)
        self._hand_on()
