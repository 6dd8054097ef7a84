"""Samples to a distribution: which form, how well it fits, and what speaks against trusting it.

The form is the one with the lowest Akaike criterion, corrected for small samples, among those that can be written in a
scenario; samples that are worth fewer than :data:`FEW` independent ones cannot tell forms apart and get the log-normal,
which durations of people and machines tend to follow. If even the best form is further from the samples than chance and
:data:`MATERIAL` explain, the samples themselves are written.

References
----------
K. P. Burnham, D. R. Anderson, *Model Selection and Multimodel Inference*, 2nd ed., 2002, 2.4 (corrected criterion).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.calibrate.forms import CONSTANT, MIXED, NAMES, PLAIN, VALUES, Form, log_likelihood
from mrsim.calibrate.goodness import LEVELS, Bootstrap, bootstrap, dependence, distance, step_of
from mrsim.calibrate.rounding import thinned, tidy, values_of, writable
from mrsim.calibrate.samples import Samples
from mrsim.calibrate.snippets import snippet
from mrsim.distributions import Constant, Distribution
from mrsim.errors import MeasurementsError
from mrsim.study.statistics import lower_rank, upper_rank

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FEW = 8
"""Samples worth fewer independent ones than this do not choose a form."""

ENOUGH = 30
"""Below, the fit comes with a warning."""

MATERIAL = 0.05
"""A distance up to this is no reason to give up a form, even if it is more than chance."""

_CLOSE = 2.0
_STEP_WITHOUT = 1e-9
_SOME = 4.0
_FAR = 2.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form that was tried.

    Attributes
    ----------
    form, distribution
        Its name, and its fit as it would be written.
    criterion
        Akaike's, above the lowest of all; NaN if the samples are too few for it.
    ks
        Distance from the samples.
    """

    form: str
    distribution: Distribution
    criterion: float
    ks: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A quantile of samples and fit in seconds, each with a 90 % interval; infinite where the samples set no bound."""

    level: float
    observed: float
    observed_low: float
    observed_high: float
    fitted: float
    fitted_low: float
    fitted_high: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A distribution for a scenario, and what is known about it.

    Attributes
    ----------
    distribution
        As it is written, rounded.
    form
        Name of its form.
    n, n_effective, autocorrelation
        Samples, the number of independent ones they are worth, and the correlation of neighbours.
    reason
        Why this form.
    ks, ks_critical, p_value
        Kolmogorov-Smirnov distance, the one that chance exceeds in 5 % of cases, and the share of cases in which chance
        takes a fit as far. NaN for a constant and for values.
    quantiles
        Samples and fit at p50, p90 and p99.
    candidates
        All forms that were tried, best first.
    warnings
        What speaks against trusting it.
    weights
        Of the values, if that is the form.
    """

    distribution: Distribution
    form: str
    n: int
    n_effective: float
    autocorrelation: float
    reason: str
    ks: float
    ks_critical: float
    p_value: float
    quantiles: tuple[Compared, ...]
    candidates: tuple[Candidate, ...]
    warnings: tuple[str, ...]
    weights: tuple[int, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the samples are no further from the fit than chance takes them."""
        return not self.ks > self.ks_critical

    def snippet(self, key: str = "takes") -> str:
        """Return the line (or lines) of a scenario file that say it."""
        return snippet(key, self.distribution, self.weights)


def fit(samples: Samples | ArrayLike, *, form: str = "auto", seed: int = 0) -> Fit:
    """Fit a distribution to samples of a duration.

    Parameters
    ----------
    samples
        Seconds, in the order in which they were measured, shape ``(n,)``; or what
        :func:`~mrsim.calibrate.samples.read_samples` returned.
    form
        One of :data:`~mrsim.calibrate.forms.NAMES`; ``auto`` chooses.
    seed
        Of the bootstrap behind critical value and intervals.

    Raises
    ------
    MeasurementsError
        If there are no samples, one is negative or not finite, or the form asked for cannot be fitted to them.
    """
    if form not in NAMES:
        message = f"{form!r} is no form; there are: {', '.join(NAMES)}"
        raise MeasurementsError(message)
    data = samples if isinstance(samples, Samples) else Samples.of(samples)
    case = _Case(data, seed)
    if form == VALUES:
        return case.as_values("as asked")
    if form == CONSTANT or (form == "auto" and case.x[0] == case.x[-1]):
        return case.as_constant("as asked" if form == CONSTANT else "all samples are the same")
    return case.as_asked(form) if form != "auto" else case.chosen()


class _Case:
    """Samples under examination."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self.x = samples.values
        self.n = len(self.x)
        self.step = step_of(self.x)
        self.worth, self.autocorrelation = dependence(samples.series)
        self.candidates = self._tried()

    def _tried(self) -> tuple[Candidate, ...]:
        found = []
        for form in (*PLAIN, *MIXED):
            distribution = form.fit(self.x)
            if distribution is None:
                continue
            likelihood = log_likelihood(distribution, self.x, self.step or _STEP_WITHOUT)
            written = writable(distribution)
            if math.isfinite(likelihood) and written is not None:
                found.append(
                    Candidate(form.name, written, self._criterion(form, likelihood), distance(written, self.x))
                )
        if not found:
            return ()
        found.sort(
            key=lambda one: (math.isnan(one.criterion), one.criterion if one.criterion == one.criterion else one.ks)
        )
        best = found[0].criterion
        return tuple(Candidate(one.form, one.distribution, one.criterion - best, one.ks) for one in found)

    def _criterion(self, form: Form, likelihood: float) -> float:
        """Return the corrected criterion; a sample that repeats its neighbour counts as part of one."""
        left = self.worth - form.parameters - 1
        if self.worth < FEW or left <= 0:
            return math.nan
        k = form.parameters
        return -2 * likelihood * self.worth / self.n + 2 * k + 2 * k * (k + 1) / left

    def chosen(self) -> Fit:
        if not self.candidates:
            return self.as_values("no form can be fitted to so few different samples")
        best = self.candidates[0]
        if math.isnan(best.criterion):
            named = next((one for one in self.candidates if one.form.endswith("log-normal")), None)
            if named is None:
                return self.as_values("so few samples cannot tell a form")
            why = f"samples worth {self.worth:.0f} cannot tell forms apart (at least {FEW}); log-normal by convention"
            return self._fit(named, why)
        fit = self._fit(best, self._why())
        if fit.fits or fit.ks <= MATERIAL:
            return fit
        why = (
            f"the best form, {best.form}, is {fit.ks:.3f} from the samples where chance explains {fit.ks_critical:.3f}"
        )
        return self.as_values(why)

    def _why(self) -> str:
        if len(self.candidates) == 1:
            return "the only form that can be fitted"
        second = self.candidates[1]
        if second.criterion < _CLOSE:
            return f"lowest Akaike criterion, but {second.form} is as good ({second.criterion:.1f} higher)"
        return f"lowest Akaike criterion; the next, {second.form}, is {second.criterion:.1f} higher"

    def as_asked(self, form: str) -> Fit:
        names = {one.form: one for one in self.candidates}
        mixed = [one for one in self.candidates if one.form in {known.name for known in MIXED}]
        found = (mixed[0] if mixed else None) if form == "mixture" else names.get(form)
        if found is None:
            zeros = int(np.count_nonzero(self.x == 0))
            why = f"{zeros} of {self.n} are zero" if form == "mixture" or zeros else "too few different ones"
            message = f"{self.samples.source}: {form} cannot be fitted to these samples ({why})"
            raise MeasurementsError(message)
        return self._fit(found, "as asked")

    def as_constant(self, why: str) -> Fit:
        return self._without_chance(Constant(float(np.median(self.x))), CONSTANT, why)

    def as_values(self, why: str) -> Fit:
        pairs = thinned(self.x)
        return self._without_chance(values_of(pairs), VALUES, why, tuple(weight for _, weight in pairs))

    def _without_chance(self, distribution: Distribution, form: str, why: str, weights: tuple[int, ...] = ()) -> Fit:
        written = tidy(distribution)
        nothing = Bootstrap(math.nan, math.nan, tuple((math.nan, math.nan) for _ in LEVELS))
        return self._answer(written, form, why, distance(written, self.x), nothing, weights)

    def _fit(self, candidate: Candidate, why: str) -> Fit:
        form = next(form for form in (*PLAIN, *MIXED) if form.name == candidate.form)
        chance = bootstrap(candidate.distribution, form.fit, candidate.ks, self.worth, self.step, self.seed)
        return self._answer(candidate.distribution, form.name, why, candidate.ks, chance)

    def _answer(
        self,
        distribution: Distribution,
        form: str,
        why: str,
        ks: float,
        chance: Bootstrap,
        weights: tuple[int, ...] = (),
    ) -> Fit:
        compared = tuple(
            self._compared(distribution, level, *ends) for level, ends in zip(LEVELS, chance.quantiles, strict=True)
        )
        warnings = (*self._warnings(form, ks, chance), *_tail_warnings(compared))
        return Fit(
            distribution,
            form,
            self.n,
            self.worth,
            self.autocorrelation,
            why,
            ks,
            chance.critical,
            chance.p_value,
            compared,
            self.candidates,
            warnings,
            weights,
        )

    def _compared(self, distribution: Distribution, level: float, low: float, high: float) -> Compared:
        worth = max(round(self.worth), 1)
        under, over = lower_rank(worth, level), upper_rank(worth, level)
        # A rank among the independent samples is a level among all.
        bottom = 0.0 if under is None else self._at(under / worth)
        top = math.inf if over is None else self._at(over / worth)
        fitted = float(distribution.quantile(np.array([level]))[0])
        return Compared(level, self._at(level), bottom, top, fitted, low, high)

    def _at(self, level: float) -> float:
        """Return the smallest sample that at least this share of the samples does not exceed."""
        return float(self.x[max(math.ceil(round(level * self.n, 9)), 1) - 1])

    def _warnings(self, form: str, ks: float, chance: Bootstrap) -> tuple[str, ...]:
        found = []
        if self.n < ENOUGH:
            counted = "1 sample is" if self.n == 1 else f"{self.n} samples are"
            found.append(f"{counted} few: below {ENOUGH}, tails are guesses (the p99 most of all)")
        if self.worth < 0.8 * self.n:
            alike = f"neighbouring samples are alike (correlation {self.autocorrelation:.2f})"
            few = f", fewer than {ENOUGH}" if self.worth < ENOUGH <= self.n else ""
            found.append(f"{alike}: the {self.n} are worth about {self.worth:.0f} independent ones{few}")
        spread = float(np.quantile(self.x, 0.9) - np.quantile(self.x, 0.1))
        if self.step > 0 and 0 < spread < _SOME * self.step:
            found.append(f"the samples are rounded to {self.step:g} s, which is coarse for what they span")
        if ks > chance.critical:
            found.append(
                f"the fit is off by more than chance ({ks:.3f} of probability at most, chance explains "
                f"{chance.critical:.3f}); --as values writes the samples themselves"
            )
        if form == VALUES:
            found.append(f"nothing longer than the longest value ({self.x[-1]:.4g} s at most) can be drawn from values")
        return tuple(found)


def _tail_warnings(compared: tuple[Compared, ...]) -> tuple[str, ...]:
    """Say where the fit's upper quantiles are far from those of the samples, which decides the long outages."""
    found = []
    for one in compared:
        outside = not one.observed_low <= one.fitted <= one.observed_high
        if outside and one.observed > 0 and not 1 / _FAR <= one.fitted / one.observed <= _FAR:
            ratio = one.fitted / one.observed
            found.append(
                f"the fit's p{100 * one.level:g} is {ratio:.2g} times that of the samples, more than chance allows: "
                "the slow cases may be of another kind; --as values keeps them"
            )
    return tuple(found)
