"""Orders to regions: who gives one needs a way to where it is carried out, and waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.sim.management import Plane
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


@dataclass(frozen=True, slots=True)
class Order:
    """Something to be done in a place: where it comes from, where it goes, why, and what its arrival does.

    ``arrived`` is called with the event that the arrival followed from: ``cause``, or what opened the way. ``through``
    is the management plane that has to pass it on, if any.
    """

    name: str
    origin: str
    target: str
    cause: int
    arrived: Callable[[int], None]
    through: Plane | None = None


class Orders:
    """Carries orders to regions.

    An order that cannot get through is given again as soon as the way is open both ways (who gives it sees that
    nothing has answered); one that finds its target gone on arrival is given again too.

    Parameters
    ----------
    world, network
        The trial and its paths.
    """

    def __init__(self, world: World, network: Network) -> None:
        self._world = world
        self._network = network
        self._waiting: list[Order] = []

    def give(self, order: Order) -> None:
        """Send an order, now or once it gets through."""
        if not self._try(order, order.cause):
            self._waiting.append(order)

    def give_again(self, cause: int) -> None:
        """Give the orders again that wait for a way, since something has changed."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._waiting += [order for order in waiting if not self._try(order, cause)]

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def _try(self, order: Order, cause: int) -> bool:
        way_s = self._way_s(order)
        if way_s is None:
            return False

        def arrive() -> None:
            if self._network.alive(order.target):
                order.arrived(cause)
            else:
                self._waiting.append(order)

        self._world.at(self._world.now + way_s, CONTROL, f"{order.name}/order", arrive)
        return True

    def _way_s(self, order: Order) -> float | None:
        if order.through is not None:
            return order.through.way_s(order.origin, order.target)
        if not self._network.both_ways(order.origin, order.target):
            return None
        return self._network.one_way_s(order.origin, order.target)
