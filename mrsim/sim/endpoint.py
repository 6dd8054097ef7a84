"""The endpoint of a store: which node services in each region are told is the primary."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.world import ROUTING
from mrsim.trace import INF, NO_EVENT, Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.stores import Endpoint as EndpointModel
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


class Endpoint:
    """What the endpoint's authority answers, region by region.

    A region that cannot reach the authority keeps the answer it had; it learns of an edit when the path is whole again.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, model
        The store's id, and its endpoint.
    regions
        Regions with services.
    target
        The node answered at the start.
    """

    def __init__(
        self, world: World, network: Network, name: str, model: EndpointModel, regions: tuple[str, ...], target: str
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._model = model
        self.target = target
        self._event = NO_EVENT
        self._moves = 0
        self._waiting: Callable[[], None] | None = None
        self.through: Callable[[str, str, int, Callable[[int], None]], None] | None = None
        """Passes an edit on: ``through(mover, authority, cause, begin)``; None: nothing stands between."""
        self.changes: dict[str, list[Change]] = {region: [Change(-INF, target)] for region in regions}
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    def listen(self, region: str, listener: Callable[[], None]) -> None:
        """Call ``listener()`` whenever the answer given in a region has changed."""
        self._listeners.setdefault(region, []).append(listener)

    def move(self, target: str, mover: str, cause: int, done: Callable[[int], None]) -> None:
        """Answer with another node: the mover edits the authority, which takes time and a path.

        Parameters
        ----------
        target
            The node's name.
        mover
            Place of whoever edits.
        cause
            The event that made it necessary.
        done
            Called with the event of the edit.
        """
        self._moves += 1
        takes = self._world.sample(f"{self._name}/endpoint", self._model.takes, self._moves)

        def begin(because: int) -> None:
            edit = partial(self._edit, target, mover, because, done)
            self._world.at(self._world.now + takes, ROUTING, f"{self._name}/endpoint", edit)

        if self.through is None:
            begin(cause)
        else:
            self.through(mover, self._model.authority, cause, begin)

    def lead(self, among: frozenset[str], target: str, cause: int) -> int:
        """Lead whoever is answered one of these nodes to another of them: the answer, a service's, stays the same.

        Parameters
        ----------
        among
            Names of the nodes behind one service.
        target
            The node that it leads to from now on.
        cause
            The event that made it necessary.

        Returns
        -------
        int
            The event of the change.
        """
        event = self._world.emit(
            "service-moved", self._name, cause, "propagation", f"the region's service leads to {target}"
        )
        if self.target in among:
            self.target = target
        for region, changes in self.changes.items():
            if changes[-1].target in among:
                self._give(region, Change(self._world.now, target, event, cached=False))
        self._world.stirred += 1
        return event

    def _edit(self, target: str, mover: str, cause: int, done: Callable[[int], None]) -> None:
        if not self._network.both_ways(mover, self._model.authority):
            self._waiting = partial(self._edit, target, mover, cause, done)
            return
        self._waiting = None
        self._answer(target, cause)
        done(self._event)

    def close(self) -> None:
        """Forget what waits for a path, and who listens."""
        self._waiting = self.through = None
        self._listeners.clear()

    def _answer(self, target: str, cause: int) -> None:
        self.target = target
        self._event = self._world.emit(
            "endpoint-moved", self._name, cause, "propagation", f"the endpoint answers with {target}"
        )
        self._world.stirred += 1
        self._tell_regions(self._event)

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting()
        if touched:
            self._tell_regions(cause)

    def _tell_regions(self, cause: int) -> None:
        for region, changes in self.changes.items():
            if changes[-1].target != self.target and self._network.both_ways(region, self._model.authority):
                self._give(region, Change(self._world.now, self.target, cause))

    def _give(self, region: str, change: Change) -> None:
        self.changes[region].append(change)
        for listener in self._listeners.get(region, ()):
            listener()
