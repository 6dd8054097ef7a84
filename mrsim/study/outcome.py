"""A rare outcome of a trial: whether it is there, and how near a trial without it came."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.errors import Problem, ScenarioError
from mrsim.measure import Status
from mrsim.measure.splitbrain import nearness_s
from mrsim.metrics import BY_NAME
from mrsim.rng import Draws
from mrsim.study.asked import limit_asked, measuring
from mrsim.study.run import collector_paused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.measure import Measures
    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.tilts import TiltedDraws
    from mrsim.trace import Trace

    Floats = NDArray[np.float64]

Scores = Callable[["TiltedDraws"], "Floats"]
"""Runs the trials of some draws; returns what is above 0 with the outcome, NaN where it cannot be told."""

_TEXT = re.compile(r"\s*([^{}<>=\s]+)\s*(?:\{([^{}]*)\})?\s*(?:(<=|>=|<|>)\s*(\S.*?))?\s*", re.DOTALL)

_OF_TWO_PRIMARIES = frozenset(
    {
        *("split_brain", "split_brain_s", "split_brain_episodes", "exposed_s", "dual_belief_s"),
        *("divergent_writes", "false_failover"),
    }
)
"""Metrics of two nodes that acknowledge at once: how near a trial came to that is known from its trace."""

_NEAR_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is asked about: a flag that is set, or a number beyond a limit.

    Attributes
    ----------
    column
        Of the measures.
    metric, store
        Its metric, and its store if it is of one.
    op, limit
        ``>``, ``>=``, ``<`` or ``<=`` a limit in the base unit; a flag is above 0.
    text
        As written, with the labels that were left out.
    """

    column: str
    metric: str
    store: str
    op: str
    limit: float
    text: str

    def __call__(self, scenario: Scenario) -> Scores:
        """Return the function that runs and scores trials of a scenario."""
        from mrsim.measure import measure
        from mrsim.population import Population
        from mrsim.sim.run import Simulator

        simulator, population = Simulator(scenario), Population(scenario)

        def run(draws: TiltedDraws) -> Floats:
            with collector_paused():
                traces = simulator.run_chunk(draws.seed, draws.first, draws.count, draws)
                # The phases of clients keep their law: a lattice of hundreds of them has no tail to be in.
                untilted = Draws(draws.seed, draws.first, draws.count)
                return self.scores(measure(scenario, population, traces, untilted), traces)

        return run

    def scores(self, measures: Measures, traces: Sequence[Trace]) -> Floats:
        """Return a score per trial: above 0 with the outcome, else at most 0 and rising towards it, NaN if unknown."""
        values = measures.values[self.column]
        status = measures.status.get(self.column, np.zeros(len(values), dtype=np.int8))
        rising = self.op.startswith(">")
        beyond = values - self.limit if rising else self.limit - values
        there = beyond >= 0.0 if self.op.endswith("=") else beyond > 0.0
        near = np.minimum(beyond, 0.0)
        if self.metric in _OF_TWO_PRIMARIES:
            gaps_s = np.array([nearness_s(trace.stores[self.store]) for trace in traces])
            with np.errstate(invalid="ignore"):
                near = near + np.where(np.isinf(gaps_s), gaps_s, gaps_s / (_NEAR_S + np.abs(gaps_s)) - 1.0)
        # However near: without the outcome the score is not above 0.
        found = np.where(there, np.maximum(beyond, np.finfo(float).tiny), np.minimum(near, 0.0))
        # What was cut at the horizon is at least what it was there.
        undecided = (status == Status.CENSORED) & (there != rising)
        found = np.where(undecided, np.nan, found)
        return np.where((status == Status.NO_EFFECT) | np.isnan(values), -np.inf, found)


def outcome_asked(scenario: Scenario, text: str) -> tuple[Outcome, Scenario]:
    """Return the outcome of a text such as ``split_brain`` or ``rpo > 5min``, and a scenario that measures it.

    The labels ``store`` and ``service`` may be left out where there is only one.

    Raises
    ------
    ScenarioError
        With what is wrong, and the way out.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        hint = "write split_brain{store=...}, or rpo{store=...} > 5min"
        raise ScenarioError([Problem(f"{text!r} is not a metric, or a metric and a limit", hint=hint)], text)
    name, inside, op, limit = match.groups()
    metric = BY_NAME.get(name)
    flag = metric is not None and metric.kind == "flag"
    key = f"{name}{{{_completed(scenario, name, inside or '')}}}"
    if metric is not None and flag and op is not None:
        raise ScenarioError([Problem(f"{name} is there or not: it has no limit", hint=f"write {name}")], text)
    if metric is not None and not flag and op is None:
        hint = f"write {name} > {'5min' if metric.kind == 'duration' else '1%' if metric.kind == 'share' else '0'}"
        raise ScenarioError([Problem(f"{name} is a number: from where on is it the outcome?", hint=hint)], text)
    try:
        budget = limit_asked(scenario, f"{key} {'trials < 1%' if flag or metric is None else f'p50 {op} {limit}'}")
    except ScenarioError as error:
        raise ScenarioError(list(error.problems), text) from error
    if not flag:
        _check_horizon(scenario, budget, text)
    outcome = Outcome(
        column=budget.column,
        metric=budget.metric,
        store=budget.labels.get("store", ""),
        op=">" if flag else budget.op,
        limit=0.0 if flag else budget.limit,
        text=key if flag else f"{key} {op} {limit}",
    )
    return outcome, measuring([scenario], limits=[budget])[0]


def _completed(scenario: Scenario, name: str, inside: str) -> str:
    """Return labels with the store, service or feed that there is only one of."""
    metric = BY_NAME.get(name)
    given = {part.partition("=")[0].strip() for part in inside.split(",")}
    only = {"store": list(scenario.stores), "service": list(scenario.services), "feed": list(scenario.feeds)}
    more = [
        f"{label.name}={only[label.name][0]}"
        for label in (metric.labels if metric else ())
        if label.name not in given and len(only.get(label.name, ())) == 1
    ]
    return ", ".join([*more, *([inside.strip()] if inside.strip() else [])])


def _check_horizon(scenario: Scenario, budget: Budget, text: str) -> None:
    metric = BY_NAME[budget.metric]
    if metric.unfinished and metric.kind == "duration" and budget.limit >= scenario.horizon:
        message = f"the limit lies beyond the horizon of {scenario.horizon:g} s: no trial could tell"
        raise ScenarioError([Problem(message, hint="give the scenario a longer horizon")], text)
