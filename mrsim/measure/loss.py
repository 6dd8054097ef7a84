"""Loss of acknowledged writes: the ledger's columns, and the data loss in seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import Fate
from mrsim.measure.columns import Measures, Status
from mrsim.measure.ledger import Counts, Ledger, counts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.trace import StoreTrace, Trace

    Floats = NDArray[np.float64]

_COLUMNS: tuple[tuple[str, tuple[Fate, ...]], ...] = (
    ("acknowledged_writes", (Fate.KEPT, Fate.LOST, Fate.DIVERGENT, Fate.PENDING)),
    ("kept_writes", (Fate.KEPT,)),
    ("lost_writes", (Fate.LOST,)),
    ("divergent_writes", (Fate.DIVERGENT,)),
    ("pending_writes", (Fate.PENDING,)),
    ("in_doubt_survived", (Fate.SURVIVED,)),
    ("in_doubt_gone", (Fate.GONE,)),
)


def put_loss(measures: Measures, store: str, ledger: Ledger, traces: Sequence[Trace]) -> list[Counts]:
    """Add the ledger's columns and the data loss of one store; return the counts of every trial."""
    labels = {"store": store}
    ends = np.full(len(traces), ledger.horizon_s)
    attempted = ledger.load.attempts(ends, slice(None)) - ledger.load.attempts(np.zeros(len(traces)), slice(None))
    masses = ledger.mass.tolist()
    counts = [
        counts_of(bins, mass, total) for bins, mass, total in zip(ledger.bins, masses, attempted.tolist(), strict=True)
    ]
    totals = np.array([count.by_fate(bins) for count, bins in zip(counts, ledger.bins, strict=True)], dtype=np.float64)
    for metric, fates in _COLUMNS:
        measures.put(metric, labels, np.add.reduce(totals[:, [int(fate) for fate in fates]], axis=1))
    all_attempted = np.array([float(count.attempted) for count in counts])
    measures.put("attempted_writes", labels, all_attempted)
    measures.put("refused_writes", labels, all_attempted - np.add.reduce(totals, axis=1))
    lost = np.zeros((2, len(traces)))
    status = np.zeros(len(traces), dtype=np.int8)
    for index, trace in enumerate(traces):
        history = trace.stores[store]
        lost[:, index] = _absent_s(ledger, counts[index], index, trace, history)
        if not history.decided:
            status[index] = Status.CENSORED
            pending = max(0.0, ledger.horizon_s - history.replicated_until_s)
            before = max(0.0, min(trace.fault_s, ledger.horizon_s) - history.replicated_until_s)
            lost[:, index] = np.maximum(lost[:, index], [pending, before])
    measures.put("data_loss_s", labels, lost[0], status)
    measures.put("data_loss_at_fault_s", labels, lost[1], status)
    return counts


def _absent_s(ledger: Ledger, counts: Counts, trial: int, trace: Trace, store: StoreTrace) -> tuple[float, float]:
    """Return data loss and its part before the fault, from the oldest acknowledged absent commit; (0, 0) if none is."""
    absent = [
        (_first_commit_s(ledger, counts, trial, index), index)
        for index, b in enumerate(ledger.bins[trial])
        if b.fate.absent and counts.per_bin[index] > 0
    ]
    if not absent:
        return 0.0, 0.0
    first_s, first = min(absent)
    history = ledger.bins[trial][first].history
    node = store.histories[history].node
    able_s = max(span.end_s for span in store.acks[node] if span.history == history)
    # Nobody's data is older for a node that goes on without writers, able to acknowledge what nobody sends.
    written_s = max(ledger.last_s[trial, index] for _, index in absent if ledger.bins[trial][index].history == history)
    last_s = min(able_s, max(float(written_s), first_s), ledger.horizon_s)
    return max(0.0, last_s - first_s), max(0.0, min(last_s, trace.fault_s) - first_s)


def _first_commit_s(ledger: Ledger, counts: Counts, trial: int, index: int) -> float:
    """Return when the first whole commit of a bin was made: the next integer of its history's cumulative count.

    The ledger counts from the start of the trial; what was committed before it, in the steady state in which everybody
    writes, was made all the same.
    """
    b = ledger.bins[trial][index]
    if -math.inf < b.start_s < 0.0:
        return ledger.load.time_of(trial, b.start_s, 1.0)
    start_s, end_s = max(b.start_s, 0.0), min(b.end_s, ledger.horizon_s)
    needed = math.floor(counts.before[index]) + 1.0 - counts.before[index]
    head = float(ledger.head[trial, index])
    if head > 0.0:
        return min(ledger.load.time_of(trial, start_s, needed / head), end_s)
    start_s, end_s = max(start_s, float(ledger.first_s[trial, index])), min(end_s, float(ledger.last_s[trial, index]))
    return start_s + (end_s - start_s) * min(needed / float(ledger.mass[trial, index]), 1.0)
