"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml").read_text(encoding="utf-8")
HEAD = TEXT.partition("budgets:")[0]
BUDGETS = """budgets:
  rto{service=storefront, op=read, clients=90%}: [p95 < 1h, p50 < 1s]
  rpo{store=orders-db}: [{expr: p50 < 1us, level: warn}, {expr: p99 < 1h, level: off}]
  split_brain{store=orders-db}: [trials <= 1%]
"""
LINE = HEAD.count("\n") + 2
ARGUMENTS = ("-p", "mrsim.pytest_plugin", "--mrsim-trials", "64", "-p", "no:cacheprovider")


@pytest.fixture
def tree(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a folder with a scenario, another YAML file and a test in Python."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (pytester.path / "a.yaml").write_text(HEAD + BUDGETS, encoding="utf-8")
    (pytester.path / "compose.yaml").write_text("services: {web: {image: nginx}}\n", encoding="utf-8")
    (pytester.path / "test_it.py").write_text("def test_it():\n    pass\n", encoding="utf-8")
    return pytester


def test_without_being_asked_it_collects_nothing(tree: pytest.Pytester) -> None:
    tree.runpytest_subprocess(*ARGUMENTS).assert_outcomes(passed=1)


def test_every_budget_is_a_test_and_fails_at_its_line(tree: pytest.Pytester) -> None:
    done = tree.runpytest_subprocess(*ARGUMENTS, "--mrsim", "-rx")
    done.assert_outcomes(passed=2, failed=2, xfailed=1)
    done.stdout.fnmatch_lines(
        [
            f"a.yaml:{LINE}: rto{{service=storefront, op=read, clients=90%}} p50 < 1s",
            "failed: *2 min* in 64 trials; worst: --trial *",
            "mrsim trace a.yaml --seed 1 --trial *",
            f"a.yaml:{LINE + 2}: split_brain{{store=orders-db}} trials <= 1%",
            "inconclusive: 0 of 64 (<= *at least 299 trials are needed to show it, got 64*",
            "XFAIL a.yaml::rpo{store=orders-db} p50 < 1us - warning only: failed: *",
        ]
    )


def test_an_ini_file_can_ask_and_names_select(tree: pytest.Pytester) -> None:
    tree.makeini("[pytest]\nmrsim = true\n")
    done = tree.runpytest_subprocess(*ARGUMENTS, "-k", "storefront and p95")
    done.assert_outcomes(passed=1, deselected=5 - 1)


def test_the_failed_are_run_again_and_nothing_else(tree: pytest.Pytester) -> None:
    arguments = (*ARGUMENTS[:4], "--mrsim")
    tree.runpytest_subprocess(*arguments).assert_outcomes(passed=2, failed=2, xfailed=1)
    again = tree.runpytest_subprocess(*arguments, "--lf")
    again.assert_outcomes(failed=2)


@pytest.mark.skipif(find_spec("xdist") is None, reason="xdist is not installed")
def test_workers_find_the_same(tree: pytest.Pytester) -> None:
    done = tree.runpytest_subprocess(*ARGUMENTS, "--mrsim", "-n", "2")
    done.assert_outcomes(passed=2, failed=2, xfailed=1)


def test_a_wrong_file_is_an_error_that_names_the_line(tree: pytest.Pytester) -> None:
    (tree.path / "a.yaml").write_text(HEAD.replace("ttl: 60s", "tll: 60s") + BUDGETS, encoding="utf-8")
    done = tree.runpytest_subprocess(*ARGUMENTS, "--mrsim")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(["*a.yaml:*unknown key 'tll'*"])
