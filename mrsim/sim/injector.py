"""Faults: when they begin, what they do, when they end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.scenario.faults import (
    AgentCrash,
    Brownout,
    Isolation,
    LinkDegradation,
    NodeLoss,
    Partition,
    ProcessCrash,
    RegionLoss,
    ReplicationStall,
    Switchover,
    ZoneLoss,
)
from mrsim.scenario.places import OPERATIONS
from mrsim.scenario.starts import random_start_period_s
from mrsim.sim.network import Degradation
from mrsim.sim.world import FAULT, ROUTING
from mrsim.trace import INF, NO_EVENT
from mrsim.units import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.faults import Fault, LowersTtl
    from mrsim.scenario.model import Scenario
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.lease_switchover import LeaseSwitchovers
    from mrsim.sim.network import Network
    from mrsim.sim.reach import Brownouts
    from mrsim.sim.returns import Returns
    from mrsim.sim.switchover import Switchovers
    from mrsim.sim.world import World


class Injector:
    """Brings a scenario's faults into one trial.

    Parameters
    ----------
    world, network, scenario
        The trial, its paths and its scenario.
    databases, endpoints, returns, switchovers
        Stores by id, how services find them, who starts their nodes again, and who carries planned work out.
    brownouts
        Who keeps track of slow regions.
    refresh
        ``refresh(cause)`` makes probers and leases look again after a change that is not one of paths.
    leased
        Stores whose failover agents matter.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        scenario: Scenario,
        databases: Mapping[str, Database],
        endpoints: Mapping[str, Endpoint],
        returns: Mapping[str, Returns],
        switchovers: Mapping[str, Switchovers | LeaseSwitchovers | None],
        brownouts: Brownouts,
        refresh: Callable[[int], None],
        leased: frozenset[str],
    ) -> None:
        self._world = world
        self._network = network
        self._scenario = scenario
        self._databases = databases
        self._endpoints = endpoints
        self._returns = returns
        self._switchovers = switchovers
        self._brownouts = brownouts
        self._refresh = refresh
        self._leased = leased
        self._taken: dict[tuple[str, str], int] = {}
        self.events = [NO_EVENT] * len(scenario.faults)
        self.effects = [False] * len(scenario.faults)
        self.first_s = INF
        window = random_start_period_s(scenario.stores.values())
        seen: dict[str, int] = {}
        starts = []
        for index, fault in enumerate(scenario.faults):
            name = f"fault/{fault.kind}/{subject_of(fault)}"
            occasion = seen.get(name, 0)
            seen[name] = occasion + 1
            if isinstance(fault.at, str):
                start = world.uniform(f"{name}/at", occasion) * window
            else:
                start = world.sample(f"{name}/at", fault.at, occasion)
            lasts = INF if isinstance(fault.lasts, str) else world.sample(f"{name}/lasts", fault.lasts, occasion)
            starts.append(start)
            if isinstance(fault, Switchover) and fault.lowers_ttl is not None:
                self._prepare(fault.store, fault.lowers_ttl, start, f"{name}/{occasion}/ttl")
            world.at(start, FAULT, f"{name}/{occasion}", lambda i=index, f=fault, d=lasts: self._start(i, f, d))  # type: ignore[misc]
        world.first_fault_s = min(starts, default=0.0)

    def _prepare(self, store: str, plan: LowersTtl, start_s: float, name: str) -> None:
        """Lower the life of an endpoint's answers ahead of planned work, even if that is before the trial begins."""
        at_s = start_s - plan.ahead
        lower = partial(self._endpoints[store].lower, plan.to, OPERATIONS, at_s)
        if at_s <= 0.0:
            lower()
        else:
            self._world.at(at_s, ROUTING, name, lower)

    def _start(self, index: int, fault: Fault, lasts_s: float) -> None:
        now = self._world.now
        self.first_s = min(self.first_s, now)
        note = "for good" if lasts_s == INF else f"for {write(round(lasts_s, 1), 'duration')}"
        note = "planned" if fault.kind == "switchover" else note
        event = self._world.emit("fault-starts", subject_of(fault), NO_EVENT, "", f"{fault.kind}, {note}")
        self.events[index] = event
        before = self._world.stirred
        undo = self._apply(index, fault, event)
        self.effects[index] = self._world.stirred > before
        if lasts_s < INF:
            name = f"fault/{fault.kind}/{subject_of(fault)}/end"
            self._world.at(now + lasts_s, FAULT, name, lambda: self._end(fault, event, undo))

    def _end(self, fault: Fault, start: int, undo: Callable[[int], None]) -> None:
        event = self._world.emit("fault-ends", subject_of(fault), start, "repair", f"{fault.kind} is over")
        undo(event)

    def _apply(self, index: int, fault: Fault, event: int) -> Callable[[int], None]:
        """Make the fault happen; return what undoes it."""
        network = self._network
        match fault:
            case RegionLoss() | ZoneLoss():
                place = subject_of(fault)
                network.lose(place, fault.connections, event, in_flight_lost=fault.in_flight == "lost")
                return lambda cause: network.restore(place, fault.connections, cause)
            case Isolation() | Partition():
                pairs = self._isolated(fault) if isinstance(fault, Isolation) else self._parted(fault)
                network.cut(pairs, event, in_flight_lost=fault.in_flight == "lost")
                return lambda cause: network.mend(pairs, cause)
            case LinkDegradation():
                links = self._paths(fault.from_, fault.to)
                name = f"fault/{fault.kind}/{subject_of(fault)}/latency"
                added = self._world.sample(name, fault.added_latency, index) if fault.added_latency is not None else 0.0
                item = Degradation(added, fault.loss, fault.bandwidth if fault.bandwidth is not None else INF)
                network.degrade(links, item, event)
                return lambda cause: network.relieve(links, item, cause)
            case Brownout():
                self._brownouts.start(fault)
                self._refresh(event)

                def brighten(cause: int) -> None:
                    self._brownouts.end(fault)
                    self._refresh(cause)

                return brighten
            case Switchover():
                switchovers = self._switchovers[fault.store]
                if switchovers is not None:
                    switchovers.begin(fault, event)
                return lambda _: None
            case ProcessCrash() | NodeLoss() | AgentCrash() | ReplicationStall():
                return self._apply_to_node(fault, event)

    def _apply_to_node(
        self, fault: ProcessCrash | NodeLoss | AgentCrash | ReplicationStall, event: int
    ) -> Callable[[int], None]:
        database = self._databases[fault.store]
        match fault:
            case ProcessCrash():
                return self._crash(fault, event, "the process died")
            case NodeLoss():
                return self._lose_node(fault, event)
            case AgentCrash():
                return self._crash_agent(fault, event)
            case ReplicationStall():
                ends = self._take((f"{fault.store}@{fault.region}", "receives"))
                database.streaming.stall(fault.region, stalled=True)
                with self._network.on_the_wire(lost=True):
                    database.changed(event)

                def unstall(cause: int) -> None:
                    if ends():
                        database.streaming.stall(fault.region, stalled=False)
                        database.changed(cause)

                return unstall

    def _crash(self, fault: ProcessCrash | NodeLoss, event: int, why: str) -> Callable[[int], None]:
        database = self._databases[fault.store]
        node = database.nodes[fault.region]
        ends = self._take((node.name, "process"))
        node.process_up = False
        with self._network.on_the_wire(lost=fault.in_flight == "lost"):
            database.stop(fault.region, event, why)

        def undo(cause: int) -> None:
            if ends():
                node.process_up = True
                self._returns[fault.store].restart(fault.region, cause)

        return undo

    def _lose_node(self, fault: NodeLoss, event: int) -> Callable[[int], None]:
        node = self._databases[fault.store].nodes[fault.region]
        host_ends, agent_ends = self._take((node.name, "host")), self._take((node.name, "agent"))
        node.host_up = node.agent_alive = False
        restart = self._crash(fault, event, "its host is gone")

        def undo(cause: int) -> None:
            node.host_up = host_ends()
            node.agent_alive = agent_ends()
            restart(cause)

        return undo

    def _crash_agent(self, fault: AgentCrash, event: int) -> Callable[[int], None]:
        node = self._databases[fault.store].nodes[fault.region]
        ends = self._take((node.name, "agent"))
        node.agent_alive = False
        if fault.store in self._leased:
            self._world.stirred += 1
        self._refresh(event)

        def undo(cause: int) -> None:
            node.agent_alive = ends()
            self._refresh(cause)
            # An agent that starts finds a database that died meanwhile, and starts it.
            self._returns[fault.store].restart(fault.region, cause)

        return undo

    def _take(self, what: tuple[str, str]) -> Callable[[], bool]:
        """Note that a fault takes something away; return what gives it back and tells whether nobody else has it."""
        self._taken[what] = self._taken.get(what, 0) + 1

        def give_back() -> bool:
            self._taken[what] -= 1
            return self._taken[what] == 0

        return give_back

    def _isolated(self, fault: Isolation) -> list[tuple[str, str]]:
        """Return the directed pairs that an isolation cuts: what is inside the region from what is cut from it."""
        home = self._network.geometry.home
        inside = [place for place, region in home.items() if region == fault.region]
        outside = [place for place in home if place not in inside]
        if fault.cut_from == "rest":
            spared = () if fault.still_reached_by == "rest" else fault.still_reached_by
            cut = [place for place in outside if place not in spared]
        else:
            named = set(fault.cut_from)
            # A region is cut with everything inside it.
            cut = [place for place in outside if place in named or home[place] in named]
        return [pair for a in inside for b in cut for pair in ((a, b), (b, a))]

    def _parted(self, fault: Partition) -> list[tuple[str, str]]:
        forward = self._paths(fault.between, fault.and_)
        backward = [(b, a) for a, b in forward]
        if fault.direction == "forward":
            return forward
        return backward if fault.direction == "backward" else forward + backward

    def _paths(self, start: tuple[str, ...], end: tuple[str, ...]) -> list[tuple[str, str]]:
        """Return the directed paths between places named; a region stands for its zones too."""
        with_zones = self._network.geometry.with_zones
        ends = [place for place in with_zones(end) if place not in start]
        return [(a, b) for a in with_zones(start) for b in ends if a != b and a not in end]


def subject_of(fault: Fault) -> str:
    """Return what a fault happens to, as the user named it."""
    match fault:
        case RegionLoss() | Isolation() | Brownout():
            return fault.region
        case ZoneLoss():
            return fault.zone
        case Partition():
            return f"{'+'.join(fault.between)}|{'+'.join(fault.and_)}"
        case LinkDegradation():
            return f"{'+'.join(fault.from_)}>{'+'.join(fault.to)}"
        case Switchover():
            return f"{fault.store}@{fault.to}"
        case ProcessCrash() | NodeLoss() | AgentCrash() | ReplicationStall():
            return f"{fault.store}@{fault.region}"
