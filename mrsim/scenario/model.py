"""The scenario: everything one trial needs to know, resolved and frozen."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mrsim.scenario.budgets import Budget
from mrsim.scenario.clients import Cohort
from mrsim.scenario.faults import Fault
from mrsim.scenario.fields import Model, Name, Seconds
from mrsim.scenario.services import Record, Service
from mrsim.scenario.stores import Store
from mrsim.scenario.topology import ControlPoint, Network, Witness


class Assumption(Model):
    """A value that the answer leans on and that nobody measured for this system."""

    where: str = Field(description="Path in the document, such as stores.orders-db.replication.apply_rate.")
    value: str = Field(description="The value in use, with its unit.")
    kind: Literal["documented", "measured", "vendor claim", "derived", "assumption"]
    source: str = Field(description="Where the value comes from, or why it is only an assumption.")
    preset: str = Field(default="", description="Preset that supplied it; empty: a default of the language.")


class Scenario(Model):
    """A resolved scenario: topology, systems, faults and budgets."""

    name: Name = Field(description="Name of the scenario.")
    summary: str = Field(default="", description="One sentence on what it shows.")
    horizon: Seconds = Field(gt=0, description="Nominal end of every trial.")
    horizon_explicit: bool = Field(default=True, description="False if the horizon was derived from the faults.")
    stable_for: Seconds = Field(default=60.0, ge=0, description="A recovery must last this long to count.")
    tags: tuple[str, ...] = Field(default=(), description="Words to select scenarios by.")
    regions: tuple[Name, ...] = Field(min_length=1, description="Regions: fault domains, by name.")
    witnesses: dict[Name, Witness] = Field(default_factory=dict, description="Places that vote and hold no data.")
    control_points: dict[Name, ControlPoint] = Field(
        default_factory=dict, description="Places through which nodes can be fenced; each region has one of its own."
    )
    network: Network = Field(description="Round trips and bandwidths.")
    stores: dict[Name, Store] = Field(default_factory=dict, description="Databases.")
    services: dict[Name, Service] = Field(default_factory=dict, description="Programs that read and write stores.")
    dns: dict[Name, Record] = Field(default_factory=dict, description="Records that lead clients to services.")
    clients: dict[Name, Cohort] = Field(default_factory=dict, description="Cohorts of people by place.")
    faults: tuple[Fault, ...] = Field(default=(), description="What breaks, and when.")
    budgets: tuple[Budget, ...] = ()
    assumptions: tuple[Assumption, ...] = Field(default=(), description="What presets and defaults contributed.")
    path: str = Field(default="<scenario>", description="File it was read from.")

    def __repr__(self) -> str:
        """Return the scenario in a line, and each fault and budget in another."""
        places = f"{len(self.regions)} regions, {len(self.stores)} stores, {len(self.clients)} cohorts"
        lines = [f"Scenario({self.name}: {places}, horizon {self.horizon:g} s)"]
        lines += [f"  fault: {fault.kind}" for fault in self.faults]
        lines += [f"  budget: {budget.key}: {budget.text}" for budget in self.budgets]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from mrsim.report.html import scenario_html

        return scenario_html(self)
