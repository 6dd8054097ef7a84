"""What the trials of a rare outcome say: its rate with an interval, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrsim.study.outcome import Outcome
from mrsim.study.statistics import CONFIDENCE, clopper_pearson
from mrsim.study.weighted import effective_number, gamma_interval, most_if_never

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario
    from mrsim.study.pilot import Learned, Stage
    from mrsim.tilts import Input, Quantile

    Floats = NDArray[np.float64]

TELLING = 50.0
"""Effective trials with the outcome below which the interval is a cautious one."""

HEAVIEST = 0.2
"""Share of the estimate from which on one trial is too much of it."""

Verdict = Literal["found", "uncertain", "not found"]


@dataclass(frozen=True, slots=True)
class Tilted:
    """An input that was drawn by another law.

    Attributes
    ----------
    name
        Of the draw, made of the scenario's ids; with its occasion in brackets if it is not the first.
    kind
        ``duration`` in seconds, or ``level``: a uniform that something else is made of.
    usual, found
        Where it lies in nine of ten trials, and in nine of ten with the outcome.
    """

    name: str
    kind: Literal["duration", "level"]
    usual: tuple[float, float]
    found: tuple[float, float]


@dataclass(frozen=True, slots=True)
class RareRate:
    """How likely an outcome is in a trial, and what that rests on.

    Attributes
    ----------
    scenario, outcome
        What was asked.
    verdict
        ``found``; ``uncertain``: so few trials carry the rate that its interval is a cautious one; ``not found``: the
        rate is 0 and ``high`` says how likely it may be all the same.
    rate
        Share of trials with the outcome, given the faults of the scenario.
    low, high
        Two-sided interval at ``confidence``; if not found, 0 and a one-sided bound.
    confidence
        0.95.
    trials, pilot, seed
        All trials, those of the pilot among them, and the seed of both.
    hits, effective, heaviest
        Trials of the estimate with the outcome, how many equally weighted ones they are worth, and the largest share of
        the rate that one of them has.
    mean_weight, mean_weight_se
        Of the estimate's trials: 1 but for chance, and its standard error.
    crude_trials, gain
        Trials that crude Monte Carlo would need for an estimate as precise, and how many times as many that is; NaN if
        nothing was found.
    tilted
        What was tilted; nothing, if the pilot saw no need or no way.
    remarks
        What to be careful about.
    """

    scenario: Scenario
    outcome: Outcome
    verdict: Verdict
    rate: float
    low: float
    high: float
    confidence: float
    trials: int
    pilot: int
    seed: int
    hits: int
    effective: float
    heaviest: float
    mean_weight: float
    mean_weight_se: float
    crude_trials: float
    gain: float
    tilted: tuple[Tilted, ...]
    remarks: tuple[str, ...]

    @property
    def n(self) -> int:
        """Trials of the estimate."""
        return self.trials - self.pilot

    def __repr__(self) -> str:
        """Return the rate as text."""
        from mrsim.report.rare import rare_report

        return rare_report(self)


def answer(
    scenario: Scenario,
    outcome: Outcome,
    known: Learned,
    main: Stage,
    laws: dict[tuple[str, int], Quantile],
) -> RareRate:
    """Return what the estimate's trials say.

    Parameters
    ----------
    scenario, outcome
        What was asked.
    known
        By the pilot.
    main
        The estimate's trials.
    laws
        How draws were mapped to durations, by name and occasion.
    """
    n, tilt = len(main.scores), main.tilt
    uniforms = main.uniforms(tilt.inputs)
    weights = 1.0 / tilt.density(tilt.inputs, uniforms)
    hits = main.scores > 0.0
    counted = weights * hits
    rate = float(np.mean(counted))
    effective = effective_number(counted)
    heaviest = float(np.max(counted)) / (rate * n) if rate > 0.0 else 0.0
    uncertain = bool(tilt.inputs) and (effective < TELLING or heaviest > HEAVIEST or bool(known.left_out))
    verdict: Verdict = "not found" if rate == 0.0 else "uncertain" if uncertain else "found"
    unseen = not any((_maybe(stage) > 0.0).any() for stage in known.stages)
    low, high = _interval(main, weights, known.stages if unseen else (), cautious=uncertain)
    variance = float(np.var(counted, ddof=1)) / n
    crude = rate * (1.0 - rate) / variance if verdict == "found" and variance > 0.0 else float("nan")
    pilot_trials = sum(len(stage.scores) for stage in known.stages)
    return RareRate(
        scenario=scenario,
        outcome=outcome,
        verdict=verdict,
        rate=rate,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        trials=n + pilot_trials,
        pilot=pilot_trials,
        seed=main.seed,
        hits=int(np.count_nonzero(hits)),
        effective=effective,
        heaviest=heaviest,
        mean_weight=float(np.mean(weights)),
        mean_weight_se=float(np.std(weights, ddof=1)) / n**0.5,
        crude_trials=crude,
        gain=crude / (n + pilot_trials),
        tilted=tuple(
            _described(one, uniforms[:, column], counted, laws.get((one.name, one.occasion)))
            for column, one in enumerate(tilt.inputs)
        ),
        remarks=_remarks(main, verdict, rate, weights, known),
    )


def _maybe(stage: Stage) -> NDArray[np.bool_]:
    """Return which trials have the outcome, or would have it if the horizon had not cut them."""
    return (stage.scores > 0.0) | np.isnan(stage.scores)


def _interval(main: Stage, weights: Floats, before: Sequence[Stage], *, cautious: bool) -> tuple[float, float]:
    """Return the interval of the rate; what the horizon left open may be the outcome or not.

    Parameters
    ----------
    main, weights
        The estimate's trials.
    before
        The pilot, if none of its trials had the outcome either.
    cautious
        Whether there may be ways into the outcome that no trial took.
    """
    hits, maybe = main.scores > 0.0, _maybe(main)
    low = _ends(main, weights, hits, cautious=cautious)[0] if hits.any() else 0.0
    if maybe.any():
        return low, _ends(main, weights, maybe, cautious=cautious)[1]
    shares = sum(stage.tilt.shares[0] * len(stage.scores) for stage in (*before, main))
    return 0.0, most_if_never(float(shares), CONFIDENCE)


def _ends(main: Stage, weights: Floats, there: NDArray[np.bool_], *, cautious: bool) -> tuple[float, float]:
    """Return the two-sided interval of how likely it is that something is there.

    No interval that is made of weights knows about ways into the outcome that no trial took. What holds all the same:
    the trials that are untilted bound it from above, as any others would, and an unbiased estimate is rarely far too
    high (Markov's inequality).
    """
    one_sided = 0.5 + CONFIDENCE / 2.0
    untilted = main.components() == 0
    crude = clopper_pearson(int(np.count_nonzero(there & untilted)), int(np.count_nonzero(untilted)), one_sided)
    if not main.tilt.inputs:
        return crude
    counted = weights * there
    low, high = gamma_interval(counted, CONFIDENCE)
    if not cautious:
        return low, min(1.0, high)
    return min(low, (1.0 - one_sided) * float(np.mean(counted))), max(min(1.0, high), crude[1])


def _described(one: Input, uniforms: Floats, counted: Floats, law: Quantile | None) -> Tilted:
    """Return an input as people read it: where it lies usually, and where with the outcome."""
    mapped = law or np.asarray
    ends = np.array([0.05, 0.95])
    low, high = mapped(ends).tolist()
    found = (float("nan"), float("nan"))
    if counted.any():
        order = np.argsort(uniforms)
        risen = np.cumsum(counted[order]) / counted.sum()
        levels = uniforms[order][np.minimum(np.searchsorted(risen, ends), len(order) - 1)]
        found = tuple(mapped(levels).tolist())
    return Tilted(_named(one), "level" if law is None else "duration", (low, high), found)


def _named(one: Input) -> str:
    """Return the name of an input: the draw's, with its occasion if it is not the first, and which of its uniforms."""
    return one.name + (f" [{one.occasion}]" if one.occasion else "") + (f" #{one.word + 1}" if one.word else "")


def _remarks(main: Stage, verdict: Verdict, rate: float, weights: Floats, known: Learned) -> tuple[str, ...]:
    said = []
    seen = sum(int(np.count_nonzero(stage.scores > 0.0)) for stage in known.stages)
    undecided = int(np.count_nonzero(np.isnan(main.scores)))
    if verdict == "uncertain" and known.left_out:
        said.append(
            f"more inputs have to do with it than are tilted, such as {_named(known.left_out[0])}: if they are a way "
            "of their own into the outcome, the rate leaves that out, so the upper end is what untilted trials allow"
        )
    elif verdict == "uncertain":
        said.append(
            "few trials carry this rate, so the interval is a cautious one: its upper end is what untilted trials "
            "allow; more trials may settle it, unless the outcome needs more than four inputs to be unusual at once"
        )
    if verdict == "not found" and seen:
        said.append(f"{seen} of the pilot's tilted trials had it, so it is possible; none of those that count did")
    if rate > 0.01:
        said.append("this is not rare: mrsim run says it as well, with everything else about these trials")
    if undecided:
        said.append(f"{undecided} trials were cut at the horizon before it was told: the upper end counts them all")
    mean, error = float(np.mean(weights)), float(np.std(weights)) / len(weights) ** 0.5
    if abs(mean - 1.0) > 4.0 * error:
        said.append(f"the mean weight is {mean:.4f}, which should be 1: do not trust this, and report it with the seed")
    return tuple(said)
