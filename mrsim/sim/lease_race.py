"""The race for a lease that nobody holds: who takes part, who stands back, and when it is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.lease_store import look_s, silence_s
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.control import DecideLease
    from mrsim.sim.database import Database
    from mrsim.sim.failsafe import Failsafe
    from mrsim.sim.lease_store import LeaseStore
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World


class Candidates:
    """Those who could take a lease.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, lease
        The store's id, which draws are named by, and the lease.
    database, store
        The nodes, and who keeps the lease.
    failsafe
        What members know of a holder that goes on without the store; None: it does not.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        lease: DecideLease,
        database: Database,
        store: LeaseStore,
        failsafe: Failsafe | None,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._lease = lease
        self._database = database
        self._store = store
        self._failsafe = failsafe

    def able(self) -> list[Node]:
        """Return those who can use the lease store and are told of no leader, however far they are behind."""
        now, failsafe = self._world.now, self._failsafe
        able = self._fit()
        if failsafe is None:
            return able
        return [node for node in able if failsafe.listed(node) and failsafe.held_back_until_s(node) <= now]

    def held_back_until_s(self) -> float:
        """Return when the first is no longer held back by a leader that was alive; infinite if nobody is."""
        failsafe, now = self._failsafe, self._world.now
        if failsafe is None:
            return INF
        listed = [node for node in self._fit() if failsafe.listed(node)]
        return min((at for node in listed if (at := failsafe.held_back_until_s(node)) > now), default=INF)

    def _fit(self) -> list[Node]:
        return [
            node
            for region, node in self._database.nodes.items()
            if node.running
            and node.agent_alive
            and not node.rebuilding
            and not node.promoting
            and (node.role == "standby" or node is self._database.current)
            and self._store.usable_from(region)
        ]

    def eligible(self, able: list[Node], reported_s: float) -> list[Node]:
        """Return those who are not too far behind what the primary had written when it last reported its position.

        Parameters
        ----------
        able
            Who could take the lease otherwise.
        reported_s
            When the holder last reported.

        References
        ----------
        Patroni 4.1, ``patroni/ha.py``, ``is_lagging``: ``maximum_lag_on_failover`` against the position that the holder
        writes with each renewal.
        """
        limit = self._lease.max_lag_bytes
        if limit is None:
            return able
        streaming, former = self._database.streaming, self._database.current
        return [node for node in able if node is former or streaming.bytes_behind(node, reported_s) <= limit]

    def best(self, contenders: list[Node]) -> Node:
        """Return the one before which the others stand back: the former primary, else the most advanced."""
        former = self._database.current
        if former in contenders:
            return former
        return max(contenders, key=lambda node: (self._database.streaming.position(node), node.region))

    def decided_after_s(self, contenders: list[Node], renewed_s: float, race: int, *, woken: bool) -> float:
        """Return how long it takes until one of them holds the lease.

        Parameters
        ----------
        contenders
            Who takes part.
        renewed_s
            When the lease was last renewed.
        race
            Number of the race.
        woken
            Whether the key's end wakes them; if not, they look at their next turn.
        """
        world, lease, ahead = self._world, self._lease, self.best(contenders)
        wait = look_s(world, lease, ahead.name, renewed_s, race) - world.now
        if not woken and lease.product != "kubernetes":
            wait += world.uniform(f"{self._name}/next-turn", race) * lease.loop_wait
        others = [node for node in self._database.nodes.values() if node is not ahead]
        wait += silence_s(self._network, ahead.region, others, lease.status_timeout)
        wait += world.sample(f"{self._name}/race", lease.race, race)
        if any(node.upstream is not None and node.upstream.flowing for node in contenders):
            # The database lives although its agent does not answer: perhaps it comes back.
            wait += lease.race_backoff
        return wait
