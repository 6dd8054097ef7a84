"""The drill as plain numbers: everything the peers share with mrsim is a parameter in this module.

The peers know one drill only: one store with a fixed order of candidates, an operator, a fence that cannot be
confirmed, a record that follows health, and the permanent, silent loss of the primary's region. ``read`` refuses any
scenario outside that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from mrsim import distributions as dist

if TYPE_CHECKING:
    from mrsim.scenario.clients import ClientClass, Cohort, ResolverClass
    from mrsim.scenario.model import Scenario


INPUTS = 7
"""Random inputs of a client: resolver, own cache, endpoint cache, reconnect, entry held, next look-up, overstay."""


@dataclass(frozen=True)
class Law:
    """A probability law by name and two parameters; each peer samples it its own way."""

    kind: str
    a: float
    b: float = 0.0

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Return the inverse of the distribution function, elementwise."""
        if self.kind == "constant":
            return np.full(np.shape(u), self.a)
        if self.kind == "uniform":
            return self.a + (self.b - self.a) * u
        if self.kind == "lognormal":
            return np.exp(self.a + self.b * ndtri(u))
        if self.kind == "exponential":
            return -self.a * np.log1p(-u)
        return self.a * (1.0 - u) ** (-1.0 / self.b)


def law(source: dist.Distribution | None) -> Law:
    """Return the parameters of a distribution; refuse one that the peers cannot sample."""
    match source:
        case None:
            return Law("constant", 0.0)
        case dist.Constant(value=value):
            return Law("constant", value)
        case dist.Uniform(low=low, high=high):
            return Law("uniform", low, high)
        case dist.LogNormal(mu=mu, sigma=sigma):
            return Law("lognormal", mu, sigma)
        case dist.Exponential(scale=scale):
            return Law("exponential", scale)
        case dist.Pareto(low=low, shape=shape):
            return Law("pareto", low, shape)
    raise ValueError(f"the peers cannot sample {source}")


@dataclass(frozen=True)
class Stratum:
    """Clients that differ only in their luck: one cohort, one kind of resolver, one kind of program."""

    cohort: str
    points: int
    weight: float
    """Of all its points together."""
    resolver_life_s: float
    lookups_per_s: float
    """Infinite: asked again as soon as the entry expires."""
    serve_stale: bool
    overstay: Law
    cache_life_s: float


@dataclass(frozen=True)
class Drill:
    """The parameters of the drill, in seconds and bytes."""

    horizon_s: float
    fault_window_s: float
    stable_s: float
    lost_region: str
    answers: dict[str, str]
    """Region that each cohort is sent to while nothing is wrong."""
    answers_after: dict[str, str]
    """Region that each cohort is sent to without the lost one."""
    regions: tuple[str, ...]
    strata: tuple[Stratum, ...]
    # The record's health check.
    checkers: int
    check_every_s: float
    check_timeout_s: float
    check_fails: int
    checkers_needed: int
    """Checkers that must report a region down."""
    check_rtt_s: float
    applies: Law
    # The store's detection, decision and fence.
    probe_rtts_s: tuple[float, ...]
    probe_every_s: float
    probe_fails: int
    probe_timeout_s: float
    report_s: tuple[float, ...]
    """Per prober: the way of its report to the controller."""
    page: Law
    acknowledge: Law
    assess: Law
    misjudges: float
    waits_at_most_s: float
    fence_timeout_s: float
    fence_attempts: int
    override: Law
    # Promotion and the endpoint.
    candidates_one_way_s: tuple[float, ...]
    """Per candidate, in order: latency of its WAL stream."""
    command_s: tuple[float, ...]
    """Per candidate: from the controller to it, one way."""
    promotion: Law
    promotion_fails: float
    promotion_timeout_s: float
    move: Law
    endpoint_ttl_s: float
    reconnect: Law
    # WAL.
    commits_per_s: float
    bytes_per_commit: float
    bandwidth: float
    burst_every_s: float
    burst_last_s: float
    burst_rate: float


def spread(points: int) -> np.ndarray:
    """Return evenly spread points of the unit cube, shape (points, INPUTS): the peers shift them at random.

    Multiples of the powers of 1/g modulo 1, where g is the root of g^(d+1) = g + 1 (the additive recurrence R_d of
    M. Roberts, *The unreasonable effectiveness of quasirandom sequences*, 2018). mrsim uses another lattice.
    """
    root = 2.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (INPUTS + 1))
    return np.mod(np.arange(points)[:, None] * root ** -np.arange(1.0, INPUTS + 1.0), 1.0)


