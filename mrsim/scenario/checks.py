"""What a scenario must mean beyond being well formed; every finding is noted with its place."""

from __future__ import annotations

from mrsim.metrics import BY_NAME
from mrsim.scenario.checks_faults import check_fault
from mrsim.scenario.checks_feeds import check_feeds
from mrsim.scenario.checks_stores import check_store
from mrsim.scenario.checks_tier import check_tier
from mrsim.scenario.checks_traffic import check_clients, check_record, check_services
from mrsim.scenario.document import Document
from mrsim.scenario.model import Scenario
from mrsim.scenario.starts import latest_start_s
from mrsim.units import format_seconds


def check_scenario(scenario: Scenario, document: Document) -> None:
    """Note everything in a well-formed scenario that cannot be meant.

    Parameters
    ----------
    scenario
        Its references are known to be good; its budgets are read.
    document
        Takes the problems.
    """
    if len(set(scenario.regions)) < len(scenario.regions):
        document.add(("regions",), "a region is there twice", "keep one")
    for name, store in scenario.stores.items():
        check_store(store, ("stores", name), scenario, document)
    check_feeds(scenario, document)
    check_services(scenario, document)
    check_tier(scenario, document)
    for name, record in scenario.dns.items():
        check_record(record, ("dns", name), scenario, document)
    check_clients(scenario, document)
    for index, fault in enumerate(scenario.faults):
        check_fault(fault, ("faults", index), scenario, document)
    _check_horizon(scenario, document)


def _check_horizon(scenario: Scenario, document: Document) -> None:
    stores = list(scenario.stores.values())
    starts = [latest_start_s(fault, stores) for fault in scenario.faults]
    if not starts:
        return
    last = max(starts)
    fault = starts.index(last)
    if last >= scenario.horizon:
        message = f"the fault can start at {format_seconds(last)}, the trial ends at {format_seconds(scenario.horizon)}"
        document.add(("faults", fault), message, "write a longer horizon or an earlier start")
        return
    for budget in scenario.budgets:
        if BY_NAME[budget.metric].kind != "duration" or budget.level == "off":
            continue
        if last + budget.limit >= scenario.horizon:
            message = (
                f"the horizon of {format_seconds(scenario.horizon)} is too short to judge '{budget.text}' of "
                f"{budget.metric}: the last fault can start at {format_seconds(last)}"
            )
            hint = f"write a horizon above {format_seconds(last + budget.limit)}"
            document.add(("horizon",) if scenario.horizon_explicit else ("budgets", budget.key), message, hint)
