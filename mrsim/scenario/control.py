"""Failover control: who notices, who decides, how the old primary is fenced, how the new one is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mrsim.scenario.fields import Bytes, Count, Flag, Model, Name, Seconds, SecondsDist, Share
from mrsim.scenario.people import Hours, Runbook


class Detect(Model):
    """Probers of a store's primary."""

    from_: tuple[Name, ...] = Field(alias="from", min_length=1, description="Places the probers stand in.")
    probe: Literal["reachability", "process", "write-path"] = Field(
        default="process", description="Host answers; database process answers; a write is acknowledged."
    )
    every: Seconds = Field(default=10.0, gt=0, description="Interval between probes.")
    interval_from: Literal["start", "end"] = Field(
        default="start", description="Interval counts from start or end of a probe."
    )
    fails: Count = Field(default=3, ge=1, description="Consecutive failures until a prober reports the primary down.")
    recovers: Count = Field(default=1, ge=1, description="Consecutive successes until it reports it up again.")
    timeout: Seconds = Field(default=5.0, gt=0, description="How long a probe waits.")
    verdict: Literal["all", "any", "majority"] | Count = Field(
        default="all", description="How many probers must report down: all, any, majority, or a number."
    )


class DecideAutomatic(Model):
    """A controller program that acts as soon as its guards allow."""

    by: Literal["automatic"] = Field(description="Who decides.")
    runs_in: Name | None = Field(
        default=None, description="Place the controller runs in; none: where the first prober is."
    )
    delay: SecondsDist = Field(description="Wait between the verdict and acting on it.")
    max_lag: Seconds | None = Field(default=None, description="Lag gate: largest last-reported lag of a candidate.")
    cool_down: Seconds = Field(default=0.0, description="No second failover within this time of the last.")


class DecideOperator(Model):
    """A person: paged, acknowledges, assesses, decides."""

    by: Literal["operator"] = Field(description="Who decides.")
    runs_in: Name | None = Field(default=None, description="Place the operator works from; none: outside every region.")
    page: SecondsDist = Field(description="From the verdict to the page.")
    acknowledge: SecondsDist = Field(description="From the page to a person looking.")
    assess: SecondsDist = Field(description="From looking to having a view.")
    hours: Hours | None = Field(
        default=None, description="Other people and other times by the time of day. None: all day the same."
    )
    requires: Literal["unreachable", "primary-confirmed-gone"] = Field(
        default="unreachable", description="Evidence the operator wants before a promotion."
    )
    waits_at_most: Seconds = Field(default=600.0, description="Longest wait for that evidence.")
    misjudges: Share = Field(default=0.0, description="Chance of taking an unreachable primary for a gone one.")
    max_lag: Seconds | None = Field(default=None, description="Lag gate: largest last-reported lag of a candidate.")
    cool_down: Seconds = Field(default=0.0, description="No second failover within this time of the last.")


class LeaseTerms(Model):
    """What a leader lease is, and what agents that hold it or race for it do, whoever keeps it."""

    by: Literal["lease"] = Field(description="Who decides.")
    ttl: Seconds = Field(default=30.0, gt=0, description="Life of the lease without renewal.")
    loop_wait: Seconds = Field(
        default=10.0, gt=0, description="Interval between renewals, and between looks of candidates (an agent's turns)."
    )
    retry_timeout: Seconds = Field(default=10.0, gt=0, description="How long the holder retries before it steps down.")
    watchdog: Seconds | None = Field(
        default=None, description="A watchdog resets the holder this long before the lease ends."
    )
    expiry_lag: SecondsDist = Field(
        description="From the end of the ttl to the store removing the key (its granularity)."
    )
    race: SecondsDist = Field(description="From the key's removal to a candidate holding it.")
    race_backoff: Seconds = Field(
        default=0.0, description="Candidates wait this long if the old primary's WAL still reaches them."
    )
    status_timeout: Seconds = Field(
        default=0.0, description="Longest wait of a candidate for the other members' positions; 0: it does not ask."
    )
    max_lag_bytes: Bytes | None = Field(
        default=None,
        description="A standby that lacks more than this of the WAL at the last renewal may not take the lease.",
    )
    start_timeout: Seconds = Field(
        default=300.0, description="How long the holder's dead database may take to start before the lease is given up."
    )
    clock_drift: Share = Field(
        default=0.0, description="Relative drift of the holder's clock (positive: it runs slow)."
    )


