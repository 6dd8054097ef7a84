"""Who brings what to the standbys of a store that do not stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.archive import Archiving
from mrsim.sim.objects import Copying
from mrsim.sim.snapshots import Snapshotting

if TYPE_CHECKING:
    from mrsim.scenario.stores import Store
    from mrsim.sim.feeds import Feeder
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


def feeders(world: World, network: Network, label: str, store: Store) -> dict[str, Feeder]:
    """Return who brings WAL to the standbys that do not stream, by their regions."""
    by_way: dict[str, Feeder] = {}
    if store.archive is not None:
        by_way["archive"] = Archiving(world, network, label, store.archive)
    if store.snapshots is not None:
        by_way["snapshot"] = Snapshotting(world, network, label, store.snapshots)
    if store.objects is not None:
        by_way["objects"] = Copying(world, network, store.objects, store.wal.bytes_per_commit)
    return {standby.region: by_way[standby.via] for standby in store.standbys if standby.via in by_way}
