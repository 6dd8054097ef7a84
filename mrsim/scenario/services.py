"""Services and the records they are reached through."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mrsim.scenario.fields import Count, Flag, Model, Name, Seconds, SecondsDist, Share
from mrsim.scenario.places import CHECKERS, ENDPOINT_AUTHORITY, OPERATIONS


class Read(Model):
    """How a service reads a store."""

    route: Literal["nearest", "primary"] = Field(
        default="nearest", description="The nearest copy that answers, or the primary."
    )
    primary_for: Seconds | None = Field(
        default=None,
        description="For so long after a write its writer reads from the primary; 0s: never. None: not looked into.",
    )
    again_after: SecondsDist | None = Field(
        default=None,
        description="From a write to its writer reading it again; none: as soon as the primary need not be asked.",
    )


class Retries(Model):
    """What clients do about a write whose outcome they were not told."""

    after: Seconds = Field(gt=0, description="How long a client waits for the answer before it tries again.")
    gives_up_after: Seconds = Field(
        description="It goes on trying until so long after it sent the write; 0s: it never tries again."
    )
    idempotent: Flag = Field(
        default=False,
        description="A key is committed with the write, by which a retry of what stands is recognised.",
    )


class Rollout(Model):
    """What has to happen in a region, one after the other, before a service's instances serve there."""

    schedule: SecondsDist = Field(description="From the order's arrival to a place for every instance: new machines.")
    pull: SecondsDist = Field(description="Fetching the images.")
    start: SecondsDist = Field(description="From the processes' start to their answering.")
    warm: SecondsDist = Field(description="From answering to working as they should: pools, caches, compilation.")
    verify: SecondsDist = Field(description="What is verified before traffic is let in.")
    managed_by: Name | None = Field(
        default=None, description="Management plane that has to pass the order on; none: the order goes there directly."
    )


class ScaledDown(Rollout):
    """Regions in which a service does not serve until it is needed there."""

    regions: tuple[Name, ...] = Field(min_length=1, description="Regions in which nothing serves at first.")
    starts_when: Literal["promoted", "decided", "front-down"] = Field(
        description="What starts it: a primary is made in the region; somebody decides to fail over; the record's "
        "checks take a region where it runs out of the answers."
    )


class Batch(Model):
    """A job that a service runs now and then, meant to run once."""

    every: Seconds = Field(gt=0, description="Interval at which a run is due, at the same instant in every region.")
    takes: Seconds = Field(gt=0, description="How long a run writes.")
    leader: Literal["writer", "nobody"] = Field(
        default="writer",
        description="Who runs it: the region whose own database takes writes, or every one that reaches a primary.",
    )
    catches_up: Flag = Field(
        default=False, description="A run that nobody did, or that was broken off, is made up for before the next."
    )


class Relocation(Rollout):
    """What has to happen in the region of a new primary before workers that run beside the primary work there."""


class Service(Model):
    """A program that runs in regions and reads and writes stores."""

    runs_in: tuple[Name, ...] = Field(default=(), description="Regions it runs in; empty: every region.")
    reads: dict[Name, Read] = Field(default_factory=dict, description="Stores it reads, each with its route.")
    writes: Name | None = Field(default=None, description="The store it writes to.")
    read_only: Flag = Field(
        default=False,
        description="While it cannot write it goes on reading, and says so: a state between served and down.",
    )
    batch: Batch | None = Field(default=None, description="A job that it runs now and then; none: no job.")
    retries: Retries | None = Field(
        default=None, description="When clients try writes again whose outcome they do not know; none: not counted."
    )
    scaled_down: ScaledDown | None = Field(
        default=None, description="Regions in which it has to be started first. None: it serves wherever it runs."
    )
    relocates: Relocation | None = Field(
        default=None, description="How workers follow the primary; for a service with runs_in: writer."
    )

    @property
    def follows(self) -> str:
        """The store whose failover it goes with: the one that it writes, or else the first that it reads."""
        return self.writes or next(iter(self.reads), "")

    @property
    def is_worker(self) -> bool:
        """Whether it runs beside the primary alone and nobody calls it."""
        return self.relocates is not None

    def may_serve(self, region: str) -> bool:
        """Return whether it is meant for a region, now or once it is started there."""
        return not self.runs_in or region in self.runs_in

    def serves_at_first(self, region: str) -> bool:
        """Return whether it serves in a region while nothing has happened."""
        return self.may_serve(region) and (self.scaled_down is None or region not in self.scaled_down.regions)


