"""Planned switchovers under a lease: the holder shuts down, one standby has everything, and it alone gets the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.attempt import LOOKS_EVERY_S, PLACE, Again, Attempt
from mrsim.sim.shutdown import Shutdown

if TYPE_CHECKING:
    from mrsim.scenario.faults import Switchover
    from mrsim.sim.database import Database
    from mrsim.sim.lease import LeaseControl
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.returns import Returns
    from mrsim.sim.world import World


class LeaseSwitchovers:
    """Carries a store's switchovers out, one at a time; who plans them writes into the lease store.

    The holder renews its lease all the while. One that is lost, or loses its lease, leaves the rest to the lease.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, database
        The store.
    lease
        Who holds its lease.
    returns
        Who makes the old primary a standby.
    """

    def __init__(
        self, world: World, network: Network, name: str, database: Database, lease: LeaseControl, returns: Returns
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._database = database
        self._lease = lease
        self._returns = returns
        self._number = 0
        self._plan: Switchover | None = None
        self._way_back: Again | None = None

    def look(self, _cause: int) -> None:
        """Follow a change: a holder that could not go back may be able to, or may have lost its lease."""
        if self._way_back is not None:
            self._way_back.plan()

    def begin(self, plan: Switchover, event: int) -> None:
        """Begin a switchover, if nothing speaks against it."""
        old, new = self._lease.holder, self._database.nodes[plan.to]
        why = self._speaks_against(plan, old, new)
        if why or old is None:
            self._world.emit("switchover-refused", self._name, event, "", why)
            return
        self._world.stirred += 1
        self._number += 1
        self._plan = plan
        _Attempt(self, self._lease, plan, old, new, self._number, event).begin()

    def close(self) -> None:
        """Forget what is under way."""
        self.over()

    def _speaks_against(self, plan: Switchover, old: Node | None, new: Node) -> str:
        places = [PLACE, new.region, *([old.region] if old is not None else [])]
        why = ""
        if self._plan is not None:
            why = "another is under way"
        elif old is None:
            why = "nobody holds the lease"
        elif old is new:
            why = "it is primary already"
        elif not all(self._lease.usable_from(place) for place in places):
            why = "the lease store cannot be used by everybody"
        elif not (old.is_primary and new.running and new.role == "standby" and new.agent_alive):
            why = "one of the two is not what it should be"
        elif new.rebuilding or self._database.streaming.reported_lag_s(new, self._world.now) > plan.max_lag:
            why = "the standby lags too far behind"
        return why

    # What an attempt needs of the store ----------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[World, Network, Database, str]:
        """The trial, its paths, and the store."""
        return self._world, self._network, self._database, self._name

    def shutdown(self, plan: Switchover, old: Node, number: int) -> Shutdown:
        """Return what will happen to the old primary."""
        return Shutdown(self._world, self._database, self._returns, self._name, (old,), plan.starts_again, number)

    def over(self) -> None:
        """Note that nothing is under way any more."""
        if self._way_back is not None:
            self._way_back.stop()
        self._plan = self._way_back = None

    def look_for(self, way_back: Again) -> None:
        """Look again for a way back after every change."""
        if self._way_back is None:
            self._way_back = way_back

    def completed(self, old: Node, event: int) -> None:
        """Make the old primary a standby of whoever has become primary."""
        if old is not self._database.current and old.running and old.role == "demoted":
            self._returns.rejoin(old, event)


class _Attempt(Attempt):
    """One switchover: writes stopped, shutdown checkpoint, position reached, key released; or the way back."""

    shut_note = "its checkpoint is the last that it wrote"

    def __init__(
        self,
        owner: LeaseSwitchovers,
        lease: LeaseControl,
        plan: Switchover,
        old: Node,
        new: Node,
        number: int,
        event: int,
    ) -> None:
        super().__init__(*owner.parts, plan, old, new, number, event, owner.shutdown(plan, old, number))
        self._owner = owner
        self._lease = lease
        self._until_s = self._world.now + plan.gives_up_after
        self._over = False

    def _may_begin(self) -> bool:
        return self._holds()

    def _goes_on(self) -> bool:
        return self._holds()

    def _hold_still(self) -> None:
        """Tell nobody: the holder goes on renewing its lease."""

    def _hand_on(self) -> None:
        self._after(self._sample("hands_over", self._plan.hands_over), "wait", self._wait)

    def _holds(self) -> bool:
        """Whether the old primary is still that, and holds the lease; if not, the lease decides what follows.

        One that nobody has demoted, because its agent is dead or its lease only gates promotions, is shut down all the
        same: it writes again once it holds the lease again, not because it has lost it. One that died and is back has
        been made primary again by the lease, as if nobody had asked it to stop.
        """
        if self._over:
            return False
        old, began = self._old, self._stopped_s > 0.0
        if self._lease.holder is old and old.is_primary and (old.draining or not began):
            return True
        if old.draining:
            if old.is_primary and not self._lease.goes_on:
                self._last = self._database.demote(old.region, self._last, "shut down, and without its lease")
            old.end_drain(self._world.now)
            self._shutdown.start_again(self._last)
            self._database.changed(self._last)
        self._end()
        return False

    def _end(self) -> None:
        """Have no more part in what follows."""
        self._over = True
        self._owner.over()

    def _wait(self) -> None:
        """Release the key once the new primary has all that the old one wrote; go back if that takes too long."""
        if not self._holds():
            return
        new = self._new
        history, position_s = self._database.streaming.position(new)
        ready = new.running and new.role == "standby" and new.agent_alive and self._lease.usable_from(new.region)
        if ready and history == self._old.history and position_s >= self._stopped_s:
            self._last = self._world.emit("position-reached", new.name, self._last, "data_wait", "it has everything")
            self._end()
            self._lease.hand_over(new, self._last, lambda event: self._owner.completed(self._old, event))
            self._shutdown.start_again(self._last)
        elif self._world.now < self._until_s:
            self._after(LOOKS_EVERY_S, "wait", self._wait)
        else:
            note = "it takes too long: back to the old primary"
            self._last = self._world.emit("switchover-given-up", self._name, self._last, "decision", note)
            self._after(self._sample("goes_back", self._plan.goes_back), "back", self._go_back)

    def _go_back(self) -> None:
        if not self._holds():
            return
        if not self._lease.may_lead(self._old):
            # Its agent starts it as primary while it can renew the lease, and not before.
            self._owner.look_for(Again(self._world, f"{self._name}/switchover/back", self._go_back))
            return
        self._old.end_drain(self._world.now)
        event = self._world.emit("resumed-as-primary", self._old.name, self._last, "repair", "called off")
        self._shutdown.call_off(event)
        self._database.changed(event)
        self._end()
