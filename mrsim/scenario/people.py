"""People in a failover: who is on call at what time of day, and the runbook that they work through."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mrsim.scenario.fields import Count, Model, Name, Seconds, SecondsDist, Share

DAY_S = 86400.0
"""A day; times of day are seconds since midnight."""

TimeOfDay = Annotated[Seconds, Field(le=DAY_S)]


class Shift(Model):
    """People on call for a part of the day."""

    from_: TimeOfDay = Field(alias="from", description="Time of day at which it begins, such as 9h or 22h30min.")
    to: TimeOfDay = Field(description="Time of day at which it ends; before its beginning, if it goes over midnight.")
    page: SecondsDist | None = Field(default=None, description="As decide.page, in this shift; none: as there.")
    acknowledge: SecondsDist | None = Field(default=None, description="As decide.acknowledge, in this shift.")
    assess: SecondsDist | None = Field(default=None, description="As decide.assess, in this shift.")
    nobody: Share = Field(
        default=0.0, description="Chance that the person on call does not answer in this shift at all."
    )

    def covers(self, time_s: float) -> bool:
        """Whether a time of day, in seconds since midnight, is in the shift."""
        if self.from_ < self.to:
            return self.from_ <= time_s < self.to
        return time_s >= self.from_ or time_s < self.to


class Escalation(Model):
    """A second person, who is paged if the first has not answered."""

    after: Seconds = Field(gt=0, description="From the first page to the second person's.")
    acknowledge: SecondsDist = Field(description="From that page to the second person looking.")
    nobody: Share = Field(default=0.0, description="Chance that the second person does not answer either.")


class Hours(Model):
    """Who is on call at what time of day; outside all shifts the times of ``decide`` hold."""

    at: Literal["random"] | SecondsDist = Field(
        default="random", description="Time of day of the first fault; random: any. A shift's name: within that shift."
    )
    shifts: dict[Name, Shift] = Field(min_length=1, description="Parts of the day, by name.")
    escalates: Escalation | None = Field(
        default=None, description="None: who is not answered is paged again when the next shift begins."
    )


class Drilled(Model):
    """What drills showed: how many steps failed, so long after they had last been done."""

    after: Seconds = Field(gt=0, description="Time since the steps had last been done.")
    failed: Count = Field(ge=0, description="Steps that failed.")
    of: Count = Field(ge=1, description="Steps that were tried.")


class Runbook(Model):
    """Steps that a person or a pipeline works through; what has not been done for long may no longer work."""

    before: Count = Field(default=0, ge=0, le=100, description="Steps between the decision and the promotion.")
    after: Count = Field(
        default=0, ge=0, le=100, description="Steps between the new primary being writable and the endpoint's move."
    )
    last_drill: SecondsDist = Field(
        description="How long ago all steps were done last; 0s..30d where a drill is held every 30 days."
    )
    takes: SecondsDist = Field(description="One try of a step.")
    fails: Share = Field(default=0.0, le=0.5, description="Chance that a step fails although it has just been done.")
    breaks_every: Seconds | None = Field(
        default=None, gt=0, description="Mean time until a change of the systems around it breaks a step."
    )
    measured: tuple[Drilled, ...] = Field(
        default=(),
        description="Instead of breaks_every: shares of steps that failed in drills, the shortest time first.",
    )
    repair: SecondsDist = Field(description="From a step's failure to the next try of it.")
