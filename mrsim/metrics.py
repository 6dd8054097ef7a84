"""The registry of metrics: what may be budgeted, tabulated and plotted. No code; measure/ binds the functions.

One row per metric. A per-trial column is named by metric and labels, in the order given here, such as
``rto_s{service=orders,op=write,clients=95%}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["duration", "count", "share", "flag"]

QUANTILES = ("mean", "median", "p")
"""Aggregations over trials of a number; 'p' stands for any percentile such as p95 or p99.9."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a metric: its name, and the value it takes when a budget does not name it (None: must be named)."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the registry."""

    name: str
    kind: Kind
    labels: tuple[Label, ...]
    summary: str
    aliases: tuple[str, ...] = ()
    unfinished: bool = False
    """Whether a trial can leave it unfinished (censored at the horizon, or never)."""
    needs_horizon: bool = False
    """Whether its value depends on the horizon, so that a budget needs an explicit one."""
    needs: str = ""
    """What the service or store that it is of must say, such as ``retries``; without it there is nothing to measure."""

    @property
    def aggregations(self) -> tuple[str, ...]:
        """Aggregations over trials that say something of it: of what happens or not, its share of trials."""
        return ("trials",) if self.kind == "flag" else QUANTILES


_SERVICE_OP = (Label("service"), Label("op"))
_STORE = (Label("store"),)
_SERVICE = (Label("service"),)
_SERVICE_FROM = (Label("service"), Label("from", "all"))
_FEED = (Label("feed"),)

METRICS: tuple[Metric, ...] = (
    Metric(
        "rto_s",
        "duration",
        (*_SERVICE_OP, Label("clients"), Label("of", "affected")),
        "Recovery time: the weighted quantile over clients of the time from a client's first failed instant after the "
        "fault to its first success that lasts.",
        aliases=("rto",),
        unfinished=True,
    ),
    Metric(
        "rto_durable_s",
        "duration",
        (*_SERVICE_OP, Label("clients"), Label("of", "affected")),
        "The same, counting a write as success only if it is in the surviving history.",
        aliases=("rto_durable",),
        unfinished=True,
    ),
    Metric(
        "longest_outage_s",
        "duration",
        (*_SERVICE_OP, Label("clients")),
        "Weighted quantile over affected clients of the longest single outage.",
        unfinished=True,
    ),
    Metric(
        "downtime_s",
        "duration",
        (*_SERVICE_OP, Label("from", "all")),
        "Weighted mean over the clients of one cohort (or all) of the time without service up to the horizon.",
        needs_horizon=True,
    ),
    Metric(
        "affected_share",
        "share",
        _SERVICE_OP,
        "Share of clients with at least one failed instant after the fault.",
    ),
    Metric(
        "unavailability",
        "share",
        _SERVICE_OP,
        "Failed share of requests over the nominal horizon.",
        needs_horizon=True,
    ),
    Metric(
        "data_loss_s",
        "duration",
        _STORE,
        "Data loss: from the acknowledgement of the oldest acknowledged write absent from the surviving history to the "
        "last instant at which its node, or one that had gone on from it, could still acknowledge and a writer still "
        "reached it. Of separate losses the longest.",
        aliases=("rpo", "rpo_s"),
        unfinished=True,
    ),
    Metric(
        "data_loss_at_fault_s",
        "duration",
        _STORE,
        "The part of the data loss that was acknowledged before the fault.",
        unfinished=True,
    ),
    Metric("attempted_writes", "count", _STORE, "Writes attempted up to the horizon.", needs_horizon=True),
    Metric("acknowledged_writes", "count", _STORE, "Writes acknowledged.", needs_horizon=True),
    Metric("kept_writes", "count", _STORE, "Acknowledged, and in the surviving history.", needs_horizon=True),
    Metric(
        "lost_writes",
        "count",
        _STORE,
        "Acknowledged, absent from the surviving history, no other node could acknowledge at that instant.",
    ),
    Metric(
        "divergent_writes",
        "count",
        _STORE,
        "Acknowledged, absent from the surviving history, while another node could acknowledge too.",
    ),
    Metric("pending_writes", "count", _STORE, "Acknowledged, with no history chosen yet."),
    Metric("in_doubt_survived", "count", _STORE, "Never acknowledged, yet in the surviving history."),
    Metric("in_doubt_gone", "count", _STORE, "Executed, never acknowledged, absent."),
    Metric("refused_writes", "count", _STORE, "Attempted and never executed.", needs_horizon=True),
    Metric(
        "recovered_writes",
        "count",
        _STORE,
        "Lost or divergent writes that people brought back from a former primary's disk; they stay lost in the ledger.",
        needs="failover.old_primary.reconcile",
    ),
    Metric(
        "missing_writes",
        "count",
        _STORE,
        "Lost or divergent writes that nobody brought back up to the horizon.",
        needs="failover.old_primary.reconcile",
    ),
    Metric(
        "reconciliation_s",
        "duration",
        _STORE,
        "From the fault until everything that former primaries alone held had been brought back; from the end of the "
        "loss if it was back before the fault.",
        aliases=("reconciliation",),
        unfinished=True,
        needs="failover.old_primary.reconcile",
    ),
    Metric(
        "unanswered_writes",
        "count",
        _SERVICE,
        "Acknowledged by the store, but the answer was on a path that a fault cut, and died there.",
        needs="retries",
    ),
    Metric(
        "double_effects",
        "count",
        _SERVICE,
        "Writes done twice: executed and not answered, tried again, and both are in the surviving history.",
        needs="retries",
    ),
    Metric(
        "recognised_retries",
        "count",
        _SERVICE,
        "Retries of writes that stand, recognised by their idempotency key.",
        needs="retries",
    ),
    Metric(
        "redone_writes",
        "count",
        _SERVICE,
        "Executed, not answered and absent from the surviving history, but done by a retry that is in it.",
        needs="retries",
    ),
    Metric(
        "late_answers",
        "count",
        _SERVICE,
        "Writes that waited for standbys and were answered after all, before the client tried again.",
        needs="retries",
    ),
    Metric(
        "unknown_outcomes",
        "count",
        _SERVICE,
        "Executed, and the client never learns what became of it: given up, or tried again on a history that did not "
        "survive.",
        needs="retries",
    ),
    Metric(
        "split_brain",
        "flag",
        _STORE,
        "Trials with a split-brain episode.",
    ),
    Metric("split_brain_episodes", "count", _STORE, "Split-brain episodes."),
    Metric("split_brain_s", "duration", _STORE, "Time in split-brain episodes."),
    Metric("exposed_s", "duration", _STORE, "Two nodes can acknowledge and be reached, but writers use one."),
    Metric(
        "dual_belief_s",
        "duration",
        _STORE,
        "Two nodes can acknowledge, but one of them can be reached by nobody.",
    ),
    Metric("promoted", "flag", _STORE, "Trials with a promotion."),
    Metric(
        "false_failover",
        "flag",
        _STORE,
        "Promoted while the old primary could still acknowledge most of the write traffic.",
        needs_horizon=True,
    ),
    Metric(
        "premature_failover",
        "flag",
        _STORE,
        "Promoted for a fault that ended before the new primary was writable.",
    ),
    Metric(
        "time_without_redundancy_s",
        "duration",
        _STORE,
        "From a promotion until as many standbys follow as the commit rule counts, named or not; over all promotions.",
        unfinished=True,
    ),
    Metric(
        "due_runs",
        "count",
        _SERVICE,
        "Runs of a batch job that were due up to the horizon.",
        needs_horizon=True,
        needs="batch",
    ),
    Metric(
        "missed_runs",
        "count",
        _SERVICE,
        "Runs that nobody finished: not started, or broken off, and not made up for.",
        needs_horizon=True,
        needs="batch",
    ),
    Metric(
        "late_runs",
        "count",
        _SERVICE,
        "Runs that were made up for before the next was due.",
        needs_horizon=True,
        needs="batch",
    ),
    Metric(
        "doubled_runs",
        "count",
        _SERVICE,
        "Runs that were done more than once, whole or in part: by two leaders, or broken off and made up for.",
        needs_horizon=True,
        needs="batch",
    ),
    Metric(
        "read_only_s",
        "duration",
        _SERVICE_FROM,
        "Weighted mean over clients of the time in which they could read and not write, up to the horizon.",
        needs_horizon=True,
        needs="read_only",
    ),
    Metric(
        "down_s",
        "duration",
        _SERVICE_FROM,
        "Weighted mean over clients of the time in which they could neither read nor write, up to the horizon.",
        needs_horizon=True,
        needs="read_only",
    ),
    Metric(
        "retried_s",
        "duration",
        _SERVICE_OP,
        "Weighted mean over clients of the time in which they were answered only on a proxy's second try, after its "
        "wait for a region that is silent, up to the horizon.",
        needs_horizon=True,
        needs="record.edge",
    ),
    Metric(
        "staleness_s",
        "duration",
        _SERVICE_FROM,
        "Mean age of what a cohort's reads returned, up to the horizon.",
        aliases=("staleness",),
        needs_horizon=True,
        needs="reads.*.primary_for",
    ),
    Metric(
        "ryow_violations",
        "share",
        _SERVICE_FROM,
        "Share of the reads of one's own write that do not show it (read your own writes), up to the horizon.",
        needs_horizon=True,
        needs="reads.*.primary_for",
    ),
    Metric(
        "feed_lag_s",
        "duration",
        _FEED,
        "How old the newest change is that a feed's consumer shows, as the first fault begins.",
    ),
    Metric(
        "longest_feed_lag_s",
        "duration",
        _FEED,
        "Longest time from a commit to its showing in a feed's consumer; of skipped ones only if it is filled anew.",
        unfinished=True,
    ),
    Metric(
        "skipped_changes",
        "count",
        _FEED,
        "Changes of the surviving history that a feed's consumer will never get, though it was sent later ones.",
    ),
    Metric(
        "phantom_changes",
        "count",
        _FEED,
        "Changes that a feed's consumer holds, and that are not in the surviving history.",
    ),
    Metric("repeated_changes", "count", _FEED, "Changes that a feed's consumer was sent once more."),
    Metric(
        "feed_recovery_s",
        "duration",
        _FEED,
        "From the first fault until a feed's consumer is, for good, no further behind than it always is, and has "
        "missed nothing; time between faults in which it was counts too.",
        aliases=("feed_recovery",),
        unfinished=True,
    ),
    Metric(
        "write_latency_s",
        "duration",
        (*_SERVICE_FROM, Label("writes", "mean"), Label("when", "before")),
        "Latency of a write of one cohort (or all): its mean over writes, or a quantile (writes=99%); before anything "
        "is wrong, or at the end (when=after) of the trials in which writes get through then.",
        needs="writes",
    ),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS} | {
    alias: metric for metric in METRICS for alias in metric.aliases
}

CLIENT_QUANTILES = ("50%", "95%", "99%")
"""Client quantiles that every table shows; budgets may name others."""

WRITE_QUANTILES = ("50%", "99%")
"""Quantiles of write latency over writes that every table shows; budgets may name others."""
