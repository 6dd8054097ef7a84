"""How long a caching resolver answers with an entry after the record behind it has changed.

An entry is renewed by the first look-up that comes once it is *due*; from then on it still answers for a *grace*, and
the look-up that renews it in that time gets the old data. Without prefetch and serve-stale the grace is nothing: the
entry is gone when it is due. Prefetch makes it due early, serve-stale makes the grace endless. Resolvers count in whole
seconds: an entry that arrives at 10.7 is dated 10, so it lives up to a second less than a busy one, whose renewals
follow the tick.

References
----------
J. Jung, A. Berger, H. Balakrishnan, *Modeling TTL-based Internet caches*, INFOCOM 2003 (renewal cycles).
RFC 8767 (serve-stale); unbound.conf(5), *prefetch*; BIND 9 ARM, *prefetch*.
"""

from __future__ import annotations

from math import floor, inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.clients import ResolverClass

    Floats = NDArray[np.float64]

_STEPS = 256
"""Pieces of the integrated distribution of arrivals within a tick; the error is below a millisecond."""


class Life(NamedTuple):
    """Seconds from an entry's arrival, rounded down to the tick, until it is due, and for how long it then answers."""

    due_s: float
    grace_s: float


def life(resolver: ResolverClass, ttl_s: float) -> Life:
    """Return when an entry of a resolver is due and for how long it is then still answered with, in seconds."""
    clamped = min(max(ttl_s, resolver.ttl_min), resolver.ttl_max)
    kept = max(clamped + resolver.ttl_add, 0.0)
    if resolver.serve_stale:
        return Life(kept, inf)
    early = 0.0
    if ttl_s >= resolver.prefetch_from_ttl:
        share = resolver.prefetch_share * clamped
        if resolver.tick > 0.0:
            share = floor(share / resolver.tick + 1e-9) * resolver.tick
        early = min(resolver.prefetch + share, kept)
    return Life(kept - early, early)


class Residual:
    """What is left of an entry, until it is due, at a random instant at which it is not due yet.

    An entry arrives by the first look-up after the tick at which its predecessor was due, so its arrival within the
    tick is a truncated exponential F, and it is due after ``due − F``. The residual's density is P(due − F > x) / mean.

    Parameters
    ----------
    due_s, tick_s
        Life of an entry that arrives on a tick, and the tick. A tick longer than the life is ignored.
    rate_per_s
        Poisson rate of look-ups.
    """

    def __init__(self, due_s: float, tick_s: float, rate_per_s: float) -> None:
        self._whole_s = due_s - tick_s if 0.0 < tick_s <= due_s else due_s
        self.mean_life_s = due_s
        self._grid: Floats | None = None
        if self._whole_s < due_s:
            self._grid = np.linspace(0.0, tick_s, _STEPS + 1)
            alive = np.expm1(-rate_per_s * self._grid[::-1]) / np.expm1(-rate_per_s * tick_s)
            areas = (alive[1:] + alive[:-1]) / 2.0 * (tick_s / _STEPS)
            self._area: Floats = np.concatenate([[0.0], np.cumsum(areas)])
            self.mean_life_s = self._whole_s + float(self._area[-1])

    def quantile(self, coordinate: Floats) -> Floats:
        """Return the residual by inversion, in seconds, of the shape of ``coordinate``."""
        value: Floats = coordinate * self.mean_life_s
        if self._grid is None:
            return value
        beyond = value - self._whole_s
        return np.where(beyond <= 0.0, value, self._whole_s + np.interp(beyond, self._area, self._grid))


def answers_old_s(
    lived: Life, tick_s: float, rate_per_s: float, residual: Floats, state: Floats, lookup: Floats
) -> Floats:
    """Return for how long after a change a resolver with Poisson look-ups goes on answering with the old data.

    Parameters
    ----------
    lived
        Life of its entries.
    tick_s, rate_per_s
        Its clock and its look-ups.
    residual, state, lookup
        Independent coordinates in (0, 1): the residual; whether the entry is not due at the change (share
        rate · life / (1 + rate · life)) or has been due for how long; and the wait for the look-up that renews it.

    Returns
    -------
    numpy.ndarray
        Seconds from the change until look-ups are answered with the new data; 0 if no old data was held.
    """
    if rate_per_s <= 0.0:
        return np.zeros_like(residual)
    rest = Residual(lived.due_s, tick_s, rate_per_s)
    cycle = rate_per_s * rest.mean_life_s
    fresh_share = cycle / (1.0 + cycle)
    not_due = state < fresh_share
    left = rest.quantile(residual)
    if lived.grace_s <= 0.0:
        return np.where(not_due, left, 0.0)
    wait = -np.log1p(-lookup) / rate_per_s
    if lived.grace_s == inf:
        return np.where(not_due, left + wait, wait)
    overdue = -np.log1p(-np.clip((state - fresh_share) / (1.0 - fresh_share), 0.0, None)) / rate_per_s
    grace = np.maximum(lived.grace_s - overdue, 0.0)
    return np.where(not_due, left + np.minimum(wait, lived.grace_s), np.minimum(wait, grace))
