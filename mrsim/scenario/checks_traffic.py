"""Checks of services, records and clients."""

from __future__ import annotations

import math
from itertools import pairwise

from mrsim.scenario.document import Document, Path, nearest
from mrsim.scenario.model import Scenario
from mrsim.scenario.services import Batch, HealthCheck, Record, Retries, Service
from mrsim.units import write

MOST_POINTS = 50_000
"""Points of the whole population: a worker takes 60 kB for each (256 trials of two services), 3 GB for so many."""

MOST_WEIGHT = 255
"""The largest weight of a record (Amazon Route 53, *Values specific for weighted records*)."""

_TOLERANCE = 1e-6


def check_services(scenario: Scenario, document: Document) -> None:
    """Note services that do nothing, that nobody reaches, or that two records serve."""
    for name, service in scenario.services.items():
        path: Path = ("services", name)
        if not service.reads and service.writes is None:
            document.add(
                path, f"the service {name!r} neither reads nor writes a store", "write reads: or writes:", key=True
            )
        _check_reads(service, (*path, "reads"), document)
        if service.batch is not None:
            _check_batch(service, service.batch, (*path, "batch"), document)
        if service.read_only and not (service.reads and service.writes):
            message = "read-only is a state of a service that reads and writes"
            document.add((*path, "read_only"), message, "leave it out, or write reads: and writes:", key=True)
        if service.retries is not None:
            _check_retries(service, service.retries, (*path, "retries"), document)
        if len(set(service.runs_in)) < len(service.runs_in):
            document.add((*path, "runs_in"), "a region is named twice", "keep one")
        if service.is_worker:
            continue
        records = [record for record, body in scenario.dns.items() if name in body.serves]
        if not records and scenario.clients:
            hint = f"write dns: {{shop: {{serves: [{name}], policy: latency, ttl: 60s}}}}"
            document.add(path, f"no record leads to the service {name!r}", hint, key=True)
        if len(records) > 1:
            document.add(
                path, f"the service {name!r} is behind two records: {', '.join(records)}", "keep one", key=True
            )


def _check_reads(service: Service, path: Path, document: Document) -> None:
    looked_into = [store for store, read in service.reads.items() if read.primary_for is not None]
    for store in looked_into:
        if service.reads[store].route == "primary" and service.reads[store].primary_for:
            message = "who always reads from the primary needs no window in which to"
            document.add((*path, store, "primary_for"), message, "write 0s, or route: nearest")
    if len(looked_into) > 1:
        message = f"the service looks into two stores: {', '.join(looked_into)}"
        document.add((*path, looked_into[1]), message, "keep primary_for at one of them")


def _check_batch(service: Service, batch: Batch, path: Path, document: Document) -> None:
    if service.writes is None:
        document.add(path, "a service that writes nothing has no job beside a writer", "leave it out", key=True)
    elif batch.takes >= batch.every:
        message = f"a run of {write(batch.takes, 'duration')} is not through before the next is due"
        document.add((*path, "takes"), message, "lower it, or raise every")


def _check_retries(service: Service, rule: Retries, path: Path, document: Document) -> None:
    if service.writes is None:
        document.add(path, "a service that writes nothing has no writes to retry", "leave it out", key=True)
    elif 0.0 < rule.gives_up_after < rule.after:
        message = f"clients give up before they try again, after {write(rule.after, 'duration')}"
        document.add((*path, "gives_up_after"), message, "raise it, or write 0s: they never try again")


def check_record(record: Record, path: Path, scenario: Scenario, document: Document) -> None:
    """Note what cannot be meant in one record."""
    if len(set(record.serves)) < len(record.serves):
        document.add((*path, "serves"), "a service is named twice", "keep one")
    if len(set(record.regions)) < len(record.regions):
        document.add((*path, "regions"), "a region is named twice", "keep one")
    if record.policy != "anycast":
        if record.ttl == 0.0:
            document.add((*path, "ttl"), "a TTL of 0 s is not positive", "write ttl: 60s")
        if record.converges is not None:
            message = "answers do not converge: caches follow them by their TTL"
            document.add((*path, "converges"), message, "leave it out, or write policy: anycast", key=True)
    _check_edge(record, path, scenario, document)
    _check_edited(record, path, scenario, document)
    answers = record.regions or scenario.regions
    for name in record.serves:
        service = scenario.services.get(name)
        if service is not None and service.runs_in and not set(service.runs_in) & set(answers):
            message = f"the record answers with no region that {name!r} runs in"
            document.add((*path, "regions" if record.regions else "serves"), message, nearest("", service.runs_in))
    check = record.health_check
    if check is not None and check.interval_from == "start" and check.timeout > check.every:
        message = f"a probe may wait {write(check.timeout, 'duration')}, longer than the interval"
        document.add((*path, "health_check", "timeout"), message, "lower it, raise every, or write interval_from: end")
    _check_locations(record, path, scenario, document)
    _check_weights(record, path, scenario, document)
    if check is not None:
        _check_health(record, check, (*path, "health_check"), scenario, document)


