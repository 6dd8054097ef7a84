"""The command ``sensitivity``."""

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

_CODES = "Exit codes: 0 analysed, 2 usage or an invalid scenario, 4 internal error, 130 interrupted."


@option_reader
def _ranges(given: tuple[str, ...]) -> tuple[Range, ...]:
    """Read ``--vary PATH=LOW..HIGH``."""
    from mrsim.study.varied import read_range

    return tuple(map(read_range, given))


def _power(_context: click.Context, _option: click.Parameter, given: int) -> int:
    if given & (given - 1) or not 0 <= given <= 4096:
        message = f"{given} is not 0 or a power of two up to 4096"
        raise click.BadParameter(message)
    return given


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("file", type=PATH),
    click.option(
        "--of",
        "of",
        metavar="METRIC AGGREGATION",
        help="The answer, such as 'rpo{store=orders-db} p95'; that of the first budget if not given.",
    ),
    click.option(
        "--vary",
        "spans",
        multiple=True,
        callback=_ranges,
        metavar="PATH=LOW..HIGH",
        help="What to vary between what, such as dns.shop.ttl=10s..10min; repeatable. Not given: every number that is "
        "written or assumed, divided and multiplied by --factor.",
    ),
    click.option(
        "--factor",
        type=click.FloatRange(1.0, 10.0, min_open=True),
        default=2.0,
        show_default=True,
        help="How far numbers that --vary does not name are varied.",
    ),
    click.option(
        "--together",
        "points",
        type=int,
        default=0,
        show_default=True,
        callback=_power,
        metavar="POINTS",
        help="Also vary them together (Sobol indices): a power of two; each point takes a study per parameter and two "
        "more. Of numbers that --vary does not name, the six that swing most.",
    ),
    SET,
    click.option(
        "--trials",
        type=int,
        default=200,
        show_default=True,
        callback=TRIALS,
        metavar="N",
        help="Of each variant.",
    ),
    SEED,
    workers_option,
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the analysis as JSON."),
    click.option("--plot", "plot_path", type=PATH, metavar="DIR", help="Also write the tornado (PNG)."),
)


def register_sensitivity(commands: click.Group, load: Load, study: Study) -> None:
    """Add the command to a command line; see :func:`mrsim.commands.compare.register_compare`."""

    def command(**given: Any) -> int:
        """Find which numbers of the scenario in FILE an answer depends on.

        Each is varied on its own under the same outages, and with --together all of them at once.
        """
        return _sensitivity(load, study, **given)

    commands.command("sensitivity", epilog=_CODES)(with_options(command, _OPTIONS))


def _sensitivity(
    load: Load,
    study: Study,
    file: Path,
    of: str | None,
    spans: tuple[Range, ...],
    factor: float,
    points: int,
    settings: tuple[Setting, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    json_path: Path | None,
    plot_path: Path | None,
) -> int:
    from mrsim.report.outputs import Outputs
    from mrsim.report.sensitivity import sensitivity_json, sensitivity_report
    from mrsim.report.sensitivity_plots import sensitivity_pictures
    from mrsim.rng import fresh_seed
    from mrsim.study.sensitivity import analyse, answer_asked, named

    outputs = Outputs(json_path, None, plot_path)
    scenario = load(file, settings)

    seed = fresh_seed() if seed is None else seed
    run = whole(study, trials, workers)
    try:
        found = analyse(scenario, answer_asked(scenario, of), named(spans), run, points, trials, seed, factor)
    except Stopped:
        click.echo("mrsim: interrupted: nothing was found yet", err=True)
        return INTERRUPTED
    deliver(
        partial(sensitivity_report, found),
        [(outputs.json, partial(sensitivity_json, found))],
        outputs.plots,
        partial(sensitivity_pictures, found),
    )
    return 0
