"""What the agent of a holder that cannot renew its lease does by its own clock: retry, ask the members, step down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.signals import nobody_listens
from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.control import DecideLease
    from mrsim.sim.database import Database
    from mrsim.sim.failsafe import Failsafe
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import Timer, World


class HolderClock:
    """Deadlines of holders that cannot renew, by clocks that may run slow.

    A holder retries until ``loop_wait + retry_timeout`` after its last renewal. Then it steps down, unless all members
    accept that it goes on without the store; it asks them again every turn. A watchdog resets the host of one whose
    agent has died. What is planned stays to come when another holds the lease.

    Parameters
    ----------
    world
        The trial.
    name, lease, database
        The store's id, its lease and its nodes.
    failsafe
        What members know of a holder that goes on; None: it steps down.
    cause
        ``cause()`` is the event for which the lease was not renewed.

    Attributes
    ----------
    stepped_down
        Regions of former holders that run as standbys since.
    late
        Regions of holders that lost the lease while they were promoted.
    on_reset
        ``on_reset(region, cause)``: a watchdog has reset the host there.
    on_accepted
        Called with the event for which the lease was not renewed when all members accept that its holder goes on.
    """

    def __init__(
        self,
        world: World,
        name: str,
        lease: DecideLease,
        database: Database,
        failsafe: Failsafe | None,
        cause: Callable[[], int],
    ) -> None:
        self._world = world
        self._name = name
        self._lease = lease
        self._database = database
        self._failsafe = failsafe
        self._cause = cause
        self._slow = 1.0 + lease.clock_drift
        self._timers: list[Timer] = []
        self._told_goes_on = False
        self.stepped_down: set[str] = set()
        self.late: set[str] = set()
        self.on_reset: Callable[[str, int], None] = nobody_listens
        self.on_accepted: Callable[[int], None] = nobody_listens

    def missed(self, holder: Node, renewed_s: float) -> None:
        """Plan what a holder does that last renewed its lease at ``renewed_s``.

        Whether its agent lives is asked when a deadline comes: it may die, or come back, before. It misses the renewal
        after the last and retries that one; client-go counts its RenewDeadline from there.
        """
        gives_up_s = renewed_s + (self._lease.loop_wait + self._lease.retry_timeout) * self._slow
        self._later(gives_up_s, "steps-down", lambda: self._give_up(holder))
        self._guard(holder, renewed_s)

    def renewed(self, holder: Node) -> None:
        """Call off what the holder, which renews again, would have done."""
        for timer in self._timers:
            timer.cancel()
        self.forget()
        self.late.discard(holder.region)

    def forget(self) -> None:
        """Leave what is planned to come: another holds the lease."""
        self._timers = []
        self._told_goes_on = False

    def _later(self, when_s: float, name: str, action: Callable[[], None]) -> None:
        self._timers.append(self._world.at(max(when_s, self._world.now), CONTROL, f"{self._name}/{name}", action))

    def _give_up(self, holder: Node) -> None:
        primary = holder.running and holder.role == "primary" and holder.agent_alive and not holder.promoting
        if self._failsafe is None or not primary:
            self._step_down(holder, "cannot renew its lease")
            return
        now = self._world.now
        refused, takes_s = self._failsafe.ask(holder)
        if refused:
            why = f"cannot renew its lease, and {refused[0]} does not accept that it goes on"
            self._later(now + takes_s, "steps-down", lambda: self._step_down(holder, why))
            return
        if not self._told_goes_on:
            self._told_goes_on = True
            note = "all members accept that it goes on without the lease store"
            self._world.emit("failsafe", holder.name, self._cause(), "", note)
        self._guard(holder, now)
        turn_s = max(self._lease.loop_wait, self._lease.retry_timeout + takes_s)
        self._later(now + turn_s * self._slow, "steps-down", lambda: self._give_up(holder))
        self.on_accepted(self._cause())

    def _step_down(self, holder: Node, why: str) -> None:
        if not holder.agent_alive or not holder.running:
            return
        if holder.promoting:
            self.late.add(holder.region)
        elif holder.role == "primary":
            self.stepped_down.add(holder.region)
            self._database.demote(holder.region, self._cause(), why)

    def _guard(self, holder: Node, alive_s: float) -> None:
        """Let a watchdog, if there is one, reset the host once it has not heard of the agent for so long."""
        if self._lease.watchdog is not None:
            fires_s = alive_s + (self._lease.ttl - self._lease.watchdog) * self._slow
            self._later(fires_s, "watchdog", lambda: self._reset(holder, alive_s))

    def _reset(self, holder: Node, alive_s: float) -> None:
        kept_alive = self._failsafe is not None and self._failsafe.accepted_s(holder) > alive_s
        if not kept_alive and not holder.agent_alive and holder.running:
            self._database.stop(holder.region, self._cause(), "reset by its watchdog")
            self.on_reset(holder.region, self._cause())
