"""The authority of a weighted record: shares of the answers, and their way back in steps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.dns import Authority
from mrsim.sim.world import ROUTING
from mrsim.trace import INF, Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.services import Record, ShiftBack
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


class WeightedAuthority(Authority):
    """The answers of a weighted record, the same for every cohort: a share for each region.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, record
        The record's id and its scenario.
    regions, cohorts, down
        Regions that it may answer with, who asks, and regions that are out of the answers from the start.

    References
    ----------
    Amazon Route 53 Developer Guide, *How Amazon Route 53 chooses records when health checking is configured*: unhealthy
    records are left out; those of weight 0 are considered if no other is healthy; if none is, all count as healthy.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        record: Record,
        regions: tuple[str, ...],
        cohorts: tuple[str, ...],
        down: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(world, name, record, regions, dict.fromkeys(cohorts, regions), down)
        self._network = network
        self._factors = dict.fromkeys(regions, 1.0)
        self._turns = dict.fromkeys(regions, 0)
        self._edits = 0
        self._waiting: list[Callable[[], None]] = []
        shares = self._shares()
        self.answers = {cohort: [Change(-INF, _text(shares), shares=shares)] for cohort in cohorts}

    def close(self) -> None:
        """Forget what waits for a path."""
        self._waiting.clear()

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: edits that could not be made are tried again."""
        waiting, self._waiting = self._waiting, []
        for edit in waiting:
            edit()

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
        edit = partial(self._apply, plan, region, share, cause, self._turns[region])
        self._world.at(self._world.now + wait_s + takes, ROUTING, f"{self._name}/edit/{region}", edit)

    def _apply(self, plan: ShiftBack, region: str, share: float, cause: int, turn: int) -> None:
        if turn != self._turns[region]:
            return
        if not self._network.both_ways(plan.by, plan.authority):
            self._waiting.append(partial(self._apply, plan, region, share, cause, turn))
            return
        note = f"the weight of {region} is {100.0 * share:g} % of what it was"
        self._factors[region] = share
        self._answer(self._world.emit("weight-edited", f"{self._name}@{region}", cause, "propagation", note))


def _text(shares: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{100.0 * share:.6g} % {region}" for region, share in shares)
