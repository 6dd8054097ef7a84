"""Checks of stores: standbys, commit rules, detection, decisions, promotion."""

from __future__ import annotations

from functools import partial
from math import isfinite

from mrsim.scenario.checks_archives import check_archives
from mrsim.scenario.checks_people import check_people
from mrsim.scenario.control import DecideLease, Detect, Failover, Fence, InRegion, SiteLease
from mrsim.scenario.document import Document, Path, nearest
from mrsim.scenario.model import Scenario
from mrsim.scenario.places import is_lost_with, region_of
from mrsim.scenario.stores import Slots, Standby, Store
from mrsim.units import write

_MOST_RENEWALS = 1000
"""Looks of a candidate during one lease of a manager; each is drawn, so that a typing error would take for ever."""


def check_store(store: Store, path: Path, scenario: Scenario, document: Document) -> None:
    """Note what cannot be meant in one store."""
    _check_standbys(store, path, document)
    check_archives(store, path, document)
    _check_copies(store, path, document)
    _check_commit(store, path, scenario, document)
    _check_storage(store, (*path, "storage"), document)
    bursts = store.wal.bursts
    if bursts is not None and bursts.last >= bursts.every:
        message = f"a burst of {write(bursts.last, 'duration')} is not shorter than its period"
        document.add((*path, "wal", "bursts", "last"), message, "raise every or lower last")
    if store.wal.bulk is not None and all(standby.via in ("objects", "snapshot") for standby in store.standbys):
        message = "nobody receives the WAL of a bulk load here: it has no effect"
        document.add((*path, "wal", "bulk"), message, "let a standby stream, or leave it out", key=True)
    elif store.wal.bulk is not None and store.objects is not None:
        message = "objects are copied one by one, and a bulk load is none: both at once are not modelled"
        document.add((*path, "wal", "bulk"), message, "leave one of them out", key=True)
    if store.slots is not None:
        _check_slots(store, store.slots, (*path, "slots"), document)
    if not any(service.writes == path[-1] for service in scenario.services.values()):
        hint = f"write services: {{orders: {{writes: {path[-1]}}}}}"
        document.add(path, f"no service writes to {path[-1]!r}", hint, key=True)
    if store.in_region is not None:
        _check_in_region(store, store.in_region, (*path, "in_region"), scenario, document)
    if store.failover is not None:
        _check_failover(store, store.failover, (*path, "failover"), scenario, document)


def _check_standbys(store: Store, path: Path, document: Document) -> None:
    sources: dict[str, str | None] = {}
    for index, standby in enumerate(store.standbys):
        at = (*path, "standbys", index)
        if standby.region == store.primary:
            document.add(
                at, f"{standby.region!r} holds the primary: it cannot hold a standby too", "one node per region or zone"
            )
        if standby.region in sources:
            document.add(at, f"{standby.region!r} has two standbys", "one node per region or zone")
        sources[standby.region] = standby.source
        if standby.via == "archive" and store.archive is None:
            document.add(at, "there is no archive to restore from", "write archive: {place: eu-west, timeout: 5min}")
        elif standby.via == "snapshot" and store.snapshots is None:
            hint = "write snapshots: {place: eu-west, every: 24h, size: 280GB}"
            document.add(at, "there are no snapshots to restore", hint)
        elif standby.via == "objects" and store.objects is None:
            hint = "write objects: {lag: {median: 5s, p99.99: 15min}}"
            document.add(at, "it is not said how objects are copied", hint)
        elif standby.via not in ("stream", "archive") and standby.source is not None:
            document.add(
                (*at, "source"),
                f"a standby via {standby.via} streams from nobody",
                "leave it out",
                key=True,
            )
    archived = {standby.region: standby.via for standby in store.standbys if standby.via != "stream"}
    for index, standby in enumerate(store.standbys):
        at = (*path, "standbys", index, "source")
        known = [store.primary, *(region for region in sources if region != standby.region)]
        if standby.source is not None and standby.source not in known:
            document.add(
                at, f"{standby.source!r} holds no node of this store to follow", nearest(standby.source, known)
            )
        elif standby.via == "stream" and standby.source in archived:
            via = archived[standby.source]
            message = f"{standby.source!r} is a standby via {via}: streaming on from there is not modelled"
            document.add(at, message, f"write via: {via} here too, or another source")
        elif _cyclic(standby.region, sources):
            chain = [standby.region]
            while (following := sources.get(chain[-1])) is not None and following not in chain:
                chain.append(following)
            message = f"the sources go in a circle: {' <- '.join([*chain, str(sources.get(chain[-1]))])}"
            document.add(at, message, f"one of them must follow {store.primary}")


