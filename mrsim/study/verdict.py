"""Verdicts: whether a scenario keeps its budgets, as far as the trials can tell.

A budget **passes** if the bound on its bad side still satisfies it, **fails** if the bound on its good side already
violates it, and is **inconclusive** otherwise: never passed for want of observations, nor because a fault did nothing.

A pass is not corrected for the number of budgets, because all of them must pass. A failure is (Holm): of
twenty budgets that just hold, one would otherwise fail by chance in two runs of three.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrsim.measure import Status
from mrsim.scenario.budgets import Budget
from mrsim.study.claims import Claim, MeanClaim, ShareClaim, claim_of, fewest_trials, holm
from mrsim.study.statistics import CONFIDENCE, Estimate, Sample, estimate

if TYPE_CHECKING:
    from mrsim.study.results import Results

Verdict = Literal["passed", "failed", "inconclusive"]

LEAST_ATOM = 0.01
"""Share of trials exactly on a limit from which on it is said."""

_TOO_CLOSE = "too close to the limit to be decided by more trials"

WORST = 5
"""How many of the worst trials a check names for replay."""


@dataclass(frozen=True, slots=True)
class Check:
    """One budget, judged.

    Attributes
    ----------
    budget
        The limit.
    verdict
        ``passed``, ``failed`` or ``inconclusive``.
    estimate
        What the trials say, with its bounds.
    needed_trials
        Of an inconclusive check: about how many trials would decide it; None if no number would, or if it is decided.
    reason
        Why it is inconclusive, or what limits the answer; may be empty.
    worst_trials
        Trials to replay, the worst for this budget first.
    scenario
        Name of the scenario.
    seed
        The study's seed: with a trial's number it replays that trial.
    more_trials_could_decide
        Of an inconclusive check: false if what is missing is not trials.
    """

    budget: Budget
    verdict: Verdict
    estimate: Estimate
    needed_trials: int | None = None
    reason: str = ""
    worst_trials: tuple[int, ...] = ()
    scenario: str = ""
    seed: int = 0
    more_trials_could_decide: bool = False


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A check without its verdict, and what the verdict follows from."""

    check: Check
    claim: Claim | None
    tested: bool
    """Whether any fault had an effect (or none was asked for)."""
    atom: float = 0.0
    """Share of trials exactly on the limit of a quantile, if that is the quantile itself."""


def judge(results: Results, budget: Budget, confidence: float = CONFIDENCE) -> Check:
    """Judge one budget on its own.

    Raises
    ------
    ResultsError
        If the study did not measure what the budget limits.
    """
    return _settle([_weigh(results, budget, confidence)], 1.0 - confidence, 1.0 - confidence)[0]


def judge_all(
    studies: Sequence[Results], confidence: float = CONFIDENCE, looks: int = 1, before: Sequence[Check] = ()
) -> tuple[Check, ...]:
    """Judge every budget of every study, failures corrected for the number of budgets in all (Holm).

    Budgets of level ``off`` are left out.

    Parameters
    ----------
    studies
        Everything that one invocation ran.
    confidence
        Of each one-sided bound; the chance of any false failure is at most ``1 - confidence``.
    looks
        How often these studies are judged while they grow, fixed before they were run: each look may err with
        ``(1 - confidence) / looks``, so that all of them together keep to ``confidence`` (Bonferroni).
    before
        What the look before this one said. A verdict, once reached, stays.
    """
    alpha = (1.0 - confidence) / looks
    evidence = [
        _weigh(results, budget, 1.0 - alpha)
        for results in studies
        for budget in results.scenario.budgets
        if budget.level != "off"
    ]
    checks = _settle(evidence, alpha, 1.0 - confidence)
    old = before or checks
    return tuple(one if one.verdict != "inconclusive" else new for one, new in zip(old, checks, strict=True))


def exit_code(checks: Iterable[Check]) -> int:
    """Return 1 if a budget failed, else 3 if one is inconclusive, else 0; budgets of level ``warn`` never count."""
    verdicts = {check.verdict for check in checks if check.budget.level == "error"}
    if "failed" in verdicts:
        return 1
    return 3 if "inconclusive" in verdicts else 0


def worse_of(*codes: int) -> int:
    """Return what a pipeline is told of several exit codes: failed, else inconclusive, else passed."""
    return next((code for code in (1, 3) if code in codes), 0)


