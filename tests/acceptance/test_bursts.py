"""What bursts of commits do to the loss: nobody notices them until a region dies in one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.sim.run import Simulator
from mrsim.study.results import Results
from mrsim.study.run import run
from tests.acceptance.variants import ALPHA, of_store, variant

SEED = 2
TRIALS = 2000
ONE_WAY_S = 0.0697 / 2
"""us-east to eu-west, half the round trip."""
COMMIT_S = 1.0 / 200.0
"""Mean time between commits: by as much the oldest lost one is younger than the lag."""

BUDGET = ("rpo{store=orders-db}: [p50 < 1s, p99 < 2min]", "rpo{store=orders-db}: [p99 < 10s]")
ALWAYS_PROMOTES = ("takes: {median: 15s, p95: 30s}, fails: 1%", "takes: {median: 15s, p95: 30s}")


def lag_s(since_s: np.ndarray | float) -> np.ndarray:
    """Return the lag since a burst's begin: 8 MB/s into 5 MB/s for 120 s, drained against 0.4 MB/s.

    The position moves at 5/8 of the clock until, 192 s after the begin, it has passed the burst; then at 12.5 times.
    """
    since = np.asarray(since_s)
    return np.where(since <= 192.0, 0.375 * since, np.maximum(0.0, 72.0 - 11.5 * (since - 192.0)))


@pytest.fixture(scope="module")
def study() -> Results:
    """The bookstore at 40 Mbit/s; the region is lost at random."""
    return run(variant("bookstore-region-loss", BUDGET), trials=TRIALS, seed=SEED, workers=1)


def test_more_than_ten_seconds_are_lost_in_nine_and_a_half_percent_of_trials(study: Results) -> None:
    over_10_s = (192.0 + 62.0 / 11.5 - 10.0 / 0.375) / 1800.0
    assert over_10_s == pytest.approx(0.095, abs=5e-4)
    losses = study.values_of(of_store("data_loss_s"))
    assert stats.binomtest(int((losses > 10.0).sum()), TRIALS, over_10_s).pvalue > ALPHA
    assert losses.max() < 72.0 + 2 * ONE_WAY_S


def test_outside_bursts_the_loss_is_the_way_to_the_standby(study: Results) -> None:
    losses = study.values_of(of_store("data_loss_s"))
    assert stats.binomtest(int((losses < 0.2).sum()), TRIALS, 1.0 - (192.0 + 72.0 / 11.5) / 1800.0).pvalue > ALPHA
    assert np.median(losses) == pytest.approx(ONE_WAY_S, abs=COMMIT_S)


def test_a_budget_of_ten_seconds_fails_at_40_mbit_and_passes_at_64(study: Results) -> None:
    wide = run(
        variant("bookstore-region-loss", BUDGET, ("{us-east/*: 40Mbit/s}", "{us-east/*: 64Mbit/s}")),
        trials=500,
        seed=SEED,
        workers=1,
    )
    verdicts = [
        check.verdict for results in (study, wide) for check in results.checks if check.budget.metric == "data_loss_s"
    ]
    assert verdicts == ["failed", "passed"]
    # 64 Mbit/s are 8 MB/s, the burst itself: nothing queues.
    assert wide.values_of(of_store("data_loss_s")).max() < 1.0


@pytest.mark.parametrize(
    ("at_s", "lag"), [(26.0, 9.75), (120.0, 45.0), (192.0, 72.0), (195.0, 37.5), (199.0, 0.0), (900.0, 0.0)]
)
def test_the_lag_goes_on_growing_after_the_burst(at_s: float, lag: float) -> None:
    """A region lost that long after a burst began loses the lag of then, 72 s at its worst, and what is on the wire."""
    lost = variant(
        "bookstore-region-loss", ALWAYS_PROMOTES, ("phase: random", "phase: 0%"), ("at: random", f"at: {at_s}s")
    )
    losses = run(lost, trials=20, seed=SEED, workers=1).values_of(of_store("data_loss_s"))
    # The wire holds one way's worth; the position there moves at up to 12.5 times the clock.
    assert losses == pytest.approx(lag + ONE_WAY_S, abs=11.5 * ONE_WAY_S if at_s > 192.0 else 2 * COMMIT_S + 0.02)


def test_every_trial_loses_the_lag_of_its_own_phase() -> None:
    scenario = variant("bookstore-region-loss", ALWAYS_PROMOTES)
    traces = Simulator(scenario).run_chunk(SEED, 0, 512)
    since = np.array([trace.fault_s + trace.burst_phase_s["orders-db"] for trace in traces])
    losses = run(scenario, trials=512, seed=SEED, workers=1).values_of(of_store("data_loss_s"))
    expected = lag_s((since - ONE_WAY_S) % 1800.0) + ONE_WAY_S
    short = expected - losses
    # The first commit of a stretch comes after an exponential time, or none does.
    assert short.min() > -1e-3
    assert short.max() < min(-np.log(1e-6 / 512) * COMMIT_S, ONE_WAY_S + 1e-3)
    calm = short[(expected < 0.1) & (losses > 0.0)]
    truth = stats.truncexpon(b=ONE_WAY_S / COMMIT_S, scale=COMMIT_S)
    assert calm.mean() == pytest.approx(truth.mean(), abs=5 * truth.std() / np.sqrt(len(calm)) + 5e-4)
    assert (expected > 10.0).sum() > 20, "some trials are in a burst"