def _check_edge(record: Record, path: Path, scenario: Scenario, document: Document) -> None:
    """Note a proxy where nothing stands between people and their region, or with nowhere else to go."""
    if record.edge is None:
        return
    if record.policy != "anycast":
        message = "answers of a name lead people to a region directly: nobody on the way can try another one"
        document.add((*path, "edge"), message, "leave it out, or write policy: anycast", key=True)
    elif len(record.regions or scenario.regions) < 2:
        message = "there is no other region to try"
        document.add((*path, "edge"), message, "leave it out, or name more regions", key=True)


def _check_edited(record: Record, path: Path, scenario: Scenario, document: Document) -> None:
    """Note a person who edits what has no answers, or whom nobody tells of anything."""
    plan, inner = record.edited, (*path, "edited")
    if plan is None:
        return
    if record.policy == "anycast":
        message = "routes have no answers: there is nothing to edit"
        document.add(inner, message, "leave it out, or write policy: failover", key=True)
    elif record.policy == "weighted":
        message = "of a weighted record a person edits the weights: there is nothing to edit"
        document.add(inner, message, "write shift_back, or write policy: failover", key=True)
    elif plan.when == "front-down":
        if record.health_check is None:
            message = "no health check tells the person that a region is down"
            document.add(inner, message, "write a health_check, or when: promoted", key=True)
    elif record.policy != "failover":
        message = f"after a promotion people are led to one region, which policy: {record.policy} does not mean"
        document.add((*inner, "when"), message, "write policy: failover, or when: front-down")
    elif record.health_check is not None:
        message = "the person follows the primary, and nobody asks the health check"
        document.add((*path, "health_check"), message, "leave it out, or write when: front-down", key=True)
    else:
        stores = {scenario.services[name].follows for name in record.serves if name in scenario.services}
        if len(stores) != 1 or any(scenario.stores[one].failover is None for one in stores if one in scenario.stores):
            message = "the record's services do not all follow one store that fails over"
            document.add((*inner, "when"), message, "write when: front-down, or split the record")


def _check_locations(record: Record, path: Path, scenario: Scenario, document: Document) -> None:
    """Note locations that nobody asks for, and answers that they do not have."""
    inner = (*path, "locations")
    if record.policy != "geography":
        if record.locations:
            message = "locations: only a record by geography has them"
            document.add(inner, message, "leave it out, or write policy: geography", key=True)
        return
    if not record.locations:
        hint = f"write locations: {{{next(iter(scenario.clients), 'eu-users')}: [{scenario.regions[0]}]}}"
        document.add(path, "a record by geography needs locations", hint, key=True)
    answers = record.regions or scenario.regions
    for cohort, regions in record.locations.items():
        if not regions:
            message = f"clients of {cohort!r} are answered with no region"
            document.add((*inner, cohort), message, "name one, or leave the cohort out")
        if len(set(regions)) < len(regions):
            document.add((*inner, cohort), "a region is named twice", "keep one")
        for region in regions:
            if region not in answers:
                message = f"{region!r} is not among the record's regions"
                document.add((*inner, cohort), message, nearest(region, answers))


