"""Chooses how old primaries of a store are fenced, as its scenario says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.scenario.control import FenceToken
from mrsim.sim.presenting import Presenting
from mrsim.sim.stonith import Stonith
from mrsim.sim.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrsim.scenario.control import Failover
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.fencing import Fencing
    from mrsim.sim.network import Network
    from mrsim.sim.storage import Storage
    from mrsim.sim.world import World


def fencing_of(
    world: World,
    network: Network,
    name: str,
    failover: Failover,
    place: str,
    database: Database,
    clusters: Mapping[str, Cluster],
) -> Fencing | None:
    """Return how whoever decides fences a store's old primaries, if that is wanted; see :class:`Fencing`."""
    fence = failover.fence
    if fence is None:
        return None
    if isinstance(fence, FenceToken):
        return Tokens(world, network, name, place, database, clusters, fence, _storage(database))
    return Stonith(world, network, name, place, database, clusters, fence)


def presenting_of(
    world: World, network: Network, name: str, failover: Failover, database: Database, clusters: Mapping[str, Cluster]
) -> Presenting | None:
    """Return how new primaries present their epochs where nobody decides over them, if there are such tokens."""
    fence = failover.fence
    if not isinstance(fence, FenceToken):
        return None
    return Presenting(world, network, name, fence, database, _storage(database), clusters)


def _storage(database: Database) -> Storage:
    if database.storage is None:
        message = "a token needs a storage that checks it"
        raise ValueError(message)
    return database.storage
