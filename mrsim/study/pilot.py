"""What a few trials tell about how a rare outcome comes about: which inputs to tilt, and how.

An outcome of one in a hundred thousand shows in no crude pilot. But what makes an outage end badly is nearly always
that some durations are unusually long or short: the outcome lies in the tails of a few inputs. So the first trials draw
*every* input far more often from its tails (each octave towards 0 and 1 is as likely as the next), and the outcome is
there in per cents of them. What it needs shows in the raw uniforms of those trials: for an input that does not matter
they are uniform, whatever the tilt. The inputs farthest from that, at most four, are tilted from then on, towards the
density they have given the outcome (the cross-entropy method), over a few rounds. Where an outcome comes with a score
that grows towards it, the trials nearest to it stand in while there are too few with it (multilevel).

None of this needs to be right for the estimate to be: that is made from other trials, with known weights.

References
----------
R. Y. Rubinstein, D. P. Kroese, *The Cross-Entropy Method*, 2004. A. B. Owen, Y. Zhou, *Safe and effective importance
sampling*, JASA 95, 2000 (defensive mixtures, and weights over all stages together).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.rng import Draws
from mrsim.tilts import WIDTHS, Input, Tilt, bins_of, uniforms_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_INPUTS = 4
"""Inputs that are tilted at once at most: weights spread with every input more."""

WAYS = 4
"""Ways into the outcome, each with inputs of its own, that are told apart at most."""

LEAST_SHARE = 0.15
"""Of a way among all, before they are made to add up: its weights may be told too small by a few trials."""

MOST_CHOSEN = 8
"""Inputs of all ways together."""

DEFENSIVE = 0.1
"""Share of trials under the untilted law, so that no weight is above 10."""

WIDE = 0.1
"""Share of trials with the chosen inputs drawn from their tails: ways into the outcome that the pilot has not seen."""

_RATES = (0.0, 0.3, 0.6, 0.95)
_RATE_SHARES = (DEFENSIVE, 0.3, 0.3, 0.3)
"""How likely an input is drawn from its tails, by component: some outcomes need the rest to be ordinary."""

ENOUGH = 60
"""Trials with the outcome from which on those alone say where it lies; until then those nearest to it do as well."""

PLENTY = 600.0
"""Effective trials with the outcome from which on another round of the pilot would add nothing."""

SOUND = 25.0
"""Effective trials that a law is fitted to at least, if need be with weights that are evened out."""

_GROUPS = 8
_CHANCE, _DOUBT = 1e-3, 1e-2
"""Of an input without influence to be taken for one with it: to be tilted, and to be missed."""

_PRIOR = 5.0
"""How many trials the tails' law weighs when a density is fitted."""

_ROUNDS_OF_EM = 12
_TINY = 1e-300

_CENTRE = np.isclose(WIDTHS, WIDTHS.max())
_OCTAVES = np.where(_CENTRE, 4.0 / np.count_nonzero(_CENTRE), 1.0)
_TAILS: Floats = np.array([1.0 - rate + rate * _OCTAVES / _OCTAVES.sum() / WIDTHS for rate in _RATES])
"""Densities that draw from the tails at each rate, every octave as often as the next, shape ``(rates, B)``."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Trials of one law.

    Attributes
    ----------
    tilt, seed, first
        Which: their uniforms follow from that.
    scores
        Above 0 with the outcome, NaN where it is not known, shape ``(count,)``.
    asked
        Inputs that the trials asked for.
    """

    tilt: Tilt
    seed: int
    first: int
    scores: Floats
    asked: frozenset[Input]

    def uniforms(self, inputs: Sequence[Input]) -> Floats:
        """Return what inputs were, shape ``(count, inputs)``."""
        return uniforms_of(self.tilt, inputs, self.seed, self.first, len(self.scores))

    def components(self) -> NDArray[np.int64]:
        """Return the component of the law that each trial is of, shape ``(count,)``; the first is untilted."""
        return self.tilt.components(Draws(self.seed, self.first, len(self.scores)))


def everywhere() -> Tilt:
    """Return the first law: every input from its tails, more or less often."""
    return Tilt(np.array(_RATE_SHARES), (), np.empty((len(_RATES), 0, len(WIDTHS))), _TAILS)


def untilted() -> Tilt:
    """Return the law that tilts nothing."""
    return Tilt(np.ones(1), (), np.empty((1, 0, len(WIDTHS))))


@dataclass(frozen=True, slots=True)
class Learned:
    """What a pilot found out.

    Attributes
    ----------
    tilt
        The law to estimate with; it tilts nothing if no trial, or too few, told what to tilt.
    stages
        What was run.
    left_out
        Inputs that have to do with the outcome and are not tilted, because there are too many.
    """

    tilt: Tilt
    stages: tuple[Stage, ...]
    left_out: tuple[Input, ...]


