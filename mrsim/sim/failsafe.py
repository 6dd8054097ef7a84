"""Going on without the lease store: a holder that all members accept stays primary (Patroni's failsafe mode)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.lease_store import exchange_fails
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrsim.sim.lease_store import LeaseStore
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World

TIMEOUT_S = 2.0
"""How long a connection to a member, and then its answer, may take: fixed in Patroni 4.1, ``call_failsafe_member``."""

CONNECTS = 2
"""Connections that are tried, one after the other, to a member that is silent: ``retries=1``, in the same place."""


class Failsafe:
    """What the members of a lease know of a holder that asks them whether it may go on without the lease's store.

    The holder keeps a list of the members in the store with each renewal: those whose own keys were there, which live a
    ttl longer than their agents reach the store. It has to be accepted by each of them. A member that was asked takes
    that for a sign of life for a ttl, and does not race for the lease meanwhile, even if it can use the store.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name
        Name of its draws.
    ttl_s
        Life of the lease, in seconds.
    nodes
        The members by region.
    store
        Who keeps the lease.

    References
    ----------
    Patroni 4.1, ``docs/dcs_failsafe_mode.rst``; ``patroni/ha.py``: ``_handle_dcs_error``, ``check_failsafe_topology``,
    ``call_failsafe_member``, ``update_failsafe``, ``load_cluster_from_dcs`` and the class ``Failsafe``.
    """

    def __init__(
        self, world: World, network: Network, name: str, ttl_s: float, nodes: Mapping[str, Node], store: LeaseStore
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._ttl_s = ttl_s
        self._nodes = nodes
        self._store = store
        self._key_until_s = dict.fromkeys(nodes, INF)
        self._key_again_s = dict.fromkeys(nodes, -INF)
        self._listed = set(nodes)
        self._heard_s = dict.fromkeys(nodes, -INF)
        self._accepted_s: dict[str, float] = {}
        self._asked = 0

    def follow(self) -> None:
        """Look again whose agents can use the store: their keys are there, and those of the others for a ttl more."""
        now = self._world.now
        for region, node in self._nodes.items():
            if node.agent_alive and node.host_up and self._store.usable_from(region):
                if self._key_until_s[region] <= now:
                    self._key_again_s[region] = now
                self._key_until_s[region] = INF
            elif self._key_until_s[region] == INF:
                self._key_until_s[region] = now + self._ttl_s

    def list_members(self, renewed_s: float) -> None:
        """Keep whose keys were there when the lease was last renewed, in seconds."""
        self._listed = {
            region for region in self._nodes if self._key_until_s[region] > renewed_s >= self._key_again_s[region]
        }

    def listed(self, node: Node) -> bool:
        """Return whether a node was a member when the lease was last renewed; others may not race for it."""
        return node.region in self._listed

    def held_back_until_s(self, node: Node) -> float:
        """Return until when a member takes the holder for alive, in seconds."""
        return self._heard_s[node.region] + self._ttl_s

    def accepted_s(self, holder: Node) -> float:
        """Return when all members last accepted that a holder goes on; -inf: never."""
        return self._accepted_s.get(holder.region, -INF)

    def active(self, holder: Node) -> bool:
        """Return whether a holder goes on because all members have accepted it, a ttl ago at most."""
        return self._world.now < self.accepted_s(holder) + self._ttl_s

    def ask(self, holder: Node) -> tuple[list[str], float]:
        """Ask all members at once whether the holder may go on.

        Returns
        -------
        list of str
            Names of those who did not accept.
        float
            How long that takes, in seconds.
        """
        self._asked += 1
        refused, longest_s = [], 0.0
        for node in self._nodes.values():
            if node is holder or not self.listed(node):
                continue
            accepts, takes_s = self._ask(holder, node)
            longest_s = max(longest_s, takes_s)
            if accepts:
                self._heard_s[node.region] = self._world.now
            else:
                refused.append(node.name)
        if refused:
            self._accepted_s.pop(holder.region, None)
        else:
            self._accepted_s[holder.region] = self._world.now
        return refused, longest_s

    def _ask(self, holder: Node, node: Node) -> tuple[bool, float]:
        network, there, back = self._network, holder.region, node.region
        rtt_s = network.rtt_s(there, back)
        if network.refuses(back):
            return False, rtt_s
        if not network.both_ways(there, back) or not node.host_up or rtt_s > TIMEOUT_S:
            return False, CONNECTS * TIMEOUT_S
        if not node.agent_alive:
            return False, TIMEOUT_S
        if network.probe_loss(there, back):
            fails = exchange_fails(network.loss(there, back), network.loss(back, there), rtt_s, TIMEOUT_S)
            if self._world.uniform(f"{self._name}/failsafe/{node.name}", self._asked) < fails:
                return False, TIMEOUT_S
        return not (node.role == "primary" and node.running), 2.0 * rtt_s
