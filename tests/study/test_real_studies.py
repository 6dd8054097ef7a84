"""Studies of the bookstore, simulated and measured: the same numbers however they are run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrsim.scenario.loader import load
from mrsim.study.collect import CHUNK
from mrsim.study.results import Results
from mrsim.study.run import run, run_one
from mrsim.trace import PHASES

BOOKSTORE = load(Path(__file__).parents[2] / "scenarios" / "active-passive" / "bookstore-region-loss.yaml")
TRIALS = CHUNK + 44
SEED = 7


@pytest.fixture(scope="module")
def study() -> Results:
    """A study of two chunks, in this process."""
    return run(BOOKSTORE, trials=TRIALS, seed=SEED, workers=1)


def test_worker_processes_give_the_same_bytes(study: Results, tmp_path: Path) -> None:
    run(BOOKSTORE, trials=TRIALS, seed=SEED, workers=2).save(tmp_path / "there")
    study.save(tmp_path / "here")
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


@pytest.mark.parametrize("trial", [0, 87, CHUNK - 1, CHUNK, TRIALS - 1])
def test_a_trial_alone_is_the_trial_of_the_study(trial: int, study: Results) -> None:
    trace, measures = run_one(BOOKSTORE, SEED, trial)
    assert (trace.seed, trace.trial) == (SEED, trial)
    assert list(measures.values) == study.trials.columns.tolist()
    alone = np.array([values[0] for values in measures.values.values()])
    assert np.array_equal(alone, study.trials.loc[trial].to_numpy(), equal_nan=True)
    assert [codes[0] for codes in measures.status.values()] == study.status.loc[trial].tolist()
    for name, curve in measures.curves.items():
        assert np.array_equal(curve[0], study.curves[name][trial])


@pytest.mark.parametrize(("around", "clients"), [("mean", "95%"), ("p50", "95%"), ("p95", "99%")])
def test_phases_add_up_to_the_outage_they_explain(around: str, clients: str, study: Results) -> None:
    table = study.phases(around, clients)
    assert set(table.index) == {("storefront", "read"), ("orders", "write")}
    assert table[list(PHASES)].sum(axis=1).to_numpy() == pytest.approx(table["total"].to_numpy(), abs=1e-9)
    if around == "mean":
        means = [study.trials[f"rto_mean_s{{service={service},op={op}}}"].mean() for service, op in table.index]
        assert table["total"].to_numpy() == pytest.approx(means, abs=1e-6)


def test_every_budget_can_be_judged(study: Results) -> None:
    assert len(study.checks) == len(BOOKSTORE.budgets)
    assert all(check.estimate.n > 0 for check in study.checks)
    assert study.faults["with_effect"].tolist() == [TRIALS]


def test_results_of_a_real_study_survive_a_file(study: Results, tmp_path: Path) -> None:
    study.save(tmp_path / "a")
    again = Results.load(tmp_path / "a")
    assert again.trials.equals(study.trials)
    assert again.summary().equals(study.summary())
    assert [check.verdict for check in again.checks] == [check.verdict for check in study.checks]
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
