"""The client population: weighted points, their random coordinates, and when each sees a change of an answer.

A stratum is cohort x resolver class x client class. It holds a fixed number K of points (four times as many where old
answers have a heavy tail), a rank-1 lattice over the random inputs of one client with one random shift per trial,
stratum and dimension; a point weighs share / K. Nothing of a stratum depends on any other stratum. The engine knows
nothing of it: clients change nothing of what breaks or heals.

References
----------
J. Jung, A. Berger, H. Balakrishnan, *Modeling TTL-based Internet caches*, INFOCOM 2003 (idle caches).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from mrsim.entries import answers_old_s, life
from mrsim.lattices import GOLDEN, lattice, rotated, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mrsim.distributions import Distribution
    from mrsim.rng import Draws
    from mrsim.scenario.clients import ClientClass, Cohort, ResolverClass
    from mrsim.scenario.model import Scenario

    Floats = NDArray[np.float64]
    Known = Callable[["Stratum", list[Floats]], list[Floats]]


class Dimension(IntEnum):
    """The random inputs of one client."""

    RESOLVER = 0
    CLIENT = 1
    ENDPOINT = 2
    TAIL = 3
    IDLE = 4
    RECONNECT = 5
    LOOKUP = 6
    POOL = 7
    ERROR = 8


@dataclass(frozen=True, eq=False)
class Stratum:
    """Clients of one cohort behind one kind of resolver with one kind of software; ``points`` of equal weight."""

    cohort: str
    resolver: ResolverClass
    client: ClientClass
    stream: str
    share: float
    first: int
    """Index of its first point within its cohort."""
    points: int

    @property
    def columns(self) -> slice:
        """Its points within its cohort."""
        return slice(self.first, self.first + self.points)


@dataclass(frozen=True, eq=False)
class CohortPoints:
    """The points of one cohort: its strata and weights (shape ``(points,)``), and where they lie in the population."""

    name: str
    near: str
    strata: tuple[Stratum, ...]
    weight: Floats
    columns: slice
    share: float

    @property
    def points(self) -> int:
        """Number of points."""
        return self.columns.stop - self.columns.start  # type: ignore[no-any-return]

    @property
    def weight_within(self) -> Floats:
        """Weights of its points among themselves, shape ``(points,)``: all alike in a cohort of share 0."""
        return self.weight if self.share > 0.0 else np.ones(self.points)


class Population:
    """Static layout of all client points of a scenario.

    Attributes
    ----------
    cohorts
        Points of each cohort, by name: the order of a file is to change nothing, not even the rounding of a sum.
    weight
        Weight of every point, shape ``(points,)``; sums to the sum of the cohorts' shares.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.cohorts: dict[str, CohortPoints] = {}
        self._lattices: dict[int, Floats] = {}
        start = 0
        for name, cohort in sorted(scenario.clients.items()):
            layout = _cohort_points(name, cohort, start)
            self.cohorts[name] = layout
            start = layout.columns.stop
            for stratum in layout.strata:
                self._lattices.setdefault(stratum.points, lattice(stratum.points, len(Dimension)))
        self.points = start
        parts = [layout.weight for layout in self.cohorts.values()]
        self.weight: Floats = np.concatenate(parts) if parts else np.zeros(0)

    def lattice(self, points: int) -> Floats:
        """Return the unshifted lattice of a stratum of that many points, shape ``(dimensions, points)``."""
        return self._lattices[points]

    def phases(self, draws: Draws) -> Phases:
        """Return the random coordinates of all points in the trials of ``draws``."""
        return Phases(self, draws)


def _cohort_points(name: str, cohort: Cohort, start: int) -> CohortPoints:
    equal = 1.0 / len(cohort.classes)
    strata = []
    weights = []
    first = 0
    for resolver_name, resolver in sorted(cohort.resolvers.items()):
        for client_name, client in sorted(cohort.classes.items()):
            class_share = cohort.class_shares.get(client_name, 0.0) if cohort.class_shares else equal
            share = cohort.share * resolver.share * class_share
            stream = f"population/{name}/{resolver_name}/{client_name}"
            points = cohort.points_behind(resolver)
            strata.append(Stratum(name, resolver, client, stream, share, first, points))
            weights.append(np.full(points, share / points))
            first += points
    columns = slice(start, start + first)
    return CohortPoints(name, cohort.near, tuple(strata), np.concatenate(weights), columns, cohort.share)


