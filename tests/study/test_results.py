"""Results: what they say, what a file keeps of them, and files that hold something else."""

from __future__ import annotations

import math
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pytest

from mrsim.errors import ResultsError
from mrsim.scenario.loader import loads
from mrsim.study.documents import digest, scenario_document, scenario_of
from mrsim.study.results import Results
from mrsim.study.run import run
from mrsim.study.storage import write_atomically
from mrsim.trace import PHASES
from tests.study import fakes

TRIALS = 2000
BUDGETS = (fakes.budget(fakes.LOSS, "p95 < 20"), fakes.budget(fakes.RTO, "p95 < 300"))


@pytest.fixture(scope="module")
def study() -> Results:
    """A study of known distributions."""
    return run(fakes.scenario(*BUDGETS), trials=TRIALS, seed=5, workers=1, build=fakes.build)


def test_what_is_loaded_is_what_was_saved(study: Results, tmp_path: Path) -> None:
    study.save(tmp_path / "a.mrsim")
    again = Results.load(tmp_path / "a.mrsim")
    pd.testing.assert_frame_equal(again.trials, study.trials)
    pd.testing.assert_frame_equal(again.status, study.status)
    pd.testing.assert_frame_equal(again.episodes, study.episodes)
    pd.testing.assert_frame_equal(again.faults, study.faults)
    assert list(again.curves) == list(study.curves)
    assert all(np.array_equal(again.curves[name], study.curves[name]) for name in study.curves)
    assert np.array_equal(again.curve_times_s, study.curve_times_s)
    assert again.provenance == study.provenance
    assert again.checks == study.checks
    again.save(tmp_path / "b.mrsim")
    assert (tmp_path / "b.mrsim").read_bytes() == (tmp_path / "a.mrsim").read_bytes()


def test_a_scenario_survives_exactly(tmp_path: Path) -> None:
    """Distributions keep all their digits, and infinite limits stay infinite."""
    text = fakes.TEXT.replace("ttl: 60s", "ttl: 60s, health_check: route53-fast")
    original = loads(text).model_copy(update={"path": "<scenario>"})
    assert scenario_of(scenario_document(original)) == original
    study = run(original, trials=10, seed=1, build=fakes.build)
    study.save(tmp_path / "a")
    assert Results.load(tmp_path / "a").scenario == original


def test_the_digest_is_of_what_a_scenario_says_not_of_where_it_stands() -> None:
    original = loads(fakes.TEXT, path="one/place.yaml")
    assert digest(scenario_document(original)) == digest(scenario_document(loads("\n\n" + fakes.TEXT, path="b.yaml")))
    assert digest(scenario_document(original)) != digest(scenario_document(loads(fakes.TEXT.replace("60s", "61s"))))


def test_a_document_makes_nothing_but_scenarios() -> None:
    for tag in (
        "os:system",
        "mrsim.study.results:Results",
        "mrsim.scenario.loader:loads",
        "mrsim.scenario.model:Field",
    ):
        with pytest.raises(TypeError, match="is not a class that a scenario is made of"):
            scenario_of({"$type": tag})
    with pytest.raises(TypeError, match="not that of a scenario"):
        scenario_of({"name": "x"})