def _check_copies(store: Store, path: Path, document: Document) -> None:
    if store.snapshots is not None and all(standby.via != "snapshot" for standby in store.standbys):
        message = "nobody is made from the snapshots: they have no effect"
        document.add((*path, "snapshots"), message, "write standbys: [{region: eu-west, via: snapshot}]", key=True)

    if store.objects is not None and all(standby.via != "objects" for standby in store.standbys):
        message = "nobody is copied to object by object: it has no effect"
        document.add((*path, "objects"), message, "write standbys: [{region: eu-west, via: objects}]", key=True)
    elif store.objects is not None and not isfinite(store.objects.lag.mean()):
        message = "a lag without a mean would leave ever more objects waiting"
        document.add((*path, "objects", "lag"), message, "a pareto needs a shape above 1")


def _check_slots(store: Store, slots: Slots, path: Path, document: Document) -> None:
    if all(standby.via != "stream" for standby in store.standbys):
        message = "no standby streams: there are no slots"
        document.add(path, message, "let a standby stream, or leave slots out", key=True)
    if slots.disk is None and slots.max_slot_wal_keep_size is None:
        message = "neither a disk nor a limit is given: nothing ever ends"
        document.add(path, message, "write disk: 50GB, or max_slot_wal_keep_size: 20GB", key=True)
    elif slots.disk is not None and slots.disk <= (slots.max_slot_wal_keep_size or 0.0):
        message = "the disk is full before the limit is reached: it has no effect"
        document.add((*path, "max_slot_wal_keep_size"), message, "lower it, or raise disk", key=True)


def _cyclic(region: str, sources: dict[str, str | None]) -> bool:
    """Whether following the sources from a region leads back to it."""
    following = sources.get(region)
    for _ in range(len(sources)):
        if following is None or following == region:
            break
        following = sources.get(following)
    return following == region


def _check_commit(store: Store, path: Path, scenario: Scenario, document: Document) -> None:
    commit, at = store.commit, (*path, "commit")
    standbys = [standby.region for standby in store.standbys]
    if commit.any is not None and commit.first is not None:
        document.add((*at, "first"), "a commit rule is either any or first", "keep one of them", key=True)
    needed = commit.any or commit.first
    if needed is None:
        if commit.of:
            document.add(
                (*at, "of"), "'of' has no effect without any or first", "write any: 1 or commit: async", key=True
            )
        return
    if commit.of == "in-region":
        _check_commit_in_region(store, needed, at, scenario, document)
        return
    if not commit.of:
        document.add(at, "the synchronous standbys are not named", f"write of: [{', '.join(standbys)}]")
    elif needed > len(commit.of):
        document.add(at, f"{needed} of {len(commit.of)} standbys can never answer", f"write {len(commit.of)} or less")
    for index, region in enumerate(commit.of):
        if region not in standbys:
            document.add((*at, "of", index), f"{region!r} holds no standby of this store", nearest(region, standbys))
        else:
            _check_answers(store.standbys[standbys.index(region)], store, (*at, "of", index), "leave it out", document)
    if len(set(commit.of)) < len(commit.of):
        document.add((*at, "of"), "a standby is named twice", "keep one")


def _check_commit_in_region(store: Store, needed: int, at: Path, scenario: Scenario, document: Document) -> None:
    near = store.synchronous(store.primary, partial(region_of, scenario))
    home = region_of(scenario, store.primary)
    if needed > len(near):
        message = f"{needed} of the {len(near)} other nodes in {home!r} can never answer"
        document.add((*at, "of"), message, "let more standbys stand in zones of that region, or name those elsewhere")
    for standby in store.standbys:
        if standby.region in near:
            _check_answers(standby, store, (*at, "of"), "name the others", document)


def _check_answers(standby: Standby, store: Store, path: Path, instead: str, document: Document) -> None:
    """Note a standby that is to be waited for and acknowledges nothing."""
    if standby.via != "stream":
        message = f"{standby.region!r} is a standby via {standby.via}: it acknowledges nothing"
        document.add(path, message, "name standbys that stream")
    elif standby.source not in {None, store.primary}:
        message = f"{standby.region!r} streams from another standby, and cascading replication is asynchronous"
        document.add(path, message, f"let it stream from {store.primary}, or {instead}")


