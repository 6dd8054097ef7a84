"""Epochs on their way to a storage, which refuses writes of earlier ones from then on."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from mrsim.sim.cluster import sites_with
from mrsim.sim.world import CONTROL
from mrsim.trace import NO_EVENT, site_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mrsim.scenario.control import FenceToken
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.storage import Storage
    from mrsim.sim.world import Timer, World


class Presenting:
    """Presents later epochs to the storage of old primaries; a new primary does by itself, whoever made it one.

    An epoch gets through over an open path alone. What is not confirmed is presented again by the new primary, at its
    next turn once there is a way, for as long as it is primary.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, fence
        The store's id, and how its old primaries are fenced.
    database, storage
        Whose nodes write, and where.
    clusters
        Clusters with managers of their own, by the regions and zones of their nodes: one is fenced as a whole.
    on_new
        Called when there is a new primary.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        fence: FenceToken,
        database: Database,
        storage: Storage,
        clusters: Mapping[str, Cluster],
        on_new: Callable[[], None] | None = None,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._fence = fence
        self._database = database
        self._storage = storage
        self._clusters = clusters
        self._on_new = on_new
        self._confirmed: dict[tuple[str, str], int] = {}
        self._given: dict[str, int] = {}
        self._sent = 0
        self._new: Node | None = None
        self._since_s = 0.0
        self._cause = NO_EVENT
        self._turns: dict[tuple[str, str], Timer] = {}
        network.listen(self.on_network)
        database.listen(self.on_change)

    def on_change(self, cause: int) -> None:
        """React to a change of the database: a new primary presents its epoch to the storage of those before it."""
        new = self._database.current
        if new is self._new:
            self._look()
        elif new.epoch == 0:
            return
        elif (
            self._new is None
            or new.epoch > self._new.epoch
            or new.region in sites_with(self._new.region, self._clusters)
        ):
            self._new, self._since_s, self._cause = new, self._world.now, cause
            if self._on_new is not None:
                self._on_new()
            self._look()

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: what could not be told may be told now."""
        if touched and self._new is not None:
            self._look()

    def _look(self) -> None:
        """Plan the next turn for what is unconfirmed and can be reached."""
        new, now, every = self._new, self._world.now, self._fence.every
        if new is None:
            return
        for site, place in self._unconfirmed(new):
            turn = self._turns.get((site, place))
            if (turn is None or not turn.pending) and self._network.open(new.region, place):
                turns = ceil((now - self._since_s) / every)
                at, name = self._since_s + turns * every, f"{self._name}/token/{site}/{place}"
                self._turns[site, place] = self._world.at(at, CONTROL, name, partial(self._turn, new, site, place))

    def _turn(self, new: Node, site: str, place: str) -> None:
        if new is self._new and new.is_primary:
            self.present(new.region, site, place, new.epoch, lambda: self._cause, lambda: None)

    def _unconfirmed(self, new: Node) -> Iterator[tuple[str, str]]:
        """Yield the places of the storage of former primaries that are not known to refuse them."""
        own = sites_with(new.region, self._clusters)
        former = {site_of(history.node) for history in self._database.histories[:-1]}
        for site in sorted({one for old in former for one in sites_with(old, self._clusters)}.difference(own)):
            epoch = self._epoch(site)
            for place in self._storage.places(site) if epoch < new.epoch else ():
                if self._confirmed.get((site, place), -1) <= epoch:
                    yield site, place

    # On the way ----------------------------------------------------------------------------------------------------

    def give(self, site: str) -> int:
        """Return a new epoch that the node at a site is to have."""
        self._given[site] = epoch = self._storage.issue()
        return epoch

    def _epoch(self, site: str) -> int:
        """Return the last epoch that the node at a site was given, whether it has arrived or not."""
        return max(self._database.nodes[site].epoch, self._given.get(site, 0))

    def is_confirmed(self, site: str) -> bool:
        """Return whether a majority of a node's storage is known to have been told of a later epoch than the node's."""
        places, epoch = self._storage.places(site), self._epoch(site)
        return sum(self._confirmed.get((site, place), -1) > epoch for place in places) > len(places) // 2

    def present(
        self, source: str, site: str, place: str, epoch: int, cause: Callable[[], int], heard: Callable[[], None]
    ) -> None:
        """Present an epoch to a place of a storage, if there is a way; ``heard`` is called when it is confirmed."""
        if not self._network.open(source, place):
            return
        self._sent += 1
        takes = self._world.sample(f"{self._name}/token/{site}/{place}", self._fence.takes, self._sent)
        arrives = self._world.now + self._network.one_way_s(source, place) + takes

        def taken() -> None:
            if not self._network.alive(place):
                return
            if self._storage.tell(site, place, epoch):
                self._database.changed(cause())
            if self._network.open(place, source):
                back = self._world.now + self._network.one_way_s(place, source)
                self._world.at(back, CONTROL, f"{self._name}/token-reply", confirmed)

        def confirmed() -> None:
            self._confirmed[site, place] = max(epoch, self._confirmed.get((site, place), -1))
            heard()

        self._world.at(arrives, CONTROL, f"{self._name}/token/{site}/{place}", taken)
