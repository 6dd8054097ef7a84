"""Steps of a runbook: each may have broken since it was last done, and is then repaired and tried again."""

from __future__ import annotations

from math import exp, log1p
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.people import Runbook
    from mrsim.sim.world import World


Part = Literal["before", "after"]
"""Steps before the promotion, or after it."""


class Steps:
    """Works through a store's runbook, again at every failover: whoever has just done a step knows that it works.

    Parameters
    ----------
    world
        The trial.
    name
        The store's id, which draws and events are named by.
    rule
        The runbook.
    later
        ``later(wait_s, name, action)`` calls an action after a wait, unless what is under way is called off before.
    """

    def __init__(
        self, world: World, name: str, rule: Runbook, later: Callable[[float, str, Callable[[], None]], None]
    ) -> None:
        self._world = world
        self._name = name
        self._rule = rule
        self._later = later
        self._done_s: dict[tuple[Part, int], float] = {}
        self._tries: dict[tuple[Part, int], int] = {}

    def work(self, part: Part, cause: int, done: Callable[[int], None]) -> None:
        """Work through one part of the runbook; ``done(event)`` is called with the last thing that happened."""
        self._try(part, 1, cause, done)

    def _try(self, part: Part, step: int, cause: int, done: Callable[[int], None]) -> None:
        count = self._rule.before if part == "before" else self._rule.after
        if step > count:
            done(cause)
            return
        key, name = (part, step), f"{self._name}/runbook/{part}/{step}"
        occasion = self._tries[key] = self._tries.get(key, 0) + 1
        age_s = self._age_s(key)
        broken = self._world.uniform(name, occasion) < chance_of_failure(self._rule, age_s)

        def tried() -> None:
            if broken:
                self._repair(part, step, age_s, cause, done)
            else:
                self._done_s[key] = self._world.now
                self._try(part, step + 1, cause, done)

        self._later(self._world.sample(f"{name}/takes", self._rule.takes, occasion), "step", tried)

    def _age_s(self, key: tuple[Part, int]) -> float:
        """Return how long ago a step was done last: in a drill before the trial, or since."""
        now = self._world.now
        if key in self._done_s:
            return now - self._done_s[key]
        return self._world.sample(f"{self._name}/runbook/last_drill", self._rule.last_drill) + now

    def _repair(self, part: Part, step: int, age_s: float, cause: int, done: Callable[[int], None]) -> None:
        world, name = self._world, f"{self._name}/runbook/{part}/{step}"
        last = f"last done {age_s / 86400.0:.0f} d ago" if age_s >= 86400.0 else "repaired a moment ago"
        note = f"step {step} {part} the promotion does not work: {last}"
        failed = world.emit("step-failed", self._name, cause, "runbook", note)

        def repaired() -> None:
            self._done_s[part, step] = world.now
            event = world.emit("step-repaired", self._name, failed, "runbook", f"step {step} is tried again")
            self._try(part, step, event, done)

        takes = world.sample(f"{name}/repair", self._rule.repair, self._tries[part, step])
        self._later(takes, "step", repaired)


def chance_of_failure(rule: Runbook, age_s: float) -> float:
    """Return the chance that a step fails that was last done a time ago.

    Changes that break a step and are noticed by nobody until it is done again come at a constant rate 1/m, besides what
    goes wrong even with a step that was done a moment ago: p(t) = 1 - (1 - p0) exp(-t / m). From measured shares the
    rate is taken piece by piece: constant between two of them, and beyond the last as between the last two.

    Parameters
    ----------
    rule
        ``fails`` is p0, ``breaks_every`` is m.
    age_s
        The time t in seconds, 0 or more.

    References
    ----------
    The failure on demand of a standby component whose failures only tests reveal: C. L. Atwood et al., *Handbook of
    Parameter Estimation for Probabilistic Risk Assessment*, NUREG/CR-6823, section 2.3.
    """
    hazard = -log1p(-rule.fails)
    if rule.breaks_every is not None:
        return 1.0 - exp(-hazard - age_s / rule.breaks_every)
    since_s, slope = 0.0, 0.0
    for drill in rule.measured:
        above = -log1p(-drill.failed / drill.of)
        slope = (above - hazard) / (drill.after - since_s)
        if age_s <= drill.after:
            break
        since_s, hazard = drill.after, above
    return 1.0 - exp(-hazard - slope * (age_s - since_s))
