"""Stores: one primary, standbys, how WAL gets there and when a commit is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from mrsim.scenario.control import Failover, InRegion
from mrsim.scenario.fields import (
    Bytes,
    BytesPerSecond,
    Count,
    Factor,
    Model,
    Name,
    PerSecond,
    Seconds,
    SecondsDist,
    Share,
)
from mrsim.scenario.places import ENDPOINT_AUTHORITY


class Bursts(Model):
    """Periodic bursts of commits."""

    every: Seconds = Field(gt=0, description="Period.")
    last: Seconds = Field(gt=0, description="Length of a burst; shorter than the period.")
    rate: Factor = Field(gt=1, description="Commit rate during a burst, as a multiple of the steady rate.")
    phase: Literal["random"] | Share = Field(default="random", description="Where in its period the trial starts.")


class Bulk(Model):
    """WAL that is no client's commit: a migration, an index, a bulk load, once in a trial."""

    starts: SecondsDist = Field(description="Start.")
    lasts: SecondsDist = Field(description="For how long it writes.")
    rate: BytesPerSecond = Field(gt=0, description="WAL per second on top of the commits'.")


class Wal(Model):
    """What the primary writes."""

    commits: PerSecond = Field(gt=0, description="Commits per second that all clients together attempt.")
    bytes_per_commit: Bytes = Field(gt=0, description="WAL per commit.")
    bursts: Bursts | None = Field(default=None, description="Bursts on top of the steady rate.")
    bulk: Bulk | None = Field(default=None, description="A migration or a bulk load beside the commits.")


class CommitRule(Model):
    """When a commit is acknowledged; neither ``any`` nor ``first`` means asynchronous."""

    any: Count | None = Field(default=None, ge=1, description="Any n of the set (quorum).")
    first: Count | None = Field(default=None, ge=1, description="The n highest-priority connected members of the set.")
    of: tuple[Name, ...] | Literal["in-region"] = Field(
        default=(),
        description="Synchronous standbys, in order of priority; or in-region: the other nodes in the region of "
        "whichever node is primary.",
    )
    level: Literal["remote_write", "on", "remote_apply"] = Field(
        default="on", description="What the standby has done by then."
    )
    when_short: Literal["block", "degrade"] = Field(
        default="block", description="Fewer connected members than needed: wait, or go on with those there are."
    )


class Endpoint(Model):
    """How services find the primary."""

    ttl: Seconds = Field(gt=0, description="Life of the answer in a service's own cache.")
    moved_by: Literal["controller", "gitops", "health"] = Field(
        description="Who changes it: the failover controller, a commit that regions pull, or health checks."
    )
    takes: SecondsDist = Field(description="From the new primary being writable to the endpoint answering with it.")
    reconnect: SecondsDist = Field(description="From a service seeing the new answer to its pool working.")
    managed_by: Name | None = Field(
        default=None, description="Management plane that has to pass the edit on; only with moved_by: gitops."
    )
    authority: Name = Field(
        default=ENDPOINT_AUTHORITY, description="Place of the authority; regions cut from it keep the old answer."
    )


class Replication(Model):
    """Timers and speeds of streaming replication."""

    sender_timeout: Seconds = Field(description="A silent standby is dropped after this (wal_sender_timeout).")
    receiver_timeout: Seconds = Field(
        description="A standby gives up a silent primary after this (wal_receiver_timeout)."
    )
    retry_interval: Seconds = Field(description="Wait between attempts to reconnect (wal_retrieve_retry_interval).")
    apply_rate: BytesPerSecond = Field(gt=0, description="Speed of replay on a standby.")
    local_flush: SecondsDist = Field(description="Time of a commit's local flush.")
    remote_flush: SecondsDist = Field(description="Write and flush on a standby, per acknowledgement.")
    connections: Count = Field(
        default=100, ge=1, description="Most commits that can wait for an acknowledgement at a time."
    )


class Slots(Model):
    """WAL that a primary keeps for standbys that are away."""

    disk: Bytes | None = Field(
        default=None, gt=0, description="Room for it on the primary; full, the primary goes down. None: without end."
    )
    max_slot_wal_keep_size: Bytes | None = Field(
        default=None, gt=0, description="A standby that lacks more is given up, and made anew. None: never."
    )
    makes_room: SecondsDist = Field(
        description="From a full disk to somebody dropping the slots of absent standbys, so that the primary can start."
    )
    reclone: SecondsDist = Field(description="Making a standby anew once it reaches its primary.")


class Archive(Model):
    """Where a primary ships its WAL, segment by segment."""

    place: Name = Field(description="Region or other place that holds it.")
    timeout: Seconds = Field(gt=0, description="A segment that is older ends, if anything was written to it.")
    segment: Bytes = Field(gt=0, description="Size of a full segment (wal_segment_size).")
    upload: SecondsDist = Field(description="From a segment's end to its being in the archive; one after the other.")
    poll: Seconds = Field(gt=0, description="How often a standby looks for the next segment.")
    restore: Seconds = Field(description="Fetching and replaying a segment.")


