"""A primary that stops itself when it can reach none of the places it should see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.world import CONTROL

if TYPE_CHECKING:
    from mrsim.scenario.control import SelfCheck
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.world import Timer, World


class IsolationCheck:
    """The isolation self-check of every node of a store; only a node that believes itself primary acts on it.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, check
        The store's id and the check.
    database
        Whose nodes stop themselves.
    """

    def __init__(self, world: World, network: Network, name: str, check: SelfCheck, database: Database) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._check = check
        self._database = database
        self._timers: dict[str, Timer] = {}

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        for region, node in self._database.nodes.items():
            if region not in touched:
                continue
            alone = node.running and not any(self._network.both_ways(region, place) for place in self._check.sees)
            timer = self._timers.get(region)
            waiting = timer is not None and timer.pending
            if alone and not waiting:
                self._timers[region] = self._start(region, cause)
            elif not alone and waiting and timer is not None:
                timer.cancel()

    def _start(self, region: str, cause: int) -> Timer:
        check = self._check
        cycle = max(check.every, check.timeout)
        first = self._world.uniform(f"{self._name}@{region}/self-check") * check.every
        at = self._world.now + first + (check.fails - 1) * cycle + check.timeout
        return self._world.at(at, CONTROL, f"{self._name}@{region}/self-check", lambda: self._act(region, cause))

    def _act(self, region: str, cause: int) -> None:
        node = self._database.nodes[region]
        if node.running and node.role == "primary":
            self._database.stop(region, cause, "isolated: it can reach none of the places it should see")
