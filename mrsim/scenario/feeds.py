"""Change feeds: consumers of a store's changes, such as a search index, and what becomes of their slots."""

from __future__ import annotations

from pydantic import Field

from mrsim.scenario.fields import Bytes, BytesPerSecond, Flag, Model, Name, Seconds, SecondsDist


class FailoverSlot(Model):
    """A logical slot that the primary's standbys have a copy of, so that it is there after a promotion."""

    synced_every: SecondsDist = Field(description="How often a standby copies the slot's position.")
    waits_for: tuple[Name, ...] = Field(
        default=(),
        description="Nodes that hold what the consumer is sent, before it is sent (synchronized_standby_slots: in "
        "PostgreSQL one setting for all failover slots of a primary).",
    )


class Reseed(Model):
    """A consumer that is filled anew with all there is, once it has missed something."""

    after: SecondsDist = Field(description="From its new slot to the beginning: by itself, or once somebody notices.")
    size: Bytes = Field(gt=0, description="Size of what is read.")
    throughput: BytesPerSecond = Field(gt=0, description="Speed at which the consumer is filled.")


class ChangeFeed(Model):
    """A consumer that is sent every change of a store in the order of commits: logical replication."""

    of: Name = Field(description="The store.")
    region: Name = Field(description="Region that the consumer is in.")
    slot: FailoverSlot | None = Field(
        default=None, description="Whether standbys have a copy of its slot; primary-only: it ends with its primary."
    )
    reads_after: SecondsDist = Field(
        description="From a commit to the consumer's having read it, beyond the path: decoding, and waiting for it."
    )
    shows_after: SecondsDist = Field(description="From there to its showing in the consumer: queues and processing.")
    confirms_every: Seconds = Field(
        description="How often it notes how far it has read, and confirms that to the slot; 0s: always."
    )
    keeps_position: Flag = Field(
        description="It asks for what follows its own note; else it takes what the slot has not been told that it has."
    )
    reconnects: SecondsDist = Field(description="From an open way to a primary to its reading on.")
    recreates: SecondsDist = Field(description="From finding no slot at a primary to there being a new one.")
    reseeds: Reseed | None = Field(
        default=None, description="How it is filled anew once it has missed something; none: never."
    )
