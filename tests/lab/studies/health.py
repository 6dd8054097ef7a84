"""A health checker: refused and hanging connections, from the interval and the thresholds alone.

HAProxy's connect timeout of a check is its interval (``timeout check`` starts only after the connect), and the next
check starts one interval after the end of the last: documentation of ``timeout check`` and ``inter``.
"""

from __future__ import annotations

import numpy as np

from mrsim.rng import Draws
from mrsim.sim.health import Outcome, ProberGroup, Timing
from mrsim.sim.world import FAULT, Sampler, World
from tests.lab.judge import Floats, Row, distribution, half
from tests.lab.reading import table

TRIALS = 4_000
SEED = 20261102
START_S = 1000.0

PHASE = (
    "cause not established. Two thirds of the recoveries took 2 to 3 s, where a random phase of the cycle says half; a "
    "drill timed from the last detection would do that, but its protocol is not recorded"
)


def predicted(inter_s: float, fall: int, rise: int, *, hang: bool, transition: str) -> Floats:
    """Return times from the change to the verdict."""
    timing = Timing(inter_s, from_end=True, fails=fall, recovers=rise, timeout_s=inter_s, need=1)
    bad = Outcome(1.0, inter_s if hang else 0.0, 0.0)
    good = Outcome(0.0, 0.0, 0.0)
    # A recovery is preceded by a failure so long that the phase of its checks is forgotten.
    heal_s = START_S + 1000.0 * inter_s
    sampler = Sampler(Draws(SEED, 0, TRIALS))
    found = np.empty(TRIALS)
    for trial in range(TRIALS):
        world = World(sampler, trial, heal_s + 1000.0)
        view = [good]
        verdicts: dict[bool, float] = {}
        group = ProberGroup(
            world,
            "check",
            "server",
            ["here"],
            timing,
            lambda _, view=view: view[0],  # type: ignore[misc]
            lambda _: 0.0,
            lambda down, _, world=world, verdicts=verdicts: verdicts.__setitem__(down, world.now),  # type: ignore[misc]
        )

        def turn(outcome: Outcome, view: list[Outcome] = view, group: ProberGroup = group) -> None:
            view[0] = outcome
            group.reassess(0)

        heal_at = heal_s + world.uniform("heal") * 2.0 * inter_s
        world.at(START_S, FAULT, "fails", lambda turn=turn: turn(bad))  # type: ignore[misc]
        if transition == "up":
            world.at(heal_at, FAULT, "heals", lambda turn=turn: turn(good))  # type: ignore[misc]
        world.clock.run_to(world.horizon_s)
        found[trial] = verdicts[True] - START_S if transition == "down" else verdicts[False] - heal_at
    return found


def study() -> list[Row]:
    """Judge each setting, kind of failure and direction."""
    rows = []
    keys = ["inter_ms", "fall", "rise", "failure", "transition"]
    for (inter, fall, rise, failure, transition), group in table("healthcheck").groupby(keys):
        judged = group["detect_s"].to_numpy()[half(np.arange(len(group)))]
        hang = failure == "hang"
        sample = predicted(inter / 1000.0, fall, rise, hang=hang, transition=transition)
        what = f"inter {inter / 1000:g} s, fall {fall}, rise {rise}, {failure}: {transition}"
        reason = PHASE if hang and transition == "up" else ""
        rows.append(distribution("health", what, judged, sample, reason=reason))
    return rows
