"""WAL that is no client's commit: a migration, an index, a bulk load, written on top of what clients write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.wal import Load, Written

if TYPE_CHECKING:
    from mrsim.scenario.stores import Store
    from mrsim.sim.world import World


class BulkLoad(Load):
    """The commits that clients attempt, while something else writes WAL too.

    Attributes
    ----------
    all
        What both write.
    """

    def __init__(self, store: Store, phase_s: float, start_s: float, end_s: float, bytes_per_s: float) -> None:
        super().__init__(store.wal, phase_s)
        self.all = _Sum(self, start_s, end_s, bytes_per_s)


class _Sum(Written):
    """What a load writes, and a bulk on top from ``start_s`` to ``end_s``."""

    def __init__(self, load: Load, start_s: float, end_s: float, bytes_per_s: float) -> None:
        self._load = load
        self._start_s = start_s
        self._end_s = end_s
        self._bytes_per_s = bytes_per_s
        self.peak_bytes_per_s = load.peak_bytes_per_s + bytes_per_s

    def piece(self, at_s: float) -> tuple[float, float]:
        """Return the WAL rate at ``at_s`` in bytes per second, and until when it holds."""
        rate, until_s = self._load.piece(at_s)
        if at_s < self._start_s:
            return rate, min(until_s, self._start_s)
        if at_s < self._end_s:
            return rate + self._bytes_per_s, min(until_s, self._end_s)
        return rate, until_s


def load_of(world: World, name: str, store: Store) -> Load:
    """Return what clients attempt to write to a store in one trial, and what else is written there."""
    bursts, bulk = store.wal.bursts, store.wal.bulk
    phase_s = 0.0
    if bursts is not None:
        fraction = world.uniform(f"{name}/burst") if isinstance(bursts.phase, str) else bursts.phase
        phase_s = fraction * bursts.every
    if bulk is None:
        return Load(store.wal, phase_s)
    start_s = world.sample(f"{name}/bulk/starts", bulk.starts)
    lasts_s = world.sample(f"{name}/bulk/lasts", bulk.lasts)
    return BulkLoad(store, phase_s, start_s, start_s + lasts_s, bulk.rate)


def all_written(load: Load) -> Written:
    """Return all WAL that is written while clients' commits are executed."""
    return load.all if isinstance(load, BulkLoad) else load
