"""Which renewals of a lease fail, where packets are lost on the way to its store."""

from __future__ import annotations

from math import floor, log
from typing import TYPE_CHECKING

from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.control import DecideLease
    from mrsim.sim.world import Timer, World

NEGLIGIBLE = 1e-9
"""Chances of a failing renewal below this are none, and above one minus this are certainty."""

AFTER_S = 1e-6
"""What follows a renewal comes this much later."""


class Luck:
    """Draws runs of renewals that fail: each fails with the same chance, whatever became of the others.

    Parameters
    ----------
    world
        The trial.
    name
        Name of its draws and timers.
    lease
        When renewals are due, and how long one is tried.
    changed
        ``changed(cause)`` is called when luck turns.
    last_turn
        ``last_turn()`` tells when the holder was last due to renew.
    """

    def __init__(
        self,
        world: World,
        name: str,
        lease: DecideLease,
        changed: Callable[[int], None],
        last_turn: Callable[[], float],
    ) -> None:
        self._world = world
        self._name = name
        self._lease = lease
        self._changed = changed
        self._last_turn = last_turn
        self._odds: tuple[str, float] = ("", 0.0)
        self._runs = 0
        self._timer: Timer | None = None
        self.out = False
        """Whether the holder is within a run of renewals that fail."""

    def follow(self, cause: int, holder: str, chance: float) -> None:
        """Note with what chance a renewal by this holder fails from now on."""
        if (holder, chance) == self._odds:
            return
        self._odds = (holder, chance)
        if self._timer is not None:
            self._timer.cancel()
        self.out = chance >= 1.0 - NEGLIGIBLE
        if chance > NEGLIGIBLE and not self.out:
            self._plan(cause, chance)

    def _plan(self, cause: int, chance: float) -> None:
        """Plan the next run of renewals that fail; each such turn lasts as long as its retries."""
        self._runs += 1
        good, bad = self._world.uniforms(self._name, 2, self._runs)
        lease = self._lease
        last = self._last_turn() + floor(log(good) / log(1.0 - chance)) * lease.loop_wait
        turns = 1 + floor(log(bad) / log(chance))
        ends = last + lease.loop_wait + turns * max(lease.loop_wait, lease.retry_timeout) + AFTER_S

        odds = self._odds

        def turn(*, out: bool) -> None:
            self.out = out
            if out:
                self._timer = self._world.at(ends, CONTROL, self._name, lambda: turn(out=False))
            self._changed(cause)
            if not out and self._odds == odds:
                self._plan(cause, chance)

        if last < self._world.horizon_s:
            self._timer = self._world.at(
                max(last, self._world.now) + AFTER_S, CONTROL, self._name, lambda: turn(out=True)
            )
