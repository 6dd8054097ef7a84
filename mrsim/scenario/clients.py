"""Who asks: cohorts of people, the resolvers they ask through, and the software they use."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mrsim.scenario.fields import Count, Flag, Model, Name, PerSecond, Seconds, SecondsDist, SecondsOrForever, Share

TAIL_FACTOR = 4
"""A stratum of resolvers that overstay holds so many times the points: its few points decide far client quantiles."""


class ResolverClass(Model):
    """How one kind of caching resolver treats the TTL it is given."""

    share: Share = Field(description="Share of the population behind this kind of resolver.")
    ttl_add: Seconds = Field(
        default=0.0, description="Added to the TTL (unbound keeps whole seconds and expires after it)."
    )
    ttl_min: Seconds = Field(default=0.0, description="Lower clamp on the TTL.")
    ttl_max: SecondsOrForever = Field(default=float("inf"), description="Upper clamp on the TTL.")
    prefetch: Seconds = Field(
        default=0.0, description="A look-up renews an entry from this long before it expires, and gets the old data."
    )
    prefetch_from_ttl: Seconds = Field(
        default=0.0, description="Prefetch applies to entries whose TTL is at least this."
    )
    prefetch_share: Share = Field(
        default=0.0, description="Share of the TTL, in whole ticks, that is added to the prefetch time."
    )
    tick: Seconds = Field(
        default=0.0, description="Step of the resolver's clock: the arrival of an entry is rounded down to it."
    )
    lookups: PerSecond | Literal["busy"] = Field(
        default="busy",
        description="Poisson rate of look-ups of the name, or 'busy': asked again at once after it expires.",
    )
    serve_stale: Flag = Field(default=False, description="The first query after expiry is answered with the old data.")
    overstay: SecondsDist | None = Field(
        default=None,
        description="How long an old answer is kept beyond the TTL (stretchers and pinners), drawn per client.",
    )


class ClientClass(Model):
    """The cache and the connections that a client program puts on top of its resolver."""

    cache: SecondsOrForever = Field(
        default=0.0, description="Life of an entry in the program's own cache, restarted at each fetch."
    )
    honours_ttl: Flag = Field(default=False, description="The own cache lives min(cache, TTL) instead of cache.")
    pool_lifetime: SecondsOrForever = Field(
        default=0.0, description="Longest life of a pooled connection that keeps working."
    )
    breaks_after: Seconds = Field(default=0.0, description="Time until a connection to a silent peer is given up.")


class Cohort(Model):
    """A share of the population in one place."""

    near: Name = Field(description="Region that these clients are closest to.")
    share: Share = Field(description="Share of the whole population.")
    resolvers: dict[Name, ResolverClass] = Field(description="Resolver classes with their shares.")
    classes: dict[Name, ClientClass] = Field(alias="class", description="Client classes with their shares.")
    class_shares: dict[Name, Share] = Field(
        default_factory=dict, description="Share of each client class; equal if empty."
    )
    points: Count = Field(
        default=32,
        ge=1,
        le=4096,
        description="Points of each stratum's lattice; four times as many where old answers overstay.",
    )

    def points_behind(self, resolver: ResolverClass) -> int:
        """Return the points of a stratum of this cohort behind one kind of resolver."""
        return self.points * (TAIL_FACTOR if resolver.overstay is not None else 1)