def _check_weights(record: Record, path: Path, scenario: Scenario, document: Document) -> None:
    """Note weights that nobody asks for, that name other regions than the record, or that cannot be drawn from."""
    if record.policy != "weighted":
        for key in ("weights", "shift_back"):
            if getattr(record, key):
                message = f"{key.replace('_', ' ')}: only a weighted record has it"
                document.add((*path, key), message, "leave it out, or write policy: weighted", key=True)
        return
    if not record.weights:
        hint = f"write weights: {{{', '.join(f'{region}: 1' for region in scenario.regions)}}}"
        document.add(path, "a weighted record needs weights", hint, key=True)
        return
    if set(record.weights) != set(record.regions):
        message = "the regions and the weights name different regions"
        document.add((*path, "weights"), message, "leave regions out: the weights name them")
    for region, weight in record.weights.items():
        if not 0 <= weight <= MOST_WEIGHT:
            message = f"a weight of {weight} is not between 0 and {MOST_WEIGHT}"
            document.add((*path, "weights", region), message, "write whole numbers, such as 3 and 1")
    if not any(weight > 0 for weight in record.weights.values()):
        document.add((*path, "weights"), "no weight is above 0", "write a weight of 1 at least")
    _check_shift(record, path, document)
    for cohort, body in scenario.clients.items():
        pools = [name for name, client in body.classes.items() if client.pool_lifetime > 0.0]
        if pools:
            message = f"{pools[0]!r} of {cohort!r} keeps connections, which weighted answers do not model"
            document.add((*path, "policy"), message, "choose a class without pool_lifetime, or another policy")


def _check_shift(record: Record, path: Path, document: Document) -> None:
    """Note steps that do not lead back, or that nothing begins."""
    plan = record.shift_back
    if plan is None:
        return
    steps = plan.steps
    if steps[-1] != 1.0 or any(later <= earlier for earlier, later in pairwise(steps)):
        message = "the steps do not rise to 100%"
        document.add((*path, "shift_back", "steps"), message, "write steps: [10%, 50%, 100%]")
    if record.health_check is None:
        message = "nothing takes a region out, so that none shifts back"
        document.add((*path, "shift_back"), message, "write a health_check", key=True)


def _check_health(record: Record, check: HealthCheck, path: Path, scenario: Scenario, document: Document) -> None:
    """Note a probe of a write path where nothing is written, and a fallback that nobody answers with."""
    if check.depth == "write-path" and not any(
        scenario.services[name].writes is not None for name in record.serves if name in scenario.services
    ):
        message = "the probe asks for a write, and no service of this record writes a store"
        document.add((*path, "depth"), message, "write depth: application")
    if check.fallback is None:
        return
    answers = record.regions or scenario.regions
    if check.when_all_unhealthy != "answer-fallback":
        message = f"when all are unhealthy the authority would {check.when_all_unhealthy}, not use the fallback"
        document.add((*path, "fallback"), message, "leave it out, or write when_all_unhealthy: answer-fallback")
    elif check.fallback not in answers:
        message = f"the record does not answer with {check.fallback!r}"
        document.add((*path, "fallback"), message, nearest(check.fallback, answers))


def check_clients(scenario: Scenario, document: Document) -> None:
    """Note shares that do not add up and populations of an absurd size."""
    if not scenario.clients:
        if scenario.budgets and scenario.services:
            _check_clients_needed(scenario, document)
        return
    _check_sum([cohort.share for cohort in scenario.clients.values()], ("clients",), "cohorts", document)
    points = 0
    for name, cohort in scenario.clients.items():
        path: Path = ("clients", name)
        resolvers = [resolver.share for resolver in cohort.resolvers.values()]
        _check_sum(resolvers, (*path, "resolvers"), "resolvers", document)
        if cohort.class_shares:
            _check_sum(list(cohort.class_shares.values()), (*path, "class"), "client classes", document)
        if not cohort.classes:
            document.add((*path, "class"), "there is no client class", "write class: browser")
        points += len(cohort.classes) * sum(map(cohort.points_behind, cohort.resolvers.values()))
    if points > MOST_POINTS:
        message = f"the population has {points} points, more than {MOST_POINTS}"
        document.add(("clients",), message, "lower points, or merge cohorts and classes")


def _check_clients_needed(scenario: Scenario, document: Document) -> None:
    for budget in scenario.budgets:
        if "service" in budget.labels:
            document.add(("budgets", budget.key), f"{budget.metric} needs clients", "write clients: {...}", key=True)


def _check_sum(shares: list[float], path: Path, what: str, document: Document) -> None:
    total = math.fsum(shares)
    if abs(total - 1.0) > _TOLERANCE:
        written = write(float(f"{total:.9g}"), "share")
        document.add(path, f"the shares of the {what} add to {written}, not 100%", "change one of them", key=True)
