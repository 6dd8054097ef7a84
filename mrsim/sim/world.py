"""What every component of a trial shares: the clock, the draws of this trial, and the trace being written."""

from __future__ import annotations

from heapq import heappush
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import simpy

from mrsim.trace import NO_EVENT, Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
    from mrsim.rng import Draws

Made = TypeVar("Made")

FAULT, NETWORK, DATABASE, HEALTH, CONTROL, ROUTING = range(6)
"""Order of events at equal times: what breaks before who notices, who notices before who acts."""


class Timer(simpy.Event):
    """A callback at a point in time, which can be called off."""

    env: Clock
    _ok = True
    _value = None

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        # What SimPy's Timeout does, without its chain of constructors, and without a reference to itself.
        self.env = clock
        self.callbacks = _FIRE  # type: ignore[assignment]
        self._action: Callable[[], None] | None = action

    @property
    def pending(self) -> bool:
        """Whether it is still going to happen."""
        return self._action is not None

    def cancel(self) -> None:
        """Call it off; harmless if it has happened."""
        if self._action is not None:
            self._action = None
            self.env.pending -= 1


def _fire(timer: Timer) -> None:
    action = timer._action
    if action is not None:
        timer._action = None
        timer.env.pending -= 1
        action()


_FIRE = (_fire,)
"""The callbacks of every timer."""


class Clock(simpy.Environment):
    """SimPy's environment, with events at equal times in the order of (priority, name) instead of insertion."""

    def __init__(self) -> None:
        # Not SimPy's own, which binds its event types to the environment, in cycles; no trial uses those.
        self._now = 0.0
        self._queue = []
        self._eid = count()
        self._active_proc = None
        self.pending = 0

    def at(self, when_s: float, priority: int, name: str, action: Callable[[], None]) -> Timer:
        """Call ``action`` at ``when_s``; never in the past."""
        timer = Timer(self, action)
        self.pending += 1
        when_s = when_s if when_s > self._now else self._now
        heappush(self._queue, (when_s, priority, (name, next(self._eid)), timer))  # type: ignore[misc]
        return timer

    def run_to(self, horizon_s: float) -> bool:
        """Run until the horizon, or until nothing is left to happen; return whether the latter came first."""
        queue = self._queue
        while self.pending and queue and queue[0][0] < horizon_s:
            self.step()
        return self.pending == 0

    def close(self) -> None:
        """Call off whatever is left."""
        for *_, timer in self._queue:
            timer.cancel()  # type: ignore[attr-defined]
        self._queue.clear()


class Sampler:
    """Values of a chunk of trials, drawn by name and occasion, a whole chunk at a time.

    Attributes
    ----------
    values, known
        What has been drawn so far, of distributions and of uniforms: a list over the chunk's trials each. A value
        stands beside the distribution that it was drawn from: two that share a name share their uniform, no more.
    made
        What has been worked out from distributions so far, by what it is.
    """

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self.values: dict[tuple[str, int], tuple[Distribution, list[float]]] = {}
        self.known: dict[tuple[str, int], list[float]] = {}
        self.made: dict[tuple[str, Distribution], Any] = {}
        self._wide: dict[tuple[str, int, int], list[list[float]]] = {}

    def value(self, row: int, name: str, dist: Distribution, occasion: int) -> float:
        """Draw ``dist`` for the chunk and return the value for the trial in ``row``."""
        column: list[float] = self.draws.mapped(name, dist.quantile, occasion).tolist()
        self.values[name, occasion] = (dist, column)
        return column[row]

    def uniform(self, row: int, name: str, occasion: int) -> float:
        """Return a uniform in (0, 1) for the trial in ``row``."""
        key = (name, occasion)
        column = self.known.get(key)
        if column is None:
            column = self.draws.uniform(name, occasion).tolist()
            self.known[key] = column
        return column[row]

    def uniforms(self, row: int, name: str, width: int, occasion: int) -> list[float]:
        """Return ``width`` uniforms for the trial in ``row``."""
        key = (name, width, occasion)
        rows = self._wide.get(key)
        if rows is None:
            rows = self.draws.uniforms(name, width, occasion).tolist()
            self._wide[key] = rows
        return rows[row]


class World:
    """One trial's clock, draws and trace.

    Attributes
    ----------
    now
        Read through :meth:`now`; seconds since the start of the trial.
    stirred
        Counts visible changes of state, so that a fault that changed nothing can be told.
    first_fault_s
        When the first fault begins, from which the time of day is told.
    """

    def __init__(self, sampler: Sampler, row: int, horizon_s: float) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.horizon_s = horizon_s
        self.stirred = 0
        self.first_fault_s = 0.0
        self._sampler = sampler
        self._row = row

    # read at every step of every component: a getter written in C takes half the time
    now: float = property(attrgetter("clock._now"), doc="Seconds since the start of the trial.")  # type: ignore[assignment]

    def emit(self, kind: str, subject: str, cause: int = NO_EVENT, phase: str = "", note: str = "") -> int:
        """Write an event into the trace and return its index."""
        self.events.append(Event(self.clock._now, kind, subject, cause, phase, note))
        return len(self.events) - 1

    def at(self, when_s: float, priority: int, name: str, action: Callable[[], None]) -> Timer:
        """Call ``action`` at ``when_s``."""
        return self.clock.at(when_s, priority, name, action)

    def sample(self, name: str, dist: Distribution, occasion: int = 0) -> float:
        """Return this trial's value of ``dist`` under ``name``."""
        known = self._sampler.values.get((name, occasion))
        if known is not None and known[0] is dist:
            return known[1][self._row]
        return self._sampler.value(self._row, name, dist, occasion)

    def once(self, what: str, dist: Distribution, make: Callable[[Distribution], Made]) -> Made:
        """Return what follows from a distribution, made once for a chunk of trials."""
        made = self._sampler.made
        if (what, dist) not in made:
            made[what, dist] = make(dist)
        found: Made = made[what, dist]
        return found

    def uniform(self, name: str, occasion: int = 0) -> float:
        """Return this trial's uniform under ``name``."""
        column = self._sampler.known.get((name, occasion))
        return column[self._row] if column is not None else self._sampler.uniform(self._row, name, occasion)

    def uniforms(self, name: str, width: int, occasion: int = 0) -> list[float]:
        """Return ``width`` of this trial's uniforms under ``name``."""
        return self._sampler.uniforms(self._row, name, width, occasion)
