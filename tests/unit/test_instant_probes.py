"""Probes that take no time and report at once: a group wakes at the very instant of the probe that decides."""

from __future__ import annotations

import pytest

from mrsim.rng import Draws
from mrsim.sim.health import Outcome, ProberGroup, Timing
from mrsim.sim.world import FAULT, Sampler, World


@pytest.mark.parametrize("recovers", [1, 2, 3])
def test_a_recovery_seen_by_probes_that_take_no_time_ends(recovers: int) -> None:
    world = World(Sampler(Draws(5, 0, 1)), 0, 100.0)
    view = [Outcome(0.0, 0.0, 0.0)]
    verdicts: list[tuple[bool, float]] = []
    timing = Timing(1.1, from_end=True, fails=3, recovers=recovers, timeout_s=1.0, need=1)
    group = ProberGroup(
        world,
        "check",
        "server",
        ["here"],
        timing,
        lambda _: view[0],
        lambda _: 0.0,
        lambda down, _: verdicts.append((down, world.now)),
    )

    def turn(fails: float) -> None:
        view[0] = Outcome(fails, 0.0, 0.0)
        group.reassess(0)

    world.at(10.0, FAULT, "fails", lambda: turn(1.0))
    world.at(50.0, FAULT, "heals", lambda: turn(0.0))
    for _ in range(1000):
        if not world.clock.pending:
            break
        world.clock.step()
    assert not world.clock.pending, "the group wakes for ever at one instant"
    assert [down for down, _ in verdicts] == [True, False]
    assert 2 * 1.1 <= verdicts[0][1] - 10.0 <= 3 * 1.1
    assert (recovers - 1) * 1.1 <= verdicts[1][1] - 50.0 <= recovers * 1.1
