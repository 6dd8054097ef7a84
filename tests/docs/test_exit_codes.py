"""The exit codes of the page are those of the process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mrsim import cli

ROOT = Path(__file__).resolve().parents[2]
BOOKSTORE = ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"
PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def documented() -> set[int]:
    """Return the codes in the page's table."""
    section = PAGE.split("## Exit codes")[1].split("<!--")[0]
    return {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}


def test_the_table_is_that_of_the_program() -> None:
    names = ("PASSED", "FAILED", "INVALID", "INCONCLUSIVE", "BROKEN", "INTERRUPTED", "PIPE_CLOSED")
    assert documented() == {getattr(cli, name) for name in names}


@pytest.mark.parametrize(
    ("limit", "trials", "code"),
    [("p95 < 3h", 400, 0), ("p95 < 1s", 400, 1), ("p95 < 10mn", 400, 2), ("p99.9 < 3h", 20, 3)],
)
def test_budgets_decide_the_exit_code(tmp_path: Path, limit: str, trials: int, code: int) -> None:
    text = BOOKSTORE.read_text(encoding="utf-8")
    head, _, _ = text.partition("budgets:")
    scenario = tmp_path / "scenario.yaml"
    budget = f"budgets:\n  rto{{service=orders, op=write, clients=90%}}: [{limit}]\n"
    scenario.write_text(head + budget, encoding="utf-8")
    arguments = ["check", str(scenario), "--trials", str(trials), "--seed", "1"]
    done = subprocess.run([sys.executable, "-m", "mrsim", *arguments], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
