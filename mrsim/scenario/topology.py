"""Places and paths: what can be cut from what, and how long a message takes."""

from __future__ import annotations

from pydantic import Field

from mrsim.scenario.fields import BytesPerSecond, Model, Name, Seconds, Share

LOCAL_RTT_S = 0.0005
"""Round trip inside a region, between zones: 0.25 to 3.4 ms were measured, 0.1 ms inside one zone (xkyle.com, IBM)."""


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

    def path_s(self, one: str | None, other: str | None, last_miles: int = 0) -> float:
        """Return the minimum round trip between two places, in seconds.

        Parameters
        ----------
        one, other
            The regions that they are in, or nearest to; None for a place that is as far from every region.
        last_miles
            How many of the two are outside every region: each is a last mile away from its region.
        """
        miles = last_miles * self.last_mile_s
        if one is None or other is None or one == other:
            return miles or LOCAL_RTT_S
        return miles + max(self.rtt_s[f"{one}/{other}"], LOCAL_RTT_S)


class Witness(Model):
    """A place that votes but holds no data, outside every region."""

    rtt_s: Seconds = Field(description="Round-trip time to every region.")


class ControlPoint(Model):
    """A place through which nodes can be fenced, such as a cloud API or a power switch."""

    inside: Name | None = Field(default=None, description="Region that it is lost with; none: outside every region.")
