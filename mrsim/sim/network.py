"""Places and directed paths: who can reach whom, how fast, and what breaks that."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrsim.scenario.places import OUTSIDE, control_of
from mrsim.scenario.topology import LOCAL_RTT_S
from mrsim.sim.tcp import tcp_bytes_per_s
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from mrsim.scenario.model import Scenario
    from mrsim.sim.world import World

Refresher = tuple["frozenset[str] | None", "Callable[[int], None]"]
"""Who looks again after a change of paths, and the places it concerns; None: any."""


class Geometry:
    """The static map: which region a place is lost with, and the round-trip time between places."""

    def __init__(self, scenario: Scenario) -> None:
        self._network = scenario.network
        self.regions = scenario.regions
        self.home: dict[str, str | None] = {region: region for region in scenario.regions}
        self._anchor: dict[str, str] = {region: region for region in scenario.regions}
        for name in OUTSIDE:
            self.home[name] = None
        for name, cohort in scenario.clients.items():
            self.home[name] = None
            self._anchor[name] = cohort.near
        self._witness_rtt = {name: witness.rtt_s for name, witness in scenario.witnesses.items()}
        for name in self._witness_rtt:
            self.home[name] = None
        for region in scenario.regions:
            self.home[control_of(region)] = self._anchor[control_of(region)] = region
        for name, point in scenario.control_points.items():
            self.home[name] = point.inside
            if point.inside is not None:
                self._anchor[name] = point.inside
        self.zones = tuple(zone for zones in scenario.zones.values() for zone in zones)
        for region, zones in scenario.zones.items():
            for zone in zones:
                self.home[zone] = self._anchor[zone] = region
        self.places = tuple(self.home)
        self.inside: dict[str, frozenset[str]] = {
            region: frozenset(place for place, home in self.home.items() if home == region)
            for region in scenario.regions
        }
        self.inside |= {zone: frozenset((zone,)) for zone in self.zones}
        self._cache: dict[tuple[str, str], float] = {}
        self._bandwidths: dict[tuple[str, str], float] = {}

    def rtt_s(self, a: str, b: str) -> float:
        """Return the minimum round-trip time between two places, in seconds."""
        key = (a, b)
        found = self._cache.get(key)
        if found is None:
            found = self._rtt_s(a, b)
            self._cache[key] = found
        return found

    def bandwidth(self, a: str, b: str) -> float:
        """Return the bandwidth for WAL on a directed path that nothing degrades (infinite if unlimited)."""
        key = (a, b)
        found = self._bandwidths.get(key)
        if found is None:
            stated = self._network.wal_bandwidth
            a, b = self.home[a] or a, self.home[b] or b
            # What is stated is between regions.
            found = (
                INF
                if a == b
                else next((stated[key] for key in (f"{a}/{b}", f"{a}/*", f"*/{b}", "*/*") if key in stated), INF)
            )
            self._bandwidths[key] = found
        return found

    def with_zones(self, places: Iterable[str]) -> list[str]:
        """Return places, each region followed by its zones, which share its paths to everywhere else."""
        return [
            one
            for place in places
            for one in (place, *(zone for zone in self.zones if place != zone and self.home[zone] == place))
        ]

    def _rtt_s(self, a: str, b: str) -> float:
        if a == b:
            return LOCAL_RTT_S
        for place, other in ((a, b), (b, a)):
            if place in self._witness_rtt:
                return max(self._witness_rtt[place], self._witness_rtt.get(other, 0.0))
        outside = sum(self.home[place] is None for place in (a, b))
        return self._network.path_s(self._anchor.get(a), self._anchor.get(b), outside)


@dataclass(slots=True)
class Degradation:
    """What a link degradation adds to a directed path."""

    latency_s: float
    loss: float
    bandwidth: float


class Network:
    """The paths of one trial.

    Listeners are told after every change: which places it touched, and the event that caused it.
    """

    def __init__(self, world: World, geometry: Geometry, scenario: Scenario) -> None:
        self._world = world
        self.geometry = geometry
        self._base_loss = scenario.network.loss
        self._cuts: dict[tuple[str, str], int] = {}
        self._dead: dict[str, list[str]] = {}
        self._gone: frozenset[str] = frozenset()
        self._degraded: dict[tuple[str, str], list[Degradation]] = {}
        self._listeners: list[Callable[[frozenset[str], int], None]] = []
        self.in_flight_lost = False
        """Whether what is being announced destroys what is on the wire."""
        self.changes = 0
        """How often paths have changed so far."""

    def listen(self, listener: Callable[[frozenset[str], int], None]) -> None:
        """Call ``listener(touched places, cause)`` after every change, in the order of registration."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Forget who listens."""
        self._listeners.clear()

    def alive(self, place: str) -> bool:
        """Return whether the place exists at this instant."""
        return place not in self._gone

    def refuses(self, place: str) -> bool:
        """Return whether a lost place answers with refusals (a router says no) instead of silence."""
        modes = self._dead.get(place) or self._dead.get(self.geometry.home[place] or "")
        return bool(modes) and modes[-1] == "refused"  # type: ignore[index]

    def open(self, a: str, b: str) -> bool:
        """Return whether a message sent now from a gets to b."""
        return a not in self._gone and b not in self._gone and (a, b) not in self._cuts

    def both_ways(self, a: str, b: str) -> bool:
        """Return whether a request from a gets to b and its answer comes back."""
        if a in self._gone or b in self._gone:
            return False
        return not self._cuts or ((a, b) not in self._cuts and (b, a) not in self._cuts)

    def one_way_s(self, a: str, b: str) -> float:
        """Return the latency of the directed path, in seconds."""
        base = self.geometry.rtt_s(a, b) / 2.0
        degraded = self._degraded.get((a, b)) if self._degraded else None
        return base + sum(item.latency_s for item in degraded) if degraded else base

    def rtt_s(self, a: str, b: str) -> float:
        """Return the round-trip time at this instant, in seconds."""
        return self.one_way_s(a, b) + self.one_way_s(b, a) if self._degraded else self.geometry.rtt_s(a, b)

    def loss(self, a: str, b: str) -> float:
        """Return the share of messages lost on the directed path."""
        degraded = self._degraded.get((a, b)) if self._degraded else None
        keep = 1.0 - self._base_loss
        for item in degraded or ():
            keep *= 1.0 - item.loss
        return 1.0 - keep

    def probe_loss(self, a: str, b: str) -> float:
        """Return the share of requests from a to b that get no answer."""
        if not self._degraded and not self._base_loss:
            return 0.0
        return 1.0 - (1.0 - self.loss(a, b)) * (1.0 - self.loss(b, a))

    def bandwidth(self, a: str, b: str) -> float:
        """Return the bandwidth left for WAL on the directed path, in bytes per second (infinite if unlimited)."""
        rate = self.geometry.bandwidth(a, b)
        for item in self._degraded.get((a, b), ()) if self._degraded else ():
            rate = min(rate, item.bandwidth)
        loss = self.loss(a, b)
        return min(rate, tcp_bytes_per_s(loss, self.rtt_s(a, b))) if loss > 0.0 else rate

    def cut(self, pairs: list[tuple[str, str]], cause: int, *, in_flight_lost: bool) -> None:
        """Cut directed paths."""
        for pair in pairs:
            self._cuts[pair] = self._cuts.get(pair, 0) + 1
        self._announce({place for pair in pairs for place in pair}, cause, in_flight_lost=in_flight_lost)

    def mend(self, pairs: list[tuple[str, str]], cause: int) -> None:
        """Undo :meth:`cut`."""
        for pair in pairs:
            self._cuts[pair] -= 1
            if not self._cuts[pair]:
                del self._cuts[pair]
        self._announce({place for pair in pairs for place in pair}, cause)

    def lose(self, region: str, connections: str, cause: int, *, in_flight_lost: bool) -> None:
        """Take a region or zone, and every place inside it, off the map."""
        self._dead.setdefault(region, []).append(connections)
        self._gone |= self.geometry.inside[region]
        self._announce(self.geometry.inside[region], cause, in_flight_lost=in_flight_lost)

    def restore(self, region: str, connections: str, cause: int) -> None:
        """Undo :meth:`lose`."""
        self._dead[region].remove(connections)
        if not self._dead[region]:
            del self._dead[region]
            self._gone = frozenset[str]().union(*(self.geometry.inside[place] for place in self._dead))
        self._announce(self.geometry.inside[region], cause)

    def degrade(self, pairs: list[tuple[str, str]], item: Degradation, cause: int) -> None:
        """Worsen directed paths."""
        for pair in pairs:
            self._degraded.setdefault(pair, []).append(item)
        self._world.stirred += 1
        self._announce({place for pair in pairs for place in pair}, cause)

    def relieve(self, pairs: list[tuple[str, str]], item: Degradation, cause: int) -> None:
        """Undo :meth:`degrade`."""
        for pair in pairs:
            self._degraded[pair].remove(item)
        self._announce({place for pair in pairs for place in pair}, cause)

    def _announce(self, touched: AbstractSet[str], cause: int = NO_EVENT, *, in_flight_lost: bool = True) -> None:
        self.changes += 1
        places = frozenset(touched)
        with self.on_the_wire(lost=in_flight_lost):
            for listener in self._listeners:
                listener(places, cause)

    @contextmanager
    def on_the_wire(self, *, lost: bool) -> Iterator[None]:
        """Say of what happens inside whether it destroys what is on the wire; else that arrives."""
        before, self.in_flight_lost = self.in_flight_lost, lost
        try:
            yield
        finally:
            self.in_flight_lost = before
