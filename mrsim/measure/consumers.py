"""What consumers of changes lack, what they have that the database lost, and what they were sent twice.

A consumer was sent stretches of lines of WAL. The store's bins are cut at their bounds, and the commits of a bin, whose
number the ledger has drawn, are shared out over its parts as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import Fate
from mrsim.measure.columns import Measures, Status
from mrsim.measure.parts import Parts
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.measure.bins import Bin, Bins
    from mrsim.measure.commits import Commits
    from mrsim.measure.ledger import Ledger, Load
    from mrsim.measure.parts import Part
    from mrsim.rng import Draws
    from mrsim.trace import Delivered, FeedTrace, History, Trace

Stretch = tuple[float, float]
"""Commit times of one history, from and to."""

STANDS = (Fate.KEPT, Fate.SURVIVED)
GONE = (Fate.LOST, Fate.DIVERGENT, Fate.GONE)

_COUNTS = ("skipped_changes", "phantom_changes", "repeated_changes")


class Holdings:
    """What a consumer was sent, by history.

    Attributes
    ----------
    sent
        Every stretch that it was ever sent.
    holds
        Those since it was last filled anew.
    passed
        Everything before the commit time at which it last went on: what it does not hold of that it will never get.
    """

    def __init__(self, feed: FeedTrace, histories: Sequence[History]) -> None:
        self.sent: dict[int, list[Stretch]] = {}
        self.holds: dict[int, list[Stretch]] = {}
        self.passed: dict[int, list[Stretch]] = {}
        for one in feed.delivered:
            if one.fresh:
                self.holds = {}
            else:
                _put(self.sent, histories, one, one.from_s, one.to_s)
            _put(self.holds, histories, one, one.from_s, one.to_s)
        if feed.delivered:
            last = feed.delivered[-1]
            _put(self.passed, histories, last, -INF, last.to_s if last.fresh else last.from_s)


def _put(found: dict[int, list[Stretch]], histories: Sequence[History], of: Delivered, a: float, b: float) -> None:
    """Add a stretch of a line to the histories that it is made of."""
    at, until_s = of.history, INF
    while at >= 0:
        found.setdefault(at, []).append((a, min(b, until_s)))
        until_s = min(until_s, histories[at].forked_at_s)
        at = histories[at].parent


class Feeds:
    """The consumers of one store in a chunk of trials.

    Parameters
    ----------
    names, store
        Ids of the feeds, and of their store.
    traces
        Of the trials.
    bins
        The store's, of the same trials.
    load, horizon_s
        What is attempted, and up to when.
    """

    def __init__(
        self,
        names: Sequence[str],
        store: str,
        traces: Sequence[Trace],
        bins: Sequence[Bins],
        load: Load,
        horizon_s: float,
    ) -> None:
        self._store = store
        self._traces = traces
        self._held = {
            name: [Holdings(trace.feeds[name], trace.stores[store].histories) for trace in traces] for name in names
        }
        cuts: list[dict[int, set[float]]] = [{} for _ in traces]
        for trials in self._held.values():
            for trial, held in enumerate(trials):
                for part in (held.sent, held.holds, held.passed):
                    for history, stretches in part.items():
                        cuts[trial].setdefault(history, set()).update(at for two in stretches for at in two)
        self.parts = Parts(load, bins, cuts, horizon_s)

    def put(self, measures: Measures, ledger: Ledger, commits: Sequence[Commits], draws: Draws) -> None:
        """Add the columns of all feeds.

        Parameters
        ----------
        measures
            Takes the columns.
        ledger, commits
            The store's bins, and what fell into them.
        draws
            Of the same trials.
        """
        parts = self.parts.shared_out(commits, f"{self._store}/feeds", draws)
        for name, held in self._held.items():
            count = len(self._traces)
            lag, longest, took = np.zeros((3, count))
            waits, status = np.zeros((2, count), dtype=np.int8)
            found = np.zeros((count, 3))
            for trial, trace in enumerate(self._traces):
                of = trace.feeds[name]
                found[trial] = _counts(ledger.bins[trial], held[trial], parts[trial])
                lag[trial], longest[trial] = of.lag_s, of.longest_s
                waits[trial] = Status.CENSORED if of.waiting else Status.OBSERVED
                took[trial], status[trial] = _recovery(trace, of, found[trial, 0] > 0.0)
            labels = {"feed": name}
            measures.put("feed_lag_s", labels, lag)
            measures.put("longest_feed_lag_s", labels, longest, waits)
            for metric, values in zip(_COUNTS, found.T, strict=True):
                measures.put(metric, labels, values)
            measures.put("feed_recovery_s", labels, took, status)


def _recovery(trace: Trace, feed: FeedTrace, skipped: bool) -> tuple[float, Status]:
    """Return how long after the fault a consumer was complete for good, and whether it ever was.

    What was written while its slot was missing was perhaps nothing: nobody may have been routed there yet.
    """
    fault_s = trace.fault_s if trace.fault_s < INF else 0.0
    last = feed.complete[-1]
    if last.end_s == INF:
        return (np.nan, Status.NO_EFFECT) if last.start_s <= fault_s else (last.start_s - fault_s, Status.OBSERVED)
    if not skipped and feed.level_s < trace.horizon_s:
        return feed.level_s - fault_s, Status.OBSERVED
    return (INF, Status.NEVER) if trace.stopped_early else (trace.horizon_s - fault_s, Status.CENSORED)


def _counts(bins: Sequence[Bin], held: Holdings, parts: Sequence[Part]) -> tuple[int, int, int]:
    """Return how many commits were skipped, are held though they are gone, and were sent again."""
    skipped = phantom = repeated = 0
    for index, start_s, end_s, n in parts:
        if not n:
            continue
        b, at_s = bins[index], (start_s + end_s) / 2.0
        sent, holds, passed = (_covering(of.get(b.history, ()), at_s) for of in (held.sent, held.holds, held.passed))
        repeated += n * max(sent - 1, 0)
        phantom += n * (b.fate in GONE and holds > 0)
        skipped += n * (b.fate in STANDS and not holds and passed > 0)
    return skipped, phantom, repeated


def _covering(stretches: Sequence[Stretch], at_s: float) -> int:
    return sum(start_s <= at_s < end_s for start_s, end_s in stretches)
