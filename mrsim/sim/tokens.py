"""Fencing at the storage: whoever decides presents a later epoch to it before there is a new primary."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.fencing import Fencing
from mrsim.sim.presenting import Presenting
from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.control import FenceToken
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.storage import Storage
    from mrsim.sim.world import World


class Tokens(Fencing):
    """Presents later epochs as whoever decides, before there is a new primary.

    Whoever calls a failover off lets the old primary have a later epoch than those it has sent.

    Parameters
    ----------
    world, network, name, place, database, clusters
        As for :class:`~mrsim.sim.fencing.Fencing`.
    fence, storage
        How epochs are presented, and to what.
    """

    confirms = "its storage refuses what it writes"

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        place: str,
        database: Database,
        clusters: Mapping[str, Cluster],
        fence: FenceToken,
        storage: Storage,
    ) -> None:
        super().__init__(world, network, name, place, database, clusters)
        self._storage = storage
        self._out = False
        self._granting: list[Node] = []
        network.listen(self.on_network)
        self._presenting = Presenting(world, network, name, fence, database, storage, clusters, self._on_new)

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: who could not be told may be told now."""
        if touched and self._granting:
            self._grant(cause)

    def send(
        self,
        target: str,
        attempt: int,
        cause: Callable[[], int],
        confirmed: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        """Present a new epoch to the storage of a node, or of its whole cluster; no storage refuses it."""
        self._out = True
        self._granting.clear()
        epoch, sites = self._storage.issue(), self._sites(target)

        def heard() -> None:
            if all(self._presenting.is_confirmed(site) for site in sites):
                confirmed()

        for site in sites:
            for place in self._storage.places(site):
                self._presenting.present(self._place, site, place, epoch, cause, heard)

    def withdraw(self, target: str, cause: int) -> None:
        """Let the old primary go on after all, with a later epoch, once it can be told."""
        if self._out:
            self._out = False
            self._granting = [self._database.nodes[site] for site in self._sites(target)]
            self._grant(cause)

    def _grant(self, cause: int) -> None:
        ready = [node for node in self._granting if self._network.open(self._place, node.region)]
        self._granting = [node for node in self._granting if node not in ready]
        for node in ready:
            arrives = self._world.now + self._network.one_way_s(self._place, node.region)
            granted = partial(self._granted, node, self._presenting.give(node.region), cause)
            self._world.at(arrives, CONTROL, f"{self._name}/epoch", granted)

    def _granted(self, node: Node, epoch: int, cause: int) -> None:
        refused = node.refused
        node.epoch = max(node.epoch, epoch)
        if refused:
            self._database.changed(cause)

    def _on_new(self) -> None:
        """Leave the old primary alone: another has a later epoch than it could be given."""
        self._granting.clear()
