"""The command ``check``: the gate of a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.against import Beside, baseline_options, deliver
from mrsim.commands.options import DEFAULT_TRIALS, INTERRUPTED, PATH, SEED, SET, TRIALS, with_options, workers_option

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting
    from mrsim.study.changes import Changes
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
    workers_option,
    click.option("--junit", "junit_path", type=PATH, metavar="PATH", help="Also write JUnit XML, a case per budget."),
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the verdicts as JSON."),
)


class _Study:
    """Studies that grow until somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.stopped = False

    def longer(self, to: Callable[[int], Results], scenario: Scenario) -> Callable[[int], Results | None]:
        """Return the same, as results of a scenario, with what was finished instead of an interruption."""
        from mrsim.study.asked import as_asked
        from mrsim.study.run import Interrupted

        def run(trials: int) -> Results | None:
            try:
                return as_asked(to(trials), scenario)
            except Interrupted as stopped:
                self.stopped = True
                return None if stopped.partial is None else as_asked(stopped.partial, scenario)

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

    commands.command("check")(with_options(baseline_options(command), _OPTIONS))


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
    **baseline: Any,
) -> int:
    from mrsim.report.outputs import Outputs
    from mrsim.rng import fresh_seed
    from mrsim.study.gate import judged, out_of_reach
    from mrsim.study.verdict import worse_of

    for path in (junit_path, json_path):
        Outputs(path)
    found = files(paths)
    names = list(map(str, found))
    scenarios = load_all(found, settings)
    beside = Beside(scenarios, names, baseline["against_path"], baseline["baseline_path"], baseline["tolerance"])
    if beside.baseline is not None:
        _refuse_both(trials, seed)
        trials, seed = beside.baseline.trials, beside.baseline.seed
    looks = _looks(scenarios, names, trials, most)
    for said in out_of_reach(scenarios, looks):
        click.echo(f"mrsim: {said}", err=True)
    seed = fresh_seed() if seed is None else seed
    study = _Study()

    def longer(measured: Scenario, scenario: Scenario | None = None) -> Callable[[int], Results | None]:
        return study.longer(growing(measured, seed, workers), scenario or measured)

    gate = judged(list(map(longer, beside.measured, scenarios)), looks, stopped=lambda: study.stopped)
    if not gate.studies:
        click.echo("mrsim: interrupted before the first trials were finished", err=True)
        return INTERRUPTED
    changes = None if study.stopped else beside.changes(gate, longer)
    names = names[: len(gate.studies)]
    try:
        if not study.stopped:
            beside.write(gate)
        deliver(gate, changes, names, junit_path, json_path)
    finally:
        _report(gate, changes, names, scenarios[: len(names)])
    if study.stopped:
        reached = f"{len(gate.studies)} of {len(found)} scenarios were reached"
        click.echo(f"mrsim: interrupted: {reached}{beside.left_undone}", err=True)
        return INTERRUPTED
    return gate.exit_code if changes is None else worse_of(gate.exit_code, changes.exit_code)


def _refuse_both(trials: int | None, seed: int | None) -> None:
    """Refuse what a baseline says already."""
    for name, value in (("--trials", trials), ("--seed", seed)):
        if value is not None:
            message = f"{name} is not for --against: the baseline says it"
            raise click.UsageError(message)


def _looks(scenarios: Sequence[Scenario], names: list[str], trials: int | None, most: int | None) -> tuple[int, ...]:
    """Return the numbers of trials at which to look; scenarios without any budget are refused."""
    from mrsim.errors import ResultsError
    from mrsim.study.gate import MOST_TRIALS, planned

    first = DEFAULT_TRIALS if trials is None else trials
    last = most if most is not None else first if trials is not None else MOST_TRIALS
    try:
        return planned(scenarios, min(first, last) if trials is None else first, last)
    except ResultsError as error:
        message = f"{error} in {', '.join(names)}" if "no budget" in str(error) else str(error)
        raise ResultsError(message) from error


def _report(gate: Gate, changes: Changes | None, names: list[str], scenarios: Sequence[Scenario]) -> None:
    """Print the verdicts, what became of the baseline, and how many remarks there are."""
    from mrsim.report.changes import changes_report
    from mrsim.report.remarks import remarks_counted
    from mrsim.report.terminal import page_of
    from mrsim.report.verdicts import check_report

    width, colour = page_of(sys.stdout)
    pairs = list(zip(names, gate.studies, strict=True))
    click.echo(check_report(pairs, gate.checks, looks=gate.looks, width=width, colour=colour), nl=False)
    if changes is not None:
        click.echo(changes_report(changes, names, width=width, colour=colour), nl=False)
    click.echo(remarks_counted(scenarios, width=width, colour=colour), nl=False)
