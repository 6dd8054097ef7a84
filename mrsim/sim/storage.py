"""Where nodes keep what they write: places that must be reached, and that refuse writes of an epoch that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrsim.scenario.stores import Store
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World

_NOT_TOLD = -1


class Storage:
    """The storage of every node of a store, and the newest epoch that each of its places has been told.

    A node can write while a majority of its storage's places can be reached and have been told of no epoch later than
    the node's own. What a place has been told outlives any outage of it.

    Parameters
    ----------
    world, network
        The trial and its paths.
    store
        The store's scenario.

    References
    ----------
    M. Burrows, *The Chubby lock service for loosely-coupled distributed systems*, OSDI 2006, section 2.4 (sequencers:
    a server rejects requests that carry an older one than it has seen). M. Kleppmann, *Designing Data-Intensive
    Applications*, 2017, chapter 8 (fencing tokens).
    """

    def __init__(self, world: World, network: Network, store: Store) -> None:
        self._world = world
        self._network = network
        self._elsewhere = {store.primary: store.storage} if store.storage else {}
        self._told: dict[tuple[str, str], int] = {}
        self._refused_since: dict[str, float] = {}
        self._issued = 0

    def places(self, site: str) -> tuple[str, ...]:
        """Return the places of the storage of the node at a site."""
        return self._elsewhere.get(site, (site,))

    def issue(self) -> int:
        """Return a new epoch, later than all before."""
        self._issued += 1
        return self._issued

    def tell(self, site: str, place: str, epoch: int) -> bool:
        """Let one place of a node's storage know of an epoch; return whether it is news."""
        known = self._told.get((site, place), _NOT_TOLD)
        self._told[site, place] = max(known, epoch)
        return epoch > known

    def wait_s(self, node: Node) -> float:
        """Return how long a write of a node takes on its way to and from a majority of its storage, in seconds."""
        places = self._elsewhere.get(node.region)
        if places is None:
            return 0.0
        ways = [0.0 if place == node.region else self._network.rtt_s(node.region, place) for place in places]
        # Those in reach answer first; where too few are, nothing is written anyway.
        near = sorted(way for way, place in zip(ways, places, strict=True) if self._takes(node, place))
        needed = len(places) // 2 + 1
        return near[needed - 1] if len(near) >= needed else sorted(ways)[needed - 1]

    def follow(self, node: Node, cause: int) -> int:
        """Work out anew whether a node's writes are taken; return the event if that has changed, else the cause."""
        now = self._world.now
        refused = node.is_primary and not self._takes_writes(node)
        if refused and not node.draining:
            # It writes no WAL from here on.
            self._refused_since[node.region] = now
            node.halt(now)
            node.drain(now)
        if refused == node.refused:
            return cause
        node.refused = refused
        self._world.stirred += 1
        if refused:
            return self._world.emit("writes-refused", node.name, cause, "fencing", self._why(node))
        if node.drained_s[0] == self._refused_since.get(node.region):
            node.end_drain(now)
        if not node.is_primary:
            return cause
        return self._world.emit("writes-taken", node.name, cause, "repair", "its storage takes them again")

    def _takes(self, node: Node, place: str) -> bool:
        reached = place == node.region or self._network.both_ways(node.region, place)
        return reached and self._told.get((node.region, place), _NOT_TOLD) <= node.epoch

    def _takes_writes(self, node: Node) -> bool:
        places = self.places(node.region)
        return sum(self._takes(node, place) for place in places) > len(places) // 2

    def _why(self, node: Node) -> str:
        told = max(self._told.get((node.region, place), _NOT_TOLD) for place in self.places(node.region))
        if told > node.epoch:
            return "its storage has been told of a later epoch"
        return "it does not reach its storage"
