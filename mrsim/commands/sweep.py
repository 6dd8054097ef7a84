"""The command ``sweep``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.delivery import deliver
from mrsim.commands.options import INTERRUPTED, PATH, option_reader, study_options, with_options

if TYPE_CHECKING:
    from mrsim.commands.options import Load, Study
    from mrsim.study.varied import Axis

_CODES = "Exit codes: 0 swept, 2 usage, or a point that is no valid scenario, 4 internal error, 130 interrupted."


@option_reader
def _axes(given: tuple[str, ...]) -> tuple[Axis, ...]:
    """Read ``--set PATH=A,B,...``."""
    from mrsim.study.varied import read_axis

    return tuple(map(read_axis, given))


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("file", type=PATH),
    click.option(
        "--set",
        "axes",
        multiple=True,
        required=True,
        callback=_axes,
        metavar="PATH=A,B,...",
        help="Values to go through, such as dns.shop.ttl=30s,60s,300s; with several, every combination.",
    ),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="METRIC",
        help="Show this, such as rpo{store=orders-db}; repeatable. Not given: what budgets name, and the usual.",
    ),
    study_options,
    click.option("--csv", "csv_path", type=PATH, metavar="PATH", help="Also write a tidy table."),
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the sweep as JSON."),
    click.option("--plot", "plot_path", type=PATH, metavar="DIR", help="Also write lines and heat maps (PNG)."),
)


def register_sweep(commands: click.Group, load: Load, study: Study) -> None:
    """Add the command to a command line; see :func:`mrsim.commands.compare.register_compare`."""

    def command(**given: Any) -> int:
        """Run the scenario in FILE with every combination of some values, all under the same outages.

        All combinations are read before any is run. Differences are to the first one, trial by trial.
        """
        return _sweep(load, study, **given)

    commands.command("sweep", epilog=_CODES)(with_options(command, _OPTIONS))


def _sweep(
    load: Load,
    study: Study,
    file: Path,
    axes: tuple[Axis, ...],
    metrics: tuple[str, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    csv_path: Path | None,
    json_path: Path | None,
    plot_path: Path | None,
) -> int:
    from mrsim.report.outputs import Outputs
    from mrsim.report.sweep import sweep_json, sweep_report
    from mrsim.report.sweep_plots import sweep_pictures
    from mrsim.rng import fresh_seed
    from mrsim.study.asked import as_asked, measuring
    from mrsim.study.sweep import Point, Sweep, columns_asked, grid

    Outputs(csv_path)
    outputs = Outputs(json_path, None, plot_path)
    scenario = load(file, ())
    places = grid(scenario, axes)
    seed = fresh_seed() if seed is None else seed
    points: list[Point] = []
    interrupted = False
    for (values, variant), asked in zip(places, measuring([one for _, one in places], metrics), strict=True):
        results, interrupted = study(asked, trials, seed, workers)
        if results is None or interrupted:
            break
        points.append(Point(values, as_asked(results, variant)))
    if points:
        found = Sweep(axes, tuple(points), metrics=columns_asked(scenario, metrics))
        deliver(
            partial(sweep_report, found),
            [(csv_path, lambda: str(found.frame.to_csv(index=False))), (outputs.json, partial(sweep_json, found))],
            outputs.plots,
            partial(sweep_pictures, found),
        )
    if interrupted:
        click.echo(f"mrsim: interrupted: {len(points)} of {len(places)} points were finished", err=True)
        return INTERRUPTED
    return 0
