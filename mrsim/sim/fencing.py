"""Fencing: what whoever decides does so that an old primary writes no more, and how it hears that this has worked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from mrsim.sim.cluster import sites_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


class Fencing(ABC):
    """How a store's old primary is fenced by whoever decides.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name
        The store's id.
    place
        Where whoever decides stands.
    database
        Whose nodes are fenced.
    clusters
        Clusters with managers of their own, by the regions and zones of their nodes: one is fenced as a whole.
    """

    confirms: str
    """What a confirmation says."""

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        place: str,
        database: Database,
        clusters: Mapping[str, Cluster],
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._place = place
        self._database = database
        self._clusters = clusters

    @abstractmethod
    def send(
        self,
        target: str,
        attempt: int,
        cause: Callable[[], int],
        confirmed: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        """Fence an old primary.

        Parameters
        ----------
        target
            Region or zone of the node to fence.
        attempt
            Number of the attempt, for its draws.
        cause
            Tells the event that a node's end follows from, once it is fenced.
        confirmed
            Called if the confirmation gets back.
        refused
            Called if the attempt is refused, and that gets back.
        """

    @abstractmethod
    def withdraw(self, target: str, cause: int) -> None:
        """Call the failover off."""

    def _sites(self, target: str) -> list[str]:
        return sites_with(target, self._clusters)
