"""How long each step of a decision takes: of a program, or of the people who are on call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.scenario.people import DAY_S
from mrsim.sim.controller import Stage
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrsim.distributions import Distribution
    from mrsim.scenario.control import DecideAutomatic, DecideOperator, Failover
    from mrsim.scenario.people import Hours, Shift
    from mrsim.sim.world import World

PEOPLE = frozenset({Stage.PAGING, Stage.ACKNOWLEDGING, Stage.ASSESSING})
"""Steps that people do, whoever is on call."""

PAGES_APART = 1_000_000
"""Occasions between the draws of a page and those of the same page when it goes out again."""

AN_INSTANT_S = 1e-6
"""So long after a shift's beginning it has begun, whatever rounding does."""


class Waits:
    """Draws how long the steps of a store's decision take.

    Parameters
    ----------
    world
        The trial.
    name
        The store's id, which draws are named by.
    failover, decide
        The failover scenario and the policy in it.
    """

    def __init__(self, world: World, name: str, failover: Failover, decide: DecideAutomatic | DecideOperator) -> None:
        self._world = world
        self._name = name
        self._steps = _steps(failover, decide)
        hours = decide.hours if decide.by == "operator" else None
        self._rota = Rota(world, name, hours, self._steps) if hours is not None else None

    def of(self, stage: Stage, occasion: int) -> float:
        """Return how long a step that begins now takes, in seconds; infinite if nobody ever does it.

        Parameters
        ----------
        stage
            The step.
        occasion
            Number of the draw.
        """
        if self._rota is not None and stage == Stage.ACKNOWLEDGING:
            return self._rota.acknowledged_s(occasion) - self._world.now
        if self._rota is not None and stage in PEOPLE:
            return self._rota.step_s(stage, self._world.now, occasion)
        return self._world.sample(f"{self._name}/{stage}", self._steps[stage], occasion)

    def note(self, stage: Stage) -> str:
        """Return what to say of the instant at which a step ended: the time of day, where people keep hours."""
        return f", {self._rota.clock()}" if self._rota is not None and stage in PEOPLE else ""


class Rota:
    """Who is on call when: the shift at an instant, and who answers a page.

    The person on call of that instant's shift is paged; a second one after a while, if the first has not answered by
    then. Where neither does, the page goes out again when the next shift begins.

    Parameters
    ----------
    world, name, hours
        The trial, the store's id, and its shifts.
    steps
        What the steps take outside all shifts, and where a shift says nothing.
    """

    def __init__(self, world: World, name: str, hours: Hours, steps: Mapping[Stage, Distribution]) -> None:
        self._world = world
        self._name = name
        self._hours = hours
        self._steps = steps
        turns = {turn for shift in hours.shifts.values() for turn in (shift.from_ % DAY_S, shift.to % DAY_S)}
        self._turns = sorted(turns)

    def step_s(self, stage: Stage, at_s: float, occasion: int) -> float:
        """Return how long a step takes that begins at an instant, by the shift of that instant."""
        name, shift = self._shift(at_s)
        own = _own(shift, stage) if shift is not None else None
        if own is None:
            return self._world.sample(f"{self._name}/{stage}", self._steps[stage], occasion)
        return self._world.sample(f"{self._name}/{stage}/{name}", own, occasion)

    def acknowledged_s(self, occasion: int) -> float:
        """Return when somebody has answered a page that goes out now; infinite if nobody does within the trial."""
        paged_s, answers_s = self._world.now, INF
        while answers_s == INF and paged_s < self._world.horizon_s:
            answers_s = min(self._first_s(paged_s, occasion), self._second_s(paged_s, occasion))
            paged_s = self._turn_after(paged_s)
            # The draws of a page that goes out again are others.
            occasion += PAGES_APART
        return answers_s

    def _first_s(self, paged_s: float, occasion: int) -> float:
        name, shift = self._shift(paged_s)
        if shift is not None and self._world.uniform(f"{self._name}/nobody/{name}", occasion) < shift.nobody:
            return INF
        return paged_s + self.step_s(Stage.ACKNOWLEDGING, paged_s, occasion)

    def _second_s(self, paged_s: float, occasion: int) -> float:
        second, name = self._hours.escalates, f"{self._name}/second"
        if second is None or self._world.uniform(f"{name}/nobody", occasion) < second.nobody:
            return INF
        return paged_s + second.after + self._world.sample(f"{name}/acknowledging", second.acknowledge, occasion)

    def clock(self) -> str:
        """Return the time of day and the shift, such as ``03:12, night``."""
        minutes = int(self._time_s(self._world.now) // 60)
        name, _ = self._shift(self._world.now)
        return f"{minutes // 60:02d}:{minutes % 60:02d}" + (f", {name}" if name else "")

    def _time_s(self, at_s: float) -> float:
        """Return the time of day at an instant, in seconds since midnight: the first fault's is drawn."""
        at, world = self._hours.at, self._world
        first_s = world.uniform("time-of-day") * DAY_S if isinstance(at, str) else world.sample(f"{self._name}/day", at)
        return (first_s + at_s - world.first_fault_s) % DAY_S

    def _shift(self, at_s: float) -> tuple[str, Shift | None]:
        time_s = self._time_s(at_s)
        return next(((name, shift) for name, shift in self._hours.shifts.items() if shift.covers(time_s)), ("", None))

    def _turn_after(self, at_s: float) -> float:
        """Return when the next shift has begun or ended."""
        time_s = self._time_s(at_s)
        return at_s + min((turn - time_s) % DAY_S for turn in self._turns) + AN_INSTANT_S


def _own(shift: Shift, stage: Stage) -> Distribution | None:
    """Return what a step takes in a shift, if the shift says so itself."""
    match stage:
        case Stage.PAGING:
            return shift.page
        case Stage.ACKNOWLEDGING:
            return shift.acknowledge
        case _:
            return shift.assess


def _steps(failover: Failover, decide: DecideAutomatic | DecideOperator) -> dict[Stage, Distribution]:
    """Return what each step takes."""
    steps: dict[Stage, Distribution] = {}
    if decide.by == "automatic":
        steps[Stage.DELAYING] = decide.delay
    else:
        steps |= {Stage.PAGING: decide.page, Stage.ACKNOWLEDGING: decide.acknowledge, Stage.ASSESSING: decide.assess}
    if failover.fence is not None:
        after = failover.fence.if_unconfirmed.after
        steps |= {Stage.FENCE_PAUSE: after, Stage.OVERRIDING: after}
    return steps
