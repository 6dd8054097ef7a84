"""What ``check`` does with a baseline: compare with one, and write one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.options import PATH, with_options

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.study.baseline import Baseline
    from mrsim.study.changes import Changes
    from mrsim.study.gate import Gate
    from mrsim.study.results import Results

    Longer = Callable[[int], Results | None]

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--against",
        "against_path",
        type=PATH,
        metavar="PATH",
        help="Also compare with the baseline in this file, with its seed and number of trials: what moved, and whether "
        "the scenario or the engine did it. A change to the worse beyond the tolerance fails.",
    ),
    click.option(
        "--tolerance",
        multiple=True,
        metavar="T",
        help="For --against: a mean may get worse by this: 2% of itself, or 5s for durations; with both, the larger; "
        "at least the digit that is shown.  [default: 1%]",
    ),
    click.option(
        "--write-baseline",
        "baseline_path",
        type=PATH,
        metavar="PATH",
        help="Also write a baseline: the resolved scenarios, the seed, the versions, and what budgets name in each "
        "trial of the first look.",
    ),
)


def baseline_options(command: Any) -> Any:
    """Give a command the options ``--against``, ``--tolerance`` and ``--write-baseline``."""
    return with_options(command, _OPTIONS)


class Beside:
    """A baseline beside a gate: it says the seed and the trials, and what has to be measured too.

    Parameters
    ----------
    scenarios, files
        What is checked.
    against, write
        Files to compare with and to write to; may be None.
    tolerance
        As it was given.

    Attributes
    ----------
    baseline
        What to compare with; None if nothing.

    Raises
    ------
    BaselineError, ResultsError, OSError
        Before anything is run: what cannot be read, compared or written.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        files: Sequence[str],
        against: Path | None,
        write: Path | None,
        tolerance: Sequence[str],
    ) -> None:
        from mrsim.study.baseline import Baseline, check_names
        from mrsim.study.changes import matched
        from mrsim.study.shifts import read_tolerance

        if tolerance and against is None:
            message = "--tolerance is for --against: it says how far a number may move"
            raise click.UsageError(message)
        self._scenarios, self._files, self._write = list(scenarios), list(files), write
        self._tolerance = read_tolerance(tolerance)
        if write is not None:
            from mrsim.report.outputs import Outputs

            Outputs(write)
            check_names(scenarios, files)
        self.baseline: Baseline | None = None if against is None else Baseline.load(against)
        self._matches = [] if self.baseline is None else matched(self.baseline, scenarios, files)

    @property
    def measured(self) -> list[Scenario]:
        """What to run: the scenarios, measuring also what budgets of the baseline name."""
        return [match.now for match in self._matches] or self._scenarios

    @property
    def left_undone(self) -> str:
        """What an interruption left undone."""
        compared = "" if self.baseline is None else ", nothing was compared with the baseline"
        return compared + ("" if self._write is None else ", no baseline was written")

    def changes(self, gate: Gate, longer: Callable[[Scenario], Longer]) -> Changes | None:
        """Run the old scenarios and compare; None if there is no baseline, or it was interrupted."""
        from mrsim.study.changes import changes_of

        baseline = self.baseline
        if baseline is None or len(gate.studies) < len(self._scenarios):
            return None
        old: list[Results | None] = []
        for match in self._matches:
            results = None if match.old is None else self._again(match.old, longer, baseline)
            if match.old is not None and (results is None or results.n < baseline.trials):
                return None
            old.append(results)
        return changes_of(baseline, self._matches, self._scenarios, gate.studies, old, self._tolerance)

    def _again(self, old: Scenario, longer: Callable[[Scenario], Longer], baseline: Baseline) -> Results | None:
        """Run an old scenario; one that another version wrote and this one cannot run is said to be that."""
        from mrsim.errors import BaselineError, MrsimError
        from mrsim.version import __version__

        try:
            return longer(old)(baseline.trials)
        except (MrsimError, click.ClickException, OSError):
            raise
        except Exception as error:
            written = baseline.engine.get("mrsim", "an unknown version")
            if written == __version__:
                raise
            line = next(kept.line for kept in baseline.kept if kept.file == old.path)
            versions = f"was written by mrsim {written}, and this version, {__version__}, cannot run it"
            again = "write it again with mrsim check FILES --write-baseline"
            message = f"{baseline.path}:{line}: {old.name!r} {versions} ({type(error).__name__}): {again}"
            raise BaselineError(message) from error

    def write(self, gate: Gate) -> None:
        """Write a baseline of the first look, if that was asked for."""
        from mrsim.report.outputs import write_named
        from mrsim.study.baseline import Baseline
        from mrsim.study.baseline_file import text_of

        if self._write is not None:
            made = Baseline.of(gate.studies, self._files, gate.looks[0])
            write_named(self._write, text_of(made).encode())


def deliver(
    gate: Gate, changes: Changes | None, files: list[str], junit_path: Path | None, json_path: Path | None
) -> None:
    """Write the files that were asked for, and what GitHub Actions shows if this runs there."""
    from mrsim.report.changes_export import cases, changes_json, changes_notes, changes_summary
    from mrsim.report.github import notes, step_summary
    from mrsim.report.junit import gate_json, junit_xml
    from mrsim.report.outputs import write_named

    if junit_path is not None:
        more = [] if changes is None else cases(changes, files)
        write_named(junit_path, junit_xml(gate, files, more).encode())
    if json_path is not None:
        against = None if changes is None else changes_json(changes, files)
        write_named(json_path, gate_json(gate, files, against).encode())
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(step_summary(gate, files))
            file.write("" if changes is None else changes_summary(changes, files))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in (*notes(gate, files), *(() if changes is None else changes_notes(changes, files))):
            click.echo(line)
