"""Lost and divergent writes that people brought back from the disks of former primaries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import kept_until_s
from mrsim.measure.columns import Measures, Status
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.measure.bins import Bin
    from mrsim.measure.commits import Commits
    from mrsim.scenario.control import Reconcile
    from mrsim.trace import StoreTrace, Trace


def put_reconciled(
    measures: Measures,
    store: str,
    rule: Reconcile,
    bins: Sequence[Sequence[Bin]],
    commits: Sequence[Commits],
    traces: Sequence[Trace],
) -> None:
    """Add how many of a store's lost and divergent writes were brought back, how many are missing, and by when.

    What was brought back counts if the history that it was written on survives with it. The ledger does not change: the
    writes were lost, and are there again as others.
    """
    recovered, missing = np.zeros(len(traces)), np.zeros(len(traces))
    took = np.full(len(traces), np.nan)
    status = np.full(len(traces), Status.NO_EFFECT, dtype=np.int8)
    for index, trace in enumerate(traces):
        history = trace.stores[store]
        stranded = [
            (count, _back_s(history, b), b.end_s)
            for count, b in zip(commits[index].per_bin, bins[index], strict=True)
            if b.fate.absent and count
        ]
        lacking = commits[index].lacking.items()
        copied = [(found.count, bins[index][at]) for at, found in lacking if found.count]
        stranded += [(count, _back_s(history, b), b.end_s) for count, b in copied]
        total = sum(count for count, _, _ in stranded)
        back = sum(count for count, at_s, _ in stranded if at_s < INF)
        recovered[index] = math.floor(back * rule.recovers + 1e-9)
        missing[index] = total - recovered[index]
        if not total:
            continue
        last_s, lost_s = max(at_s for _, at_s, _ in stranded), max(end_s for _, _, end_s in stranded)
        never = last_s == INF and trace.stopped_early
        status[index] = Status.NEVER if never else Status.CENSORED if last_s == INF else Status.OBSERVED
        # What a failover before any fault had cost may have been brought back before it.
        since_s = trace.fault_s if last_s > trace.fault_s else lost_s
        took[index] = INF if never else min(last_s, trace.horizon_s) - since_s
    labels = {"store": store}
    measures.put("recovered_writes", labels, recovered)
    measures.put("missing_writes", labels, missing)
    measures.put("reconciliation_s", labels, took, status)


def _back_s(store: StoreTrace, b: Bin) -> float:
    """Return when the writes of a bin were there again; infinite if they never were."""
    kept = kept_until_s(store)
    return min(
        (
            done.at_s
            for done in store.reconciled
            if done.node == b.node and b.end_s <= done.until_s and done.at_s < kept.get(done.history, -INF)
        ),
        default=INF,
    )
