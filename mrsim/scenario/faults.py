"""What breaks: each fault has a start, a duration, a blast radius and, where it cuts, both sides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mrsim.scenario.fields import BytesPerSecond, Model, Name, Seconds, SecondsDist, Share


class _Happening(Model):
    at: Literal["random"] | SecondsDist = Field(
        default="random",
        description="Start; random: uniform over the longest burst period of any store, or 30 min.",
    )


class _Fault(_Happening):
    lasts: Literal["permanent"] | SecondsDist = Field(default="permanent", description="Duration.")


class RegionLoss(_Fault):
    """Everything in the region is gone."""

    kind: Literal["region-loss"] = Field(description="What breaks.")
    region: Name = Field(description="Region it strikes.")
    connections: Literal["hang", "refused"] = Field(description="Packets vanish, or connections are refused.")
    in_flight: Literal["arrives", "lost"] = Field(description="What is on the wire at that instant.")


class ZoneLoss(_Fault):
    """Everything in one zone is gone; the rest of its region goes on."""

    kind: Literal["zone-loss"] = Field(description="What breaks.")
    zone: Name = Field(description="Zone it strikes.")
    connections: Literal["hang", "refused"] = Field(description="Packets vanish, or connections are refused.")
    in_flight: Literal["arrives", "lost"] = Field(description="What is on the wire at that instant.")


class Isolation(_Fault):
    """The region lives, cut from the places named."""

    kind: Literal["isolation"] = Field(description="What breaks.")
    region: Name = Field(description="Region it strikes.")
    cut_from: tuple[Name, ...] | Literal["rest"] = Field(description="Places cut from it; 'rest': all not named below.")
    still_reached_by: tuple[Name, ...] | Literal["rest"] = Field(
        description="Places that still reach it; 'rest': all not cut."
    )
    in_flight: Literal["arrives", "lost"] = Field(default="lost", description="What is on the wire at that instant.")


class Partition(_Fault):
    """Two sets of places cannot reach each other, in both directions or in one."""

    kind: Literal["partition"] = Field(description="What breaks.")
    between: tuple[Name, ...] = Field(min_length=1, description="Places on the first side.")
    and_: tuple[Name, ...] = Field(alias="and", min_length=1, description="Places on the second side.")
    direction: Literal["both", "forward", "backward"] = Field(
        default="both", description="forward: nothing gets from the first side to the second."
    )
    in_flight: Literal["arrives", "lost"] = Field(default="lost", description="What is on the wire at that instant.")


class ProcessCrash(_Fault):
    """The database process of one node dies; its host refuses connections at once."""

    kind: Literal["process-crash"] = Field(description="What breaks.")
    store: Name = Field(description="Store whose node it strikes.")
    region: Name = Field(description="Region or zone it strikes.")
    in_flight: Literal["arrives", "lost"] = Field(default="arrives", description="What is on the wire at that instant.")


class NodeLoss(_Fault):
    """The host of one node is gone, agent and all: its connections hang, and nothing answers for it."""

    kind: Literal["node-loss"] = Field(description="What breaks.")
    store: Name = Field(description="Store whose node it strikes.")
    region: Name = Field(description="Region or zone it strikes.")
    in_flight: Literal["arrives", "lost"] = Field(default="lost", description="What is on the wire at that instant.")


class AgentCrash(_Fault):
    """The failover agent beside a database dies and leaves a living database behind."""

    kind: Literal["agent-crash"] = Field(description="What breaks.")
    store: Name = Field(description="Store whose node it strikes.")
    region: Name = Field(description="Region or zone it strikes.")


class LinkDegradation(_Fault):
    """A directed path gets slower, lossy or narrower."""

    kind: Literal["link-degradation"] = Field(description="What breaks.")
    from_: tuple[Name, ...] = Field(alias="from", min_length=1, description="Places the paths lead from.")
    to: tuple[Name, ...] = Field(min_length=1, description="Places the paths lead to.")
    added_latency: SecondsDist | None = Field(default=None, description="Added to the latency one way.")
    loss: Share = Field(
        default=0.0, description="Share of messages lost: probes fail, WAL gets through as TCP lets it."
    )
    bandwidth: BytesPerSecond | None = Field(default=None, description="What is left for WAL.")


class Brownout(_Fault):
    """The region answers, slowly or with errors."""

    kind: Literal["brownout"] = Field(description="What breaks.")
    region: Name = Field(description="Region it strikes.")
    errors: Share = Field(
        default=0.0, description="Share of clients whose requests fail throughout, and of probes that fail."
    )
    latency: SecondsDist | None = Field(default=None, description="Time the application takes to answer.")
    clients_give_up_after: Seconds = Field(default=10.0, gt=0, description="A request slower than this has failed.")


class ReplicationStall(_Fault):
    """A standby stops receiving."""

    kind: Literal["replication-stall"] = Field(description="What breaks.")
    store: Name = Field(description="Store whose node it strikes.")
    region: Name = Field(description="Region or zone it strikes.")


class LowersTtl(Model):
    """A step of preparation: answers of the store's endpoint live shorter from some time before the work on."""

    to: Seconds = Field(gt=0, description="Life of the answers from then on; it is not raised again.")
    ahead: Seconds = Field(description="How long before the work's start; less than the old life leaves some with it.")


class Switchover(_Happening):
    """Planned work, no fault: the primary hands its last position over to a standby, which becomes primary."""

    kind: Literal["switchover"] = Field(description="What happens.")
    store: Name = Field(description="Store whose primary moves.")
    to: Name = Field(description="Region or zone of the standby that becomes primary.")
    max_lag: Seconds = Field(description="It is refused if the standby lags more than this.")
    drain: SecondsDist = Field(description="From the order to stop, which refuses writes, to the last session's end.")
    checkpoint: SecondsDist = Field(description="Shutdown checkpoint; the archived segment and the stream end with it.")
    hands_over: SecondsDist = Field(
        description="From the old primary's end to the new one being told its position (demotion token): a person or a "
        "pipeline, and both sides reconcile. Inside a region nobody has to."
    )
    follows: Literal["after-shutdown", "after-promotion"] = Field(
        description="When the old primary starts again, as a standby that answers reads: once its position is known, "
        "with its whole cluster if that was demoted, or once another is primary. Under a lease: once it has released "
        "its key; inside a region: once another is primary."
    )
    starts_again: SecondsDist = Field(description="From then to its answering; until then it answers nobody.")
    gives_up_after: Seconds = Field(gt=0, description="Longest time until the new primary is made; then it goes back.")
    goes_back: SecondsDist = Field(
        description="From giving up to the old primary accepting writes again; later, if it cannot be reached then."
    )
    lowers_ttl: LowersTtl | None = Field(default=None, description="The endpoint's TTL is lowered ahead of the work.")

    @property
    def lasts(self) -> Literal["permanent"]:
        """It has no end of its own."""
        return "permanent"


Fault = Annotated[
    RegionLoss
    | ZoneLoss
    | Isolation
    | Partition
    | ProcessCrash
    | NodeLoss
    | AgentCrash
    | LinkDegradation
    | Brownout
    | ReplicationStall
    | Switchover,
    Field(discriminator="kind"),
]
