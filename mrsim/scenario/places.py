"""The places a scenario knows: what can be cut from what, and what references may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

CHECKERS = "checkers"
"""Where health checkers stand: outside every region."""

ENDPOINT_AUTHORITY = "endpoint-authority"
"""Where the authority of endpoints is: outside every region."""

OPERATIONS = "operations"
"""Where operators and their tools are: outside every region."""

OUTSIDE = (CHECKERS, ENDPOINT_AUTHORITY, OPERATIONS)
"""Places that every scenario has."""

RESERVED = (*OUTSIDE, "rest", "all", "none", "outside", "random", "permanent", "unknown")
"""Words that cannot be names of places."""

CONTROL_SUFFIX = "-control"


def control_of(region: str) -> str:
    """Return the name of the control point inside a region."""
    return f"{region}{CONTROL_SUFFIX}"


def region_of(scenario: Scenario, place: str) -> str | None:
    """Return the region that a place is (or is inside of), or None if it is outside every one."""
    if place in scenario.regions:
        return place
    for region, zones in scenario.zones.items():
        if place in zones:
            return region
    if place in scenario.control_points:
        return scenario.control_points[place].inside
    region = place.removesuffix(CONTROL_SUFFIX)
    return region if region != place and region in scenario.regions else None


def is_lost_with(scenario: Scenario, place: str, site: str) -> bool:
    """Return whether a place is a region or zone, or inside it."""
    return place == site or (site in scenario.regions and region_of(scenario, place) == site)


def places_of(scenario: Scenario) -> tuple[str, ...]:
    """Return every place of a scenario: regions, zones, control points, witnesses, cohorts, and those outside."""
    implicit = [control_of(region) for region in scenario.regions if control_of(region) not in scenario.control_points]
    zones = (zone for inside in scenario.zones.values() for zone in inside)
    named = (*zones, *scenario.control_points, *scenario.witnesses, *scenario.clients)
    return (*scenario.regions, *implicit, *named, *OUTSIDE)
