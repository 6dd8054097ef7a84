"""The command ``solve``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.delivery import deliver
from mrsim.commands.options import (
    INTERRUPTED,
    PATH,
    SEED,
    SET,
    TRIALS,
    Stopped,
    option_reader,
    whole,
    with_options,
    workers_option,
)

if TYPE_CHECKING:
    from mrsim.commands.options import Load, Study
    from mrsim.scenario.settings import Setting
    from mrsim.study.varied import Range

_EXIT = {"found": 0, "everywhere": 0, "nowhere": 1, "not monotone": 3, "not shown": 3, "not confirmed": 3}
_CODES = (
    "Exit codes: 0 found and confirmed, or every value does; 1 no value does; 2 usage or an invalid scenario; 3 not "
    "monotone, or too few trials to tell; 4 internal error; 130 interrupted."
)


@option_reader
def _range(given: str) -> Range:
    """Read ``--vary PATH=LOW..HIGH``."""
    from mrsim.study.varied import read_range

    return read_range(given)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("file", type=PATH),
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
    workers_option,
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the solution as JSON."),
)


def register_solve(commands: click.Group, load: Load, study: Study) -> None:
    """Add the command to a command line; see :func:`mrsim.commands.compare.register_compare`."""

    def command(**given: Any) -> int:
        """Find the largest (or smallest) value with which the scenario in FILE still keeps a limit.

        All values are tried under the same outages. The value found passes as a budget does, and passes again on a
        seed that the search has not seen.
        """
        return _solve(load, study, **given)

    commands.command("solve", epilog=_CODES)(with_options(command, _OPTIONS))


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
    from mrsim.report.outputs import Outputs
    from mrsim.report.solution import solution_json, solution_report
    from mrsim.rng import fresh_seed
    from mrsim.study.asked import limit_asked
    from mrsim.study.solve import search

    Outputs(json_path)
    scenario = load(file, settings)

    seed = fresh_seed() if seed is None else seed
    try:
        found = search(scenario, span, limit_asked(scenario, until), whole(study, trials, workers), trials, seed)
    except Stopped:
        click.echo("mrsim: interrupted: nothing was found yet", err=True)
        return INTERRUPTED
    deliver(partial(solution_report, found), [(json_path, partial(solution_json, found))])
    return _EXIT[found.outcome]
