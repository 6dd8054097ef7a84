"""How well a scenario foretold drills that happened: bands, transforms, and one verdict that is honest about few."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrsim.calibrate.drills import Drills, Observed
from mrsim.calibrate.pit import (
    as_recorded,
    band,
    censored,
    few_inside,
    noticeable_factor,
    transform,
    uniform_p_value,
)
from mrsim.errors import MeasurementsError
from mrsim.metrics import Kind
from mrsim.rng import Draws
from mrsim.study.claims import holm
from mrsim.study.run import run
from mrsim.study.statistics import Sample, clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

    Floats = NDArray[np.float64]

Verdict = Literal["consistent", "contradicted", "inconclusive"]

ALPHA = 0.05
"""Chance of contradicting a right scenario, over all columns together."""

BANDS = (0.5, 0.9)
"""Shares of trials that the bands hold."""

SMALL = 2.0
"""An error by this factor must be noticeable before silence counts as consistent."""

TRIALS = 2000
_TESTS = 2
_SCALED: tuple[Kind, ...] = ("duration", "count")
"""Kinds of numbers that can be wrong by a factor."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many drills were inside a band.

    Attributes
    ----------
    share
        Of the trials that the band holds: what the coverage should be, or a little more where trials tie.
    inside, n
        Drills inside, and drills.
    low, high
        90 % interval of the coverage behind them (Clopper-Pearson).
    p_value
        Probability of so few inside if the scenario is right.
    """

    share: float
    inside: int
    n: int
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Placed:
    """One number of one drill among the trials.

    Attributes
    ----------
    drill, value
        The drill's name, and what was observed in base units.
    inside
        Per band of :data:`BANDS`, whether it is inside.
    pit
        Its transform; 0.5 is the middle of the trials.
    tied
        Share of trials with the very same value; the transform is drawn within it.
    """

    drill: str
    value: float
    inside: tuple[bool, ...]
    pit: float
    tied: float


@dataclass(frozen=True, slots=True)
class ColumnScore:
    """One column of drills against the trials.

    Attributes
    ----------
    written, column, kind
        Its name in the record, the per-trial column it was compared with, and the kind of its numbers.
    trials, unfinished
        Trials with something to measure, and the share of them that had not finished.
    bands
        Per band its ends, in base units.
    drills
        In order.
    coverage
        Per band.
    uniform_p_value
        Exact, of the transforms.
    p_value
        Of the column: twice the smaller of the uniformity's and the 90 % band's.
    noticeable
        The smallest factor that so many drills would notice; None if none, or it cannot be told.
    """

    written: str
    column: str
    kind: Kind
    trials: int
    unfinished: float
    bands: tuple[tuple[float, float], ...]
    drills: tuple[Placed, ...]
    coverage: tuple[Coverage, ...]
    uniform_p_value: float
    p_value: float
    noticeable: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """A scenario, scored.

    Attributes
    ----------
    verdict
        ``contradicted`` if a column's p-value is too small (Holm-corrected at :data:`ALPHA`); ``consistent`` if none is
        and in every column of durations or counts, of which there is one, an error by the factor :data:`SMALL` would
        have been noticed; else ``inconclusive``.
    sentence
        The verdict for a reader.
    scenario, trials, seed
        What was run.
    drills
        Number of drills.
    columns
        One per column of the record.
    settings
        What was set in the scenario, such as ``dns.shop.ttl=30s``.
    """

    verdict: Verdict
    sentence: str
    scenario: str
    trials: int
    seed: int
    drills: int
    columns: tuple[ColumnScore, ...]
    settings: tuple[str, ...] = ()


def score(
    scenario: Scenario,
    drills: Drills | Mapping[str, ArrayLike],
    *,
    trials: int = TRIALS,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
) -> Score:
    """Run a scenario and compare it with drills.

    Parameters
    ----------
    scenario
        What was believed. Its faults have to be those of the drills.
    drills
        What :func:`~mrsim.calibrate.drills.read_drills` returned, or arrays by name of column, in base units, with NaN
        where nothing was recorded.
    trials, seed, workers, executor
        See :func:`mrsim.study.run.run`.

    Raises
    ------
    MeasurementsError
        If the drills cannot be used with this scenario.
    """
    known = drills if isinstance(drills, Drills) else Drills.of(drills, scenario)
    asked = measuring(scenario, known)
    return score_results(run(asked, trials=trials, seed=seed, workers=workers, executor=executor), known)


def measuring(scenario: Scenario, drills: Drills) -> Scenario:
    """Return the scenario with a switched-off budget for every column of the drills, so that a study measures it."""
    wanted = [one.target.budget for one in drills.columns if one.target.budget is not None]
    return scenario.model_copy(update={"budgets": (*scenario.budgets, *wanted)})


def score_results(results: Results, drills: Drills) -> Score:
    """Compare a study with drills.

    Raises
    ------
    MeasurementsError
        If the study has nothing to compare a column with.
    """
    alpha = ALPHA / (_TESTS * len(drills.columns))
    columns = tuple(_column(results, drills.names, one, alpha) for one in drills.columns)
    rejected = holm([one.p_value for one in columns], ALPHA)
    verdict = _verdict(columns, rejected)
    sentence = _sentence(verdict, columns, rejected, len(drills.names))
    name, settings = results.scenario.name, tuple(map(str, results.scenario.settings))
    return Score(verdict, sentence, name, results.n, results.seed, len(drills.names), columns, settings)


def _column(results: Results, names: tuple[str, ...], observed: Observed, alpha: float) -> ColumnScore:
    column = observed.target.column
    sample = results.sample(column)
    if sample.n == 0:
        message = f"{observed.written}: nothing to compare with, no trial had an effect on {column}"
        raise MeasurementsError(message)
    trials = as_recorded(sample.upper, observed.step)
    recorded = np.flatnonzero(~np.isnan(observed.values))
    values = as_recorded(observed.values[recorded], observed.step)
    u = Draws(results.seed, 0, 1).uniforms(f"score/{column}", len(observed.values))[0][recorded]
    limit = float(as_recorded(np.array([_limit(sample)]), observed.step)[0])
    pits = transform(censored(trials, limit), censored(values, limit), u)
    ends = tuple(band(trials, share) for share in BANDS)
    inside = np.array([[low <= value <= high for low, high in ends] for value in values.tolist()])
    tied = np.searchsorted(trials, values, side="right") - np.searchsorted(trials, values, side="left")
    placed = tuple(
        Placed(names[row], float(values[i]), tuple(map(bool, inside[i])), float(pits[i]), float(tied[i] / sample.n))
        for i, row in enumerate(recorded.tolist())
    )
    coverage = tuple(_coverage(share, inside[:, place], sample.n) for place, share in enumerate(BANDS))
    uniform = uniform_p_value(pits, sample.n)
    whether = observed.target.kind in _SCALED
    factor = noticeable_factor(trials, len(values), alpha, results.seed) if whether else None
    return ColumnScore(
        observed.written,
        column,
        observed.target.kind,
        sample.n,
        sample.unfinished / sample.n,
        ends,
        placed,
        coverage,
        uniform,
        min(1.0, _TESTS * min(uniform, coverage[-1].p_value)),
        factor,
    )


def _limit(sample: Sample) -> float:
    """Return the shortest time after which a trial was no longer followed; infinite if all were, to their end."""
    differs = np.flatnonzero(sample.lower < sample.upper)
    return float(sample.lower[differs[0]]) if len(differs) else math.inf


def _coverage(share: float, inside: NDArray[np.bool_], trials: int) -> Coverage:
    k, n = int(np.count_nonzero(inside)), len(inside)
    return Coverage(share, k, n, *clopper_pearson(k, n), few_inside(k, n, trials, share))


def _verdict(columns: tuple[ColumnScore, ...], rejected: list[bool]) -> Verdict:
    if any(rejected):
        return "contradicted"
    scaled = [one.noticeable for one in columns if one.kind in _SCALED]
    told = all(factor is not None and factor <= SMALL for factor in scaled)
    return "consistent" if scaled and told else "inconclusive"


def _sentence(verdict: Verdict, columns: tuple[ColumnScore, ...], rejected: list[bool], drills: int) -> str:
    counted = "1 drill" if drills == 1 else f"{drills} drills"
    if verdict == "contradicted":
        said = "; ".join(_against(one) for one, wrong in zip(columns, rejected, strict=True) if wrong)
        return f"{counted} contradict{'s' if drills == 1 else ''} the scenario: {said}."
    factors = sorted((one.noticeable, one.written) for one in columns if one.noticeable is not None)
    untold = [one.written for one in columns if one.noticeable is None]
    nothing = f"Nothing in {counted} speaks against the scenario"
    unknown = f"how far off {_listed(untold)} might be, so few drills cannot tell"
    if not factors:
        return f"{nothing}, and little could: {unknown}. That is no confirmation."
    shown = _listed([f"{factor:g} in {name}" for factor, name in factors])
    last = "A smaller error would not have shown." if verdict == "consistent" else "That is no confirmation."
    return (
        f"{nothing}. In four of five cases a prediction wrong by a factor of {shown} would have shown"
        f"{f'; {unknown}' if untold else ''}. {last}"
    )


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _against(column: ColumnScore) -> str:
    n = len(column.drills)
    above = sum(one.pit > 0.5 for one in column.drills)
    outside = n - column.coverage[-1].inside
    side = "above" if 2 * above >= n else "below"
    count = max(above, n - above)
    return (
        f"{column.written} is {side} the middle of the trials in {count} of {n} and outside the 90 % band in {outside} "
        f"(p = {column.p_value:.2g})"
    )
