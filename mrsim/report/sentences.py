"""What a scenario says, in sentences: faults, regions, stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from mrsim.report.numbers import share
from mrsim.units import write

if TYPE_CHECKING:
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
        ZoneLoss,
    )
    from mrsim.scenario.stores import Standby, Store


def fault_sentence(fault: Fault) -> str:
    """Return a fault as a sentence, such as ``us-east is lost, at a random time, for good; connections hang``."""
    what, more = _WHAT[fault.kind](fault)
    when = "at a random time" if fault.at == "random" else f"at {fault.at}"
    if fault.kind == "switchover":
        return f"{what}, {when}"
    how_long = "for good" if fault.lasts == "permanent" else f"for {fault.lasts}"
    return "; ".join([f"{what}, {when}, {how_long}", *more])


def store_sentence(store: Store) -> str:
    """Return where a store's nodes are, when it acknowledges, and who fails it over."""
    standbys = ", ".join(standby.region + _source(standby) for standby in store.standbys)
    parts = [f"primary in {store.primary}", f"standbys in {standbys}" if standbys else "no standby", _commit(store)]
    if store.failover is None:
        parts.append("nobody fails it over")
    else:
        fence = store.failover.fence
        fenced = "no fencing" if fence is None else "fenced first" if fence.by == "stonith" else "fenced by a token"
        parts.append(f"failover by {_DECIDERS[store.failover.decide.by]}, {fenced}")
    return "; ".join(parts)


def _source(standby: Standby) -> str:
    if standby.source is None:
        return ""
    return f" (from {standby.source}'s archive)" if standby.via == "archive" else f" (from {standby.source})"


_DECIDERS = {"automatic": "a controller", "operator": "an operator", "lease": "a lease"}


def _commit(store: Store) -> str:
    rule = store.commit
    if rule.any is None and rule.first is None:
        return "asynchronous commit"
    many = f"any {rule.any}" if rule.any is not None else f"the first {rule.first}"
    whom = "the other nodes in the primary's region" if rule.of == "in-region" else _names(rule.of)
    return f"commits wait for {many} of {whom} (level {rule.level}, {rule.when_short} when short)"


def _names(names: Iterable[str] | str) -> str:
    return ("the rest" if names == "rest" else names) if isinstance(names, str) else ", ".join(names)


def _wire(in_flight: str) -> str:
    return f"what is on the wire {'is lost' if in_flight == 'lost' else 'arrives'}"


def _region_loss(fault: RegionLoss) -> tuple[str, list[str]]:
    answer = "connections hang" if fault.connections == "hang" else "connections are refused"
    return f"{fault.region} is lost", [answer, _wire(fault.in_flight)]


def _zone_loss(fault: ZoneLoss) -> tuple[str, list[str]]:
    answer = "connections hang" if fault.connections == "hang" else "connections are refused"
    return f"the zone {fault.zone} is lost", [answer, _wire(fault.in_flight)]


def _isolation(fault: Isolation) -> tuple[str, list[str]]:
    what = f"{fault.region} lives on, cut from {_names(fault.cut_from)}"
    reached = _names(fault.still_reached_by)
    return what, [f"still reached by {reached}" if reached else "reached by nobody else", _wire(fault.in_flight)]


def _partition(fault: Partition) -> tuple[str, list[str]]:
    one, other = _names(fault.between), _names(fault.and_)
    if fault.direction == "both":
        return f"{one} and {other} cannot reach each other", [_wire(fault.in_flight)]
    sender, receiver = (one, other) if fault.direction == "forward" else (other, one)
    return f"nothing gets from {sender} to {receiver}", ["the other direction stays open", _wire(fault.in_flight)]


def _process_crash(fault: ProcessCrash) -> tuple[str, list[str]]:
    return f"the database process of {fault.store} in {fault.region} dies", [_wire(fault.in_flight)]


def _node_loss(fault: NodeLoss) -> tuple[str, list[str]]:
    return f"the host of {fault.store} in {fault.region} is lost", [_wire(fault.in_flight)]


def _agent_crash(fault: AgentCrash) -> tuple[str, list[str]]:
    return f"the agent beside {fault.store} in {fault.region} dies", ["the database lives on"]


def _link_degradation(fault: LinkDegradation) -> tuple[str, list[str]]:
    more = [f"{fault.added_latency} slower"] if fault.added_latency is not None else []
    if fault.loss:
        more.append(f"{share(fault.loss)} of messages lost")
    if fault.bandwidth is not None:
        more.append(f"{write(fault.bandwidth, 'bandwidth')} left for WAL")
    return f"the path from {_names(fault.from_)} to {_names(fault.to)} degrades", more


def _brownout(fault: Brownout) -> tuple[str, list[str]]:
    more = [f"{share(fault.errors)} of requests fail"] if fault.errors else []
    if fault.latency is not None:
        more.append(f"answers take {fault.latency}")
    return f"{fault.region} browns out", more


def _replication_stall(fault: ReplicationStall) -> tuple[str, list[str]]:
    return f"the standby of {fault.store} in {fault.region} stops receiving", []


def _switchover(fault: Switchover) -> tuple[str, list[str]]:
    return f"{fault.store} is switched over to {fault.to}, as planned", []


_WHAT: dict[str, Callable[[Any], tuple[str, list[str]]]] = {
    "region-loss": _region_loss,
    "zone-loss": _zone_loss,
    "isolation": _isolation,
    "partition": _partition,
    "process-crash": _process_crash,
    "node-loss": _node_loss,
    "agent-crash": _agent_crash,
    "link-degradation": _link_degradation,
    "brownout": _brownout,
    "replication-stall": _replication_stall,
    "switchover": _switchover,
}
