"""Promotions commanded from somewhere else: the way of the command there, and how its outcome becomes known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.world import World

    Told = Callable[[bool, int], None]


class Promotions:
    """Commands promotions of a store's nodes, and hears what became of each.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name
        The store's id.
    place
        Where the commands come from.
    database
        Whose nodes are promoted.
    timeout_s
        How long after its arrival a command is taken for failed if nothing is heard.
    inside
        Regions and zones that a primary is promoted for; None: all.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        place: str,
        database: Database,
        timeout_s: float,
        inside: frozenset[str] | None,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._place = place
        self._database = database
        self._timeout_s = timeout_s
        self._inside = inside
        self._commands = 0

    def command(self, site: str, cause: Callable[[], int], told: Told) -> None:
        """Command the promotion of the node at a region or zone.

        Parameters
        ----------
        site
            Where the node is.
        cause
            Tells the event that the promotion follows from, once the command arrives.
        told
            Called with whether it has succeeded, as far as is known, and with the event of that.
        """
        self._commands += 1
        occasion = self._commands
        arrives = self._world.now + self._network.one_way_s(self._place, site)
        gives_up = arrives + self._timeout_s

        def done(success: bool, event: int) -> None:
            self._reply(site, gives_up, success, event, told)

        def act() -> None:
            if self._network.alive(site) and self._database.nodes[site].running:
                self._database.promote(site, cause(), occasion, done, inside=self._inside)
            else:
                done(False, cause())

        self._world.at(arrives, CONTROL, f"{self._name}/promote", act)

    def _reply(self, site: str, gives_up_s: float, success: bool, event: int, told: Told) -> None:
        """Bring the outcome back: a message if it gets through, else what is found once nobody waits any longer."""
        network, world = self._network, self._world
        if network.open(site, self._place):
            heard = world.now + network.one_way_s(site, self._place)
            world.at(heard, CONTROL, f"{self._name}/promotion-reply", lambda: told(success, event))
            return

        def look() -> None:
            told(self._database.nodes[site].is_primary and network.both_ways(self._place, site), event)

        world.at(max(gives_up_s, world.now), CONTROL, f"{self._name}/promotion-timeout", look)
