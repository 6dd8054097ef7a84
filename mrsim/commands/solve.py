"""The command ``solve``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.options import SEED, SET, TRIALS, WORKERS_OPTION

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting
    from mrsim.study.results import Results
    from mrsim.study.varied import Range

    Load = Callable[[Path, Sequence[Setting]], Scenario]
    Study = Callable[[Scenario, int, int | None, int | None], tuple[Results | None, bool]]

_PATH = click.Path(path_type=Path)
_INTERRUPTED = 130
_EXIT = {"found": 0, "everywhere": 0, "nowhere": 1, "not monotone": 3, "not shown": 3, "not confirmed": 3}
_CODES = (
    "Exit codes: 0 found and confirmed, or every value does; 1 no value does; 2 usage or an invalid scenario; 3 not "
    "monotone, or too few trials to tell; 4 internal error; 130 interrupted."
)


class _Stopped(Exception):
    """The search was interrupted."""


def _range(_context: click.Context, _option: click.Parameter, given: str) -> Range:
    """Read ``--vary PATH=LOW..HIGH``."""
    from mrsim.scenario.settings import SettingError
    from mrsim.study.varied import read_range

    try:
        return read_range(given)
    except SettingError as error:
        message = f"{error} ({error.hint})"
        raise click.BadParameter(message) from error


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("file", type=_PATH),
    click.option(
        "--vary",
        "span",
        required=True,
        callback=_range,
        metavar="PATH=LOW..HIGH",
        help="What to vary between what, such as dns.shop.ttl=10s..10min.",
    ),
    click.option(
        "--until",
        required=True,
        metavar="LIMIT",
        help="What must hold, such as 'rto{service=orders, op=write, clients=95%} p95 < 5min'.",
    ),
    SET,
    click.option(
        "--trials",
        type=int,
        default=2000,
        show_default=True,
        callback=TRIALS,
        metavar="N",
        help="Of each value.",
    ),
    SEED,
    WORKERS_OPTION,
    click.option("--json", "json_path", type=_PATH, metavar="PATH", help="Also write the solution as JSON."),
)


def register_solve(commands: click.Group, load: Load, study: Study) -> None:
    """Add the command to a command line; see :func:`mrsim.commands.compare.register_compare`."""

    def command(**given: Any) -> int:
        """Find the largest (or smallest) value with which the scenario in FILE still keeps a limit.

        All values are tried under the same outages. The value found passes as a budget does, and passes again on a
        seed that the search has not seen.
        """
        return _solve(load, study, **given)

    for option in reversed(_OPTIONS):
        command = option(command)
    commands.command("solve", epilog=_CODES)(command)


def _solve(
    load: Load,
    study: Study,
    file: Path,
    span: Range,
    until: str,
    settings: tuple[Setting, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    json_path: Path | None,
) -> int:
    from mrsim.report.outputs import Outputs, write_named
    from mrsim.report.solution import solution_json, solution_report
    from mrsim.report.terminal import page_of
    from mrsim.rng import fresh_seed
    from mrsim.study.asked import limit_asked
    from mrsim.study.solve import search

    Outputs(json_path)
    scenario = load(file, settings)

    def run(variant: Scenario, which: int) -> Results:
        results, interrupted = study(variant, trials, which, workers)
        if results is None or interrupted:
            raise _Stopped
        return results

    try:
        budget = limit_asked(scenario, until)
        found = search(scenario, span, budget, run, trials, fresh_seed() if seed is None else seed)
    except _Stopped:
        click.echo("mrsim: interrupted: nothing was found yet", err=True)
        return _INTERRUPTED
    if json_path is not None:
        write_named(json_path, solution_json(found).encode())
    width, colour = page_of(sys.stdout)
    click.echo(solution_report(found, width=width, colour=colour), nl=False)
    return _EXIT[found.outcome]
