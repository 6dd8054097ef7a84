"""Which commits a copy lacks that was made commit by commit, each after a lag of its own (:mod:`mrsim.lags`).

The oldest that is missing is known from the trace; how many there are after it is a Poisson variable that does not
depend on it, and neither does how many are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.lags import Lag, ages, since
from mrsim.measure.bins import Lacking
from mrsim.measure.commits import counts

if TYPE_CHECKING:
    from mrsim.distributions import Distribution, Floats
    from mrsim.measure.ledger import Ledger
    from mrsim.rng import Draws
    from mrsim.trace import Copied


def lacking_of(store: str, ledger: Ledger, lag: Distribution | None, draws: Draws) -> list[dict[int, Lacking]]:
    """Return for every trial of a chunk what is missing, by bin.

    Parameters
    ----------
    store
        Its id, for the draws.
    ledger
        Bins and their masses.
    lag
        Lag of a commit; None if none is copied one by one.
    draws
        Draws of the same trials.
    """
    found: list[dict[int, Lacking]] = [{} for _ in ledger.bins]
    if lag is None:
        return found
    known = Lag(lag)
    uniforms = draws.uniforms(f"{store}/lacking", max(ledger.mass.shape[1], 1))
    for trial, bins in enumerate(ledger.bins):
        left: dict[int, float] = {}
        for index in sorted(range(len(bins)), key=lambda i: bins[i].start_s):
            copied, history = bins[index].copied, bins[index].history
            if copied is None or ledger.mass[trial, index] <= 0.0:
                continue
            walk = _walk(known, copied, ledger, trial, index)
            found[trial][index] = _lacking(walk, left.get(history, copied.oldest), float(uniforms[trial, index]))
            # Once the oldest has been met, the others are met independently of it.
            left[history] = max(left.get(history, copied.oldest) - float(walk[1][-1]), 0.0)
    return found


def _walk(known: Lag, copied: Copied, ledger: Ledger, trial: int, index: int) -> tuple[Floats, Floats]:
    """Return times in a bin, and how many commits up to each of them are expected to be missing, shape ``(n,)``."""
    b, load = ledger.bins[trial][index], ledger.load
    row = np.array([trial])
    counted_s = max(b.start_s, 0.0)
    # Nothing is written any more once the last writer has left.
    end_s = max(min(b.end_s, ledger.horizon_s, float(ledger.last_s[trial, index])), counted_s)
    start_s = min(max(b.start_s, since(copied, float(known.ages_s[-1]))), end_s)
    marks = [since(copied, age_s) for age_s in known.ages_s.tolist()]
    marks += [at_s for span in copied.spans for at_s in span] + [start_s, counted_s, end_s]
    times = np.unique(np.clip(np.array(marks), start_s, end_s))
    attempts = load.attempts(np.concatenate([times, [counted_s, end_s]])[None, :], row)[0]
    # Not everybody may have been routed here.
    routed = float(ledger.mass[trial, index]) / (attempts[-1] - attempts[-2])
    share = np.where(times[1:] > counted_s, min(routed, 1.0), 1.0)
    adds = known.means(ages(copied, times)) * np.diff(attempts[:-2]) * share
    return times, np.concatenate([[0.0], np.cumsum(adds)])


def _lacking(walk: tuple[Floats, Floats], left: float, u: float) -> Lacking:
    """Return what is missing of a bin if the oldest that is comes ``left`` later; none if that is beyond its end."""
    times, sums = walk
    total = float(sums[-1])
    uncounted = float(np.interp(0.0, times, sums)) if times[0] < 0.0 else 0.0
    mass = total - uncounted
    if left >= total:
        return Lacking(mass, 0, np.inf)
    after = total - max(left, uncounted)
    count = counts([after], [u])[0] + (left > 0.0 and left >= uncounted)
    return Lacking(mass, int(count), float(np.interp(left, sums, times)))
