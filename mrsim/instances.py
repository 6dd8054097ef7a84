"""When the instances that serve each client see a change of their store's endpoint, and have working connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.lattices import rotated
from mrsim.population import Dimension, next_fetch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.distributions import Distribution
    from mrsim.population import Phases

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


def endpoint_seen_s(
    phases: Phases,
    cohort: str,
    changes_s: Floats,
    ttl_s: float | Floats,
    reconnect: Distribution,
    cached: Bools | None = None,
    moves: Bools | None = None,
) -> tuple[Floats, Floats]:
    """Return when the service instances that serve each point see each change of an endpoint, and when they use it.

    An instance re-reads the endpoint every ``ttl_s`` with a phase of its own, then drops its connections and opens new
    ones, which takes ``reconnect``.

    Parameters
    ----------
    phases
        Coordinates of the chunk.
    cohort
        Name of the cohort whose requests the instances serve.
    changes_s
        Times of the changes, shape ``(trials, changes)``, ascending, padded with infinity.
    ttl_s
        Life of the endpoint's answer in an instance; or of each answer, the first and those after each change, shape
        ``(trials, changes + 1)``: what was fetched before a change lives on as long as it was told then.
    reconnect
        Time from seeing a new answer to working connections.
    cached
        Whether a change waits for the answer to be read again, as ``changes_s``; all do if not given.
    moves
        Whether a change leads to another node, which takes new connections; all do if not given.

    Returns
    -------
    tuple of numpy.ndarray
        When the change is seen, and when the new connections work, each of shape ``(trials, changes, points)``.
    """
    layout = phases.population.cohorts[cohort]
    count, number = changes_s.shape
    seen = np.empty((number, count, layout.points))
    works = np.empty_like(seen)
    if not number:
        return seen.transpose(1, 0, 2), works.transpose(1, 0, 2)

    fetched = seen[0] = changes_s[:, 0, None] + phases.of_cohort(cohort, Dimension.ENDPOINT) * _life_s(ttl_s, 0)
    for index in range(number):
        change = changes_s[:, index, None]
        if index:
            fetched = seen[index] = next_fetch(fetched, change, _life_s(ttl_s, index))[0]
        if cached is not None and not cached[:, index].all():
            at_once = np.maximum(change, seen[index - 1]) if index else np.broadcast_to(change, fetched.shape)
            seen[index] = np.where(cached[:, index, None], fetched, at_once)
    _connect(phases, cohort, seen, works, reconnect, moves)
    return seen.transpose(1, 0, 2), works.transpose(1, 0, 2)


def _life_s(ttl_s: float | Floats, index: int) -> float | Floats:
    """Return the life of what is answered after so many changes."""
    return ttl_s[:, index, None] if isinstance(ttl_s, np.ndarray) else ttl_s


def _connect(
    phases: Phases, cohort: str, seen: Floats, works: Floats, reconnect: Distribution, moves: Bools | None
) -> None:
    """Put into ``works`` when the connections work that instances open once they have seen a change."""
    for index in range(len(seen)):
        if reconnect.is_constant:
            works[index] = seen[index] + reconnect.mean()
        else:
            coordinate = rotated(phases.of_cohort(cohort, Dimension.RECONNECT), index)
            works[index] = seen[index] + reconnect.quantile(coordinate)
        if moves is not None and not moves[:, index].all():
            kept = np.maximum(seen[index], works[index - 1]) if index else seen[index]
            works[index] = np.where(moves[:, index, None], works[index], kept)
