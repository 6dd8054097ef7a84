"""The gate: looks that are fixed before the run, verdicts that stay, and what a pipeline reads of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import mrsim
from mrsim.errors import ResultsError
from mrsim.report.github import notes, step_summary
from mrsim.report.junit import gate_json, junit_xml
from mrsim.report.verdicts import check_report
from mrsim.scenario.budgets import Budget
from mrsim.study.gate import Gate, check, judged, looks_of, out_of_reach
from mrsim.study.results import Results
from mrsim.study.run import Growing, run
from mrsim.study.verdict import judge_all
from tests.study import fakes
from tests.study.test_verdict import results

ROOT = Path(__file__).parents[2]
FILE = "scenarios/active-passive/bookstore-region-loss.yaml"


def gate(*budgets: Budget, **more: object) -> Gate:
    """Return the gate of a known study."""
    options = {"trials": 250, "most": 2000, "seed": 5, "workers": 1, **more}
    return check(fakes.scenario(*budgets), build=fakes.build, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "most", "looks"),
    [
        (1000, 8000, (1000, 2000, 4000, 8000)),
        (400, 400, (400,)),
        (1000, 1100, (1000,)),
        (1000, 1500, (1000, 1500)),
        (100, 700, (100, 200, 400, 700)),
    ],
)
def test_looks_double_up_to_the_cap(first: int, most: int, looks: tuple[int, ...]) -> None:
    assert looks_of(first, most) == looks


def test_a_longer_study_begins_with_the_shorter_one() -> None:
    whole = run(fakes.scenario(), trials=700, seed=5, workers=1, build=fakes.build)
    growing = Growing(fakes.scenario(), 5, 1, build=fakes.build)
    assert growing.to(100).trials.equals(whole.trials.iloc[:100])
    assert growing.to(100).n == 100
    grown = growing.to(700, keep=False)
    assert grown.trials.equals(whole.trials)
    assert grown.episodes.equals(whole.episodes)
    assert grown.faults.equals(whole.faults)
    assert grown.provenance == whole.provenance
    for name, curve in grown.curves.items():
        assert curve.tobytes() == whole.curves[name].tobytes()
    with pytest.raises(ValueError, match="at least 700"):
        growing.to(600)


def test_real_trials_do_not_depend_on_the_looks() -> None:
    scenario = mrsim.load(ROOT / FILE)
    whole = run(scenario, trials=50, seed=7, workers=1)
    growing = Growing(scenario, 7, 1)
    growing.to(7)
    growing.to(20)
    grown = growing.to(50)
    assert grown.trials.to_numpy().tobytes() == whole.trials.to_numpy().tobytes()
    assert grown.provenance == whole.provenance


def test_what_is_clear_takes_one_look() -> None:
    found = gate(fakes.budget(fakes.LOSS, "p95 < 11"), fakes.budget(fakes.LOSS, "mean < 1"))
    assert [one.verdict for one in found.checks] == ["passed", "failed"]
    assert found.studies[0].n == 250
    assert found.exit_code == 1


def test_what_is_close_takes_more_looks_and_what_was_decided_stays() -> None:
    close, clear = fakes.budget(fakes.LOSS, "mean < 5.3"), fakes.budget(fakes.LOSS, "p95 < 20")
    found = gate(close, clear)
    assert [one.verdict for one in found.checks] == ["passed", "passed"]
    assert found.studies[0].n > 250
    assert found.checks[0].estimate.n == found.studies[0].n
    assert found.checks[1].estimate.n == 250, "it rests on the look that decided it"


def test_each_look_spends_its_part() -> None:
    found = gate(fakes.budget(fakes.LOSS, "mean < 20"))
    assert found.looks == (250, 500, 1000, 2000)
    assert found.checks[0].estimate.confidence == pytest.approx(1.0 - 0.05 / 4)
    assert found.confidence_of_a_look == pytest.approx(1.0 - 0.05 / 4)
    once = gate(fakes.budget(fakes.LOSS, "mean < 20"), most=250)
    assert once.checks == judge_all(once.studies)


def test_what_no_trials_can_decide_is_not_given_more() -> None:
    horizon = fakes.budget(fakes.RTO, f"p99.9 < {2 * fakes.HORIZON_S}")
    found = gate(horizon, trials=2000, most=16000)
    assert found.checks[0].verdict == "inconclusive"
    assert "longer horizon" in found.checks[0].reason
    assert found.studies[0].n == 2000
    assert found.exit_code == 3


def test_the_family_is_all_of_the_invocation() -> None:
    """A budget that fails on its own at one look is not failed among many that hold (Holm)."""
    values = np.zeros(1000)
    values[:64] = 10.0
    alone, easy = fakes.budget(fakes.LOSS, "p95 < 5"), [fakes.budget(fakes.LOSS, "p95 < 50")] * 9
    assert judge_all([results(fakes.LOSS, values, alone)])[0].verdict == "failed"
    assert judge_all([results(fakes.LOSS, values, alone, *easy)])[0].verdict == "inconclusive"
    assert judge_all([results(fakes.LOSS, values, alone)], looks=4)[0].verdict == "inconclusive"


def test_a_limit_in_an_atom_says_so_instead_of_asking_for_more_trials() -> None:
    values = np.concatenate([np.zeros(949), np.full(51, 60.0)])
    [strict, loose] = judge_all(
        [results(fakes.LOSS, values, fakes.budget(fakes.LOSS, "p95 < 60"), fakes.budget(fakes.LOSS, "p95 <= 60"))]
    )
    for one in (strict, loose):
        assert "5.1% of trials lie exactly on the limit: '<' or '<=' decides, not more trials" in one.reason
        assert one.needed_trials is None
        assert not one.more_trials_could_decide
    assert (strict.verdict, loose.verdict) == ("inconclusive", "passed")


def test_what_is_known_before_the_run_is_said() -> None:
    scenario = fakes.scenario(fakes.budget(fakes.LOSS, "p99 < 20"), fakes.budget(fakes.LOSS, "p95 < 20"))
    assert out_of_reach([scenario], (299,)) == []
    [said] = out_of_reach([scenario], (298,))
    assert "cannot pass with 298 trials: at least 299 are needed" in said
    assert len(out_of_reach([scenario], (100, 200))) == 1
    with pytest.raises(ResultsError, match="no budget"):
        gate()
    with pytest.raises(ResultsError, match="comes before the first"):
        gate(fakes.budget(fakes.LOSS, "p99 < 20"), trials=100, most=50)


def test_an_interruption_between_looks_leaves_the_look_before_it() -> None:
    growing = Growing(fakes.scenario(fakes.budget(fakes.LOSS, "mean < 5.05")), 5, 1, build=fakes.build)
    runs: list[int] = []

    def longer(trials: int) -> Results | None:
        runs.append(trials)
        return growing.to(trials)

    found = judged([longer], (250, 500, 1000), stopped=lambda: len(runs) == 2)
    assert runs == [250, 500]
    assert found.studies[0].n == 250
    assert judged([lambda _: None], (250,), stopped=lambda: True).checks == ()


FOUR = (
    fakes.budget(fakes.LOSS, "mean < 20"),
    fakes.budget(fakes.RTO, "p95 < 100"),
    fakes.budget(fakes.RTO, "p95 < 90", "warn"),
    fakes.budget(fakes.LOSS, "p99 < 9.9"),
)


def four() -> Gate:
    """Return a gate with a pass, a failure, one that only warns, and one that is open."""
    return gate(*FOUR, most=250)


def test_junit_has_a_case_per_budget_and_the_right_colours() -> None:
    text = junit_xml(four(), ["a & <b>.yaml"])
    root = ElementTree.fromstring(text)
    [suite] = root
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [["system-out"], ["failure"], ["skipped"], ["error"]]
    assert dict(root.items()) == {"name": "mrsim check", "tests": "4", "failures": "1", "errors": "1"}
    assert (suite.get("file"), suite.get("skipped")) == ("a & <b>.yaml", "1")
    assert cases[1][0].get("message", "").startswith("failed: ")
    assert "mrsim trace 'a & <b>.yaml' --seed 5 --trial" in (cases[1][0].text or "")
    assert junit_xml(four(), ["a & <b>.yaml"]) == text, "the same bytes"


ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"}
        | {"file", "log", "url"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"name"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "skipped": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}
"""What the schema that Jenkins reads allows: attributes, those that are required, and elements inside."""


def outside_of_schema(element: ElementTree.Element) -> Iterator[str]:
    """Yield what the schema does not allow."""
    allowed, required, inside = ALLOWED.get(element.tag, (set(), set(), set()))
    yield from (f"{element.tag} {name}" for name in set(element.keys()) - allowed)
    yield from (f"{element.tag} without {name}" for name in required - set(element.keys()))
    for child in element:
        if child.tag not in inside:
            yield f"{child.tag} in {element.tag}"
        yield from outside_of_schema(child)


def test_junit_keeps_to_the_schema() -> None:
    assert list(outside_of_schema(ElementTree.fromstring(junit_xml(four(), ["a.yaml"])))) == []
    assert list(outside_of_schema(ElementTree.fromstring("<testsuite line='1'/>")))


def test_json_has_everything_and_is_strict() -> None:
    document = json.loads(gate_json(four(), ["a.yaml"]), parse_constant=lambda name: pytest.fail(name))
    [scenario] = document["scenarios"]
    assert [one["verdict"] for one in scenario["checks"]] == ["passed", "failed", "failed", "inconclusive"]
    assert document["exit_code"] == 1
    assert scenario["provenance"]["seed"] == 5
    assert scenario["checks"][1]["replay"].startswith("mrsim trace a.yaml --seed 5")


def test_github_gets_a_table_and_notes_at_the_lines() -> None:
    budgets = [one.model_copy(update={"line": 10 + i}) for i, one in enumerate(FOUR)]
    found = gate(*budgets, most=250)
    lines = list(notes(found, ["dir,x/a.yaml"]))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::error"]
    assert lines[0].startswith(
        "::error file=dir%2Cx/a.yaml,line=11,title=rto_s{service=orders%2Cop=write%2Cclients=95%25"
    )
    assert all("\n" not in line for line in lines)
    table = step_summary(found, ["a|b.yaml"])
    assert table.count("\n| ") == 1 + len(FOUR)
    assert "### a\\|b.yaml" in table
    assert "❌ FAIL (warn)" in table


def test_the_report_says_how_often_it_was_looked() -> None:
    found = gate(fakes.budget(fakes.LOSS, "mean < 5.3"))
    text = check_report([("a.yaml", found.studies[0])], found.checks, looks=found.looks)
    assert "Looks were planned at 250, 500, 1000, 2000 trials" in text
    assert "hold 97.5 % intervals" in " ".join(text.split())
    once = gate(fakes.budget(fakes.LOSS, "mean < 9"), most=250)
    assert "Looks" not in check_report([("a.yaml", once.studies[0])], once.checks, looks=once.looks)


def mrsim_(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")} | environment
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, env=env)


def test_the_command_adds_trials_and_writes_for_machines(tmp_path: Path) -> None:
    text = (ROOT / FILE).read_text(encoding="utf-8").partition("budgets:")[0]
    scenario = tmp_path / "scenario.yaml"
    limits = "  rto{service=orders, op=write, clients=90%}: [p50 < 355s, p95 < 1min]\n"
    scenario.write_text(f"{text}budgets:\n{limits}", encoding="utf-8")
    out = {name: tmp_path / name for name in ("junit.xml", "check.json", "summary.md")}
    out["summary.md"].write_text("before\n", encoding="utf-8")
    done = mrsim_(
        *("check", scenario, "--trials", 64, "--max-trials", 128, "--seed", 7, "--workers", 1),
        *("--junit", out["junit.xml"], "--json", out["check.json"]),
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(out["summary.md"]),
    )
    assert done.returncode == 1, done.stderr
    document = json.loads(out["check.json"].read_text(encoding="utf-8"))
    assert document["looks"] == [64, 128]
    assert [one["verdict"] for one in document["scenarios"][0]["checks"]][1] == "failed"
    cases = ElementTree.fromstring(out["junit.xml"].read_text(encoding="utf-8")).findall("testsuite/testcase")
    assert len(cases) == 2
    line = text.count("\n") + 2
    assert f"::error file={scenario},line={line}," in done.stdout
    assert out["summary.md"].read_text(encoding="utf-8").startswith("before\n## mrsim: 2 checks: ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--trials", "20"), 3, "cannot pass with 20 trials: at least 299 are needed"),
        (("--trials", "20", "--max-trials", "10"), 2, "comes before the first"),
        (("--junit", "/"), 2, "directory"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = mrsim_("check", FILE, *arguments, "--seed", "1", "--workers", "1")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
