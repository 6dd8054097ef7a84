"""The command ``compare``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.delivery import deliver
from mrsim.commands.options import INTERRUPTED, PATH, SET, option_reader, study_options, with_options

if TYPE_CHECKING:
    from mrsim.commands.options import Load, Study
    from mrsim.scenario.settings import Setting

_CODES = (
    "Exit codes: 0 compared, 2 usage, an invalid scenario or a metric that is not in all of them, 4 internal error, "
    "130 interrupted."
)


@option_reader
def _variants(given: tuple[str, ...]) -> tuple[tuple[Setting, ...], ...]:
    """Read ``--variant 'PATH=VALUE; PATH=VALUE'``."""
    from mrsim.scenario.settings import read_setting

    return tuple(tuple(read_setting(part) for part in text.split(";") if part.strip()) for text in given)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE..."),
    click.option(
        "--variant",
        "variants",
        multiple=True,
        callback=_variants,
        metavar="PATH=VALUE[;...]",
        help="Also the first file with these changes; repeatable.",
    ),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="METRIC",
        help="Compare this, such as rpo{store=orders-db}; repeatable. Not given: what budgets name, and the usual.",
    ),
    SET,
    study_options,
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the comparison as JSON."),
    click.option("--plot", "plot_path", type=PATH, metavar="DIR", help="Also write pictures (PNG)."),
)


def register_compare(commands: click.Group, load: Load, study: Study) -> None:
    """Add the command to a command line.

    Parameters
    ----------
    commands
        The group it is added to.
    load, study
        Read a scenario, and run a study with progress; what goes wrong leaves with the command line's exit codes.
    """

    def command(**given: Any) -> int:
        """Run several scenarios through the same outages and compare each with the first.

        The draws of everything that has the same name in the files are the same, so differences show in few trials.
        Variants of one file need no new file: mrsim compare a.yaml --variant dns.shop.ttl=30s. A --set changes every
        posture.
        """
        return _compare(load, study, **given)

    commands.command("compare", epilog=_CODES)(with_options(command, _OPTIONS))


def _compare(
    load: Load,
    study: Study,
    files: tuple[Path, ...],
    variants: tuple[tuple[Setting, ...], ...],
    metrics: tuple[str, ...],
    settings: tuple[Setting, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    json_path: Path | None,
    plot_path: Path | None,
) -> int:
    from mrsim.report.comparison import comparison_json, comparison_report
    from mrsim.report.comparison_plots import comparison_pictures
    from mrsim.report.outputs import Outputs
    from mrsim.report.remarks import remarks_counted
    from mrsim.rng import fresh_seed
    from mrsim.study.asked import measuring
    from mrsim.study.compare import assembled, labels_of

    outputs = Outputs(json_path, None, plot_path)
    scenarios = [load(file, settings) for file in files]
    scenarios += [load(files[0], (*settings, *variant)) for variant in variants]
    if len(scenarios) < 2:
        message = "one posture is nothing to compare: name a second file or a --variant"
        raise click.UsageError(message)
    seed = fresh_seed() if seed is None else seed
    studies = []
    for scenario in measuring(scenarios, metrics):
        results, interrupted = study(scenario, trials, seed, workers)
        if results is None or interrupted:
            click.echo("mrsim: interrupted: nothing was compared", err=True)
            return INTERRUPTED
        studies.append(results)
    comparison = assembled(scenarios, studies, labels_of(scenarios), metrics)

    def report(**page: Any) -> str:
        return comparison_report(comparison, **page) + remarks_counted(scenarios, **page)

    deliver(
        report,
        [(outputs.json, partial(comparison_json, comparison))],
        outputs.plots,
        partial(comparison_pictures, comparison),
    )
    return 0
