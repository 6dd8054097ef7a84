"""The plane that redeploys: where it runs, and what becomes of it when that place is gone."""

from __future__ import annotations

from pydantic import Field

from mrsim.scenario.fields import Model, Name, SecondsDist
from mrsim.scenario.places import OPERATIONS


class Management(Model):
    """A plane through which applications are redeployed and endpoints edited, such as a GitOps controller."""

    place: Name = Field(description="Where it runs; it is lost and cut off with that place.")
    watched_from: Name = Field(
        default=OPERATIONS, description="Where those who look after it stand; 'operations' is outside every region."
    )
    given_up_after: SecondsDist = Field(
        description="From its being unreachable from there to somebody acting on it; called off if it is back sooner."
    )
    mirrored_in: tuple[Name, ...] = Field(
        default=(), description="Places of copies that can take over, in order of preference."
    )
    takes_over: SecondsDist = Field(description="From its being given up to a copy acting in its stead.")
    rebuilt_in: tuple[Name, ...] = Field(
        default=(), description="Places in which it can be built anew, in order of preference."
    )
    rebuild: SecondsDist = Field(description="From its being given up to a new one that knows all clusters.")

    @property
    def places(self) -> tuple[str, ...]:
        """Everywhere that it can run, the first choice first."""
        return (self.place, *self.mirrored_in, *self.rebuilt_in)
