"""Places and paths: what can be cut from what, and how long a message takes."""

from __future__ import annotations

from pydantic import Field

from mrsim.scenario.fields import BytesPerSecond, Model, Name, Seconds, Share


class Network(Model):
    """Round-trip times and bandwidths between places, as resolved from presets and overrides."""

    rtt_s: dict[str, Seconds] = Field(
        description="Minimum round-trip time per pair of regions, keyed 'a/b' with a and b in both orders."
    )
    last_mile_s: Seconds = Field(description="Round-trip time between people and the region nearest to them.")
    loss: Share = Field(
        default=0.0,
        description="Share of messages lost on every path at all times: probes fail, WAL gets through as TCP lets it.",
    )
    wal_bandwidth: dict[str, BytesPerSecond] = Field(
        default_factory=dict,
        description="Bandwidth for WAL per directed pair 'from/to'; '*' is every region. Missing: unlimited.",
    )


class Witness(Model):
    """A place that votes but holds no data, outside every region."""

    rtt_s: Seconds = Field(description="Round-trip time to every region.")


class ControlPoint(Model):
    """A place through which nodes can be fenced, such as a cloud API or a power switch."""

    inside: Name | None = Field(default=None, description="Region that it is lost with; none: outside every region.")