class Phases:
    """Random coordinates of every point in a chunk of trials, in (0, 1), made when asked for.

    Parameters
    ----------
    population
        The layout of points.
    draws
        Draws of the chunk; the leading axis of all arrays is its trials.
    """

    def __init__(self, population: Population, draws: Draws) -> None:
        self.population = population
        self.count = draws.count
        self._draws = draws
        self._shifts: dict[str, Floats] = {}
        self._cohorts: dict[tuple[str, Dimension], Floats] = {}

    def coordinate(self, stratum: Stratum, dimension: Dimension, rotation: int = 0) -> Floats:
        """Return one coordinate of a stratum's points, shape ``(trials, points)``, rotated for its later occasions."""
        shifts = self._shifts.get(stratum.stream)
        if shifts is None:
            shifts = self._draws.uniforms(stratum.stream, len(Dimension))
            self._shifts[stratum.stream] = shifts
        base = self.population.lattice(stratum.points)[dimension]
        return wrapped(shifts[:, dimension, None] + (base + rotation * GOLDEN if rotation else base))

    def uniforms(self, stratum: Stratum, name: str, width: int, occasion: int) -> Floats:
        """Return ``width`` uniforms per trial that all points of a stratum share, shape ``(trials, width)``."""
        return self._draws.uniforms(f"{stratum.stream}/{name}", width, occasion)

    def of_cohort(self, cohort: str, dimension: Dimension) -> Floats:
        """Return one coordinate of all points of a cohort, shape ``(trials, points)``."""
        key = (cohort, dimension)
        found = self._cohorts.get(key)
        if found is None:
            strata = self.population.cohorts[cohort].strata
            found = np.concatenate([self.coordinate(stratum, dimension) for stratum in strata], axis=1)
            self._cohorts[key] = found
        return found


