"""What a valid scenario may not mean: said by ``validate``, counted by reports, and no error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.measure.latency import commit_wait_s
from mrsim.report.idle import idle
from mrsim.report.layout import DEFAULT_WIDTH, Page
from mrsim.report.verdicts import asks_for_at_least
from mrsim.scenario.control import DecideLease
from mrsim.scenario.places import region_of
from mrsim.scenario.settings import command_line
from mrsim.trace import INF
from mrsim.units import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting
    from mrsim.scenario.stores import Store


def _needed_of_candidates(store: Store) -> tuple[int, tuple[str, ...]]:
    """Return how many must answer before a commit goes on, and the candidates; none where it never waits for long."""
    rule, failover = store.commit, store.failover
    needed = rule.any or rule.first
    if needed is None or failover is None or rule.when_short == "degrade":
        return 0, ()
    order = failover.promote.order
    return needed, tuple(standby.region for standby in store.standbys) if isinstance(order, str) else order


def blocked_once_promoted(scenario: Scenario, store: Store) -> tuple[str, ...]:
    """Return the candidates that, once promoted, cannot acknowledge a commit unless the old primary follows them.

    Parameters
    ----------
    scenario, store
        Zones by region; the commit rule. The old primary takes the promoted standby's place among the synchronous
        standbys; while it is lost, only the others can answer.
    """
    needed, candidates = _needed_of_candidates(store)
    waited_for = {place: store.synchronous(place, partial(region_of, scenario)) for place in candidates}
    return tuple(place for place, sites in waited_for.items() if len(set(sites) - {store.primary}) < needed)


def blocked_without_region(scenario: Scenario, store: Store) -> tuple[str, ...]:
    """Return the regions whose nodes, once the primary's region is lost, cannot acknowledge a commit until it is back.

    A commit rule is the store's own wherever its primary is, so that too few of the set may be left. Regions of which
    :func:`blocked_once_promoted` tells anyway are not among them.

    Parameters
    ----------
    scenario, store
        Zones by region; the commit rule and the candidates.
    """
    needed, candidates = _needed_of_candidates(store)
    home = region_of(scenario, store.primary)
    told = blocked_once_promoted(scenario, store)
    found: dict[str, None] = {}
    for place in candidates:
        region = region_of(scenario, place)
        waited_for = store.synchronous(place, partial(region_of, scenario))
        left = {site for site in waited_for if region_of(scenario, site) != home}
        if region is not None and region != home and place not in told and len(left) < needed:
            found[region] = None
    return tuple(found)


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
    asked = [f"line {limit.line}: {limit.key} {limit.text} asks for at least, not at most" for limit in limits]
    return asked + remarks_beside_budgets(scenario)


def _is_high_quantile_of_mean(limit: Budget) -> bool:
    """Whether a limit asks for a high quantile over trials of what is a mean over writes in each."""
    over_trials = limit.aggregation.startswith("p") and float(limit.aggregation[1:]) > 50.0
    return over_trials and limit.metric == "write_latency_s" and limit.labels["writes"] == "mean"


def _on_mean(limit: Budget) -> str:
    share = f"{limit.aggregation[1:]}%"
    said = f"line {limit.line}: {limit.key} {limit.text} is a quantile over trials of the mean over writes"
    return f"{said}; of single writes it is writes={share}"


def remarks_beside_budgets(scenario: Scenario) -> list[str]:
    """Return what a reader of a report should know that the table of budgets does not say, a line each.

    Parameters
    ----------
    scenario
        A valid scenario.
    """
    found = [*map(_on_mean, filter(_is_high_quantile_of_mean, scenario.budgets))]
    for name, record in scenario.dns.items():
        if record.edge is not None and not record.edge.outlasts:
            waits = write(record.edge.connect_timeout, "duration")
            patience = write(record.edge.clients_give_up_after, "duration")
            said = f"a silent region is given up after {waits}, clients give up after {patience}"
            found.append(f"dns.{name}.edge: {said}: only where connections are refused does its second try help")
    for name, store in scenario.stores.items():
        if len(store.storage) == 2:
            said = f"stores.{name}.storage: a majority of two is both, so that writes stop with either"
            found.append(f"{said}; a third place would let them go on")
        carried = most_commits_per_s(scenario, store)
        if carried < store.wal.commits:
            many = f"{store.replication.connections} connections carry {carried:.0f} commits/s, each after its standbys"
            found.append(f"stores.{name}.commit: {many}, fewer than the {store.wal.commits:.0f}/s attempted")
        elsewhere = blocked_without_region(scenario, store)
        if elsewhere:
            home = region_of(scenario, store.primary)
            said = f"once {home} is lost, a primary in {' or '.join(elsewhere)} cannot acknowledge commits"
            why = "too few of the synchronous standbys are elsewhere; when_short: degrade would let it"
            found.append(f"stores.{name}.commit: {said} until {home} is back: {why}")
        regions, failover = blocked_once_promoted(scenario, store), store.failover
        if not regions or failover is None:
            continue
        if store.commit.of == "in-region":
            said = f"stores.{name}.commit: once promoted, {' or '.join(regions)} cannot acknowledge commits"
            found.append(f"{said}: too few nodes are in its region; when_short: degrade, or more of them, would let it")
            continue
        follows = isinstance(failover.decide, DecideLease) or failover.old_primary.on_return == "rejoins"
        until = f"until {store.primary} follows it" if follows else f"and {store.primary} never follows it (on_return)"
        said = f"stores.{name}.commit: once promoted, {' or '.join(regions)} cannot acknowledge commits {until}"
        found.append(f"{said}; when_short: degrade, or more synchronous standbys, would let it")
    return found + idle(scenario)


def remarks_counted(scenarios: Sequence[Scenario], *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return the lines below a report that tell how many remarks there are and what shows them; nothing if none.

    Parameters
    ----------
    scenarios
        Those that were run; files with the same settings share a line.
    width, colour
        Of the page.
    """
    groups: dict[tuple[Setting, ...], list[Scenario]] = {}
    counts: dict[tuple[Setting, ...], int] = {}
    for scenario in scenarios:
        remarks = len(remarks_beside_budgets(scenario))
        if remarks:
            groups.setdefault(scenario.settings, []).append(scenario)
            counts[scenario.settings] = counts.get(scenario.settings, 0) + remarks
    page = Page(width, colour=colour)
    for settings, found in groups.items():
        *first, last = found
        files = " ".join([*(command_line(one.path, ()) for one in first), command_line(last.path, settings)])
        many = f"{counts[settings]} remark{'s' if counts[settings] > 1 else ''}"
        what = f"what {len(found)} scenarios mean" if first else "what the scenario means"
        shown = "they are shown by" if counts[settings] > 1 else "it is shown by"
        page.aside(f"{many} on {what}; {shown}: mrsim validate {files}")
    return page.text() if groups else ""
