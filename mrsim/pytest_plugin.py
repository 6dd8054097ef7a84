"""Scenario files as tests: with ``pytest --mrsim`` every budget is one, and fails at its line of the YAML file.

A file is run once, by the first of its tests that is; its budgets are judged together (:mod:`mrsim.study.gate`), so
failures are corrected for their number whatever ``-k`` selects. A budget of level ``warn`` that is not passed is
reported as an expected failure. Everything is deterministic: with the same seed each worker of xdist finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mrsim.scenario.budgets import Budget
    from mrsim.scenario.model import Scenario
    from mrsim.study.gate import Gate
    from mrsim.study.verdict import Check

_SUFFIXES = (".yaml", ".yml")
_SCENARIO = re.compile(r"^regions\s*:", re.MULTILINE)
"""What tells a scenario from any other YAML file in the tree."""

DEFAULT_SEED = 1
"""Fixed, so that a test repeats itself."""


class BudgetMissed(Exception):
    """A budget that was not passed.

    Attributes
    ----------
    check
        Its verdict.
    """

    def __init__(self, check: Check) -> None:
        self.check = check
        super().__init__(f"{check.verdict}: {check.budget.key} {check.budget.text}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of scenario files."""
    group = parser.getgroup("mrsim", "budgets of failover scenarios")
    group.addoption("--mrsim", action="store_true", default=False, help="Collect scenario files: a test per budget.")
    group.addoption("--mrsim-trials", type=int, metavar="N", help="Trials of the first look; alone, of the only one.")
    group.addoption("--mrsim-max-trials", type=int, metavar="N", help="Trials of the last look.")
    group.addoption("--mrsim-seed", type=int, default=DEFAULT_SEED, metavar="S", help="Seed of every study.")
    parser.addini("mrsim", "Collect scenario files, as --mrsim does.", type="bool", default=False)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file, if that was asked for."""
    config = parent.config
    if file_path.suffix not in _SUFFIXES or not (config.getoption("--mrsim") or config.getini("mrsim")):
        return None
    if not _SCENARIO.search(file_path.read_text(encoding="utf-8", errors="replace")):
        return None
    file: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return file


class ScenarioFile(pytest.File):
    """A scenario file: its budgets are tests."""

    def collect(self) -> Iterator[BudgetItem]:
        """Yield a test per budget."""
        for index, budget in enumerate(one for one in self.scenario.budgets if one.level != "off"):
            item: BudgetItem = BudgetItem.from_parent(
                self, name=f"{budget.key} {budget.text}", index=index, budget=budget
            )
            yield item

    @cached_property
    def scenario(self) -> Scenario:
        """What the file says; one that is wrong is an error of collection that names file and line."""
        from mrsim.errors import ScenarioError
        from mrsim.scenario.loader import load

        try:
            return load(self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from error

    @cached_property
    def gate(self) -> Gate:
        """The verdicts on all budgets of the file."""
        from mrsim.study.gate import FIRST_LOOK, check

        option = self.config.getoption
        trials, most = option("--mrsim-trials"), option("--mrsim-max-trials")
        first = trials or min(FIRST_LOOK, most or FIRST_LOOK)
        last = trials if most is None else most
        return check(self.scenario, trials=first, most=last, seed=option("--mrsim-seed"), workers=1)


class BudgetItem(pytest.Item):
    """One budget of a scenario file."""

    def __init__(self, *, index: int, budget: Budget, **more: Any) -> None:
        super().__init__(**more)
        self._index, self._budget = index, budget

    @property
    def _file(self) -> ScenarioFile:
        parent = self.parent
        assert isinstance(parent, ScenarioFile)
        return parent

    def runtest(self) -> None:
        """Judge the budget.

        Raises
        ------
        BudgetMissed
            If it failed, or is inconclusive.
        """
        from mrsim.report.junit import summary

        check = self._file.gate.checks[self._index]
        self.add_report_section("call", "mrsim", summary(check))
        if check.verdict == "passed":
            return
        if check.budget.level == "warn":
            pytest.xfail(summary(check))
        raise BudgetMissed(check)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return where the budget stands, what was seen, and the line that replays the worst trial."""
        from mrsim.report.junit import place, replay, summary

        if not isinstance(excinfo.value, BudgetMissed):
            return super().repr_failure(excinfo, style)
        check, path = excinfo.value.check, self._shown
        lines = [f"{place(check, path)}: {check.budget.key} {check.budget.text}", summary(check)]
        again = replay(check, path, self._file.gate.studies[0])
        return "\n".join([*lines, again] if again else lines)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return file and line (from 0) of the budget."""
        return self.path, self._budget.line - 1 if self._budget.line else None, self.name

    @property
    def _shown(self) -> str:
        """The file as it is typed from where pytest was started."""
        start = self.config.invocation_params.dir
        return str(self.path.relative_to(start) if self.path.is_relative_to(start) else self.path)
