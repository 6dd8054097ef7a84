"""Draws of a chunk of trials: what one trial asks for never decides what another gets."""

from __future__ import annotations

from mrsim.distributions import Uniform
from mrsim.rng import Draws
from mrsim.sim.world import Sampler, World

SEED, TRIALS = 9, 4


def test_two_distributions_may_share_a_name() -> None:
    """A node's rebuild takes another time inside its region than across; a trial of the chunk may ask for either."""
    short, long = Uniform(0.0, 1.0), Uniform(100.0, 101.0)
    together = Sampler(Draws(SEED, 0, TRIALS))
    for trial in range(TRIALS):
        dist = short if trial % 2 else long
        alone = World(Sampler(Draws(SEED, trial, 1)), 0, 1.0)
        assert World(together, trial, 1.0).sample("rebuild", dist) == alone.sample("rebuild", dist)