def read(scenario: Scenario) -> Drill:
    """Return the drill's parameters from a scenario; raise ValueError for one that is not this drill."""
    (store,) = scenario.stores.values()
    (record,) = scenario.dns.values()
    (fault,) = scenario.faults
    check, control, bursts = record.health_check, store.failover, store.wal.bursts
    if fault.kind != "region-loss" or fault.connections != "hang" or fault.in_flight != "lost":
        raise ValueError("the drill is a silent region loss that takes what is on the wire with it")
    if check is None or check.interval_from != "end" or control is None or bursts is None:
        raise ValueError("the drill needs a health check counted from the end of a probe, failover control and bursts")
    detect, decide, fence, promote = control.detect, control.decide, control.fence, control.promote
    if detect is None or decide.by != "operator" or fence is None or isinstance(promote.order, str):
        raise ValueError("the drill needs probers, an operator, a fence and a fixed order of candidates")
    if fence.through != f"{fault.region}-control" or fence.if_unconfirmed.then != "operator-override":
        raise ValueError("the drill's fence goes through the lost region and ends in an override")
    rtt, mile = scenario.network.rtt_s, scenario.network.last_mile_s
    near = {name: _by_distance(cohort.near, scenario) for name, cohort in scenario.clients.items()}
    down_at_most = next(
        k for k in range(check.checkers + 1) if (check.checkers - k) / check.checkers <= check.healthy_above
    )
    return Drill(
        horizon_s=scenario.horizon,
        fault_window_s=bursts.every,
        stable_s=scenario.stable_for,
        lost_region=fault.region,
        answers={name: order[0] for name, order in near.items()},
        answers_after={name: next(r for r in order if r != fault.region) for name, order in near.items()},
        regions=scenario.regions,
        strata=_strata(scenario, record.ttl),
        checkers=check.checkers,
        check_every_s=check.every,
        check_timeout_s=check.timeout,
        check_fails=check.fails,
        checkers_needed=down_at_most,
        check_rtt_s=mile,
        applies=law(check.applies_after),
        probe_rtts_s=tuple(rtt[f"{place}/{fault.region}"] for place in detect.from_),
        probe_every_s=detect.every,
        probe_fails=detect.fails,
        probe_timeout_s=detect.timeout,
        report_s=tuple(mile / 2 for _ in detect.from_),
        page=law(decide.page),
        acknowledge=law(decide.acknowledge),
        assess=law(decide.assess),
        misjudges=decide.misjudges,
        waits_at_most_s=decide.waits_at_most,
        fence_timeout_s=fence.timeout,
        fence_attempts=1 + fence.if_unconfirmed.retry,
        override=law(fence.if_unconfirmed.after),
        candidates_one_way_s=tuple(rtt[f"{fault.region}/{place}"] / 2 for place in promote.order),
        command_s=tuple(mile / 2 for _ in promote.order),
        promotion=law(promote.takes),
        promotion_fails=promote.fails,
        promotion_timeout_s=promote.attempt_timeout,
        move=law(store.endpoint.takes),
        endpoint_ttl_s=store.endpoint.ttl,
        reconnect=law(store.endpoint.reconnect),
        commits_per_s=store.wal.commits,
        bytes_per_commit=store.wal.bytes_per_commit,
        bandwidth=scenario.network.wal_bandwidth[f"{fault.region}/*"],
        burst_every_s=bursts.every,
        burst_last_s=bursts.last,
        burst_rate=bursts.rate,
    )


def with_points(drill: Drill, factor: int) -> Drill:
    """Return the drill with more points in every stratum."""
    strata = tuple(replace(stratum, points=stratum.points * factor) for stratum in drill.strata)
    return replace(drill, strata=strata)


def _by_distance(near: str, scenario: Scenario) -> list[str]:
    rtt = scenario.network.rtt_s
    return sorted(scenario.regions, key=lambda region: 0.0 if region == near else rtt[f"{near}/{region}"])


def _strata(scenario: Scenario, ttl: float) -> tuple[Stratum, ...]:
    return tuple(
        _stratum(name, cohort, cohort.resolvers[r], cohort.classes[c], cohort.class_shares.get(c), ttl)
        for name, cohort in scenario.clients.items()
        for r in cohort.resolvers
        for c in cohort.classes
    )


def _stratum(
    name: str, cohort: Cohort, resolver: ResolverClass, program: ClientClass, share: float | None, ttl: float
) -> Stratum:
    if program.pool_lifetime:
        raise ValueError("the peers know no connection pools")
    busy = resolver.lookups == "busy"
    life = min(max(ttl, resolver.ttl_min), resolver.ttl_max) + resolver.ttl_add
    if resolver.prefetch_share or (resolver.prefetch and not busy):
        raise ValueError("the peers know prefetch of a fixed time, in busy resolvers only")
    if resolver.prefetch and ttl >= resolver.prefetch_from_ttl:
        life -= resolver.prefetch
    if not busy:
        life -= resolver.tick / 2.0  # Entries are dated back to the tick before their arrival, half of one on average.
    within = 1.0 / len(cohort.classes) if share is None else share
    return Stratum(
        cohort=name,
        # As many clients as mrsim's: a peer that gets by with fewer would do less work for coarser answers.
        points=cohort.points_behind(resolver),
        weight=cohort.share * resolver.share * within,
        resolver_life_s=life,
        lookups_per_s=float("inf") if resolver.lookups == "busy" else resolver.lookups,
        serve_stale=resolver.serve_stale,
        overstay=law(resolver.overstay),
        cache_life_s=min(program.cache, ttl) if program.honours_ttl else program.cache,
    )