def _weigh(results: Results, budget: Budget, confidence: float) -> _Evidence:
    sample = results.sample(budget.column)
    check = Check(
        budget=budget,
        verdict="inconclusive",
        estimate=estimate(sample, budget.aggregation, confidence),
        worst_trials=_worst(results, budget),
        scenario=results.scenario.name,
        seed=results.seed,
    )
    claim = claim_of(sample, budget.aggregation, budget.op, budget.limit)
    return _Evidence(check, claim, results.tested_something, _atom(sample, check))


def _atom(sample: Sample, check: Check) -> float:
    """Return the share of trials exactly on a quantile's limit, if the sample's quantile is the limit itself."""
    budget, seen = check.budget, check.estimate
    if budget.aggregation in ("mean", "trials") or not seen.value_low == seen.value_high == budget.limit:
        return 0.0
    share = float(np.mean(sample.lower == budget.limit))
    return share if share >= LEAST_ATOM else 0.0


def _settle(evidence: Sequence[_Evidence], alpha: float, whole: float) -> list[Check]:
    """Return verdicts at ``alpha``, and how many trials would decide at the ``whole`` of all looks."""
    failed = holm([1.0 if one.claim is None else one.claim.p_fail() for one in evidence], alpha)
    return [
        _said_of_atom(_verdict(one, is_failed, (alpha, whole), len(evidence)), one.atom)
        for one, is_failed in zip(evidence, failed, strict=True)
    ]


def _said_of_atom(check: Check, atom: float) -> Check:
    if not atom:
        return check
    strict, other = check.budget.op[0], f"{check.budget.op[0]}="
    reason = f"{atom:.1%} of trials lie exactly on the limit: {strict!r} or {other!r} decides, not more trials"
    return replace(check, reason=reason, needed_trials=None, more_trials_could_decide=False)


def _verdict(one: _Evidence, is_failed: bool, alphas: tuple[float, float], family: int) -> Check:
    alpha, whole = alphas
    claim, check = one.claim, one.check
    if claim is None:
        return _because(check, check.estimate.reason)
    if is_failed:
        return replace(check, verdict="failed")
    if claim.p_pass() <= alpha:
        if not one.tested:
            return _because(check, "no fault had an effect in any trial: nothing was tested")
        # What limits the interval of a quantile is its other side; what limits that of a mean is both.
        return replace(check, verdict="passed", reason=check.estimate.reason if isinstance(claim, MeanClaim) else "")
    if claim.p_fail() <= alpha:
        reason = f"would fail on its own, but not among {family} checks: more trials needed"
        return _because(check, reason, claim.needed_trials(whole / family))
    reason, needed = _undecided(claim, one, whole)
    return _because(check, reason, needed, hopeful=reason == _TOO_CLOSE)


def _because(check: Check, reason: str, needed_trials: int | None = None, *, hopeful: bool = False) -> Check:
    """Return the check as inconclusive for a reason; hopeful if more trials could decide."""
    hopeful = hopeful or needed_trials is not None
    return replace(
        check, verdict="inconclusive", reason=reason, needed_trials=needed_trials, more_trials_could_decide=hopeful
    )


def _undecided(claim: Claim, one: _Evidence, alpha: float) -> tuple[str, int | None]:
    """Return why the trials do not decide, and how many would."""
    budget, seen = one.check.budget, one.check.estimate
    fewest = fewest_trials(budget.aggregation, budget.op, budget.limit, 1.0 - alpha)
    if fewest is None:
        return f"no number of trials can show {budget.text!r}", None
    needed = claim.needed_trials(alpha)
    if isinstance(claim, ShareClaim) and claim.hangs_on_unfinished:
        unfinished = f"{seen.unfinished:.1%} of trials"
        return f"{unfinished} unfinished, which decide it: a longer horizon would tell, not more trials", None
    if seen.n < fewest:
        return f"at least {fewest} trials are needed to show it, got {seen.n}", needed
    return "more trials needed" if needed else _TOO_CLOSE, needed


def _worst(results: Results, budget: Budget) -> tuple[int, ...]:
    """Return the trials that speak most against a budget, unfinished ones by how long they were watched."""
    values = results.values_of(budget.column)
    codes = results.status_of(budget.column)
    sign = 1.0 if budget.op in ("<", "<=") else -1.0
    unfinished = (codes == Status.CENSORED) | (codes == Status.NEVER)
    badness = np.where(unfinished, sign * math.inf, sign * values)
    kept = np.flatnonzero(codes != Status.NO_EFFECT)
    if budget.aggregation == "trials":
        kept = kept[(values[kept] != 0.0) == (sign > 0)]
    trials = results.numbers
    order = np.lexsort((trials[kept], -sign * values[kept], -badness[kept]))[:WORST]
    return tuple(int(trials[kept[i]]) for i in order)
