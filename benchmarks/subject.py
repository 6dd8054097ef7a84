"""mrsim itself, as the benchmarks use it: through the door its users take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.answers import CLIENT_LEVELS, Answers
from mrsim.scenario.loader import load
from mrsim.study.run import run

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

BOOKSTORE = Path(__file__).resolve().parents[1] / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"
ROUTES = {"read": ("storefront", "read"), "write": ("orders", "write")}


def bookstore() -> Scenario:
    """Return the drill's scenario, with a budget on every client quantile that the peers compute."""
    return load(BOOKSTORE)


def simulate(scenario: Scenario, trials: int, seed: int) -> Answers:
    """Return what mrsim says, run in this process."""
    table = run(scenario, trials=trials, seed=seed, workers=1).trials
    columns = {
        name: np.stack(
            [table[f"rto_s{{service={service},op={op},clients={level:.0%},of=affected}}"] for level in CLIENT_LEVELS],
            axis=1,
        )
        for name, (service, op) in ROUTES.items()
    }
    loss = np.asarray(table["data_loss_s{store=orders-db}"])
    return Answers(read_s=columns["read"], write_s=columns["write"], loss_s=loss)


def with_points(scenario: Scenario, factor: int) -> Scenario:
    """Return the scenario with more points in every stratum."""
    clients = {
        name: cohort.model_copy(update={"points": cohort.points * factor}) for name, cohort in scenario.clients.items()
    }
    return scenario.model_copy(update={"clients": clients})


def with_regions(scenario: Scenario, count: int) -> Scenario:
    """Return the scenario with more regions, each with the services and checkers of the others, far from everybody."""
    regions = [*scenario.regions, *(f"extra-{number}" for number in range(len(scenario.regions), count))]
    rtt = {f"{a}/{b}": scenario.network.rtt_s.get(f"{a}/{b}", 0.4) for a in regions for b in regions if a != b}
    network = scenario.network.model_copy(update={"rtt_s": rtt})
    return scenario.model_copy(update={"regions": tuple(regions), "network": network})