def _check_in_region(store: Store, rule: InRegion, path: Path, scenario: Scenario, document: Document) -> None:
    sites = [store.primary, *(standby.region for standby in store.standbys)]
    homes = [region_of(scenario, site) for site in sites]
    if len(set(homes)) == len(homes):
        hint = "write zones: {us-east: [us-east-a, us-east-b]} and let nodes stand in them, or leave in_region out"
        document.add(path, "no region has two nodes: there is nothing to promote inside one", hint, key=True)
    if rule.lease is not None and rule.lease_every >= rule.lease:
        message = f"it would run out between two renewals, {write(rule.lease_every, 'duration')} apart"
        document.add((*path, "lease"), message, "raise lease, or lower lease_every")
    elif rule.lease is not None and rule.lease > _MOST_RENEWALS * rule.lease_every:
        message = f"renewed every {write(rule.lease_every, 'duration')}, it is more than {_MOST_RENEWALS} renewals long"
        document.add((*path, "lease"), message, "lower lease, or raise lease_every (15s and 2s in CloudNativePG 1.30)")
    if rule.decide is not None:
        _check_lease_timers(rule.decide, (*path, "decide"), document)
    home = region_of(scenario, store.primary)
    waited_for = store.synchronous(store.primary, partial(region_of, scenario))
    if rule.quorum and (not waited_for or any(region_of(scenario, one) != home for one in waited_for)):
        message = f"a quorum is counted among synchronous standbys of the primary's own region, {home!r}"
        document.add((*path, "quorum"), message, "write commit: {any: 1, of: in-region}, or name nodes of that region")
    if rule.grace <= rule.heartbeat:
        message = f"a host that lives would be missed between two heartbeats, {write(rule.heartbeat, 'duration')} apart"
        document.add((*path, "grace"), message, "raise grace, or lower heartbeat")
    _check_led(store, path[:-1], scenario, document)
    if store.failover is None:
        return
    if isinstance(store.failover.decide, DecideLease):
        message = "a lease covers all nodes, those in one region too"
        document.add(path, message, "leave in_region out, or let another control decide between regions", key=True)
    if len(set(homes)) == 1 and len(homes) > 1:
        message = f"all nodes are in {homes[0]!r}, where in_region promotes them: there is nothing left to do"
        document.add((*path[:-1], "failover"), message, "leave failover out, or add a standby elsewhere", key=True)


def _check_led(store: Store, path: Path, scenario: Scenario, document: Document) -> None:
    """Note what does not go with standbys that get their WAL through one of their region, their leader."""
    home = region_of(scenario, store.primary)
    leaders: dict[str | None, Standby] = {}
    for index, standby in enumerate(store.standbys):
        region = region_of(scenario, standby.region)
        leader = leaders.setdefault(region, standby)
        if region == home or leader is standby:
            continue
        if standby.via != leader.via:
            message = f"{standby.region!r} gets its WAL through {leader.region!r}, which is a standby via {leader.via}"
            document.add((*path, "standbys", index), message, f"write via: {leader.via} here too")
        if store.commit.of != "in-region" and standby.region in store.commit.of:
            message = f"{standby.region!r} streams from {leader.region!r}, and cascading replication is asynchronous"
            at = (*path, "commit", "of", store.commit.of.index(standby.region))
            document.add(at, message, f"name {leader.region}, or leave in_region out")


def _check_failover(store: Store, failover: Failover, path: Path, scenario: Scenario, document: Document) -> None:
    standbys = [standby.region for standby in store.standbys]
    if not standbys:
        document.add(path, "there is no standby to promote", "write standbys: [...] or leave failover out", key=True)
    lease, by_health = isinstance(failover.decide, DecideLease), store.endpoint.moved_by == "health"
    if failover.detect is None and (by_health or not lease):
        who = "a decision needs probers" if not lease else "an endpoint that follows health checks at its pace"
        document.add((*path, "detect"), "'detect' is missing", f"{who}: detect: {{from: [eu-west], every: 10s}}")
    if failover.detect is not None and lease and not by_health:
        document.add(
            (*path, "detect"), "a lease needs no probers: they would have no effect", "leave detect out", key=True
        )
    elif failover.detect is not None:
        _check_detect(failover.detect, store, (*path, "detect"), scenario, document)
    if isinstance(failover.decide, DecideLease):
        _check_fence_of_lease(failover, (*path, "fence"), document)
        _check_lease(failover.decide, (*path, "decide"), document)
        if failover.promote.order != "most-advanced":
            message = "an order has no effect under a lease: the most advanced standby takes it"
            document.add((*path, "promote", "order"), message, "leave order out", key=True)
    elif isinstance(failover.promote.order, tuple):
        for index, region in enumerate(failover.promote.order):
            if region not in standbys:
                at = (*path, "promote", "order", index)
                document.add(at, f"{region!r} holds no standby of this store", nearest(region, standbys))
        if len(set(failover.promote.order)) < len(failover.promote.order):
            document.add((*path, "promote", "order"), "a region is named twice", "keep one")
        if not failover.promote.order:
            document.add(
                (*path, "promote", "order"), "the list is empty", "name the candidates, or write most-advanced"
            )
    check_people(failover, store, path, document)
    check = failover.self_check
    if check is not None and all(is_lost_with(scenario, place, store.primary) for place in check.sees):
        message = "the primary looks only at its own place, which it never loses sight of"
        document.add((*path, "self_check", "sees"), message, "name a place outside it")


