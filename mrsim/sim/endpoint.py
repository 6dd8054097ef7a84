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
        self._ttl_s = model.ttl
        self._told_s = dict.fromkeys(regions, model.ttl)
        self._lowering: Callable[[], None] | None = None

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

    def lower(self, ttl_s: float, by: str, at_s: float) -> None:
        """Give answers another life from now on: whoever holds one keeps it for as long as it was told.

        Parameters
        ----------
        ttl_s
            Their life from now on, in seconds.
        by
            Place of whoever edits; it waits for a path to the authority.
        at_s
            When it is done: now, or before the trial began.
        """
        if not self._network.both_ways(by, self._model.authority):
            self._lowering = lambda: self.lower(ttl_s, by, self._world.now)
            return
        self._lowering = None
        self._ttl_s = ttl_s
        self._event = self._world.emit("ttl-lowered", self._name, note=f"answers live {ttl_s:g} s from now on")
        self._tell_regions(self._event, min(at_s, self._world.now))

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
        self._waiting = self._lowering = self.through = None
        self._listeners.clear()

    def _answer(self, target: str, cause: int) -> None:
        self.target = target
        self._event = self._world.emit(
            "endpoint-moved", self._name, cause, "propagation", f"the endpoint answers with {target}"
        )
        self._world.stirred += 1
        self._tell_regions(self._event, self._world.now)

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting()
        if self._lowering is not None:
            self._lowering()
        if touched:
            self._tell_regions(cause, self._world.now)

    def _tell_regions(self, cause: int, at_s: float) -> None:
        for region, changes in self.changes.items():
            told_s = self._told_s[region]
            if changes[-1].target == self.target and told_s == self._ttl_s:
                continue
            if self._network.both_ways(region, self._model.authority):
                self._told_s[region] = self._ttl_s
                life_s = self._ttl_s if told_s != self._ttl_s else None
                self._give(region, Change(at_s, self.target, cause, ttl_s=life_s))

    def _give(self, region: str, change: Change) -> None:
        self.changes[region].append(change)
        for listener in self._listeners.get(region, ()):
            listener()
