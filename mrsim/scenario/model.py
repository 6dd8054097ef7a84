"""The scenario: everything one trial needs to know, resolved and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from mrsim.errors import Problem, ScenarioError
from mrsim.scenario.budgets import Budget
from mrsim.scenario.clients import Cohort
from mrsim.scenario.faults import Fault
from mrsim.scenario.feeds import ChangeFeed
from mrsim.scenario.fields import Model, Name, Seconds
from mrsim.scenario.management import Management
from mrsim.scenario.services import Record, Service
from mrsim.scenario.settings import Setting, SettingError, Written, command_line, merged, read_path
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
    regions: tuple[Name, ...] = Field(min_length=1, description="Regions: fault domains, by name.")
    zones: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict, description="Zones inside a region, by region: places for nodes, lost one by one."
    )
    witnesses: dict[Name, Witness] = Field(default_factory=dict, description="Places that vote and hold no data.")
    control_points: dict[Name, ControlPoint] = Field(
        default_factory=dict, description="Places through which nodes can be fenced; each region has one of its own."
    )
    network: Network = Field(description="Round trips and bandwidths.")
    stores: dict[Name, Store] = Field(default_factory=dict, description="Databases.")
    services: dict[Name, Service] = Field(default_factory=dict, description="Programs that read and write stores.")
    feeds: dict[Name, ChangeFeed] = Field(
        default_factory=dict, description="Consumers of a store's changes, such as search indexes."
    )
    management: dict[Name, Management] = Field(
        default_factory=dict, description="Planes through which applications are redeployed and endpoints edited."
    )
    dns: dict[Name, Record] = Field(default_factory=dict, description="Records that lead clients to services.")
    clients: dict[Name, Cohort] = Field(default_factory=dict, description="Cohorts of people by place.")
    faults: tuple[Fault, ...] = Field(default=(), description="What breaks, and when.")
    budgets: tuple[Budget, ...] = ()
    assumptions: tuple[Assumption, ...] = Field(default=(), description="What presets and defaults contributed.")
    path: str = Field(default="<scenario>", description="File it was read from.")
    _written: Written | None = PrivateAttr(default=None)

    def with_(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> Scenario:
        """Return this scenario with some values changed.

        Parameters
        ----------
        changes, more
            New values by path, such as ``{"dns.shop.ttl": "30s", "faults[0].lasts": "10min"}``. Paths are those that
            messages show. Values are written as in a file; numbers, truth values, lists and mappings may be given as
            such. None, or ``"null"``, takes an optional part away.

        Raises
        ------
        ScenarioError
            If a path leads nowhere or the result is no valid scenario; or if this scenario was not read from a text, or
            was changed since by other means.
        """
        from mrsim.scenario.loader import loads

        settings = [
            Setting(self._path_of(path), deepcopy(value)) for path, value in {**(changes or {}), **more}.items()
        ]
        return loads(self.written_text, self.path, merged(self.settings, settings))

    @property
    def written_text(self) -> str:
        """The text that this scenario was read from, without its settings.

        Raises
        ------
        ScenarioError
            If it was not read from a text, or was changed since by other means than settings.
        """
        if self._written is None:
            message = "values can be changed in a scenario that was read from a file or a text, not in this one"
            raise ScenarioError([Problem(message, hint="see mrsim.load and mrsim.loads")], self.path)
        if not self._written.is_still(self.__dict__):
            message = "this scenario is no longer what was read: it was changed by other means than with_"
            raise ScenarioError([Problem(message, hint="make all changes with with_")], self.path)
        return self._written.text

    def remember(self, text: str, settings: tuple[Setting, ...]) -> None:
        """Note what this scenario was read from; for the loader."""
        self._written = Written(text, settings, dict(self.__dict__))

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What was changed in the file that it was read from."""
        return self._written.settings if self._written is not None else ()

    @property
    def command_line(self) -> str:
        """File and settings as they are named on the command line, such as ``a.yaml --set dns.shop.ttl=30s``."""
        return command_line(self.path, self.settings)

    def __eq__(self, other: object) -> bool:
        """Return whether both say the same, wherever it was read from: a file, a text, or a kept result."""
        if not isinstance(other, Scenario):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Scenario.model_fields)

    def _path_of(self, text: str) -> tuple[str | int, ...]:
        try:
            return read_path(text)
        except SettingError as error:
            raise ScenarioError([Problem(str(error), hint=error.hint)], self.path) from error

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