def learned(run: Callable[[Tilt, int], Stage], first: int, further: int, rounds: int) -> Learned:
    """Find out what to tilt, and how.

    Parameters
    ----------
    run
        Runs so many trials of a law, each time others.
    first
        Trials of the first stage.
    further
        Of each further round.
    rounds
        How many rounds there are at most.
    """
    stages = [run(everywhere(), first)]
    chosen = _chosen(stages, ())
    for _ in range(rounds):
        tilt, effective = _fitted(stages, chosen)
        if effective >= PLENTY:
            break
        stages.append(run(tilt if chosen else everywhere(), further))
        chosen = (*chosen, *_chosen(stages, chosen, MOST_CHOSEN - len(chosen)))
    tilt, _ = _fitted(stages, chosen)
    looked = [stage for stage in stages if stage.tilt.others is not None]
    # With so many chosen, a weak sign of one more is enough to doubt that they are all.
    more = _chosen(looked, chosen, by_chance=_DOUBT) if len(chosen) == MOST_CHOSEN else ()
    return Learned(tilt, tuple(stages), more)


def _hits(stage: Stage) -> NDArray[np.bool_]:
    return stage.scores > 0.0


def _nearest(scores: Floats) -> NDArray[np.bool_]:
    """Return which trials have the outcome or, if those are few, are nearest to it."""
    hits = scores > 0.0
    known = np.where(np.isnan(scores), -np.inf, scores)
    if np.count_nonzero(hits) >= ENOUGH:
        return hits
    threshold = np.sort(known)[-min(ENOUGH, len(known))]
    near = known >= max(threshold, np.nextafter(known.min(), np.inf))
    # A score that tells nothing apart has many trials in one place: they say nothing about where the outcome lies.
    return np.asarray(near if np.count_nonzero(near) <= 2 * ENOUGH else known > threshold)


def _chosen(
    stages: Sequence[Stage], taken: Sequence[Input], most: int = MOST_CHOSEN, by_chance: float = _CHANCE
) -> tuple[Input, ...]:
    """Return the inputs that have to do with the outcome, apart from those that are tilted for it already."""
    elite = _nearest(np.concatenate([stage.scores for stage in stages]))
    candidates = sorted(frozenset().union(*(stage.asked for stage in stages)) - set(taken))
    if not elite.any() or not candidates or most <= 0:
        return ()
    from scipy.special import gammaincc

    plain = untilted()
    raw = [uniforms_of(plain, candidates, stage.seed, stage.first, len(stage.scores)) for stage in stages]
    levels = (np.concatenate(raw)[elite] * _GROUPS).astype(int)
    counts = np.stack([np.bincount(column, minlength=_GROUPS) for column in levels.T])
    nats = _divergence(counts / len(levels), np.full(_GROUPS, 1.0 / _GROUPS))
    surprise = gammaincc((_GROUPS - 1) / 2.0, len(levels) * nats)
    likely = [index for index in np.argsort(-nats, kind="stable") if surprise[index] < by_chance]
    return tuple(candidates[index] for index in likely[:most])


def _pool(stages: Sequence[Stage], inputs: Sequence[Input]) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Return which trials of all stages are nearest to the outcome, their weights, and what the inputs were.

    A trial's weight is one over the density that all stages together had at it (the balance heuristic), in the inputs
    that any of them chose. The others had nothing to do with the outcome, so that their tilt needs no weight.
    """
    every = tuple(dict.fromkeys((*inputs, *(one for stage in stages for one in stage.tilt.inputs))))
    uniforms = np.concatenate([stage.uniforms(every) for stage in stages])
    counts = np.array([len(stage.scores) for stage in stages])
    densities = [stage.tilt.density(every, uniforms) for stage in stages]
    weights = counts.sum() / sum(count * density for count, density in zip(counts, densities, strict=True))
    elite = _nearest(np.concatenate([stage.scores for stage in stages]))
    return elite, np.asarray(weights), uniforms[:, : len(inputs)]


def _tempered(powers: Floats, belongs: Floats) -> Floats:
    """Return the weights that leave enough effective trials, times how far each trial belongs.

    A law that is fitted to a handful of trials misses most of what it should cover. One that is not yet tilted far
    enough has more trials with the outcome in the next round, and so the next law gets there.

    Parameters
    ----------
    powers
        Weights to powers from 1 to 0, shape ``(powers, trials)``.
    belongs
        Between 0 and 1, shape ``(trials,)``.
    """
    effective = (powers @ belongs) ** 2 / np.maximum(powers**2 @ belongs**2, _TINY)
    return np.asarray(belongs * powers[np.argmax(effective >= min(SOUND, effective[-1]))])


def _effective(weights: Floats) -> float:
    """Return the effective number of weighted trials."""
    return float(weights.sum() ** 2 / np.sum(weights**2)) if weights.any() else 0.0


def _fitted(stages: Sequence[Stage], chosen: tuple[Input, ...]) -> tuple[Tilt, float]:
    """Return the chosen inputs' law given the outcome, as a defensive mixture, and how many trials it rests on."""
    if not chosen:
        return untilted(), 0.0
    elite, weights, uniforms = _pool(stages, chosen)
    hits = np.concatenate([_hits(stage) for stage in stages])
    effective = _effective(weights[elite]) if np.count_nonzero(hits) >= ENOUGH else 0.0
    shares, laws = _ways(uniforms[elite], weights[elite])
    fixed = [[_TAILS[0]] * len(chosen), [_TAILS[2]] * len(chosen)]
    all_shares = np.concatenate([[DEFENSIVE, WIDE], (1.0 - DEFENSIVE - WIDE) * shares])
    return Tilt(all_shares, chosen, np.concatenate([fixed, laws])), effective


