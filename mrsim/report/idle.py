"""What a scenario says and nothing follows from: names nobody moves, standbys nobody uses, faults nobody notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.scenario.faults import Brownout, RegionLoss, Switchover
from mrsim.scenario.places import region_of
from mrsim.scenario.starts import earliest_start_s, latest_start_s
from mrsim.units import write

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.services import Record
    from mrsim.scenario.stores import Store

_SURELY = 1.0 - 1e-9


def unmoved(scenario: Scenario, record: Record) -> tuple[str, ...]:
    """Return the regions that are lost while clients are answered with them, for want of a health check.

    Parameters
    ----------
    scenario
        Its region losses, clients and services.
    record
        Of a name; an address (anycast) is not looked into, nor what a person edits.
    """
    offered = record.regions or scenario.regions
    services = [scenario.services[name] for name in record.serves]
    answers = [place for place in offered if any(not one.runs_in or place in one.runs_in for one in services)]
    if record.health_check is not None or record.edited is not None or len(answers) < 2:
        return ()
    led: set[str | None] = set()
    for name, cohort in scenario.clients.items():
        if record.policy == "latency":
            led.add(region_of(scenario, cohort.near))
        elif record.policy == "failover":
            led.add(answers[0])
        elif record.policy == "geography":
            led.add(record.locations.get(name, tuple(answers))[0])
        elif record.policy == "weighted":
            led |= {place for place, weight in record.weights.items() if weight}
    lost = dict.fromkeys(fault.region for fault in scenario.faults if isinstance(fault, RegionLoss))
    return tuple(region for region in lost if region in answers and region in led)


def unused(scenario: Scenario, name: str, store: Store) -> tuple[str, ...]:
    """Return the standbys that nobody can promote, reads, waits for or streams from.

    Parameters
    ----------
    scenario
        Who reads the store.
    name, store
        The store. One that fails over between regions has no such standbys: each is the next primary, or stands by it.
    """
    read = any(name in one.reads and one.reads[name].route == "nearest" for one in scenario.services.values())
    synchronous = store.commit.any is not None or store.commit.first is not None
    if (
        read
        or store.failover is not None
        or store.slots is not None
        or (synchronous and store.commit.of == "in-region")
    ):
        return ()
    waited_for = store.commit.of if synchronous else ()
    sources = {standby.source for standby in store.standbys}
    replaced = {region_of(scenario, site) for site in store.sites} if store.in_region is not None else set()
    places = [standby.region for standby in store.standbys]
    return tuple(
        place
        for place in places
        if place not in waited_for and place not in sources and region_of(scenario, place) not in replaced
    )


def idle(scenario: Scenario) -> list[str]:
    """Return what is said to no effect, a line each.

    Parameters
    ----------
    scenario
        A valid scenario.
    """
    found = []
    for name, record in scenario.dns.items():
        regions = unmoved(scenario, record)
        if regions:
            said = (
                f"dns.{name}: without a health_check, clients that are answered with {' or '.join(regions)} stay there"
            )
            found.append(
                f"{said} while it is lost; health_check: route53-fast, or another preset, would lead them away"
            )
    for name, store in scenario.stores.items():
        places = unused(scenario, name, store)
        if places:
            said = f"nobody can promote {' or '.join(places)}, and nobody reads there or waits for it"
            found.append(f"stores.{name}.standbys: {said}: no answer depends on it")
    return found + _idle_faults(scenario)


def _idle_faults(scenario: Scenario) -> list[str]:
    stores, found = list(scenario.stores.values()), []
    for index, fault in enumerate(scenario.faults):
        if isinstance(fault, Switchover) and fault.to == scenario.stores[fault.store].primary:
            others = (other for other in scenario.faults if other is not fault)
            latest = latest_start_s(fault, stores)
            if all(earliest_start_s(other) >= latest for other in others):
                said = f"{fault.to} is the primary of {fault.store} already, and nothing before moves it"
                found.append(f"faults[{index}]: {said}: there is nothing to switch over")
        elif isinstance(fault, Brownout) and fault.latency is not None and fault.errors == 0.0:
            patience_s = fault.clients_give_up_after
            if float(fault.latency.cdf(patience_s)) >= _SURELY:
                patience = write(patience_s, "duration")
                said = f"answers take {fault.latency}, and clients wait for {patience} (clients_give_up_after)"
                found.append(f"faults[{index}]: {said}: no request fails by it")
    return found
