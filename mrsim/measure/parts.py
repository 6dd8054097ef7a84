"""Parts of bins: how many commits came before and after given commit times, from who was routed where and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.commits import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.measure.bins import Bins
    from mrsim.measure.commits import Commits
    from mrsim.measure.ledger import Load
    from mrsim.rng import Draws

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

Part = tuple[int, float, float, int]
"""Index of a bin, commit times from and to, and how many commits came between them."""


class Parts:
    """The parts of one store's bins in a chunk of trials.

    Parameters
    ----------
    load
        What is attempted.
    bins
        Bins of every trial.
    cuts
        Per trial and history: the commit times at which bins are cut.
    horizon_s
        Nominal end.
    """

    def __init__(
        self, load: Load, bins: Sequence[Bins], cuts: Sequence[dict[int, set[float]]], horizon_s: float
    ) -> None:
        self._load = load
        self._bounds: list[list[Floats]] = []
        self._mass: list[list[Floats]] = []
        for trial, at in zip(bins, cuts, strict=True):
            bounds: list[Floats] = []
            for b in trial.bins:
                start_s = max(b.start_s, 0.0)
                end_s = max(min(b.end_s, horizon_s), start_s)
                inside = sorted(cut for cut in at.get(b.history, ()) if start_s < cut < end_s)
                bounds.append(np.array([start_s, *inside, end_s]))
            self._bounds.append(bounds)
            self._mass.append([np.zeros(len(times) - 1) for times in bounds])

    def add(self, rows: Ints, labels: Ints, start_s: Floats, end_s: Floats, weight: Floats) -> None:
        """Take in one way of a writing service, as :class:`~mrsim.measure.ledger.Ledger` does.

        Parameters
        ----------
        rows, labels
            Trials and their bins, shape ``(rows,)``.
        start_s, end_s
            When each point was routed there, within the trial, shape ``(rows, points)``.
        weight
            Of the points, shape ``(points,)``.
        """
        for place, (trial, label) in enumerate(zip(rows.tolist(), labels.tolist(), strict=True)):
            times = self._bounds[trial][label]
            if len(times) == 2:
                continue
            at_s = np.clip(times[:, None], start_s[place], np.maximum(end_s[place], start_s[place]))
            done = self._load.attempts(at_s.reshape(1, -1), np.array([trial])).reshape(at_s.shape)
            self._mass[trial][label] += np.add.reduce(np.diff(done, axis=0) * weight, axis=1)

    def shared_out(self, commits: Sequence[Commits], name: str, draws: Draws) -> list[list[Part]]:
        """Return the parts of every trial, with the commits of each bin shared out over its own."""
        width = max((sum(len(times) - 2 for times in trial) for trial in self._bounds), default=0)
        uniforms = draws.uniforms(name, max(width, 1)).tolist()
        found: list[list[Part]] = []
        for trial, one in enumerate(commits):
            parts: list[Part] = []
            left = iter(uniforms[trial])
            for index, (count, times) in enumerate(zip(one.per_bin, self._bounds[trial], strict=True)):
                masses = self._mass[trial][index].tolist()
                counts = split(count, masses[:-1], sum(masses), [next(left) for _ in masses[:-1]])
                bounds = times.tolist()
                parts += [(index, *two) for two in zip(bounds[:-1], bounds[1:], counts, strict=True)]
            found.append(parts)
        return found
