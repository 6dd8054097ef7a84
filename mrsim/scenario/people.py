"""People in a failover: the runbook that they work through."""

from __future__ import annotations

from pydantic import Field

from mrsim.scenario.fields import Count, Model, Seconds, SecondsDist, Share


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
