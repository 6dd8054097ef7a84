"""A management plane: what is redeployed has to go through it, and it is lost with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.signals import nobody_listens
from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.management import Management
    from mrsim.sim.network import Network
    from mrsim.sim.world import Timer, World


class Plane:
    """Where a management plane is in one trial.

    Those who look after it see whether it answers them. If it does not for long enough they give it up, and have a copy
    take over or build a new one, in the first place that answers them; if it answers again before that is done, they
    leave it at that. What happens to a former plane that comes back later is of no importance: both declare what the
    same source says.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, model
        The plane's id and its scenario.
    on_move
        Called with the event when it acts from another place.
    """

    def __init__(
        self, world: World, network: Network, name: str, model: Management, on_move: Callable[[int], None]
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._model = model
        self._on_move = on_move
        self.place = model.place
        self._silent = False
        self._timer: Timer | None = None
        self._given_up: int | None = None
        self._attempts = 0

    def way_s(self, origin: str, target: str) -> float | None:
        """Return how long an order takes from where it is given to where it is carried out; None if it cannot go."""
        network, place = self._network, self.place
        if not (network.both_ways(origin, place) and network.both_ways(place, target)):
            return None
        return network.one_way_s(origin, place) + network.one_way_s(place, target)

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """See whether the plane answers, and whether a place for another has come within reach."""
        silent = not self._network.both_ways(self._model.watched_from, self.place)
        if silent and not self._silent:
            self._attempts += 1
            wait = self._world.sample(f"{self._name}/given-up", self._model.given_up_after, self._attempts)
            self._later(wait, "given-up", lambda: self._give_up(cause))
        elif self._silent and not silent:
            self._cancel()
        elif self._given_up is not None and self._timer is None:
            self._choose(cause)
        self._silent = silent

    def close(self) -> None:
        """Forget who listens."""
        self._on_move = nobody_listens

    def _later(self, wait_s: float, name: str, action: Callable[[], None]) -> None:
        self._timer = self._world.at(self._world.now + wait_s, CONTROL, f"{self._name}/{name}", action)

    def _cancel(self) -> None:
        self._given_up = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, cause: int) -> None:
        self._timer = None
        note = f"nothing is heard from the one in {self.place}"
        self._given_up = self._world.emit("management-given-up", self._name, cause, "detection", note)
        self._choose(self._given_up)

    def _choose(self, cause: int) -> None:
        """Have another take over in the first place that answers; without one, wait for any."""
        model = self._model
        answering = (
            place
            for place in model.places
            if place != self.place and self._network.both_ways(model.watched_from, place)
        )
        place = next(answering, None)
        if place is None:
            return
        takes_dist = model.takes_over if model.mirrored_in else model.rebuild
        takes = self._world.sample(f"{self._name}/takes-over", takes_dist, self._attempts)
        self._later(takes, "takes-over", lambda: self._move(place, cause))

    def _move(self, place: str, cause: int) -> None:
        self._timer = None
        if not self._network.both_ways(self._model.watched_from, place):
            self._choose(cause)
            return
        self._given_up, self._silent = None, False
        self.place = place
        how = "the copy takes over" if self._model.mirrored_in else "built anew"
        event = self._world.emit("management-moved", self._name, cause, "relocation", f"{how} in {place}")
        self._world.stirred += 1
        self._on_move(event)
