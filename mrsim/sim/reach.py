"""Who can reach whom, as signals of the trace: clients to front doors, services to nodes; and brownouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.signals import Signal
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.faults import Brownout
    from mrsim.sim.network import Network
    from mrsim.sim.world import World
    from mrsim.trace import Span


class Reach:
    """Signals that follow the network.

    Parameters
    ----------
    world, network
        The trial and its paths.
    cohorts, regions
        Clients and where services may run.
    """

    def __init__(self, world: World, network: Network, cohorts: tuple[str, ...], regions: tuple[str, ...]) -> None:
        self._sites = (*regions, *network.geometry.zones)
        self._world = world
        self._network = network
        self._cohorts = cohorts
        self._regions = regions
        self._signals: dict[tuple[str, str], Signal] = {}

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        for site in self._sites:
            inside = site in touched
            for place in (*self._cohorts, *self._regions):
                if inside or place in touched:
                    self._set(place, site, cause)

    def _set(self, place: str, site: str, cause: int) -> None:
        on = self._network.both_ways(place, site)
        signal = self._signals.get((place, site))
        if signal is None:
            if on:
                return
            signal = self._signals[place, site] = Signal()
        if signal.set(self._world.now, on=on, event=cause):
            self._world.stirred += 1

    def front(self) -> dict[tuple[str, str], list[Span]]:
        """Return when each (cohort, region) worked; pairs that always did are left out."""
        return {
            key: signal.spans
            for key, signal in self._signals.items()
            if key[0] in self._cohorts and key[1] in self._regions
        }

    def links(self, nodes: dict[str, str]) -> dict[tuple[str, str], list[Span]]:
        """Return when each (region, node) worked, given each node's place; pairs that always did are left out."""
        return {
            (region, name): self._signals[region, home].spans
            for name, home in nodes.items()
            for region in self._regions
            if (region, home) in self._signals
        }


class Brownouts:
    """Regions that answer slowly or with errors.

    Parameters
    ----------
    world
        The trial.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._active: dict[str, list[Brownout]] = {}
        self.spans: dict[str, list[tuple[float, float, float]]] = {}

    def start(self, fault: Brownout) -> None:
        """Begin a brownout."""
        self._active.setdefault(fault.region, []).append(fault)
        self._world.stirred += 1
        self._record(fault.region)

    def end(self, fault: Brownout) -> None:
        """End it."""
        self._active[fault.region].remove(fault)
        self._record(fault.region)

    def failing(self, region: str, patience_s: float) -> float:
        """Return the share of application requests that fail for somebody who waits ``patience_s``."""
        keep = 1.0
        for fault in self._active.get(region, ()):
            keep *= (1.0 - fault.errors) * (1.0 - _slower_than(fault, patience_s))
        return 1.0 - keep

    def _record(self, region: str) -> None:
        spans = self.spans.setdefault(region, [])
        now = self._world.now
        if spans and spans[-1][1] == INF:
            spans[-1] = (spans[-1][0], now, spans[-1][2])
        keep = 1.0
        for fault in self._active[region]:
            keep *= (1.0 - fault.errors) * (1.0 - _slower_than(fault, fault.clients_give_up_after))
        if keep < 1.0:
            spans.append((now, INF, 1.0 - keep))


def _slower_than(fault: Brownout, patience_s: float) -> float:
    return 1.0 - float(fault.latency.cdf(patience_s)) if fault.latency is not None else 0.0