def _ways(uniforms: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return a mixture of laws under which inputs are independent: the ways in which the outcome comes about.

    Found by expectation and maximisation, from a first split where the trials' depths in the tails spread most.

    Returns
    -------
    tuple
        Shares of shape ``(ways,)``, and densities of shape ``(ways, inputs, B)``.
    """
    cells = np.stack([bins_of(column) for column in uniforms.T], axis=1)
    powers = (weights / weights.max()) ** np.linspace(1.0, 0.0, 21)[:, None]
    belongs = np.ones((1, len(cells)))
    for _ in range(WAYS - 1):
        belongs = _split(cells, belongs)
        for _ in range(_ROUNDS_OF_EM):
            shares, laws = _maximised(cells, powers, belongs)
            chance = shares[:, None] * np.prod(laws[:, np.arange(cells.shape[1]), cells], axis=2)
            belongs = chance / np.maximum(chance.sum(axis=0), _TINY)
    return shares, laws


def _split(cells: NDArray[np.int64], belongs: Floats) -> Floats:
    """Return who belongs to which way after that with the widest spread has been split in two."""
    directions = []
    for mine in belongs:
        depths = cells - np.average(cells, axis=0, weights=mine + 1e-12)
        size, axes = np.linalg.eigh(depths.T @ (depths * mine[:, None]))
        directions.append((size[-1], depths @ axes[:, -1] > 0.0))
    widest = max(range(len(directions)), key=lambda index: directions[index][0])
    side = directions[widest][1]
    parts = np.array([belongs[widest] * side, belongs[widest] * ~side])
    # Trials that are all in one place are of one way.
    return np.concatenate([np.delete(belongs, widest, 0), parts[parts.sum(axis=1) > 0.0]])


def _maximised(cells: NDArray[np.int64], powers: Floats, belongs: Floats) -> tuple[Floats, Floats]:
    """Return the share of each way and its densities, given who belongs to it; at most four of them are tilted."""
    evened = _tempered(powers, np.ones(len(cells)))
    shares = np.maximum(belongs @ evened / evened.sum(), LEAST_SHARE)
    laws = np.array([_laws(cells, _tempered(powers, mine)) for mine in belongs])
    told = _divergence(laws * WIDTHS, WIDTHS)
    for way, nats in zip(laws, told, strict=True):
        way[np.argsort(-nats, kind="stable")[MOST_INPUTS:]] = 1.0
    return shares / shares.sum(), laws


def _laws(cells: NDArray[np.int64], weights: Floats) -> Floats:
    """Return a density per input and bin, smoothed over neighbouring bins, with some of it in the tails."""
    bins, inputs = len(WIDTHS), cells.shape[1]
    places = (cells + bins * np.arange(inputs)).ravel()
    share = np.bincount(places, np.repeat(weights, inputs), minlength=bins * inputs).reshape(inputs, bins)
    padded = np.concatenate([share[:, :1], share, share[:, -1:]], axis=1)
    smooth = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    effective = _effective(weights)
    known = effective * smooth / np.maximum(smooth.sum(axis=1, keepdims=True), _TINY)
    return np.asarray((known / WIDTHS + _PRIOR * _TAILS[2]) / (effective + _PRIOR))


def _divergence(shares: Floats, others: Floats) -> Floats:
    """Return the Kullback-Leibler divergence in nats, over the last axis."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0.0, shares * np.log(shares / others), 0.0)
    return np.asarray(terms.sum(axis=-1))