def test_bytes_do_not_depend_on_date_or_place(study: Results, tmp_path: Path) -> None:
    study.save(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
        text = archive.read("study.json").decode()
    assert str(Path.cwd()) not in text
    assert "workers" not in text


def test_a_study_without_episodes_survives(tmp_path: Path) -> None:
    study = run(fakes.scenario(), trials=3, seed=1, build=fakes.build)
    assert study.episodes.empty
    study.save(tmp_path / "a")
    assert Results.load(tmp_path / "a").episodes.columns.tolist() == ["trial", "store", "start_s"]


def test_saving_replaces_a_file_at_once(study: Results, tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    study.save(target)
    assert Results.load(target).n == TRIALS
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def fail(file: object) -> None:
        raise OSError("no space")

    target = tmp_path / "a"
    target.write_text("old")
    with pytest.raises(OSError, match="no space"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


KILLED = """
import os, signal, sys
from mrsim.study.storage import write_atomically

def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_atomically(sys.argv[1], write)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files have their names from the start here")
def test_a_kill_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system has no files without names")
    target = tmp_path / "study"
    target.write_bytes(b"before")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False, timeout=60)
    assert done.returncode == -9
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize("nameless", [True, False])
def test_a_file_that_is_named_at_last_is_as_any_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)

    def write(file: BinaryIO) -> None:
        file.write(b"whole")

    write_atomically(tmp_path / "new", write)
    (tmp_path / "usual").write_bytes(b"whole")
    assert (tmp_path / "new").read_bytes() == b"whole"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_names_the_file_that_was_asked_for(study: Results, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        study.save(tmp_path / "nowhere" / "study")
    assert raised.value.filename == str(tmp_path / "nowhere" / "study")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_an_error_and_the_device_stays_one(study: Results) -> None:
    with pytest.raises(OSError, match="No space left"):
        study.save("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)  # noqa: PTH116


def test_a_link_keeps_pointing(study: Results, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    study.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Results.load(tmp_path / "real").n == TRIALS


def test_a_folder_is_no_file(study: Results, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        study.save(tmp_path)


def test_other_files_are_refused_in_a_sentence(study: Results, tmp_path: Path) -> None:
    study.save(tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    (tmp_path / "text").write_text("name: bookstore")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut").write_bytes(good[: len(good) // 2])
    (tmp_path / "holed").write_bytes(good[:3000] + bytes(64) + good[3064:])
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("study.json", "[]")
    for name in ("text", "empty", "cut", "holed", "other"):
        with pytest.raises(ResultsError, match=f"{name}: not a file of mrsim results"):
            Results.load(tmp_path / name)
    with pytest.raises(ResultsError, match="missing: no such file"):
        Results.load(tmp_path / "missing")
    with pytest.raises(ResultsError, match="is a directory"):
        Results.load(tmp_path)


def test_columns_answer_to_the_names_that_budgets_use(study: Results) -> None:
    asked = study.estimate("rto{service=orders, op=write, clients=95%}", "p95")
    assert asked == study.estimate(fakes.RTO, "p95")
    assert np.array_equal(study.values_of("rpo{store=orders-db}"), study.values_of(fakes.LOSS))
    assert np.array_equal(study.sample("rpo{store=orders-db}").lower, study.sample(fakes.LOSS).lower)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("rto", "rto_s{"),
        ("rpo", "data_loss_s{"),
        ("split_brain{store=order-db}", "split_brain{store=orders-db}"),
        ("write_latncy_s", "write_latency_s{"),
    ],
)
def test_the_nearest_column_is_of_the_metric_that_was_named(study: Results, asked: str, nearest: str) -> None:
    with pytest.raises(ResultsError, match=rf"no column '{re.escape(asked)}' \(nearest: '{re.escape(nearest)}"):
        study.estimate(asked, "p95")
    with pytest.raises(ResultsError, match=r"no column 'false_failover'$"):
        study.estimate("false_failover", "trials")


@pytest.mark.parametrize(
    ("column", "aggregation"), [(fakes.RTO, "trials"), (fakes.SPLIT, "p95"), (fakes.RTO, "max"), (fakes.RTO, "p0")]
)
def test_aggregations_that_the_metric_does_not_have_are_refused(study: Results, column: str, aggregation: str) -> None:
    with pytest.raises(ResultsError, match=f"'{aggregation}' is n"):
        study.estimate(column, aggregation)


def test_a_later_format_says_so(study: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrsim.study.storage.FORMAT", 2)
    study.save(tmp_path / "a")
    monkeypatch.undo()
    with pytest.raises(ResultsError, match="results of format 2; this version reads format 1"):
        Results.load(tmp_path / "a")


def test_summary_has_a_row_per_metric_with_its_intervals(study: Results) -> None:
    table = study.summary()
    assert table.index.tolist() == [fakes.RTO, fakes.LOSS, fakes.SPLIT, fakes.LATENCY, fakes.AFFECTED]
    rto = table.loc[fakes.RTO]
    assert rto["n"] + rto["no_effect"] == TRIALS
    assert rto["no_effect"] == np.isnan(study.trials[fakes.RTO]).sum()
    assert math.isnan(rto["mean"])
    assert "refused" in rto["mean_reason"]
    assert rto["p95_low"] < rto["p95"] == rto["p95_high_value"] < rto["p95_high"]
    assert rto["unfinished"] == pytest.approx(math.exp(-5), abs=0.01)
    assert table.loc[fakes.LOSS, "mean_low"] < 5.0 < table.loc[fakes.LOSS, "mean_high"]
    split = table.loc[fakes.SPLIT]
    assert split["trials"] == study.trials[fakes.SPLIT].mean()
    assert split["trials_low"] < fakes.SPLIT_SHARE < split["trials_high"]
    assert math.isnan(split["p95"])


def test_summary_intervals_narrow_with_less_confidence(study: Results) -> None:
    wide, narrow = study.summary(0.99).loc[fakes.LOSS], study.summary(0.8).loc[fakes.LOSS]
    for name in ("mean", "p50", "p95", "p99"):
        assert wide[f"{name}_low"] < narrow[f"{name}_low"] <= narrow[f"{name}_high"] < wide[f"{name}_high"]


def test_phases_add_up_to_the_mean_outage(study: Results) -> None:
    row = study.phases().loc[("orders", "write")]
    assert row[list(PHASES)].sum() == pytest.approx(row["total"], rel=1e-12)
    assert row["total"] == pytest.approx(np.nanmean(study.trials["rto_mean_s{service=orders,op=write}"]), rel=1e-12)
    assert row["decision"] == pytest.approx(0.5 * (row["total"] - row["unresolved"]))
    assert row["trials"] == study.sample(fakes.RTO).n
    assert row["unfinished"] == pytest.approx(study.summary().loc[fakes.RTO, "unfinished"])


def test_phases_around_a_quantile_are_those_of_the_trials_next_to_it(study: Results) -> None:
    row = study.phases("p95").loc[("orders", "write")]
    ordered = study.sample(fakes.RTO).lower
    centre = math.ceil(0.95 * len(ordered)) - 1
    reach = round(0.025 * len(ordered))
    assert row["trials"] == 2 * reach + 1
    assert row["total"] == pytest.approx(ordered[centre - reach : centre + reach + 1].mean(), rel=1e-12)
    assert row[list(PHASES)].sum() == pytest.approx(row["total"], rel=1e-12)


def test_phases_of_few_trials_are_still_around_the_quantile() -> None:
    few = run(fakes.scenario(), trials=3, seed=1, build=fakes.build)
    assert few.phases("p99").loc[("orders", "write"), "trials"] == 1


def test_phases_of_clients_that_were_not_measured_are_refused(study: Results) -> None:
    with pytest.raises(ResultsError, match="did not measure the phases of the client at 42%"):
        study.phases("p95", clients="42%")


def test_repr_names_the_study_and_its_verdicts(study: Results) -> None:
    assert repr(study).splitlines() == [
        "Results(fake: 2000 trials, seed 5)",
        f"  passed       {fakes.LOSS}: p95 < 20",
        f"  failed       {fakes.RTO}: p95 < 300",
    ]


def test_faults_say_in_how_many_trials_they_did_something(study: Results) -> None:
    assert study.faults.loc[0].to_dict() == {
        "kind": "region-loss",
        "began": TRIALS,
        "with_effect": study.sample(fakes.RTO).n,
    }
    idle = run(fakes.scenario(BUDGETS[0]), trials=100, seed=5, build=fakes.build_without_effect)
    assert not idle.tested_something
    assert idle.checks[0].verdict == "inconclusive"


def test_provenance_says_what_it_takes_to_repeat(study: Results) -> None:
    wanted = {
        "scenario",
        "scenario_sha256",
        "seed",
        "trials",
        "mrsim",
        "python",
        "numpy",
        "simpy",
        "platform",
        "numpy_simd",
    }
    assert wanted <= set(study.provenance)
    assert study.provenance["numpy_simd"], "the CPU dispatch level is part of what a byte depends on"


MEMORY = """
import resource
from pathlib import Path
from mrsim.study.run import run
from tests.study import fakes

def peak_kib():
    # What getrusage tells of a child includes what its parent held when it was started.
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

results = run(fakes.scenario(), trials=100_000, seed=1, workers=1, build=fakes.build_wide)
results.summary()
columns, grid = results.trials.shape[1], len(results.curve_times_s)
assert columns > 250 and grid == 96, (columns, grid)
print(peak_kib() // 1024)
"""


def test_a_hundred_thousand_trials_stay_below_a_gibibyte() -> None:
    """With 260 columns and three curves of 96 points, as a scenario of a few services has."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1024


FACADE = """
import sys
import mrsim
loaded = {"pandas", "matplotlib", "scipy", "simpy"} & set(sys.modules)
assert not loaded, loaded
assert set(mrsim.__all__) <= set(dir(mrsim))
assert mrsim.load.__name__ == "load" and mrsim.loads.__name__ == "loads"
assert mrsim.Scenario.__name__ == "Scenario"
loaded = {"pandas", "matplotlib", "scipy", "simpy"} & set(sys.modules)
assert not loaded, loaded
assert mrsim.run.__module__ == "mrsim.study.run" and mrsim.Results.__module__ == "mrsim.study.results"
assert mrsim.plot.__name__ == "mrsim.report.plots"
assert "matplotlib" not in sys.modules
try:
    mrsim.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise SystemExit("a name that is not there was found")
"""


def test_the_facade_loads_what_is_used_when_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", FACADE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
