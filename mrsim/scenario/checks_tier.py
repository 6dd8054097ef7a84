"""Checks of services that are scaled down: where they serve, what starts them, and who keeps people away meanwhile."""

from __future__ import annotations

from mrsim.scenario.control import DecideLease
from mrsim.scenario.document import Document, Path, nearest
from mrsim.scenario.management import Management
from mrsim.scenario.model import Scenario
from mrsim.scenario.places import region_of
from mrsim.scenario.services import Record, ScaledDown, Service


def check_tier(scenario: Scenario, document: Document) -> None:
    """Note what cannot be meant of services that do not serve everywhere at first."""
    for name, service in scenario.services.items():
        path: Path = ("services", name, "scaled_down")
        if service.is_worker:
            _check_worker(name, service, path[:-1], scenario, document)
            continue
        if service.scaled_down is None:
            continue
        before = len(document.problems)
        _check_regions(service, service.scaled_down, path, scenario, document)
        if len(document.problems) == before:
            _check_start(name, service, service.scaled_down, path, scenario, document)
    for name, plane in scenario.management.items():
        _check_management(name, plane, ("management", name), scenario, document)
    for name, store in scenario.stores.items():
        if store.endpoint.managed_by is not None and store.endpoint.moved_by != "gitops":
            message = f"an endpoint that is moved by {store.endpoint.moved_by} goes through no management plane"
            at: Path = ("stores", name, "endpoint", "managed_by")
            document.add(at, message, "write moved_by: gitops, or leave it out", key=True)
    for name, record in scenario.dns.items():
        _check_record(record, ("dns", name), scenario, document)


def _check_management(name: str, plane: Management, path: Path, scenario: Scenario, document: Document) -> None:
    rules = [service.scaled_down or service.relocates for service in scenario.services.values()]
    used = [rule.managed_by for rule in rules if rule is not None]
    if name not in (*used, *(store.endpoint.managed_by for store in scenario.stores.values())):
        hint = f"write managed_by: {name} for an endpoint, for scaled_down or for relocates"
        document.add(path, "nothing is managed by it: it has no effect", hint, key=True)
    if plane.mirrored_in and plane.rebuilt_in:
        document.add((*path, "rebuilt_in"), "what has copies is not built anew", "keep one of the two", key=True)
    if len(set(plane.places)) < len(plane.places):
        document.add(path, "a place is named twice", "place, and others to move to", key=True)
    if region_of(scenario, plane.watched_from) in {region_of(scenario, plane.place)} - {None}:
        message = f"whoever watches from {plane.watched_from!r} is lost with it"
        document.add((*path, "watched_from"), message, "write watched_from: operations")


def _check_worker(name: str, service: Service, path: Path, scenario: Scenario, document: Document) -> None:
    if service.scaled_down is not None:
        message = "a worker runs beside the primary and nowhere else: it is scaled down everywhere else already"
        document.add((*path, "scaled_down"), message, "leave it out", key=True)
    if service.retries is not None:
        message = "nobody calls a worker, so nobody tries again"
        document.add((*path, "retries"), message, "leave it out", key=True)
    for key, given in (("batch", service.batch is not None), ("read_only", service.read_only)):
        if given:
            message = f"{key} is about a service that runs where it is told"
            document.add((*path, key), message, "leave it out, or name the regions that it runs in", key=True)
    for store, read in service.reads.items():
        if read.primary_for is not None:
            message = "nobody calls a worker, so nobody reads again what he wrote"
            document.add((*path, "reads", store), message, "leave primary_for out")
    for record, body in scenario.dns.items():
        if name in body.serves:
            message = f"{name!r} runs beside the primary: no people are sent there"
            document.add(("dns", record, "serves"), message, "leave it out, or name the regions that it runs in")


def _check_regions(service: Service, rule: ScaledDown, path: Path, scenario: Scenario, document: Document) -> None:
    if len(set(rule.regions)) < len(rule.regions):
        document.add((*path, "regions"), "a region is named twice", "keep one")
    for index, region in enumerate(rule.regions):
        if not service.may_serve(region):
            message = f"the service is not meant for {region!r}: it runs in {', '.join(service.runs_in)}"
            document.add((*path, "regions", index), message, nearest(region, service.runs_in))
    if not any(map(service.serves_at_first, scenario.regions)):
        document.add((*path, "regions"), "it would serve nowhere at first", "leave one of its regions out")


def _check_start(
    name: str, service: Service, rule: ScaledDown, path: Path, scenario: Scenario, document: Document
) -> None:
    at, store = (*path, "starts_when"), scenario.stores.get(service.follows)
    if rule.starts_when == "front-down":
        record = next((record for record in scenario.dns.values() if name in record.serves), None)
        if record is None or record.health_check is None:
            hint = "write health_check: route53-fast for its record, or starts_when: promoted"
            document.add(at, f"no health check watches the front doors of {name!r}", hint)
    elif store is None:
        return
    elif store.failover is None:
        message = f"nobody decides on a failover of {service.follows}: nothing would ever start it"
        document.add(at, message, "write failover: for the store, or starts_when: front-down")
    elif rule.starts_when == "decided" and isinstance(store.failover.decide, DecideLease):
        message = f"{service.follows} fails over by a lease: nobody decides before the promotion"
        document.add(at, message, "write starts_when: promoted")
    elif rule.starts_when == "promoted":
        homes = {region_of(scenario, site) for site in store.sites}
        for index, region in enumerate(rule.regions):
            if region not in homes:
                message = f"{service.follows} has no node in {region!r}: a promotion would never start it there"
                document.add((*path, "regions", index), message, "name another region, or write starts_when: decided")


def _check_record(record: Record, path: Path, scenario: Scenario, document: Document) -> None:
    """Note a record that sends people to where nothing serves, and nobody takes it out of the answers."""
    if record.health_check is not None and record.health_check.depth != "reachability":
        return
    offered = record.regions or scenario.regions
    asked = offered[:1] if record.policy == "failover" else offered
    for name in record.serves:
        service = scenario.services.get(name)
        if service is None:
            continue
        for region in asked:
            if service.may_serve(region) and not service.serves_at_first(region):
                first = next((one for one in offered if service.serves_at_first(one)), "")
                message = f"people would be sent to {region!r}, where {name!r} is scaled down"
                hint = f"write policy: failover with {first} first, or a health_check of depth: application"
                document.add((*path, "policy"), message, hint)
                return
