"""The service instance of a region that answers deep probes: the node that it believes to be its store's primary."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from mrsim.sim.health import Outcome
from mrsim.sim.looks import look_at_front
from mrsim.sim.signals import nobody_listens
from mrsim.sim.world import ROUTING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mrsim.scenario.services import HealthCheck
    from mrsim.scenario.stores import Endpoint as EndpointModel
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.reach import Brownouts
    from mrsim.sim.world import World


class Instance:
    """A service instance and its connections to one store.

    It goes on using the node that it was told, reads the endpoint again every TTL at a phase of its own, and then opens
    new connections, as the instances that serve clients do. One of them stands for all that a region's probes meet.

    Parameters
    ----------
    world
        The trial.
    name, region
        Name of its draws, and where it runs.
    model, endpoint, database
        The store's endpoint as written, its authority, and its nodes.
    """

    def __init__(
        self, world: World, name: str, region: str, model: EndpointModel, endpoint: Endpoint, database: Database
    ) -> None:
        self._world = world
        self._name = name
        self._model = model
        self._answers = endpoint.changes[region]
        self._nodes = {node.name: node for node in database.nodes.values()}
        self._node = self._nodes[self._answers[-1].target]
        self._connected = True
        self._ttl_s = model.ttl
        self._read_s: float | None = None
        self._reconnects = 0
        self.on_change: Callable[[int], None] = nobody_listens
        """Called with the cause when it uses another node, or has stopped using one."""
        endpoint.listen(region, self._on_answer)
        if len(self._answers) > 1:
            self._on_answer()

    @property
    def node(self) -> Node | None:
        """The node that it is connected to, dead or alive; None while it opens new connections."""
        return self._node if self._connected else None

    def close(self) -> None:
        """Forget who listens."""
        self.on_change = nobody_listens

    def _on_answer(self) -> None:
        change, now = self._answers[-1], self._world.now
        due = now
        if change.cached:
            if self._read_s is None:
                self._read_s = change.at_s + self._world.uniform(self._name) * self._ttl_s
            elif self._read_s < now:
                self._read_s += ceil((now - self._read_s) / self._ttl_s) * self._ttl_s
            due = self._read_s
        self._world.at(due, ROUTING, f"{self._name}/reads", self._read)

    def _read(self) -> None:
        change = self._answers[-1]
        node = self._nodes[change.target]
        self._ttl_s = next((one.ttl_s for one in reversed(self._answers) if one.ttl_s is not None), self._ttl_s)
        if node is self._node:
            return
        self._node = node
        self._connected = False
        self._reconnects += 1
        takes = self._world.sample(f"{self._name}/reconnect", self._model.reconnect, self._reconnects)
        attempt, cause = self._reconnects, change.event

        def connect() -> None:
            if attempt == self._reconnects:
                self._connected = True
                self.on_change(cause)

        self._world.at(self._world.now + takes, ROUTING, f"{self._name}/connects", connect)
        self.on_change(cause)


def look_through_front(
    network: Network,
    brownouts: Brownouts,
    serving: Callable[[str], bool],
    check: HealthCheck,
    region: str,
    instances: Sequence[Instance],
    place: str,
) -> Outcome:
    """Return what a probe sees that gets an answer once a write to every one of the region's stores is acknowledged."""
    front = look_at_front(network, brownouts, serving, check, region, place)
    if front.fails == 1.0:
        return front
    passes, takes_s = 1.0 - front.fails, front.passing_takes_s
    for instance in instances:
        write = _write(network, check, region, instance.node)
        passes *= 1.0 - write.fails
        if write.fails == 1.0:
            return Outcome(1.0, min(takes_s + write.failing_takes_s, check.timeout), takes_s)
        takes_s += write.passing_takes_s
    if takes_s - front.passing_takes_s >= (check.answer_within or check.timeout) or takes_s >= check.timeout:
        return Outcome(1.0, check.timeout, check.timeout)
    return Outcome(1.0 - passes, check.timeout, takes_s)


def _write(network: Network, check: HealthCheck, region: str, node: Node | None) -> Outcome:
    """Return what becomes of a write from a region to the node that its service is connected to."""
    if node is None:
        return Outcome(1.0, check.timeout, 0.0)
    rtt = network.rtt_s(region, node.region)
    if not network.both_ways(region, node.region):
        return Outcome(1.0, rtt if network.refuses(node.region) else check.timeout, rtt)
    if node.fenced or not node.host_up:
        return Outcome(1.0, check.timeout, rtt)
    if not node.is_primary or node.draining:
        return Outcome(1.0, rtt, rtt)
    if not node.acknowledging:
        return Outcome(1.0, check.timeout, rtt)
    return Outcome(network.probe_loss(region, node.region), check.timeout, rtt + node.wait_s)
