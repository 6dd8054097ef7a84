"""How long each step of a decision takes: of a program, or of the people who are on call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.controller import Stage

if TYPE_CHECKING:
    from mrsim.distributions import Distribution
    from mrsim.scenario.control import DecideAutomatic, DecideOperator, Failover
    from mrsim.sim.world import World


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

    def of(self, stage: Stage, occasion: int) -> float:
        """Return how long a step that begins now takes, in seconds.

        Parameters
        ----------
        stage
            The step.
        occasion
            Number of the draw.
        """
        return self._world.sample(f"{self._name}/{stage}", self._steps[stage], occasion)


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
