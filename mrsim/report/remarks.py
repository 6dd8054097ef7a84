"""What a valid scenario may not mean: said by ``validate``, and no error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.measure.latency import commit_wait_s
from mrsim.report.verdicts import asks_for_at_least
from mrsim.scenario.control import DecideLease
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.stores import Store


def blocked_once_promoted(store: Store) -> tuple[str, ...]:
    """Return the candidates that, once promoted, cannot acknowledge a commit unless the old primary follows them.

    Parameters
    ----------
    store
        Its commit rule. The old primary takes the promoted standby's place among the synchronous standbys; while it is
        lost, only the others can answer.
    """
    rule, failover = store.commit, store.failover
    needed = rule.any or rule.first
    if needed is None or failover is None or rule.when_short == "degrade":
        return ()
    order = failover.promote.order
    candidates = tuple(standby.region for standby in store.standbys) if isinstance(order, str) else order
    return tuple(region for region in candidates if len(set(rule.of) - {region}) < needed)


def most_commits_per_s(scenario: Scenario, store: Store) -> float:
    """Return how many commits all connections together can carry, each waiting for its standbys; infinite if none does.

    Parameters
    ----------
    scenario, store
        Round trips; the rule, the flushes and the connections.

    References
    ----------
    Little's law: as many commits are under way as the rate times the time that each takes.
    """
    if store.commit.any is None and store.commit.first is None:
        return INF
    wait_s = commit_wait_s(scenario, store, store.primary)
    return store.replication.connections / wait_s if wait_s > 0.0 else INF


def remarks_on(scenario: Scenario) -> list[str]:
    """Return what a reader of a scenario should know, a line each.

    Parameters
    ----------
    scenario
        A valid scenario.
    """
    limits = filter(asks_for_at_least, scenario.budgets)
    found = [f"line {limit.line}: {limit.key} {limit.text} asks for at least, not at most" for limit in limits]
    for name, store in scenario.stores.items():
        carried = most_commits_per_s(scenario, store)
        if carried < store.wal.commits:
            many = f"{store.replication.connections} connections carry {carried:.0f} commits/s, each after its standbys"
            found.append(f"stores.{name}.commit: {many}, fewer than the {store.wal.commits:.0f}/s attempted")
        regions, failover = blocked_once_promoted(store), store.failover
        if not regions or failover is None:
            continue
        follows = isinstance(failover.decide, DecideLease) or failover.old_primary.on_return == "rejoins"
        until = f"until {store.primary} follows it" if follows else f"and {store.primary} never follows it (on_return)"
        said = f"stores.{name}.commit: once promoted, {' or '.join(regions)} cannot acknowledge commits {until}"
        found.append(f"{said}; when_short: degrade, or more synchronous standbys, would let it")
    return found