class DecideLease(LeaseTerms):
    """A leader lease in a replicated store: whoever holds it is primary."""

    voters: tuple[Name, ...] = Field(
        min_length=1, description="Places of the lease store's members; a majority is needed."
    )
    enforced_by: Literal["holder", "nobody"] = Field(
        default="holder",
        description="'holder': its agent demotes the database; 'nobody': the lease only gates promotion.",
    )
    product: Literal["generic", "patroni", "kubernetes"] = Field(default="generic", description="Whose minimums apply.")
    failsafe_mode: bool = Field(
        default=False, description="A holder that cannot renew goes on while every other member accepts that."
    )


Decide = Annotated[DecideAutomatic | DecideOperator | DecideLease, Field(discriminator="by")]


class Unconfirmed(Model):
    """What to do when a fence is not confirmed."""

    retry: Count = Field(default=0, ge=0, description="Attempts after the first.")
    then: Literal["block", "proceed", "operator-override"] = Field(
        default="block", description="Keep trying for ever; promote anyway; or wait for a person to override."
    )
    after: SecondsDist = Field(
        description="From the last failed attempt to the override; between attempts when blocked."
    )


class Fence(Model):
    """An action that stops the old primary from acknowledging writes."""

    by: Literal["stonith"] = Field(default="stonith", description="How: power, or the cloud's stop call.")
    through: Name = Field(description="Control point; '<region>-control' is the one inside that region.")
    takes: SecondsDist = Field(description="From the command's arrival at the control point to the node being stopped.")
    timeout: Seconds = Field(default=30.0, gt=0, description="How long the controller waits for the confirmation.")
    fails: Share = Field(
        default=0.0, le=0.9, description="Chance that a command is refused, at once; each try has its own."
    )
    dead: Share = Field(
        default=0.0, description="Chance that the device is dead: it answers no command, however often it is sent."
    )
    if_unconfirmed: Unconfirmed = Field(description="What follows an unconfirmed fence.")


class FenceToken(Model):
    """A later epoch that the old primary's storage is told of; from then on it refuses writes of an earlier one.

    Whoever decides presents it before the promotion, and the new primary from then on, until it is confirmed.
    """

    by: Literal["token"] = Field(description="How: at the storage.")
    takes: SecondsDist = Field(description="From its arrival at a place of the storage to writes being refused there.")
    every: Seconds = Field(default=5.0, gt=0, description="How often a new primary presents what is unconfirmed.")
    timeout: Seconds = Field(default=5.0, gt=0, description="How long the controller waits for the confirmation.")
    if_unconfirmed: Unconfirmed = Field(description="What follows an unconfirmed fence.")


AnyFence = Annotated[Fence | FenceToken, Field(discriminator="by")]


class Promote(Model):
    """How a standby becomes primary."""

    order: tuple[Name, ...] | Literal["most-advanced"] = Field(
        default="most-advanced", description="Candidates in fixed order, or the most advanced among the reachable."
    )
    takes: SecondsDist = Field(description="From the end of replay to the first write accepted.")
    fails: Share = Field(default=0.0, description="Chance that an attempt fails.")
    attempt_timeout: Seconds = Field(default=60.0, gt=0, description="Wait before a failed attempt is given up.")


class Reconcile(Model):
    """People who bring back what only a former primary holds, from its disk."""

    takes: SecondsDist = Field(
        description="From its host being in reach of operations to its writes being made again at the new primary."
    )
    recovers: Share = Field(description="Share of these writes that can be made again; the rest is in conflict.")
    sets_aside: Flag = Field(
        description="Its data is copied aside before it is rewound or rebuilt; else a rebuild discards what it held."
    )


class OldPrimary(Model):
    """What the old primary does when its fault ends."""

    on_return: Literal["starts-as-primary", "stays-down", "rejoins"] = Field(
        default="starts-as-primary",
        description="Its role when it comes back after a promotion, of which 'rejoins' asks its coordinator; if "
        "there was none, it goes on as primary.",
    )
    starts_after: SecondsDist = Field(description="From the end of the fault to the database running.")
    rebuild: SecondsDist = Field(
        description="From learning of the new primary to being a standby again (rewind or re-clone)."
    )
    reconcile: Reconcile | None = Field(
        default=None, description="How what only it holds is brought back; none: it is not."
    )


