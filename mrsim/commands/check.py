"""The command ``check``: the gate of a pipeline."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.options import DEFAULT_TRIALS, INTERRUPTED, PATH, SEED, SET, TRIALS, WORKERS_OPTION

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting
    from mrsim.study.gate import Gate
    from mrsim.study.results import Results

    Files = Callable[[Sequence[Path]], list[Path]]
    LoadAll = Callable[[Sequence[Path], Sequence[Setting]], list[Scenario]]
    Growing = Callable[[Scenario, int, int | None], Callable[[int], Results]]

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH..."),
    SET,
    click.option(
        "--trials",
        type=int,
        callback=TRIALS,
        metavar="N",
        help=f"Trials of the first look; of the only one, unless --max-trials is given.  [default: {DEFAULT_TRIALS}]",
    ),
    click.option(
        "--max-trials",
        "most",
        type=int,
        callback=TRIALS,
        metavar="N",
        help="Trials of the last look: while a budget is undecided, they are doubled up to this.  [default: 8000, or "
        "--trials]",
    ),
    SEED,
    WORKERS_OPTION,
    click.option("--junit", "junit_path", type=PATH, metavar="PATH", help="Also write JUnit XML, a case per budget."),
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the verdicts as JSON."),
)


class _Study:
    """Studies that grow until somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.stopped = False

    def longer(self, to: Callable[[int], Results]) -> Callable[[int], Results | None]:
        """Return the same, with what was finished instead of an interruption."""
        from mrsim.study.run import Interrupted

        def run(trials: int) -> Results | None:
            try:
                return to(trials)
            except Interrupted as stopped:
                self.stopped = True
                return stopped.partial

        return run


def register_check(commands: click.Group, files: Files, load_all: LoadAll, growing: Growing) -> None:
    """Add the command to a command line.

    Parameters
    ----------
    commands
        The group it is added to.
    files, load_all, growing
        Find scenario files, read them, and make a study that can be made longer; what goes wrong leaves with the
        command line's exit codes.
    """

    def command(**given: Any) -> int:
        """Judge the budgets of scenario files, or of all those in folders, and print one table.

        All files are read before any is run. Trials are added at looks that are fixed before the run, while a budget is
        undecided. On GitHub Actions there are also a step summary and annotations at the lines of the budgets.
        """
        return _check(files, load_all, growing, **given)

    for option in reversed(_OPTIONS):
        command = option(command)
    commands.command("check")(command)


def _check(
    files: Files,
    load_all: LoadAll,
    growing: Growing,
    paths: tuple[Path, ...],
    settings: tuple[Setting, ...],
    trials: int | None,
    most: int | None,
    seed: int | None,
    workers: int | None,
    junit_path: Path | None,
    json_path: Path | None,
) -> int:
    from mrsim.errors import ResultsError
    from mrsim.report.outputs import Outputs
    from mrsim.report.terminal import page_of
    from mrsim.report.verdicts import check_report
    from mrsim.rng import fresh_seed
    from mrsim.study.gate import MOST_TRIALS, judged, out_of_reach, planned

    for path in (junit_path, json_path):
        Outputs(path)
    found = files(paths)
    scenarios = load_all(found, settings)
    first = DEFAULT_TRIALS if trials is None else trials
    last = most if most is not None else first if trials is not None else MOST_TRIALS
    try:
        looks = planned(scenarios, min(first, last) if trials is None else first, last)
    except ResultsError as error:
        message = f"{error} in {', '.join(map(str, found))}" if "no budget" in str(error) else str(error)
        raise ResultsError(message) from error
    for said in out_of_reach(scenarios, looks):
        click.echo(f"mrsim: {said}", err=True)
    seed = fresh_seed() if seed is None else seed
    study = _Study()
    gate = judged(
        [study.longer(growing(scenario, seed, workers)) for scenario in scenarios],
        looks,
        stopped=lambda: study.stopped,
    )
    if not gate.studies:
        click.echo("mrsim: interrupted before the first trials were finished", err=True)
        return INTERRUPTED
    names = [str(file) for file in found[: len(gate.studies)]]
    try:
        _write(gate, names, junit_path, json_path)
    finally:
        width, colour = page_of(sys.stdout)
        pairs = list(zip(names, gate.studies, strict=True))
        click.echo(check_report(pairs, gate.checks, looks=gate.looks, width=width, colour=colour), nl=False)
    if study.stopped:
        click.echo(f"mrsim: interrupted: {len(gate.studies)} of {len(found)} scenarios were reached", err=True)
        return INTERRUPTED
    return gate.exit_code


def _write(gate: Gate, names: list[str], junit_path: Path | None, json_path: Path | None) -> None:
    """Write the files that were asked for, and what GitHub Actions shows if this runs there."""
    from mrsim.report.github import notes, step_summary
    from mrsim.report.junit import gate_json, junit_xml
    from mrsim.report.outputs import write_named

    if junit_path is not None:
        write_named(junit_path, junit_xml(gate, names).encode())
    if json_path is not None:
        write_named(json_path, gate_json(gate, names).encode())
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(step_summary(gate, names))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in notes(gate, names):
            click.echo(line)
