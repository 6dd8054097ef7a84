"""Checks of faults: both sides of a cut, nodes that exist, effects that are there."""

from __future__ import annotations

from mrsim.scenario.document import Document, Path, nearest
from mrsim.scenario.faults import (
    AgentCrash,
    Brownout,
    Fault,
    Isolation,
    LinkDegradation,
    NodeLoss,
    Partition,
    ProcessCrash,
    RegionLoss,
    ReplicationStall,
    Switchover,
)
from mrsim.scenario.model import Scenario
from mrsim.scenario.places import places_of, region_of
from mrsim.units import write


def check_fault(fault: Fault, path: Path, scenario: Scenario, document: Document) -> None:
    """Note what cannot be meant in one fault."""
    if isinstance(fault, (RegionLoss, Isolation, Brownout)) and fault.region not in scenario.regions:
        hint = f"write {{kind: zone-loss, zone: {fault.region}, ...}}, or a partition of it, or name its region"
        document.add((*path, "region"), f"{fault.region!r} is a zone, no region", hint)
    elif isinstance(fault, Isolation):
        _check_isolation(fault, path, scenario, document)
    elif isinstance(fault, Partition):
        _check_sides({"between": fault.between, "and": fault.and_}, path, document)
    elif isinstance(fault, LinkDegradation):
        _check_sides({"from": fault.from_, "to": fault.to}, path, document)
        if fault.added_latency is None and fault.loss == 0 and fault.bandwidth is None:
            document.add(path, "the degradation changes nothing", "write added_latency, loss or bandwidth")
    elif isinstance(fault, Brownout):
        if fault.errors == 0 and fault.latency is None:
            document.add(path, "the brownout changes nothing", "write errors or latency")
    elif isinstance(fault, Switchover):
        _check_switchover(fault, path, scenario, document)
    elif isinstance(fault, (ProcessCrash, NodeLoss, AgentCrash, ReplicationStall)):
        _check_node(fault, path, scenario, document)


def _check_sides(sides: dict[str, tuple[str, ...]], path: Path, document: Document) -> None:
    (first, here), (second, there) = sides.items()
    both = sorted(set(here) & set(there))
    if both:
        message = f"{both[0]!r} is on both sides"
        document.add((*path, second), message, f"{first} and {second} must not overlap")


def _check_isolation(fault: Isolation, path: Path, scenario: Scenario, document: Document) -> None:
    cut, reached = fault.cut_from, fault.still_reached_by
    if cut == "rest" and reached == "rest":
        document.add((*path, "still_reached_by"), "both sides are 'rest'", "name the places of one side")
        return
    for key, side in (("cut_from", cut), ("still_reached_by", reached)):
        if isinstance(side, tuple) and fault.region in side:
            message = f"the region {fault.region!r} cannot be on a side of its own isolation"
            document.add((*path, key), message, "name other places")
    if isinstance(cut, tuple) and isinstance(reached, tuple):
        _check_sides({"cut_from": cut, "still_reached_by": reached}, path, document)
        named = {*cut, *reached, fault.region}
        left = [place for place in places_of(scenario) if named.isdisjoint((place, region_of(scenario, place)))]
        if left:
            shown = ", ".join(left[:6]) + (", ..." if len(left) > 6 else "")
            document.add(path, f"on neither side: {shown}", "write rest for one of the two sides")
    if cut == ():
        document.add((*path, "cut_from"), "nothing is cut", "name the places that cannot reach the region, or rest")


def _check_switchover(fault: Switchover, path: Path, scenario: Scenario, document: Document) -> None:
    store = scenario.stores[fault.store]
    nodes = [store.primary, *(standby.region for standby in store.standbys)]
    if fault.to not in nodes:
        document.add((*path, "to"), f"{fault.store} has no node in {fault.to!r}", nearest(fault.to, nodes))
    plan = fault.lowers_ttl
    if plan is not None and plan.to >= store.endpoint.ttl:
        message = f"the endpoint's TTL is {write(store.endpoint.ttl, 'duration')} already: this does not lower it"
        document.add((*path, "lowers_ttl", "to"), message, "write less, or a longer ttl of the endpoint")
    if store.failover is None and (store.in_region is None or not _in_one_region(scenario, store.primary, fault.to)):
        message = f"a switchover of {fault.store}, which has no failover, is not modelled"
        document.add((*path, "store"), message, "write failover: {decide: operator, ...} for the store")


def _in_one_region(scenario: Scenario, one: str, other: str) -> bool:
    return region_of(scenario, one) == region_of(scenario, other)


def _check_node(
    fault: ProcessCrash | NodeLoss | AgentCrash | ReplicationStall, path: Path, scenario: Scenario, document: Document
) -> None:
    store = scenario.stores[fault.store]
    standbys = [standby.region for standby in store.standbys]
    nodes = standbys if isinstance(fault, ReplicationStall) else [store.primary, *standbys]
    if fault.region not in nodes:
        what = "standby" if isinstance(fault, ReplicationStall) else "node"
        document.add(
            (*path, "region"), f"{fault.store} has no {what} in {fault.region!r}", nearest(fault.region, nodes)
        )
    leased = store.in_region is not None and store.in_region.decide is not None
    if isinstance(fault, AgentCrash) and store.failover is None and not leased:
        document.add(path, f"{fault.store} has no failover and so no agent", "write failover: for the store")
