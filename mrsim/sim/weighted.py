"""The authority of a weighted record: shares of the answers, and their way back in steps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.dns import EditableAuthority
from mrsim.sim.world import ROUTING
from mrsim.trace import INF, Change

if TYPE_CHECKING:
    from mrsim.scenario.services import ShiftBack
    from mrsim.sim.dns import Offer
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


class WeightedAuthority(EditableAuthority):
    """The answers of a weighted record, the same for every cohort: a share for each region.

    Parameters
    ----------
    world, network
        The trial and its paths.
    offer
        The record, and what it may answer.

    References
    ----------
    Amazon Route 53 Developer Guide, *How Amazon Route 53 chooses records when health checking is configured*: unhealthy
    records are left out; those of weight 0 are considered if no other is healthy; if none is, all count as healthy.
    """

    def __init__(self, world: World, network: Network, offer: Offer) -> None:
        super().__init__(world, network, offer)
        self._factors = dict.fromkeys(offer.regions, 1.0)
        self._turns = dict.fromkeys(offer.regions, 0)
        self._edits = 0
        shares = self._shares()
        self.answers = {cohort: [Change(-INF, _text(shares), shares=shares)] for cohort in offer.preferences}

    def _answer(self, cause: int) -> None:
        shares = self._shares()
        text = _text(shares)
        if all(changes[-1].target == text for changes in self.answers.values()):
            return
        event = self._world.emit("answer-changed", self._name, cause, "propagation", text or "no answer")
        self._world.stirred += 1
        for changes in self.answers.values():
            changes.append(Change(self._world.now, text, event, shares=shares))

    def _shares(self) -> tuple[tuple[str, float], ...]:
        healthy = [region for region in self._offered if region not in self._down]
        check = self._record.health_check
        if not healthy and check is not None:
            if check.when_all_unhealthy != "answer-all":
                target = self._without_any(self._offered)
                return ((target, 1.0),) if target else ()
            healthy = list(self._offered)
        weights = {region: self._record.weights[region] * self._factors[region] for region in healthy}
        chosen = {region: weight for region, weight in weights.items() if weight > 0.0} or dict.fromkeys(healthy, 1.0)
        total = sum(chosen.values())
        return tuple((region, weight / total) for region, weight in chosen.items())

    # Steps back ----------------------------------------------------------------------------------------------------

    def _on_health(self, region: str, cause: int, *, down: bool) -> None:
        plan = self._record.shift_back
        if plan is None:
            return
        self._turns[region] += 1
        if down:
            self._edit(plan, region, plan.steps[0], 0.0, cause)
        elif self._factors[region] < 1.0:
            for number, share in enumerate(plan.steps[1:], start=1):
                self._edit(plan, region, share, number * plan.every, cause)

    def _edit(self, plan: ShiftBack, region: str, share: float, wait_s: float, cause: int) -> None:
        """Let somebody edit a region's weight after a wait, unless its health changes before."""
        self._edits += 1
        takes = self._world.sample(f"{self._name}/edit", plan.takes, self._edits)
        apply = partial(self._apply, region, share, cause, self._turns[region])
        edit = partial(self._over, plan.by, plan.authority, apply)
        self._world.at(self._world.now + wait_s + takes, ROUTING, f"{self._name}/edit/{region}", edit)

    def _apply(self, region: str, share: float, cause: int, turn: int) -> None:
        if turn != self._turns[region]:
            return
        note = f"the weight of {region} is {100.0 * share:g} % of what it was"
        self._factors[region] = share
        self._answer(self._world.emit("weight-edited", f"{self._name}@{region}", cause, "propagation", note))


def _text(shares: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{100.0 * share:.6g} % {region}" for region, share in shares)