class SelfCheck(Model):
    """A node that stops itself when it can reach none of the places it should see."""

    sees: tuple[Name, ...] = Field(min_length=1, description="Places it tries to reach; one is enough to go on.")
    every: Seconds = Field(default=10.0, gt=0, description="Interval between checks.")
    fails: Count = Field(default=3, ge=1, description="Consecutive failures until it stops itself.")
    timeout: Seconds = Field(default=2.0, gt=0, description="How long one check waits.")


class SiteLease(LeaseTerms):
    """A leader lease in each region's own store: agents beside its databases renew it or race for it, as Patroni's."""

    voters: Literal["region", "zones"] = Field(
        default="region",
        description="Members of each region's lease store. 'region': it works as long as the region does; 'zones': one "
        "in each zone of the region, of which a majority is needed.",
    )
    reboots: SecondsDist | None = Field(
        default=None, description="From a watchdog's reset to the host's agent being back. None without a watchdog."
    )
    product: Literal["generic", "patroni"] = Field(default="generic", description="Whose minimums apply.")


class InRegion(Model):
    """A manager in each region, or a lease, that replaces a dead primary by another node of the same region."""

    decide: SiteLease | None = Field(
        default=None,
        description="A lease in each region's own store, as Patroni in each site of a standby cluster. None: a manager "
        "decides, as CloudNativePG's operator, by what follows here. With a lease, times that are not written are "
        "Patroni's and HAProxy's.",
    )
    every: Seconds = Field(gt=0, description="Interval of the probes that a host makes of its own database.")
    fails: Count = Field(ge=1, description="Consecutive failures until the host reports its database down.")
    timeout: Seconds = Field(gt=0, description="How long such a probe waits.")
    exit_notice: SecondsDist = Field(description="From the end of a database process to the manager knowing of it.")
    heartbeat: Seconds = Field(gt=0, description="Interval of a host's signs of life.")
    grace: Seconds = Field(gt=0, description="A host is missed once its last sign of life is older than this.")
    poll: Seconds = Field(description="How often the manager looks for hosts that are missed.")
    delay: SecondsDist = Field(description="Wait between noticing and acting (failoverDelay).")
    takes: SecondsDist = Field(description="From the end of replay to the first write accepted.")
    fails_to_promote: Share = Field(default=0.0, description="Chance that an attempt to promote fails.")
    attempt_timeout: Seconds = Field(default=60.0, gt=0, description="Wait before a failed attempt is given up.")
    redirects: SecondsDist = Field(
        description="From the new primary being writable to the region's service leading to it; no answer changes."
    )
    starts_after: SecondsDist = Field(description="From the end of a node's fault to its database running.")
    rebuild: SecondsDist = Field(
        description="From learning of the new primary to being a standby of it, for one that was ahead (pg_rewind)."
    )
    lease: Seconds | None = Field(
        default=None,
        gt=0,
        description="The primary's lease: nobody is promoted before it has not been renewed for so long; it fences "
        "nobody. None: there is none.",
    )
    lease_every: Seconds = Field(
        default=2.0, gt=0, description="How often the lease is renewed, and looked at by candidates."
    )
    quorum: Flag = Field(
        default=False,
        description="A node is promoted only if R + W > N: promotable ones and acknowledgements overlap among the "
        "synchronous standbys (quorum failover).",
    )
    isolation_check: Flag = Field(
        default=False,
        description="A primary that reaches neither its region's manager nor any other node there stops itself, after "
        "as many checks as its host's probes.",
    )
    open_sessions: Seconds = Field(
        default=0.0,
        description="How long sessions that are open write on at a primary that its isolation check stops "
        "(smartShutdownTimeout). 0s: it ends them.",
    )


class Failover(Model):
    """Everything between a dead primary and a living one."""

    detect: Detect | None = Field(
        default=None, description="Probers; under a lease only the pace of an endpoint that follows health."
    )
    decide: Decide = Field(description="Who decides, and on what evidence.")
    fence: AnyFence | None = Field(default=None, description="None: the old primary is not fenced.")
    runbook: Runbook | None = Field(
        default=None, description="Steps around the promotion, which may fail. None: none is needed, or all work."
    )
    promote: Promote = Field(description="How a standby becomes primary.")
    old_primary: OldPrimary = Field(description="What the old primary does when it comes back.")
    self_check: SelfCheck | None = Field(default=None, description="Isolation self-check of the primary.")