class Snapshots(Model):
    """Copies of the whole store, taken now and then and kept somewhere: backups, dumps, saved states."""

    place: Name = Field(description="Region or other place that holds them.")
    every: Seconds = Field(gt=0, description="Interval at which they are taken.")
    takes: SecondsDist = Field(description="From a snapshot's instant to its being kept; one after the other.")
    size: Bytes = Field(gt=0, description="Size of what has to be restored.")
    throughput: BytesPerSecond = Field(gt=0, description="Speed of a restore.")
    prepares: SecondsDist = Field(description="What a restore takes before its first byte: machines, access.")


class Objects(Model):
    """How a storage service copies objects to another region: each commit is an object put."""

    lag: SecondsDist = Field(description="From an object's being put to its copy's being there, each on its own.")


class Standby(Model):
    """A standby and where its WAL comes from."""

    region: Name = Field(description="Region it is in.")
    source: Name | None = Field(
        default=None, description="Region it streams from, or whose archive it restores; none: the primary's."
    )
    archive: Name | None = Field(
        default=None,
        description="Place of an archive of its own: it ships there what it has received, segment by segment "
        "(archive_mode = always), and what it writes once it is primary. None: it ships only as primary, to the "
        "store's archive.",
    )
    via: Literal["stream", "archive", "snapshot", "objects"] = Field(
        default="stream",
        description="It streams, restores what is archived, is made from the last snapshot when it is promoted, or is "
        "copied to object by object.",
    )
    fallback: Literal["archive"] | None = Field(
        default=None,
        description="What a streaming standby restores from while its stream does not run (restore_command). None: it "
        "waits for the stream.",
    )


class Store(Model):
    """One database: a primary, its standbys, and what happens when the primary is gone."""

    primary: Name = Field(description="Region of the primary.")
    standbys: tuple[Standby, ...] = Field(default=(), description="Standbys, one per region.")
    storage: tuple[Name, ...] = Field(
        default=(),
        description="Regions or zones of the first primary's storage, of which a majority has to take a write; none: "
        "beside it.",
    )
    commit: CommitRule = Field(default_factory=CommitRule, description="When a commit is acknowledged.")
    endpoint: Endpoint = Field(description="How services find the primary.")
    wal: Wal = Field(description="What the primary writes.")
    replication: Replication = Field(description="Timers and speeds of streaming replication.")
    slots: Slots | None = Field(default=None, description="Limits of what a primary keeps for absent standbys.")
    archive: Archive | None = Field(default=None, description="WAL archive; standbys use it by via: archive.")
    snapshots: Snapshots | None = Field(default=None, description="Snapshots; standbys use them by via: snapshot.")
    objects: Objects | None = Field(default=None, description="Copies of objects; standbys use them by via: objects.")
    in_region: InRegion | None = Field(
        default=None, description="Replaces a dead primary inside its region; needs nodes in zones."
    )
    failover: Failover | None = Field(
        default=None, description="Between regions if in_region is there. None: nobody promotes anything else."
    )

    @property
    def sites(self) -> tuple[str, ...]:
        """Regions and zones of its nodes, the primary's first."""
        return (self.primary, *(standby.region for standby in self.standbys))

    @property
    def direct(self) -> tuple[str, ...]:
        """Regions and zones of the standbys that stream from the first primary itself."""
        itself = (None, self.primary)
        return tuple(one.region for one in self.standbys if one.via == "stream" and one.source in itself)

    def synchronous(self, primary: str, home: Callable[[str], str | None]) -> tuple[str, ...]:
        """Return the regions and zones whose nodes a primary's commits may wait for, in order of priority.

        Parameters
        ----------
        primary
            Region or zone of the primary. Once a listed standby has become that, the first primary takes its place on
            the list.
        home
            The region of a region or zone.
        """
        of = self.commit.of
        if of == "in-region":
            return tuple(site for site in self.sites if site != primary and home(site) == home(primary))
        return tuple(self.primary if site == primary else site for site in of)

    def standby_work_s(self, flush_s: float) -> float:
        """Return what a standby that keeps up does with a commit before it answers, in seconds.

        Parameters
        ----------
        flush_s
            Time of its flush.

        References
        ----------
        PostgreSQL documentation, *synchronous_commit*: ``remote_write`` waits for the write alone, ``on`` for the
        flush, ``remote_apply`` for the replay too.
        """
        if self.commit.level == "remote_write":
            return 0.0
        replay_s = self.wal.bytes_per_commit / self.replication.apply_rate
        return flush_s + (replay_s if self.commit.level == "remote_apply" else 0.0)
