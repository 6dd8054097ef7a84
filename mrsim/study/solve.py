"""Which value of a parameter a budget still allows: bisection under common random numbers, then a fresh seed.

All values are tried with the same seed, so what is asked is a function of the value, without noise between values. The
value at which the limit is crossed is known as well as the trials allow: the values at which the verdict is neither
passed nor failed are its confidence interval, by the duality of tests and intervals. However many values are tried, it
rests on the verdict at the true one alone.

The value that is recommended passes, not just holds, and it must pass again on trials that the search has not seen.

References
----------
E. L. Lehmann, *Testing Statistical Hypotheses*, 1959, section 3.5 (tests and intervals).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mrsim.errors import ResultsError
from mrsim.rng import fresh_seed, other_seed
from mrsim.study.asked import as_asked, limit_asked, measuring
from mrsim.study.claims import fewest_trials
from mrsim.study.executors import Build
from mrsim.study.run import chunk_function, run
from mrsim.study.statistics import CONFIDENCE, Estimate
from mrsim.study.varied import Range, range_of
from mrsim.study.verdict import Verdict, judge

if TYPE_CHECKING:
    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

    Study = Callable[[Scenario, int], Results]

Outcome = Literal["found", "everywhere", "nowhere", "not monotone", "not shown", "not confirmed"]

SCAN = 5
"""Values tried over the whole range before the bisection, to see which way it goes and whether it turns."""

PRECISION = 0.005
"""Relative width at which the bisection stops."""

CONFIRMATIONS = 3
"""Fresh seeds on which a value may be tried, each time a step further on the safe side."""

DEFAULT_TRIALS = 2000


@dataclass(frozen=True, slots=True)
class Probe:
    """One value, tried.

    Attributes
    ----------
    value
        In the base unit.
    estimate
        What the trials say, with its bounds.
    verdict
        Of the budget.
    holds
        Whether the point estimate keeps the limit.
    seed
        Of the trials.
    """

    value: float
    estimate: Estimate
    verdict: Verdict
    holds: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Solution:
    """Which values keep a limit.

    Attributes
    ----------
    scenario, budget, span
        What was asked: the limit, and what was varied between which values.
    outcome
        ``found``; ``everywhere`` or ``nowhere`` in the range; ``not monotone``: it holds, fails and holds again;
        ``not shown``: it holds, but so few trials pass it nowhere; ``not confirmed``: it passed in the search and not
        on fresh seeds.
    want
        Whether the largest or the smallest value was looked for: what keeps the limit is below or above it.
    value
        The value that passed on a fresh seed; None if there is none.
    crossed_at, low, high
        Where the limit is crossed, and its interval: both ends are one-sided bounds at ``confidence``; None where the
        range ends before.
    probes
        Everything that was tried, ascending by value; confirmations, with their own seeds, apart.
    confirmations
        The last one decided.
    confidence, trials, seed
        Of the search.
    """

    scenario: Scenario
    budget: Budget
    span: Range
    outcome: Outcome
    want: Literal["largest", "smallest", ""]
    value: float | None
    crossed_at: float | None
    low: float | None
    high: float | None
    probes: tuple[Probe, ...]
    confirmations: tuple[Probe, ...]
    confidence: float
    trials: int
    seed: int

    @property
    def text(self) -> str:
        """The value as it is written in a file; empty if there is none."""
        return "" if self.value is None else self.span.text(self.value)

    @property
    def monotone_nearby(self) -> bool:
        """Whether, among all values tried, the limit is crossed once."""
        return _flips(self.probes) <= 1

    def __repr__(self) -> str:
        """Return the solution as text."""
        from mrsim.report.solution import solution_report

        return solution_report(self)


def solve(
    scenario: Scenario,
    path: str,
    between: tuple[object, object],
    until: str,
    *,
    trials: int = DEFAULT_TRIALS,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    confidence: float = CONFIDENCE,
    precision: float = PRECISION,
    build: Build = chunk_function,
) -> Solution:
    """Find the largest (or smallest) value that still keeps a limit.

    Parameters
    ----------
    scenario
        What is varied.
    path, between
        Which value, and between which two, such as ``("10s", "10min")``.
    until
        The limit, such as ``rto{service=orders, op=write, clients=95%} p95 < 5min``.
    trials, workers, executor, build
        Of each value tried; see :func:`mrsim.study.run.run`.
    seed
        The same for all values; the confirmation's seeds follow from it.
    confidence
        Of each one-sided bound.
    precision
        Relative width at which the search stops.

    Raises
    ------
    ScenarioError
        If path, range or limit are not valid, or an end of the range is no valid scenario.
    ResultsError
        If there are too few trials to show the limit at all.
    SimulationError, WorkerError, Interrupted
        As :func:`mrsim.study.run.run`.
    """

    def study(variant: Scenario, which: int) -> Results:
        return run(variant, trials=trials, seed=which, workers=workers, executor=executor, build=build)

    span = range_of(path, *between)
    budget = limit_asked(scenario, until)
    return search(scenario, span, budget, study, trials, fresh_seed() if seed is None else seed, confidence, precision)


def search(
    scenario: Scenario,
    span: Range,
    budget: Budget,
    study: Study,
    trials: int,
    seed: int,
    confidence: float = CONFIDENCE,
    precision: float = PRECISION,
) -> Solution:
    """Find the value, with any way of running a study; see :func:`solve`."""
    fewest = fewest_trials(budget.aggregation, budget.op, budget.limit, _strictest(confidence))
    if fewest is None or trials < fewest:
        message = f"{budget.text!r} cannot be shown with {trials} trials" + (f": {fewest} are needed" if fewest else "")
        raise ResultsError(message)
    searching = _Search(scenario, span, budget, study, seed, confidence, precision)
    for share in _scan_shares(span):
        searching.at(share)
    return searching.solution(trials)


def _strictest(confidence: float) -> float:
    """Return the confidence of a confirmation: several may be tried, and only one of them has to pass."""
    return 1.0 - (1.0 - confidence) / CONFIRMATIONS


def _scan_shares(span: Range) -> list[float]:
    steps = SCAN
    if span.dimension is None and span.high - span.low < 2 * SCAN:
        steps = round(span.high - span.low) + 1
    return [step / (steps - 1) for step in range(steps)]


@dataclass(slots=True)
class _Search:
    """Values tried so far, each once."""

    scenario: Scenario
    span: Range
    budget: Budget
    study: Study
    seed: int
    confidence: float
    precision: float
    tried: dict[str, Probe] = field(default_factory=dict)

    def at(self, share: float) -> Probe:
        """Try the value at a share of the way through the range, rounded to four digits."""
        value = self._rounded(self.span.at(share))
        text = self.span.text(value)
        if text not in self.tried:
            self.tried[text] = self._probe(value, self.seed, self.confidence)
        return self.tried[text]

    def _rounded(self, value: float) -> float:
        """Return a value of four digits, but never one outside the range."""
        return min(max(float(f"{value:.4g}"), self.span.low), self.span.high)

    def _probe(self, value: float, seed: int, confidence: float) -> Probe:
        variant = self.scenario.with_({self.span.name: self.span.text(value)})
        [asked] = measuring([variant], limits=[self.budget])
        check = judge(as_asked(self.study(asked, seed), variant), self.budget, confidence)
        seen = check.estimate
        below = self.budget.op in ("<", "<=")
        worst = seen.value_high if below else seen.value_low
        keeps = {"<": worst < self.budget.limit, "<=": worst <= self.budget.limit}
        keeps |= {">": worst > self.budget.limit, ">=": worst >= self.budget.limit}
        return Probe(value, seen, check.verdict, keeps[self.budget.op], seed)

    @property
    def probes(self) -> list[Probe]:
        """What was tried, ascending."""
        return sorted(self.tried.values(), key=lambda probe: probe.value)

    def solution(self, trials: int) -> Solution:
        """Bisect from what the scan has shown, and confirm."""
        probes, flips = self.probes, _flips(self.probes)
        want: Literal["largest", "smallest", ""] = ""
        if flips == 1:
            want = "largest" if probes[0].holds else "smallest"
        elif flips == 0:
            return self._answer("everywhere" if probes[0].holds else "nowhere", want, trials)
        else:
            return self._answer("not monotone", want, trials)
        crossed = self._edge(lambda probe: probe.holds, want)
        safe = self._edge(lambda probe: probe.verdict == "passed", want)
        bad = self._edge(lambda probe: probe.verdict != "failed", want)
        ends = (safe[0], bad[1]) if want == "largest" else (bad[1], safe[0])
        middle = None if None in crossed else (crossed[0].value + crossed[1].value) / 2  # type: ignore[union-attr]
        low, high = (None if end is None else end.value for end in ends)
        if safe[0] is None:
            return self._answer("not shown", want, trials, middle, low, high)
        confirmations = self._confirm(safe[0].value, low, high, want)
        done = confirmations[-1].verdict == "passed"
        value = confirmations[-1].value if done else None
        outcome: Outcome = "found" if done else "not confirmed"
        return self._answer(outcome, want, trials, middle, low, high, value, confirmations)

    def _edge(self, good: Callable[[Probe], bool], want: str) -> tuple[Probe | None, Probe | None]:
        """Return the last good and the first bad probe, seen from the safe end, once they are close enough."""
        while True:
            probes = self.probes if want == "largest" else self.probes[::-1]
            first_bad = next((i for i, probe in enumerate(probes) if not good(probe)), len(probes))
            last = probes[first_bad - 1] if first_bad else None
            bad = probes[first_bad] if first_bad < len(probes) else None
            if last is None or bad is None or self._close(last.value, bad.value):
                return last, bad
            known = len(self.tried)
            self.at((self.span.share_of(last.value) + self.span.share_of(bad.value)) / 2.0)
            if len(self.tried) == known:
                return last, bad

    def _close(self, one: float, other: float) -> bool:
        if self.span.dimension is None:
            return abs(one - other) <= 1.0
        return abs(one - other) <= self.precision * max(one, other)

    def _confirm(self, value: float, low: float | None, high: float | None, want: str) -> tuple[Probe, ...]:
        """Try a value on fresh seeds; where it does not pass, one that is as much safer as the interval is wide."""
        shares = [self.span.share_of(end) for end in (low, high) if end is not None]
        step = max(max(shares) - min(shares), self.precision / 2.0) * (-1.0 if want == "largest" else 1.0)
        share, found = self.span.share_of(value), []
        for round_ in range(CONFIRMATIONS):
            seed = other_seed(self.seed, f"study/confirmation/{round_}")
            found.append(self._probe(self._rounded(self.span.at(share)), seed, _strictest(self.confidence)))
            if found[-1].verdict == "passed" or not 0.0 < share < 1.0:
                break
            share = min(max(share + step, 0.0), 1.0)
        return tuple(found)

    def _answer(
        self,
        outcome: Outcome,
        want: Literal["largest", "smallest", ""],
        trials: int,
        crossed_at: float | None = None,
        low: float | None = None,
        high: float | None = None,
        value: float | None = None,
        confirmations: tuple[Probe, ...] = (),
    ) -> Solution:
        return Solution(
            scenario=self.scenario,
            budget=self.budget,
            span=self.span,
            outcome=outcome,
            want=want,
            value=value,
            crossed_at=crossed_at,
            low=low,
            high=high,
            probes=tuple(self.probes),
            confirmations=confirmations,
            confidence=self.confidence,
            trials=trials,
            seed=self.seed,
        )


def _flips(probes: Sequence[Probe]) -> int:
    """Return how often holding changes from one value to the next."""
    return sum(one.holds != other.holds for one, other in itertools.pairwise(probes))
