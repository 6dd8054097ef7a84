"""Latency of a write while nothing is wrong: from the client's last mile to the commit rule's wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.columns import Measures
from mrsim.scenario.places import region_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.routes import Routes
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.stores import Store

    Floats = NDArray[np.float64]


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
    rule = store.commit
    local = store.replication.local_flush.mean()
    work = store.standby_work_s(store.replication.remote_flush.mean())
    home = region_of(scenario, primary)
    others = [region_of(scenario, site) for site in rule.of if site != primary]
    waits = [scenario.network.path_s(home, region) + work for region in others]
    if rule.any is not None and waits:
        return local + sorted(waits)[min(rule.any, len(waits)) - 1]
    if rule.first is not None and waits:
        return local + max(waits[: rule.first])
    return local


def put_latency(measures: Measures, scenario: Scenario, service: str, routes: Routes) -> None:
    """Add the mean latency of a service's writes before any change, per cohort and over all."""
    written, is_worker = scenario.services[service].writes, scenario.services[service].is_worker
    if written is None:
        return
    store = scenario.stores[written]
    paths, wait = scenario.network, commit_wait_s(scenario, store, store.primary)
    home = region_of(scenario, store.primary)
    total, shares = np.zeros(measures.count), 0.0
    columns: dict[str, Floats] = {}
    for name, cohort in routes.population.cohorts.items():
        changes, _ = routes.answers(service, name)
        known = {
            region: (0.0 if is_worker else paths.path_s(cohort.near, region, last_miles=1))
            + paths.path_s(region, home)
            + wait
            for region in scenario.regions
        }
        columns[name] = np.array(
            [
                sum(share * known[region] for region, share in shares[0])
                if shares[0]
                else known.get(targets[0], np.nan)
                for targets, shares in zip(changes.targets, changes.shares, strict=True)
            ]
        )
        total += np.nan_to_num(columns[name]) * cohort.share
        shares += cohort.share
    measures.put("write_latency_s", {"service": service, "from": "all"}, total / shares)
    for name, column in columns.items():
        measures.put("write_latency_s", {"service": service, "from": name}, column)
