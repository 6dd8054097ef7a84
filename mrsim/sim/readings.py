"""What readers of copies would have seen: samples of how far each node had replayed, when somebody reads again."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from mrsim.lattices import GOLDEN
from mrsim.sim.wal import Stream
from mrsim.trace import INF, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrsim.scenario.model import Scenario
    from mrsim.sim.database import Database
    from mrsim.sim.nodes import Node
    from mrsim.sim.wal import Load
    from mrsim.sim.world import World

POINTS = 64
"""Writes that are read again, and reads at even distances, that a trial samples of each service and store."""


class Readings:
    """Samples of what a store's nodes show to readers.

    Each service that says when its users read again what they wrote has :data:`POINTS` writes, at even distances in the
    count of commits, and the instants at which they are read again; as many reads at even distances in time tell how
    old what is read is. Both are shifted at random. Looking changes nothing: streams are advanced as copies.

    Parameters
    ----------
    world
        The trial.
    scenario
        Its services.
    name, database, load
        The store, its nodes, and what is committed.
    """

    def __init__(self, world: World, scenario: Scenario, name: str, database: Database, load: Load) -> None:
        self._database = database
        self._horizon_s = scenario.horizon
        watching = {
            service: read
            for service, model in scenario.services.items()
            if (read := model.reads.get(name)) is not None and read.primary_for is not None
        }
        shift, again, even = world.uniforms(f"{name}/readings", 3)
        wrote_s = [*_even_in_commits(load, scenario.horizon, shift)] if watching else []
        pauses = [(again + index * GOLDEN) % 1.0 for index in range(POINTS)]
        found = [Reading("", -INF, (index + even) / POINTS * scenario.horizon) for index in range(POINTS)]
        for service, read in watching.items():
            dist = read.again_after
            after_s = (
                [float(dist.quantile(u)) for u in pauses] if dist is not None else [read.primary_for or 0.0] * POINTS
            )
            found += [Reading(service, at_s, at_s + d) for at_s, d in zip(wrote_s, after_s, strict=True)]
        self._left = sorted((r for r in found if r.at_s < scenario.horizon), key=lambda r: r.at_s) if watching else []
        self.taken: list[Reading] = []

    @property
    def next_s(self) -> float:
        """When the next sample is to be taken; infinite if none is."""
        return self._left[len(self.taken)].at_s if len(self.taken) < len(self._left) else INF

    def take(self) -> None:
        """Take the next sample; nothing has happened since the last event before it."""
        reading = self._left[len(self.taken)]
        reading.sees_s = {node.name: _sees_s(node, reading.at_s) for node in self._database.nodes.values()}
        self.taken.append(reading)

    def finish(self) -> list[Reading]:
        """Take what is left of the samples, where nothing happens any more, and return all."""
        while self.next_s < INF:
            self.take()
        return self.taken


def _sees_s(node: Node, at_s: float) -> float:
    """Return up to which commit time a reader of a node sees what was committed on the history that it is on."""
    if node.role == "primary":
        return INF
    if node.role == "demoted":
        return max((span.end_s for span in node.acks), default=-INF)
    upstream = node.upstream
    if upstream is None or not upstream.began:
        return node.position_s
    stream = upstream.stream
    if not isinstance(stream, Stream):
        return stream.replayed(at_s)
    looked_at = copy(stream)
    looked_at._sent, looked_at._applied = copy(stream._sent), copy(stream._applied)
    return looked_at.replayed(at_s)


def _even_in_commits(load: Load, horizon_s: float, shift: float) -> Iterator[float]:
    """Yield when the commits of even ranks are made, of all up to the horizon."""
    step_bytes = load.bytes_between(0.0, horizon_s) / POINTS
    at_s = 0.0
    for index in range(POINTS):
        at_s = load.end_s(at_s, step_bytes * (shift if index == 0 else 1.0))
        yield at_s
