"""Wires the records of one trial: who answers, and the health checks that take regions out of the answers."""

from __future__ import annotations

from functools import partial
from math import floor
from typing import TYPE_CHECKING

from mrsim.sim.dns import Authority, Offer, preferences
from mrsim.sim.edge import ProxiedAuthority
from mrsim.sim.edited import EditedAuthority
from mrsim.sim.health import ProberGroup, Steady, Timing
from mrsim.sim.instances import Instance, look_through_front
from mrsim.sim.looks import at_once, look_at_front
from mrsim.sim.weighted import WeightedAuthority

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.services import HealthCheck, Record
    from mrsim.sim.network import Geometry, Network, Refresher
    from mrsim.sim.parts import Parts
    from mrsim.sim.world import World


class Records:
    """Wires the records of one scenario, trial by trial; what does not change between trials is worked out once.

    Parameters
    ----------
    scenario, geometry
        The scenario and its map.
    steady
        What the groups of probers were in another trial at t = 0, by label.
    """

    def __init__(self, scenario: Scenario, geometry: Geometry, steady: dict[str, Steady | None]) -> None:
        self._scenario = scenario
        self._geometry = geometry
        self._steady = steady
        cohorts = tuple(scenario.clients)
        self._preferences = {
            name: preferences(record, scenario.regions, cohorts, geometry) for name, record in scenario.dns.items()
        }

    def wire(self, world: World, parts: Parts, name: str, refreshers: list[Refresher]) -> Authority:
        """Set up who answers for a record, and its health checks.

        Parameters
        ----------
        world, parts
            The trial, and what there is of it by now: all but records and what watches stores.
        name
            The record's id.
        refreshers
            Takes those who look again after changes.
        """
        record = self._scenario.dns[name]
        offered = record.regions or self._scenario.regions
        check = record.health_check
        if check is None:
            authority = self._answering(world, parts.network, name, frozenset())
            if isinstance(authority, EditedAuthority):
                store = self._scenario.services[record.serves[0]].follows
                authority.follow(parts.databases[store], lambda site: self._geometry.home[site] or "")
            return authority
        serving = partial(parts.tier.all_serve, record.serves)
        asleep = frozenset(region for region in offered if check.depth != "reachability" and not serving(region))
        authority = self._answering(world, parts.network, name, asleep)
        for region in offered:
            self._check(world, parts, authority, name, check, region, refreshers, down=region in asleep)
        return authority

    def _answering(self, world: World, network: Network, name: str, asleep: frozenset[str]) -> Authority:
        """Set up who answers, as the record's policy wants it."""
        record = self._scenario.dns[name]
        offer = Offer(name, record, record.regions or self._scenario.regions, self._preferences[name], asleep)
        authority: EditedAuthority | ProxiedAuthority | WeightedAuthority
        if record.policy == "weighted":
            authority = WeightedAuthority(world, network, offer)
        elif record.edited is not None:
            authority = EditedAuthority(world, network, offer, record.edited)
        elif record.edge is not None:
            authority = ProxiedAuthority(world, network, offer, record.edge)
        else:
            return Authority(world, offer)
        network.listen(authority.on_network)
        return authority

    def _check(
        self,
        world: World,
        parts: Parts,
        authority: Authority,
        name: str,
        check: HealthCheck,
        region: str,
        refreshers: list[Refresher],
        *,
        down: bool,
    ) -> None:
        """Let a record's checkers probe one region, from ``down`` on or from up."""
        record, tier = self._scenario.dns[name], parts.tier
        serving = partial(tier.all_serve, record.serves)
        label = f"{name}/check/{region}"
        stores = self._written(record, region) if check.depth == "write-path" else []
        instances = [self._instance(world, parts, f"{label}/{store}", region, store) for store in stores]
        look = partial(look_at_front, parts.network, parts.brownouts, serving, check, region)
        if instances:
            look = partial(look_through_front, parts.network, parts.brownouts, serving, check, region, instances)

        def verdict(down: bool, event: int) -> None:
            authority.on_verdict(region, event, down=down)
            if down:
                tier.on_front_down(record, region, event)

        # How long a deep probe takes follows from the trial's own draws.
        steady = None if instances else self._steady.get(label)
        standing = (check.stands,) * check.checkers
        at = f"{name}@{region}"
        group = ProberGroup(
            world, label, at, standing, _timing(check), look, at_once, verdict, down=down, steady=steady
        )
        if not instances:
            self._steady.setdefault(label, group.steady)
        for instance in instances:
            instance.on_change = group.reassess
        for store in stores:
            parts.databases[store].listen(group.reassess)
        sites = (site for store in stores for site in parts.databases[store].nodes)
        refreshers.append((frozenset((region, check.stands, *sites)), group.reassess))

    def _written(self, record: Record, region: str) -> list[str]:
        """Return the stores that services behind a record write from a region."""
        services = (self._scenario.services[name] for name in record.serves)
        stores = (service.writes for service in services if service.may_serve(region))
        return list(dict.fromkeys(store for store in stores if store is not None))

    def _instance(self, world: World, parts: Parts, label: str, region: str, store: str) -> Instance:
        model = self._scenario.stores[store].endpoint
        instance = Instance(world, label, region, model, parts.endpoints[store], parts.databases[store])
        parts.instances.append(instance)
        return instance


def _timing(check: HealthCheck) -> Timing:
    return Timing(
        check.every, check.interval_from == "end", check.fails, check.recovers, check.timeout, needed_down(check)
    )


def needed_down(check: HealthCheck) -> int:
    """Return how many checkers must report down for the verdict: healthy needs more than a share of them."""
    healthy_needed = floor(check.healthy_above * check.checkers + 1e-9) + 1
    return check.checkers - healthy_needed + 1