def _check_fence_of_lease(failover: Failover, path: Path, document: Document) -> None:
    if isinstance(failover.fence, Fence):
        message = "it has no effect under a lease, whose end is that of the old primary: nobody sends a fence"
        document.add(path, message, "leave it out, or write fence: {by: token, if_unconfirmed: proceed}", key=True)
    elif failover.fence is not None and failover.fence.if_unconfirmed.then != "proceed":
        message = "under a lease the new primary presents its token itself, and waits for no answer"
        document.add((*path, "if_unconfirmed"), message, "write if_unconfirmed: proceed")


def _check_storage(store: Store, path: Path, document: Document) -> None:
    if len(set(store.storage)) < len(store.storage):
        document.add(path, "a place is named twice", "keep one")
    if store.storage == (store.primary,):
        document.add(path, f"it stands beside the primary in {store.primary!r} anyway", "leave it out", key=True)


def _check_detect(detect: Detect, store: Store, path: Path, scenario: Scenario, document: Document) -> None:
    if all(is_lost_with(scenario, place, store.primary) for place in detect.from_):
        message = f"every prober stands with the primary in {store.primary!r} and is lost with it"
        document.add((*path, "from"), message, "name a place outside it")
    if len(set(detect.from_)) < len(detect.from_):
        document.add((*path, "from"), "a place is named twice", "keep one")
    if isinstance(detect.verdict, int) and not 1 <= detect.verdict <= len(detect.from_):
        message = f"a verdict of {detect.verdict} needs as many probers, there are {len(detect.from_)}"
        document.add((*path, "verdict"), message, "write a number from 1 to that, or all, any, majority")
    if detect.interval_from == "start" and detect.timeout > detect.every:
        message = f"a probe may wait {write(detect.timeout, 'duration')}, longer than the interval"
        document.add((*path, "timeout"), message, "lower the timeout, raise every, or write interval_from: end")


def _check_lease(lease: DecideLease, path: Path, document: Document) -> None:
    if len(set(lease.voters)) < len(lease.voters):
        document.add((*path, "voters"), "a voter is named twice", "keep one")
    _check_lease_timers(lease, path, document)
    if lease.product == "kubernetes" and lease.loop_wait * 1.2 >= lease.retry_timeout:
        message = "the election refuses these timers: the renewal deadline must exceed 1.2 times the retry period"
        document.add((*path, "retry_timeout"), message, "lower loop_wait (client-go, leaderelection)")
    if lease.failsafe_mode and lease.product != "patroni":
        message = "only Patroni's leaders ask the other members whether they may go on"
        document.add((*path, "failsafe_mode"), message, "leave it out, or write preset: patroni", key=True)
    elif lease.failsafe_mode and lease.enforced_by == "nobody":
        message = "a holder that nobody makes step down goes on anyway"
        document.add((*path, "failsafe_mode"), message, "leave it out, or write enforced_by: holder", key=True)


def _check_lease_timers(lease: DecideLease | SiteLease, path: Path, document: Document) -> None:
    timers = {"loop_wait": lease.loop_wait, "retry_timeout": lease.retry_timeout, "watchdog": lease.watchdog or 0.0}
    for key, value in timers.items():
        if value >= lease.ttl:
            message = (
                f"{key} of {write(value, 'duration')} is not shorter than the ttl of {write(lease.ttl, 'duration')}"
            )
            document.add((*path, key), message, "the lease would end before it is renewed")