def next_fetch(last: Floats, change: Floats, life_s: float | Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the first instant at or after ``change`` on the lattice last + n * life; and where n > 0."""
    if not isinstance(life_s, np.ndarray) and life_s <= 0.0:
        return np.maximum(last, change), last < change
    with np.errstate(invalid="ignore"):
        periods = np.ceil(np.fmax((change - last) / life_s, 0.0))
        times = last + periods * life_s
    moved = periods > 0.0
    return np.where(moved, np.maximum(times, change), last), moved


def _busy_times(
    phases: Phases, stratum: Stratum, changes: list[Floats], life_s: float, tail: Floats | float
) -> list[Floats]:
    first = changes[0] + phases.coordinate(stratum, Dimension.RESOLVER) * life_s + tail
    times = [first]
    for change in changes[1:]:
        fetch, moved = next_fetch(times[-1], change, life_s)
        times.append(np.where(moved, fetch + tail, fetch) if isinstance(tail, np.ndarray) else fetch)
    return times


def _idle_times(
    phases: Phases, stratum: Stratum, changes: list[Floats], ttl_s: float, rate_per_s: float, tail: Floats | float
) -> list[Floats]:
    lived = life(stratum.resolver, ttl_s)
    residual = phases.coordinate(stratum, Dimension.RESOLVER)
    state = phases.coordinate(stratum, Dimension.IDLE)
    times: list[Floats] = []
    for rotation, change in enumerate(changes):
        lookup = phases.coordinate(stratum, Dimension.LOOKUP, rotation) if lived.grace_s > 0.0 else residual
        turned, held = rotated(residual, rotation), rotated(state, rotation)
        wait = answers_old_s(lived, stratum.resolver.tick, rate_per_s, turned, held, lookup)
        fresh = change + wait + tail
        times.append(np.where(times[-1] >= change, times[-1], fresh) if times else fresh)
    return times


def _resolver_times(phases: Phases, stratum: Stratum, changes: list[Floats], ttl_s: float) -> list[Floats]:
    resolver = stratum.resolver
    tail: Floats | float = 0.0
    if resolver.overstay is not None:
        tail = resolver.overstay.quantile(phases.coordinate(stratum, Dimension.TAIL))
    if resolver.lookups == "busy":
        return _busy_times(phases, stratum, changes, life(resolver, ttl_s).due_s, tail)
    return _idle_times(phases, stratum, changes, ttl_s, resolver.lookups, tail)


def _cached_times(phases: Phases, stratum: Stratum, answers: list[Floats], ttl_s: float) -> list[Floats]:
    client = stratum.client
    life_s = min(client.cache, ttl_s) if client.honours_ttl else client.cache
    if life_s <= 0.0:
        return answers
    if life_s == float("inf"):
        return [np.full_like(answer, np.inf) for answer in answers]
    times = [answers[0] + phases.coordinate(stratum, Dimension.CLIENT) * life_s]
    for answer in answers[1:]:
        times.append(next_fetch(times[-1], answer, life_s)[0])
    return times


def _pooled_times(phases: Phases, stratum: Stratum, seen: list[Floats], outages: list[Floats]) -> list[Floats]:
    """Connections outlive the answer: they end at their age limit, or when the old region has been silent too long."""
    client = stratum.client
    if client.pool_lifetime <= 0.0:
        return seen
    times: list[Floats] = []
    for rotation, answer in enumerate(seen):
        leave = answer + phases.coordinate(stratum, Dimension.POOL, rotation) * client.pool_lifetime
        if outages:
            down = outages[rotation]
            for index in range(down.shape[1]):
                start, end = down[:, index, 0, None], down[:, index, 1, None]
                broken = start + client.breaks_after
                breaks = (broken <= end) & (end > answer)
                leave = np.where(breaks, np.minimum(leave, np.maximum(answer, broken)), leave)
        if times:
            leave = np.where(answer <= times[-1], times[-1], leave)
        times.append(leave)
    return times


def seen_s(
    phases: Phases, cohort: str, changes_s: Floats, ttl_s: float, outages_s: list[Floats] | None = None
) -> Floats:
    """Return when each point of a cohort follows each change of the authority's answer.

    A busy resolver's first residual is a fraction of its entry's life, drawn at the first change; later fetches follow
    that rhythm. An idle one holds the old entry with probability rate * life / (1 + rate * life). A program's own cache
    restarts the clock, so layers add. A point may skip a change: then it follows both at the same instant.

    Parameters
    ----------
    phases
        Coordinates of the chunk.
    cohort
        Name of the cohort.
    changes_s
        Times of the changes after the initial answer, shape ``(trials, changes)``, ascending, padded with infinity.
    ttl_s
        TTL of the answers.
    outages_s
        Per change: when the region left behind is silent, shape ``(trials, outages, 2)``, padded with infinity; only
        clients with connection pools look at them.

    Returns
    -------
    numpy.ndarray
        Times in seconds, shape ``(trials, changes, points)``, never falling along the changes.
    """

    def known(stratum: Stratum, changes: list[Floats]) -> list[Floats]:
        return _cached_times(phases, stratum, _resolver_times(phases, stratum, changes, ttl_s), ttl_s)

    return _followed_s(phases, cohort, changes_s, known, outages_s or [])


def moved_s(
    phases: Phases,
    cohort: str,
    changes_s: Floats,
    converges: Distribution,
    outages_s: list[Floats] | None = None,
    *,
    held: bool = True,
) -> Floats:
    """Return when the packets of each point of a cohort follow each change of an anycast address's routes.

    A client's place in the Internet is one coordinate: who is late at one change is as late at the next. Established
    connections of pools stay where they are until they break.

    Parameters
    ----------
    phases, cohort, changes_s, outages_s
        As in :func:`seen_s`.
    converges
        From a route's change to a client's packets following it.
    held
        Whether established connections lead to a region; else they end at a proxy, which asks region by region.

    Returns
    -------
    numpy.ndarray
        Times in seconds, shape ``(trials, changes, points)``, never falling along the changes.
    """

    def routed(stratum: Stratum, changes: list[Floats]) -> list[Floats]:
        late_s = converges.quantile(phases.coordinate(stratum, Dimension.RESOLVER))
        return [change + late_s for change in changes]

    return _followed_s(phases, cohort, changes_s, routed, outages_s or [], held=held)


def _followed_s(
    phases: Phases, cohort: str, changes_s: Floats, known: Known, outages_s: list[Floats], *, held: bool = True
) -> Floats:
    """Return when each point follows each change: when its stratum knows, ``known(stratum, changes)``, or its pool."""
    layout = phases.population.cohorts[cohort]
    count, number = changes_s.shape
    out = np.empty((number, count, layout.points))
    changes = [changes_s[:, index, None] for index in range(number)]
    for stratum in layout.strata if number else ():
        times = known(stratum, changes)
        times = _pooled_times(phases, stratum, times, outages_s) if held else times
        for index, value in enumerate(times):
            out[index, :, stratum.columns] = value
    return out.transpose(1, 0, 2)
