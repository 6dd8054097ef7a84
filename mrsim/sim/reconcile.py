"""Writes that only a former primary holds: people read them from its disk and write them again at the new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.scenario.places import OPERATIONS
from mrsim.sim.world import CONTROL
from mrsim.trace import INF, NO_EVENT, Reconciled

if TYPE_CHECKING:
    from mrsim.scenario.control import Reconcile
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World


@dataclass(slots=True)
class _Work:
    """Reconciling one node: what it had written up to a time, which event began it, and whether the time is over."""

    until_s: float
    begun: int
    due: bool = False


class Reconciliation:
    """Brings back what superseded primaries acknowledged and the surviving history does not hold.

    It begins once the node is no primary any more and its host can be reached by operations, and takes its time. It
    ends at the first instant after that at which the host can be reached and the new primary takes writes. A node that
    is rewound or rebuilt before that has nothing left to reconcile, unless its data was copied aside.

    Parameters
    ----------
    world, network
        The trial and its paths.
    rule
        What it takes.
    database
        The nodes.
    """

    def __init__(self, world: World, network: Network, rule: Reconcile, database: Database) -> None:
        self._world = world
        self._network = network
        self._rule = rule
        self._database = database
        self._works: dict[str, _Work] = {}
        self._taken_s: dict[str, float] = {}
        """Per region: what its node had written before this has been brought back, or is gone."""
        self._times = 0
        self.reconciled: list[Reconciled] = []

    def on_network(self, _: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        self.on_change(cause)

    def on_change(self, cause: int) -> None:
        """React to a change of the nodes."""
        if len(self._database.histories) == 1:
            return
        for region, node in self._database.nodes.items():
            work = self._works.get(region)
            if node.rebuilding and not self._rule.sets_aside:
                self._discard(node, cause)
            elif work is None:
                self._begin(node, cause)
            elif work.due:
                self._finish(node, work)

    def _stranded_s(self, node: Node) -> float:
        """Return up to when a node acknowledged commits that the surviving history does not hold."""
        taken_s = self._taken_s.get(node.region, -INF)
        database = self._database
        return max(
            (
                span.acked_until_s
                for span in node.acks
                if taken_s < span.acked_until_s > span.start_s
                and not database.on_line(span.history, span.acked_until_s)
            ),
            default=-INF,
        )

    def _reachable(self, node: Node) -> bool:
        return node.host_up and self._network.both_ways(OPERATIONS, node.region)

    def _begin(self, node: Node, cause: int) -> None:
        if node is self._database.current or node.is_primary or not self._reachable(node):
            return
        until_s = self._stranded_s(node)
        if until_s == -INF:
            return
        begun = self._world.emit("reconciling", node.name, cause, "", "people read what only it holds")
        work = self._works[node.region] = _Work(until_s, begun)
        takes_s = self._world.sample(f"{node.name}/reconcile", self._rule.takes, self._times)
        self._times += 1

        def over() -> None:
            work.due = True
            if self._works.get(node.region) is work:
                self._finish(node, work)

        self._world.at(self._world.now + takes_s, CONTROL, f"{node.name}/reconciled", over)

    def _finish(self, node: Node, work: _Work) -> None:
        primary = self._database.current
        if not self._reachable(node) or not primary.acknowledging:
            return
        note = f"what only it held is written again at {primary.name}"
        event = self._world.emit("reconciled", node.name, work.begun, "", note)
        self.reconciled.append(Reconciled(node.name, work.until_s, self._world.now, self._database.surviving, event))
        self._taken_s[node.region] = work.until_s
        del self._works[node.region]
        self._begin(node, event)

    def _discard(self, node: Node, cause: int) -> None:
        """Note that what only a node held is overwritten as it becomes a copy of the new primary."""
        until_s = self._stranded_s(node)
        work = self._works.pop(node.region, None)
        if until_s == -INF:
            return
        self._taken_s[node.region] = until_s
        cause = work.begun if cause == NO_EVENT and work is not None else cause
        self._world.emit("stranded-writes-discarded", node.name, cause, "", "rebuilt before they were read")
