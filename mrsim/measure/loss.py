"""Loss of acknowledged writes: the ledger's columns, and the data loss in seconds."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.bins import Fate, branches
from mrsim.measure.columns import Measures, Status
from mrsim.measure.commits import Commits
from mrsim.measure.lacking import lacking_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.distributions import Distribution
    from mrsim.measure.ledger import Ledger
    from mrsim.rng import Draws
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


def put_loss(
    measures: Measures, store: str, ledger: Ledger, traces: Sequence[Trace], lag: Distribution | None, draws: Draws
) -> list[Commits]:
    """Add the ledger's columns and the data loss of one store; return the commits of every trial.

    Parameters
    ----------
    measures
        Takes the columns.
    store
        Its id.
    ledger
        What is expected, by bins.
    traces
        Of the same trials.
    lag
        Of objects that are copied one by one; None if there are none.
    draws
        Of the same trials.
    """
    labels = {"store": store}
    ends = np.full(len(traces), ledger.horizon_s)
    attempted = ledger.load.attempts(ends, slice(None)) - ledger.load.attempts(np.zeros(len(traces)), slice(None))
    uniforms = draws.uniforms(f"{store}/commits", 1 + 2 * ledger.mass.shape[1]).tolist()
    lacking = lacking_of(store, ledger, lag, draws)
    commits = [
        Commits(bins, mass[: len(bins)], total - sum(mass), ledger.load.connections, drawn[: 1 + 2 * len(bins)], lacks)
        for bins, mass, total, drawn, lacks in zip(
            ledger.bins, ledger.mass.tolist(), attempted.tolist(), uniforms, lacking, strict=True
        )
    ]
    totals = np.array([one.by_fate(bins) for one, bins in zip(commits, ledger.bins, strict=True)], dtype=np.float64)
    for metric, fates in _COLUMNS:
        measures.put(metric, labels, np.add.reduce(totals[:, [int(fate) for fate in fates]], axis=1))
    measures.put("attempted_writes", labels, np.array([float(one.attempted) for one in commits]))
    measures.put("refused_writes", labels, np.array([float(one.refused) for one in commits]))
    lost = np.zeros((2, len(traces)))
    status = np.zeros(len(traces), dtype=np.int8)
    for index, trace in enumerate(traces):
        history = trace.stores[store]
        lost[:, index] = _absent_s(ledger, commits[index], index, trace, history)
        if not history.decided:
            status[index] = Status.CENSORED
            pending = max(0.0, ledger.horizon_s - history.replicated_until_s)
            before = max(0.0, min(trace.fault_s, ledger.horizon_s) - history.replicated_until_s)
            lost[:, index] = np.maximum(lost[:, index], [pending, before])
    measures.put("data_loss_s", labels, lost[0], status)
    measures.put("data_loss_at_fault_s", labels, lost[1], status)
    return commits


def _absent_s(ledger: Ledger, commits: Commits, trial: int, trace: Trace, store: StoreTrace) -> tuple[float, float]:
    """Return the data loss and its part before the fault; (0, 0) if no acknowledged commit is absent.

    Of several branches that are given up, such as by two failovers hours apart, each is a loss of its own: the longest
    counts.
    """
    bins, branch = ledger.bins[trial], branches(store)
    found: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for index, b in enumerate(bins):
        if b.fate.absent and commits.per_bin[index] > 0:
            found[branch[b.history]].append((_first_commit_s(ledger, commits, trial, index), index))
    for index, lacking in commits.lacking.items():
        if lacking.count > 0:
            found[branch[bins[index].history]].append((lacking.oldest_s, index))
    whole = before = 0.0
    for absent in found.values():
        first_s, last_s = min(absent)[0], _last_s(ledger, trial, store, absent)
        whole = max(whole, last_s - first_s)
        before = max(before, min(last_s, trace.fault_s) - first_s)
    return whole, before


def _last_s(ledger: Ledger, trial: int, store: StoreTrace, absent: Sequence[tuple[float, int]]) -> float:
    """Return the last instant at which a node of a branch could acknowledge what is absent, and a writer reached it.

    ``absent`` are the first absent commits, each with its bin.
    """
    bins, last_s = ledger.bins[trial], -math.inf
    for history in {bins[index].history for _, index in absent}:
        own = [(first_s, index) for first_s, index in absent if bins[index].history == history]
        able_s = max(span.end_s for span in store.acks[store.histories[history].node] if span.history == history)
        # Nobody's data is older for a node that goes on without writers, able to acknowledge what nobody sends.
        written_s = max(float(ledger.last_s[trial, index]) for _, index in own)
        last_s = max(last_s, min(able_s, max(written_s, min(own)[0])))
    return min(last_s, ledger.horizon_s)


def _first_commit_s(ledger: Ledger, commits: Commits, trial: int, index: int) -> float:
    """Return when the first commit of a bin was made.

    The ledger counts from the start of the trial; what was committed before it, in the steady state in which everybody
    writes, was made all the same.
    """
    b = ledger.bins[trial][index]
    before = 0.0
    if -math.inf < b.start_s < 0.0:
        before = -float(ledger.load.attempts(np.array([b.start_s]), slice(trial, trial + 1))[0])
    first = commits.first(index, before)
    if first < 0.0:
        return ledger.load.time_of(trial, b.start_s, before + first)
    start_s, end_s = max(b.start_s, 0.0), min(b.end_s, ledger.horizon_s)
    head = float(ledger.head[trial, index])
    if head > 0.0:
        return min(ledger.load.time_of(trial, start_s, first / head), end_s)
    start_s, end_s = max(start_s, float(ledger.first_s[trial, index])), min(end_s, float(ledger.last_s[trial, index]))
    return start_s + (end_s - start_s) * first / float(ledger.mass[trial, index])