class HealthCheck(Model):
    """Checkers that probe a service's front door, and how their verdicts combine."""

    checkers: Count = Field(default=1, ge=1, le=256, description="Number of uncoordinated checkers.")
    every: Seconds = Field(gt=0, description="Interval between probes of one checker.")
    interval_from: Literal["start", "end"] = Field(
        default="start", description="The interval counts from the start of the previous probe, or from its end."
    )
    fails: Count = Field(default=3, ge=1, description="Consecutive failures that make a checker report unhealthy.")
    recovers: Count = Field(default=3, ge=1, description="Consecutive successes that make it report healthy again.")
    timeout: Seconds = Field(gt=0, description="How long a probe waits for an answer.")
    answer_within: Seconds | None = Field(
        default=None,
        gt=0,
        description="How long the application may take to answer; none: the timeout.",
    )
    healthy_above: Share = Field(default=0.5, description="Healthy while more than this share of checkers says so.")
    depth: Literal["reachability", "application", "write-path"] = Field(
        default="application",
        description="What a probe asks: a TCP connect; an answer from the application; or one that needs an "
        "acknowledged write to every store that the record's services write in that region.",
    )
    when_all_unhealthy: Literal["answer-all", "answer-none", "answer-fallback"] = Field(
        default="answer-all",
        description="What the authority answers when every target is unhealthy: as if all were healthy (fail open), "
        "nothing (fail closed), or one fixed region.",
    )
    fallback: Name | None = Field(
        default=None, description="Region that answer-fallback answers with; none: the last of the record's."
    )
    stands: Name = Field(
        default=CHECKERS, description="Place the checkers stand in; 'checkers' is outside every region."
    )
    applies_after: SecondsDist = Field(description="From the verdict to answers that follow it, in the data plane.")


class ShiftBack(Model):
    """How a region's weight comes back in steps once it is healthy again: edits by a person or a pipeline.

    While the region is out of the answers its weight is edited to the first step, else all of it comes back at once.
    """

    steps: tuple[Share, ...] = Field(min_length=1, description="Shares of its weight, one after the other; last: 100%.")
    every: Seconds = Field(gt=0, description="From one step to the next; the first is there when it is healthy again.")
    takes: SecondsDist = Field(description="From an edit to the authority's answers following it.")
    by: Name = Field(default=OPERATIONS, description="Place of who edits.")
    authority: Name = Field(
        default=ENDPOINT_AUTHORITY, description="Place of the control plane; an edit waits for a path to it."
    )


class Edge(Model):
    """A proxy at the address: where it cannot connect to a region, it tries the request once more in another one.

    People's connections end at the proxy, which chooses a region for every request.
    """

    connect_timeout: Seconds = Field(
        gt=0, description="How long it tries to connect to a region that is silent; one that refuses costs nothing."
    )
    writes: Flag = Field(
        default=True, description="It tries requests that write again too: with no connection nothing had been sent."
    )
    clients_give_up_after: Seconds = Field(
        default=10.0, gt=0, description="A client that waits longer has failed, whatever the proxy finds then."
    )

    @property
    def outlasts(self) -> bool:
        """Whether clients wait until the proxy gives up a silent region."""
        return self.connect_timeout <= self.clients_give_up_after


class Edited(Model):
    """A person who edits the record, through the provider's control plane: nothing follows a verdict by itself."""

    when: Literal["front-down", "promoted"] = Field(
        default="front-down",
        description="What the person hears of: the verdicts of the record's checks on a region, or a new primary of "
        "the store that its services follow, to whose region people are then led.",
    )
    takes: SecondsDist = Field(description="From hearing of it to the edit: page, look, decide, log in.")
    back: SecondsDist = Field(
        description="The same for the edit that leads people back: the region is healthy again, or the first one has "
        "the primary again."
    )
    propagates: SecondsDist = Field(description="From the edit to the authority's servers answering by it.")
    by: Name = Field(default=OPERATIONS, description="Place of who edits.")
    authority: Name = Field(
        default=ENDPOINT_AUTHORITY, description="Place of the control plane; an edit waits for a path to it."
    )


class Record(Model):
    """A DNS record, or an anycast address: which regions it can lead to, and how one is chosen."""

    serves: tuple[Name, ...] = Field(min_length=1, description="Services reached through this record.")
    policy: Literal["latency", "failover", "geography", "weighted", "anycast"] = Field(
        description="How a region is chosen: the nearest, the first, by where the client is, by weight anew for every "
        "answer, or the nearest by routes instead of answers."
    )
    regions: tuple[Name, ...] = Field(
        default=(), description="Regions it may answer with, in order; empty: all of them."
    )
    locations: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="Geography: per cohort the regions that clients there are answered with, in order, and no others; "
        "cohorts that are not in it are answered with the record's regions in order.",
    )
    weights: dict[Name, Count] = Field(
        default_factory=dict,
        description="Weighted: whole numbers by region; an answer's chance is its weight over the sum of those that "
        "are healthy. Weight 0 is answered only once nothing else is healthy.",
    )
    shift_back: ShiftBack | None = Field(
        default=None, description="Weighted: how a region's share comes back; none: all at once, with its health."
    )
    ttl: Seconds = Field(ge=0, description="Time to live of the answers; an anycast address has none.")
    converges: SecondsDist | None = Field(
        default=None, description="Anycast: from a route's change to a client's packets following it."
    )
    edited: Edited | None = Field(
        default=None,
        description="A person edits the record by hand; none: answers follow the health check by themselves.",
    )
    edge: Edge | None = Field(
        default=None,
        description="Anycast: a proxy that tries another region at once where it cannot connect; none: packets go "
        "through to the region.",
    )
    health_check: HealthCheck | None = Field(default=None, description="Checks that take a region out of the answers.")
