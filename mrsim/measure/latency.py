"""Latency of a write, from the client's last mile to the commit rule's wait: while nothing is wrong, and at the end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mrsim.distributions import Constant
from mrsim.measure.columns import Measures, Status, level, write_quantiles
from mrsim.measure.waits import Answers, commit_waits_s
from mrsim.scenario.places import region_of
from mrsim.trace import site_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.routes import Routes
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.stores import Store

    Floats = NDArray[np.float64]


class _Way(NamedTuple):
    """What so large a share of writes takes: the ways to the primary and its storage, and the wait there."""

    share: float
    way_s: float
    answers: Answers


def commit_wait_s(scenario: Scenario, store: Store, primary: str) -> float:
    """Return how long a commit waits for its rule: mean flushes and minimum round trips.

    ANY n waits for the n-th fastest of the set, FIRST n for the slowest of its first n. A standby's time is its round
    trip and what the rule's level makes it do, with its mean flush; that the n-th fastest of random times is faster
    than that of the means is left out (the flushes are milliseconds beside round trips of tens).

    Parameters
    ----------
    scenario
        Round-trip times.
    store
        Commit rule and flushes.
    primary
        Region or zone of the primary.
    """
    answers = _answers_at_first(scenario, store, primary)
    flush_s = store.replication.remote_flush.mean() if store.commit.level != "remote_write" else 0.0
    local_s = store.replication.local_flush.mean() + _stored_s(scenario, store, primary)
    return local_s + (sorted(answers.ways_s)[answers.needed - 1] + flush_s if answers.ways_s else 0.0)


def _answers_at_first(scenario: Scenario, store: Store, primary: str) -> Answers:
    """Return whose answers the rule waits for while all of its members are there."""
    rule = store.commit
    # A first primary that is none any more counts as gone.
    waited_for = store.synchronous(primary, partial(region_of, scenario))
    others = [site for site in waited_for if site != store.primary]
    if rule.any is not None:
        return _answers(scenario, store, primary, rule.any, others)
    return _answers(scenario, store, primary, rule.first or 0, others[: rule.first or 0])


def _answers(scenario: Scenario, store: Store, primary: str, needed: int, places: Sequence[str]) -> Answers:
    home = region_of(scenario, primary)
    replay_s = store.standby_work_s(0.0)
    ways_s = sorted(scenario.network.path_s(home, region_of(scenario, place)) + replay_s for place in places)
    return Answers(min(needed, len(ways_s)), tuple(ways_s))


class _Latencies:
    """Mean and quantiles of the latency of writes, whatever ways they take; each mix of ways is worked out once."""

    def __init__(self, store: Store, shares: tuple[str, ...]) -> None:
        self._local = store.replication.local_flush
        self._remote = store.replication.remote_flush if store.commit.level != "remote_write" else Constant(0.0)
        self._levels = [level(share) for share in shares]
        self._waits: dict[Answers, Floats] = {}
        self._known: dict[tuple[_Way, ...], Floats] = {}

    def of(self, ways: tuple[_Way, ...]) -> Floats:
        """Return the mean and the quantiles asked for, in seconds; not a number if no write gets through."""
        if ways not in self._known:
            self._known[ways] = self._worked_out(ways)
        return self._known[ways]

    def _worked_out(self, ways: tuple[_Way, ...]) -> Floats:
        if not ways:
            return np.full(1 + len(self._levels), np.nan)
        values = np.concatenate([way.way_s + self._wait(way.answers) for way in ways])
        weights = np.repeat([way.share for way in ways], len(values) // len(ways))
        weights /= weights.sum()
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        places = np.minimum(np.searchsorted(reached, self._levels), len(values) - 1)
        return np.array([float(values @ weights), *values[order][places]])

    def _wait(self, answers: Answers) -> Floats:
        if answers not in self._waits:
            self._waits[answers] = commit_waits_s(answers, self._local, self._remote)
        return self._waits[answers]


def _stored_s(scenario: Scenario, store: Store, primary: str) -> float:
    """Return how long a majority of the storage of a store's first primary takes to answer it, in seconds."""
    if not store.storage or primary != store.primary:
        return 0.0
    home = region_of(scenario, primary)
    ways = [0.0 if at == primary else scenario.network.path_s(home, region_of(scenario, at)) for at in store.storage]
    return sorted(ways)[len(ways) // 2]


def put_latency(measures: Measures, scenario: Scenario, service: str, routes: Routes) -> None:
    """Add the latency of a service's writes before any change and at the end, per cohort and over all.

    At the end it is that of the writes that get through then, by the answers given then; of a trial in which a cohort's
    do not there is none.

    Parameters
    ----------
    measures
        Where the columns go.
    scenario
        The scenario.
    service
        One of its services; nothing is added if it writes nothing.
    routes
        Ways of the trials' requests.
    """
    if (written := scenario.services[service].writes) is None:
        return
    shares = write_quantiles(scenario, service)
    latencies = _Latencies(scenario.stores[written], shares)
    ways = _Ways(scenario, service, written, routes)
    for when, ways_of in (("before", ways.before), ("after", ways.after)):
        by_cohort = {name: [ways_of(name, trial) for trial in range(measures.count)] for name in scenario.clients}
        for name, found in {"all": _together(scenario, by_cohort), **by_cohort}.items():
            values = np.array([latencies.of(one) for one in found])
            status = np.where(np.isnan(values[:, 0]), Status.NO_EFFECT, Status.OBSERVED).astype(np.int8)
            for place, share in enumerate(("mean", *shares)):
                labels = {"service": service, "from": name, "writes": share, "when": when}
                measures.put("write_latency_s", labels, values[:, place], status)


def _together(scenario: Scenario, by_cohort: dict[str, list[tuple[_Way, ...]]]) -> list[tuple[_Way, ...]]:
    """Return per trial the ways of all cohorts, as shares of all writes, in an order that is not that of the file."""
    sizes = {name: scenario.clients[name].share for name in sorted(by_cohort) if scenario.clients[name].share > 0}
    known: dict[tuple[tuple[_Way, ...], ...], tuple[_Way, ...]] = {}
    found = []
    for parts in zip(*(by_cohort[name] for name in sizes), strict=True):
        if parts not in known:
            weighed = zip(sizes.values(), parts, strict=True)
            known[parts] = tuple(way._replace(share=way.share * size) for size, ways in weighed for way in ways)
        found.append(known[parts])
    return found


class _Ways:
    """The ways of a service's writes in the trials of a chunk."""

    def __init__(self, scenario: Scenario, service: str, store: str, routes: Routes) -> None:
        self._scenario = scenario
        self._service = service
        self._name = store
        self._store = scenario.stores[store]
        self._routes = routes
        self._is_worker = scenario.services[service].is_worker
        self._at_first = _answers_at_first(scenario, self._store, self._store.primary)
        self._paths: dict[tuple[str, str, str], float] = {}
        self._answers: dict[tuple[str, int, tuple[str, ...]], Answers] = {}

    def before(self, cohort: str, trial: int) -> tuple[_Way, ...]:
        """Return the ways of a cohort's writes before any change."""
        primary = self._store.primary
        return tuple(
            _Way(share, self._path_s(cohort, region, primary), self._at_first)
            for region, share in self._regions(cohort, trial, 0)
        )

    def after(self, cohort: str, trial: int) -> tuple[_Way, ...]:
        """Return the ways of a cohort's writes that get through at the end of a trial."""
        store = self._routes.traces[trial].stores[self._name]
        found = []
        for region, share in self._regions(cohort, trial, -1):
            endpoint = store.endpoint.get(region, ())
            node = endpoint[-1].target if endpoint else ""
            if not self._gets_through(cohort, region, node, trial):
                continue
            asked, primary = store.asked.get(node), site_of(node)
            key = (primary, asked.needed, asked.places) if asked is not None else (primary, 0, ())
            if key not in self._answers:
                self._answers[key] = _answers(self._scenario, self._store, *key)
            found.append(_Way(share, self._path_s(cohort, region, primary), self._answers[key]))
        return tuple(found)

    def _gets_through(self, cohort: str, region: str, node: str, trial: int) -> bool:
        """Whether a cohort's writes through a region are acknowledged at the end of a trial."""
        trace = self._routes.traces[trial]
        acks = trace.stores[self._name].acks.get(node)
        if not acks or acks[-1].acked_until_s < trace.horizon_s:
            return False
        ways = [self._routes.link(region, node)[trial], self._routes.serving(self._service, region)[trial]]
        if not self._is_worker:
            ways.append(self._routes.front(cohort, region)[trial])
        return all(way and way[-1][1] >= trace.horizon_s for way in ways)

    def _regions(self, cohort: str, trial: int, change: int) -> Sequence[tuple[str, float]]:
        """Return the regions that an answer sends a cohort to, and their shares; none if there is no answer."""
        changes, _ = self._routes.answers(self._service, cohort)
        target = changes.targets[trial][change]
        return changes.shares[trial][change] or (((target, 1.0),) if target else ())

    def _path_s(self, cohort: str, region: str, primary: str) -> float:
        """Return what the ways into a region, to a primary and its storage take; a worker is in its region."""
        key = (cohort, region, primary)
        if key not in self._paths:
            network, near = self._scenario.network, self._routes.population.cohorts[cohort].near
            into_s = 0.0 if self._is_worker else network.path_s(near, region, last_miles=1)
            to_primary_s = network.path_s(region, region_of(self._scenario, primary))
            self._paths[key] = into_s + to_primary_s + _stored_s(self._scenario, self._store, primary)
        return self._paths[key]
