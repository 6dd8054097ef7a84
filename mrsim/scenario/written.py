"""Where the written form of a model differs from its resolved form: keys that only one of the two has."""

from __future__ import annotations

from mrsim.scenario.clients import ClientClass, Cohort, ResolverClass
from mrsim.scenario.control import DecideLease, InRegion, SiteLease
from mrsim.scenario.feeds import FailoverSlot
from mrsim.scenario.fields import Model
from mrsim.scenario.model import Scenario
from mrsim.scenario.services import HealthCheck
from mrsim.scenario.stores import Store
from mrsim.scenario.topology import Network, Witness

ONLY_RESOLVED: dict[type[Model], frozenset[str]] = {
    Scenario: frozenset({"horizon_explicit", "assumptions", "path"}),
    Network: frozenset({"rtt_s", "last_mile_s"}),
    Witness: frozenset({"rtt_s"}),
    Cohort: frozenset({"class_shares"}),
}
"""Keys that the loader sets and nobody writes."""

ONLY_WRITTEN: dict[type[Model], frozenset[str]] = {
    Network: frozenset({"rtt", "last_mile"}),
    Witness: frozenset({"rtt"}),
    Store: frozenset({"product"}),
    FailoverSlot: frozenset({"preset"}),
    HealthCheck: frozenset({"preset"}),
    DecideLease: frozenset({"preset"}),
    InRegion: frozenset({"preset"}),
    SiteLease: frozenset({"preset"}),
    ResolverClass: frozenset({"preset"}),
    ClientClass: frozenset({"preset", "share"}),
}
"""Keys that the loader resolves away."""


def written_keys(model: type[Model]) -> list[str]:
    """Return the keys that may be written for a model, aliases where there are any."""
    hidden = ONLY_RESOLVED.get(model, frozenset())
    keys = [field.alias or name for name, field in model.model_fields.items() if name not in hidden]
    return keys + sorted(ONLY_WRITTEN.get(model, ()))
