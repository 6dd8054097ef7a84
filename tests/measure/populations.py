"""Small populations for tests: one cohort, one kind of resolver, one kind of software, unless said otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mrsim.population import Phases, Population
from mrsim.rng import Draws
from mrsim.scenario.clients import ClientClass, Cohort, ResolverClass


def cohort(
    *, points: int = 1, share: float = 1.0, near: str = "west", client: dict[str, Any] | None = None, **resolver: Any
) -> Cohort:
    """A cohort behind one resolver class."""
    return Cohort(
        near=near,
        share=share,
        resolvers={"only": ResolverClass(share=1.0, **resolver)},
        classes={"plain": ClientClass(**(client or {}))},
        points=points,
    )


def population(**cohorts: Cohort) -> Population:
    """The population of these cohorts."""
    return Population(SimpleNamespace(clients=cohorts))  # type: ignore[arg-type]


def phases(trials: int, *, seed: int = 11, **cohorts: Cohort) -> Phases:
    """Coordinates of ``trials`` trials of these cohorts."""
    return population(**cohorts).phases(Draws(seed, 0, trials))
