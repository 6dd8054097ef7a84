"""Metrics and limits that are asked for beside a scenario's own budgets, read by the same grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mrsim.errors import Problem, ScenarioError
from mrsim.metrics import BY_NAME
from mrsim.scenario.budget_text import has_needed, named, parse_budget
from mrsim.study.documents import digest, scenario_document

if TYPE_CHECKING:
    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

_KEY_AND_LIMIT = re.compile(r"\s*([^{}\s]+\s*(?:\{[^{}]*\})?)\s*:?\s*(.*?)\s*", re.DOTALL)
_ANY_LIMIT = {"duration": "p95 < 1s", "count": "p95 < 1", "share": "p95 < 1%", "flag": "trials < 1%"}


def limit_asked(scenario: Scenario, text: str) -> Budget:
    """Return the budget of a text such as ``rto{service=orders, op=write, clients=95%} p95 < 5min``.

    Raises
    ------
    ScenarioError
        With what is wrong, and the way out.
    """
    match = _KEY_AND_LIMIT.fullmatch(text)
    key, limit = match.groups() if match else (text, "")
    return _parsed(scenario, key, limit, text)


def column_asked(scenario: Scenario, text: str) -> str:
    """Return the per-trial column of a metric as a budget names it, such as ``rpo{store=orders-db}``.

    Raises
    ------
    ScenarioError
        With what is wrong, and the way out.
    """
    return _metric_asked(scenario, text).column


def quantity_asked(scenario: Scenario, text: str) -> Budget:
    """Return a budget that stands for an aggregation, such as ``rpo{store=orders-db} p95``, without a limit.

    Raises
    ------
    ScenarioError
        With what is wrong, and the way out.
    """
    match = _KEY_AND_LIMIT.fullmatch(text)
    if match is not None and not match[2]:
        column_asked(scenario, text)
        message = "which of its values over trials is meant is not said"
        raise ScenarioError([Problem(message, hint=f"write {text.strip()} {_any_limit(text).split()[0]}")], text)
    limit = _any_limit(text).partition(" ")[2]
    return limit_asked(scenario, f"{text.strip()} {limit}").model_copy(update={"level": "off"})


def _metric_asked(scenario: Scenario, text: str) -> Budget:
    return _parsed(scenario, text, _any_limit(text), text)


def _any_limit(text: str) -> str:
    """Return a limit that the grammar takes for a metric, for want of one that was asked for."""
    metric = BY_NAME.get(text.partition("{")[0].strip())
    return _ANY_LIMIT[metric.kind if metric else "duration"]


def _parsed(scenario: Scenario, key: str, limit: str, text: str) -> Budget:
    """Return a budget of a scenario; what is wrong with it is said of the text as it was given."""
    try:
        return parse_budget(key, limit, named(scenario))
    except ValueError as error:
        raise ScenarioError([Problem(str(error), hint=getattr(error, "hint", ""))], text) from error


def measuring(
    scenarios: Sequence[Scenario], metrics: Iterable[str] = (), limits: Iterable[Budget] = ()
) -> list[Scenario]:
    """Return scenarios that all measure what is asked for, and what the budgets of any of them name.

    Parameters
    ----------
    scenarios
        Those to run.
    metrics
        As a budget names them.
    limits
        Budgets beside those of the scenarios.
    """
    wanted = [budget for scenario in scenarios for budget in scenario.budgets]
    wanted += [_metric_asked(scenarios[0], text) for text in metrics]
    wanted += list(limits)
    every = {budget.column: budget.model_copy(update={"level": "off", "line": 0}) for budget in wanted}
    prepared = []
    for scenario in scenarios:
        own = {budget.column for budget in scenario.budgets}
        more = [budget for column, budget in every.items() if column not in own and _fits(scenario, budget)]
        prepared.append(scenario.model_copy(update={"budgets": (*scenario.budgets, *more)}) if more else scenario)
    return prepared


def as_asked(results: Results, scenario: Scenario) -> Results:
    """Return results of a scenario that measured more, as those of the scenario itself."""
    if results.scenario is scenario:
        return results
    origin = results.provenance | {"scenario_sha256": digest(scenario_document(scenario))}
    return replace(results, scenario=scenario, provenance=origin)


def _fits(scenario: Scenario, budget: Budget) -> bool:
    """Whether a scenario has what a budget of another one is about."""
    labels = budget.labels
    service = scenario.services.get(labels.get("service", ""))
    if "service" in labels and service is None:
        return False
    if service is not None and "op" in labels and not (service.writes if labels["op"] == "write" else service.reads):
        return False
    needs = BY_NAME[budget.metric].needs
    what = "store" if service is None else "service"
    if needs and not has_needed(named(scenario), what, labels.get(what, ""), needs):
        return False
    known = {"store": set(scenario.stores), "feed": set(scenario.feeds), "from": {"all", *scenario.clients}}
    return all(labels[name] in there for name, there in known.items() if name in labels)
