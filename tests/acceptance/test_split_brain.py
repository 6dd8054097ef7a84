"""Two primaries that both take writes: when they are there, how much they take, and what keeps them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mrsim.report.text import run_report
from mrsim.sim.run import Simulator
from mrsim.study.results import Results
from mrsim.study.run import run
from tests.acceptance.variants import of_store, rto, variant

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

SEED = 5
TRIALS = 400
"""Shares of 99 % are of these trials; what is asserted to be always so is asserted of each of them."""

ISOLATION = "  - {kind: isolation, region: us-east, at: random,"
SELF_CHECK = (
    "      self_check: {sees: [eu-west, ap-southeast, endpoint-authority], every: 10s, fails: 3, timeout: 2s}\n"
)


def _study(scenario: Scenario, trials: int = TRIALS) -> Results:
    return run(scenario, trials=trials, seed=SEED, workers=1)


def _values(study: Results, metric: str) -> np.ndarray:
    return study.values_of(of_store(metric))


def _overlap_s(study: Results) -> np.ndarray:
    """Return for how long two nodes could acknowledge, whoever was routed to them."""
    return sum(_values(study, metric) for metric in ("split_brain_s", "exposed_s", "dual_belief_s"))  # type: ignore[return-value]


# No fencing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [10, 30])
def test_isolation_without_fencing_splits(minutes: int) -> None:
    """us-east's users, half of all, go on writing to the old primary; the others to the new one.

    What they write is the integral of their rate: 100/s up to the end of the cut; after it the endpoint's answer
    reaches us-east, whose instances leave the old primary one by one within its TTL of 30 s, until it learns of the
    new one and stops.
    """
    scenario = variant("isolation-no-fencing", ("lasts: 30min", f"lasts: {minutes}min"))
    study = _study(scenario)
    assert _values(study, "promoted").all()
    assert _values(study, "split_brain").mean() >= 0.99
    expected = []
    for trace in Simulator(scenario).run_chunk(SEED, 0, TRIALS):
        store, healed_s = trace.stores["orders-db"], trace.fault_s + minutes * 60.0
        (old,) = store.acks["orders-db@us-east"]
        after_s = min(old.acked_until_s - healed_s, 30.0)
        expected.append(100.0 * (healed_s - store.histories[1].began_s + after_s - after_s**2 / 60.0))
    # 1 % for what the points of the population are not; and five standard deviations of a Poisson variable.
    off = np.abs(_values(study, "divergent_writes") - expected)
    assert np.all(off <= 0.01 * np.array(expected) + 5.0 * np.sqrt(expected))
    # Episodes last until nobody is routed to one of the two any more.
    shortest = minutes * 60.0 - 36.0 - 26.0
    assert _values(study, "split_brain_s").min() > shortest


# Leases --------------------------------------------------------------------------------------------------------------


def test_a_lease_that_its_holder_enforces_never_splits() -> None:
    study = _study(variant("isolation-lease-majority-outside"), trials=3000)
    assert _values(study, "promoted").all()
    assert _values(study, "split_brain").sum() == 0
    assert _overlap_s(study).max() == 0.0
    assert _values(study, "divergent_writes").max() == 0.0
    assert study.estimate(of_store("split_brain"), "trials").high <= 0.001
    report = run_report(study)
    assert any("split-brain" in line and "0 of 3000 (<= 0.10 %)" in line for line in report.splitlines()), report


def test_a_majority_inside_the_cut_means_an_outage_and_no_promotion() -> None:
    study = _study(variant("isolation-lease-majority-inside"))
    assert not _values(study, "promoted").any()
    assert _overlap_s(study).max() == 0.0
    # Everybody outside, half of all, is without writes until the cut ends.
    assert study.values_of("affected_share{service=orders,op=write}") == pytest.approx(0.5)
    for clients in ("50%", "90%"):
        assert study.values_of(rto("write", clients)).min() >= 1800.0 - 1e-6


@pytest.mark.parametrize("isolated", ["302.51s", "310.51s", "600.37s"])
def test_a_dead_agent_gives_nothing_up(isolated: str) -> None:
    """The agent dies before the cut, and the database lives on; without a watchdog nobody stops it."""
    faults = (
        ISOLATION,
        "  - {kind: agent-crash, store: orders-db, region: us-east, at: 300.21s}\n"
        + ISOLATION.replace("at: random", f"at: {isolated}"),
    )
    study = _study(variant("isolation-lease-majority-outside", faults))
    assert _values(study, "promoted").all()
    assert _values(study, "split_brain").mean() >= 0.99
    watchdog = ("preset: patroni,", "preset: patroni, watchdog: 5s,")
    watched = variant("isolation-lease-majority-outside", faults, watchdog)
    assert _overlap_s(_study(watched, trials=200)).max() == 0.0


def test_a_lease_that_only_gates_promotion_splits() -> None:
    study = _study(variant("isolation-lease-gate-only", (SELF_CHECK, "")))
    assert _values(study, "promoted").all()
    assert _values(study, "split_brain").mean() >= 0.99
    assert _values(study, "split_brain_s").min() > 1500.0


def test_an_isolation_self_check_bounds_the_overlap_by_its_timer() -> None:
    """Every 10 s, the third failure in a row, each of 2 s: stopped at most 32 s after the cut."""
    scenario = variant("isolation-lease-gate-only")
    study = _study(scenario)
    traces = Simulator(scenario).run_chunk(SEED, 0, TRIALS)
    began = np.array([trace.stores["orders-db"].histories[1].began_s - trace.fault_s for trace in traces])
    overlap = _overlap_s(study)
    assert np.all(overlap <= np.maximum(32.0 - began, 0.0) + 1e-6)
    assert overlap.max() > 5.0, "the check is slower than the lease, so there is something to bound"


# The old primary's return --------------------------------------------------------------------------------------------


def test_an_old_primary_that_starts_as_one_splits_where_the_record_follows_health() -> None:
    """No episode until the region is back; then the endpoint flips back by itself and writers meet two histories."""
    scenario = variant("region-return-starts-as-primary")
    study = _study(scenario)
    promoted = _values(study, "promoted") > 0.0
    assert promoted.all()
    back = np.array([trace.fault_s + 1800.0 for trace in Simulator(scenario).run_chunk(SEED, 0, TRIALS)])
    episodes = study.episodes[study.episodes["kind"] == "split-brain"]
    assert (episodes["start_s"].to_numpy() > back[episodes["trial"].to_numpy()]).all()
    assert episodes["trial"].nunique() / promoted.sum() >= 0.99


def test_the_return_splits_a_second_time_where_the_cut_has_split_before() -> None:
    """Isolated, us-east takes writes until its slow self-check stops it; healed, it starts as a primary again."""
    scenario = variant(
        "isolation-lease-gate-only",
        ("    failover:\n", "    failover:\n      detect: {from: eu-west, every: 10s, fails: 3, timeout: 4s}\n"),
        ("moved_by: controller, takes: 1s..5s", "moved_by: health"),
        ("on_return: rejoins", "on_return: starts-as-primary"),
        (SELF_CHECK, SELF_CHECK.replace("every: 10s", "every: 60s")),
    )
    study = _study(scenario)
    promoted = _values(study, "promoted") > 0.0
    assert promoted.all()
    assert (_values(study, "split_brain_episodes")[promoted] == 2.0).mean() >= 0.99


@pytest.mark.parametrize("name", ["region-return-stays-down", "region-return-rejoins"])
def test_an_old_primary_that_asks_first_does_not_split(name: str) -> None:
    study = _study(variant(name), trials=200)
    assert _values(study, "promoted").all()
    assert _overlap_s(study).max() == 0.0
