"""Agents that run beside the databases of a region, under a lease: when each of them has its turn."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World


class Agents:
    """The agents beside the databases of one region: when each has its turn.

    An agent that starts, with its host or alone, has its first turn at once; the phase of one that has run for long is
    random.

    Parameters
    ----------
    world, network
        The trial and its paths.
    nodes
        The databases.
    loop_s
        How far turns are apart, in seconds.
    """

    def __init__(self, world: World, network: Network, nodes: Sequence[Node], loop_s: float) -> None:
        self._world = world
        self._network = network
        self._nodes = {node.region: node for node in nodes}
        self._loop_s = loop_s
        self._up = dict.fromkeys(self._nodes, True)
        self._anchors_s: dict[str, float] = {}

    def look(self, _cause: int) -> None:
        """Follow a change: agents may have died, or started."""
        for region in self._nodes:
            self._look_at(region)

    def _look_at(self, region: str) -> None:
        node = self._nodes[region]
        up = node.agent_alive and node.host_up and self._network.alive(region)
        if up and not self._up[region]:
            self._anchors_s[region] = self._world.now
        self._up[region] = up

    def last_turn_s(self, node: Node) -> float:
        """Return when an agent last had its turn, or would have had it."""
        now = self._world.now
        if node.region not in self._anchors_s:
            self._anchors_s[node.region] = now - self._world.uniform(f"{node.name}/turn") * self._loop_s
        anchor_s = self._anchors_s[node.region]
        return anchor_s + floor((now - anchor_s) / self._loop_s) * self._loop_s

    def next_turn_s(self, node: Node) -> float:
        """Return when an agent has its next turn: now if it starts at this instant."""
        self._look_at(node.region)
        last_s = self.last_turn_s(node)
        return last_s if last_s == self._world.now else last_s + self._loop_s

    def wait_s(self, node: Node) -> float:
        """Return how long it takes until an agent has its next turn."""
        return self.next_turn_s(node) - self._world.now
