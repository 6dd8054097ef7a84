"""The authority of a record: verdicts in, answers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.sim.world import ROUTING
from mrsim.trace import INF, NO_EVENT, Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.services import Record
    from mrsim.sim.network import Geometry, Network
    from mrsim.sim.world import World


@dataclass(frozen=True, slots=True)
class Offer:
    """A record, and what it may answer to whom.

    Attributes
    ----------
    name, record
        The record's id and its scenario.
    regions
        Regions that it may answer with.
    preferences
        Per cohort: regions in the order in which the policy would choose them.
    down
        Regions that the record's checks have out of the answers from the start.
    """

    name: str
    record: Record
    regions: tuple[str, ...]
    preferences: dict[str, tuple[str, ...]]
    down: frozenset[str] = frozenset()


class Authority:
    """The answers of one record, cohort by cohort.

    Verdicts reach the answers in the data plane, after a delay of the provider's; no edit of the record is needed.
    When every region is unhealthy the provider answers with all of them as if healthy, or with nothing.

    Parameters
    ----------
    world
        The trial.
    offer
        The record, and what it may answer.
    """

    def __init__(self, world: World, offer: Offer) -> None:
        self._world = world
        self._name = offer.name
        self._record = offer.record
        self._preferences = offer.preferences
        self._offered = offer.regions
        self._down = set(offer.down)
        self._verdicts = 0
        self.answers = {cohort: [Change(-INF, self._target(order))] for cohort, order in offer.preferences.items()}

    def close(self) -> None:
        """Forget what waits."""

    def on_verdict(self, region: str, cause: int, *, down: bool) -> None:
        """Take a health verdict into the answers."""
        check = self._record.health_check
        if check is None:
            return
        self._verdicts += 1
        delay = self._world.sample(f"{self._name}/applies", check.applies_after, self._verdicts)

        def apply() -> None:
            if down:
                self._down.add(region)
            else:
                self._down.discard(region)
            self._on_health(region, cause, down=down)
            self._answer(cause)

        self._world.at(self._world.now + delay, ROUTING, f"{self._name}/applies/{region}", apply)

    def _target(self, order: tuple[str, ...]) -> str:
        """Return the first healthy region; if there is none, what the provider answers then."""
        return next((region for region in order if region not in self._down), None) or self._without_any(order)

    def _on_health(self, region: str, cause: int, *, down: bool) -> None:
        """Note that a region has left the answers, or may come back."""

    def _answer(self, cause: int) -> None:
        event = NO_EVENT
        for cohort, order in self._preferences.items():
            target = self._target(order)
            changes = self.answers[cohort]
            if changes[-1].target == target:
                continue
            if event == NO_EVENT:
                event = self._world.emit("answer-changed", self._name, cause, "propagation", self._note())
                self._world.stirred += 1
            changes.append(Change(self._world.now, target, event))

    def _without_any(self, order: tuple[str, ...]) -> str:
        """Return what is answered when every region is unhealthy."""
        check = self._record.health_check
        if check is None or check.when_all_unhealthy == "answer-all":
            return order[0]
        if check.when_all_unhealthy == "answer-none":
            return ""
        return check.fallback or self._offered[-1]

    def _note(self) -> str:
        if len(self._down) == len(self._offered):
            return "every region is unhealthy"
        return f"without {', '.join(sorted(self._down))}" if self._down else "with every region"


class EditableAuthority(Authority):
    """An authority whose record somebody edits, over the paths that there are.

    Parameters
    ----------
    world, network
        The trial and its paths.
    offer
        The record, and what it may answer.
    """

    def __init__(self, world: World, network: Network, offer: Offer) -> None:
        super().__init__(world, offer)
        self._network = network
        self._waiting: list[tuple[str, str, Callable[[], None]]] = []

    def close(self) -> None:
        """Forget what waits for a path."""
        self._waiting.clear()

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: what waited for one goes on."""
        waiting, self._waiting = self._waiting, []
        for start, end, then in waiting:
            self._over(start, end, then)

    def _over(self, start: str, end: str, then: Callable[[], None]) -> None:
        """Go on once there is a way there and back."""
        if self._network.both_ways(start, end):
            then()
        else:
            self._waiting.append((start, end, then))


def preferences(
    record: Record, regions: tuple[str, ...], cohorts: tuple[str, ...], geometry: Geometry
) -> dict[str, tuple[str, ...]]:
    """Return, per cohort, the regions in the order of the record's policy: nearest first, or as listed."""
    offered = record.regions or regions
    if record.policy in ("failover", "geography"):
        return {cohort: record.locations.get(cohort, tuple(offered)) for cohort in cohorts}
    return {
        cohort: tuple(sorted(offered, key=lambda region: (geometry.rtt_s(cohort, region), offered.index(region))))
        for cohort in cohorts
    }
