"""Requests that do not go where the last answer leads: on connections that stayed, or round by a proxy's second try."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mrsim.slabs import Layer, padded_changes
from mrsim.spans import gaps
from mrsim.trace import INF, Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mrsim.slabs import Changes
    from mrsim.spans import Interval

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Stretch = tuple[Layer, tuple[str, ...], Bools | None]
    Tries = Mapping[tuple[str, str], Sequence[Change]]


def silences(changes: Changes, front: Callable[[str], Sequence[Sequence[Interval]]]) -> list[Floats]:
    """Return, per change, when the front door of the region left behind is silent: pools break there.

    Parameters
    ----------
    changes
        The answers.
    front
        From a region to when its front door is reached, trial by trial.

    Returns
    -------
    list of numpy.ndarray
        Shape ``(trials, silences, 2)`` each, in seconds, padded with infinity.
    """
    count, found = len(changes.targets), []
    for index in range(changes.changes_s.shape[1]):
        rows = []
        for trial, targets in enumerate(changes.targets):
            old = targets[index] if index < len(targets) else ""
            rows.append(gaps(front(old)[trial], 0.0, INF) if old else ())
        padded = np.full((count, max(map(len, rows), default=0), 2), np.inf)
        for trial, row in enumerate(rows):
            for place, outage in enumerate(row):
                padded[trial, place] = outage
        found.append(padded)
    return found


def second_tries(stretches: Iterable[Stretch], cohort: str, tries: Sequence[Tries], points: int) -> Iterator[Stretch]:
    """Split stretches where a proxy sends requests on to another region, in the order of time.

    Parameters
    ----------
    stretches
        Stretches of time, the region of each trial, and whose it is, as :meth:`mrsim.routes.Routes.regions` yields.
    cohort
        Whose requests.
    tries
        Per trial: by (cohort, region) where requests to the region are answered on the second try, '' for nowhere.
    points
        Number of the cohort's points.
    """
    never = [Change(-INF, "")]
    for layer, regions, mine in stretches:
        rows = [trial.get((cohort, region), never) for trial, region in zip(tries, regions, strict=True)]
        if all(len(row) == 1 for row in rows):
            yield layer, regions, mine
            continue
        turns = padded_changes(rows)
        number = turns.changes_s.shape[1]
        for index in range(number + 1):
            targets = [names[index] if index < len(names) else None for names in turns.targets]
            there = np.array([target is not None for target in targets])
            first = np.full(len(targets), -INF) if index == 0 else turns.changes_s[:, index - 1]
            last = turns.changes_s[:, index] if index < number else np.full(len(targets), INF)
            part = _between(layer, first, last, points)
            if index:
                events = np.where(first > layer.change_s, turns.events[:, index - 1], layer.event)
                part = replace(part, event=events)
            again = np.array([bool(target) for target in targets])
            names = tuple(
                "" if target is None else target or region for target, region in zip(targets, regions, strict=True)
            )
            if there.any():
                yield replace(part, again=again if again.any() else None), names, mine


def _between(layer: Layer, first: Floats, last: Floats, points: int) -> Layer:
    """Return what of a layer lies between two instants of each trial."""
    from_s, until_s, shape = layer.from_s, layer.until_s, (len(first), points)
    if (first > -INF).any():
        from_s = np.broadcast_to(first[:, None], shape) if from_s is None else np.maximum(from_s, first[:, None])
    if (last < INF).any():
        until_s = np.broadcast_to(last[:, None], shape) if until_s is None else np.minimum(until_s, last[:, None])
    return replace(layer, from_s=from_s, until_s=until_s, change_s=np.maximum(layer.change_s, first))
