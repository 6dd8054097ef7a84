"""Fencing by a control point: a command to it, what it does there, and the confirmation on its way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.fencing import Fencing
from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.control import Fence
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


class Stonith(Fencing):
    """Sends commands to power nodes off: one is confirmed only if command and reply both get through.

    Parameters
    ----------
    world, network, name, place, database, clusters
        As for :class:`~mrsim.sim.fencing.Fencing`.
    fence
        The control point, and how long and how surely it works.
    """

    confirms = "the old primary is off"

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        place: str,
        database: Database,
        clusters: Mapping[str, Cluster],
        fence: Fence,
    ) -> None:
        super().__init__(world, network, name, place, database, clusters)
        self._fence = fence

    def send(
        self,
        target: str,
        attempt: int,
        cause: Callable[[], int],
        confirmed: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        """Send a command through the control point, whose answer may be a refusal; a dead device answers nothing."""
        point, world, network = self._fence.through, self._world, self._network
        takes = world.sample(f"{self._name}/fence", self._fence.takes, attempt)
        if not network.open(self._place, point) or world.uniform(f"{self._name}/fence/dead") < self._fence.dead:
            return
        arrives = world.now + network.one_way_s(self._place, point)
        name = f"{self._name}/fence"
        if world.uniform(f"{name}/fails", attempt) < self._fence.fails:
            world.at(arrives, CONTROL, name, lambda: self._reply(refused))
        else:
            world.at(arrives + takes, CONTROL, name, lambda: self._act(target, cause(), confirmed))

    def withdraw(self, target: str, cause: int) -> None:
        """Call the failover off: a command that has been given stands."""

    def _act(self, target: str, cause: int, confirmed: Callable[[], None]) -> None:
        """Stop every node of the target, if all of them can be reached from the control point."""
        point, network = self._fence.through, self._network
        sites = self._sites(target)
        if not all(network.both_ways(point, site) for site in sites):
            return
        for site in sites:
            if not self._database.nodes[site].fenced:
                self._database.fence(site, cause)
        self._reply(confirmed)

    def _reply(self, heard: Callable[[], None]) -> None:
        """Send the control point's answer, which may not get back."""
        point, world, network = self._fence.through, self._world, self._network
        if network.open(point, self._place):
            reply = world.now + network.one_way_s(point, self._place)
            world.at(reply, CONTROL, f"{self._name}/fence-reply", heard)
