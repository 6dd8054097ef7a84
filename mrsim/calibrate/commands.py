"""The commands ``calibrate`` and ``score``; the command line hands over what all its commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.errors import MeasurementsError

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

    Load = Callable[[Path], Scenario]
    Study = Callable[[Scenario, int, int | None, int | None], tuple[Results | None, bool]]

_FORMS = ("auto", "constant", "exponential", "uniform", "log-normal", "pareto", "mixture", "values")
_UNITS = ("us", "ms", "s", "min", "h", "d", "B", "KB", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")
_EXIT = {"consistent": 0, "contradicted": 1, "inconclusive": 3}
_INTERRUPTED = 130
_SCORE_CODES = (
    "Exit codes: 0 consistent, 1 contradicted, 2 usage, invalid scenario or drills, 3 inconclusive: too few drills to "
    "tell; 4 internal error, 130 interrupted."
)
_PATH = click.Path(path_type=Path)


def register(commands: click.Group, study_options: Callable[[Any], Any], load: Load, study: Study) -> None:
    """Add both commands to a command line.

    Parameters
    ----------
    commands
        The group they are added to.
    study_options
        Decorator that adds ``--trials``, ``--seed`` and ``--workers``.
    load, study
        Read a scenario, and run a study with progress; what goes wrong leaves with the command line's exit codes.
    """
    commands.add_command(calibrate_command)

    @commands.command("score", epilog=_SCORE_CODES)
    @click.argument("scenario_path", type=_PATH, metavar="SCENARIO")
    @click.argument("drills_path", type=_PATH, metavar="DRILLS")
    @study_options
    @click.option("--json", "json_path", type=_PATH, metavar="PATH", help="Also write the report as JSON.")
    def score_command(
        scenario_path: Path,
        drills_path: Path,
        trials: int,
        seed: int | None,
        workers: int | None,
        json_path: Path | None,
    ) -> int:
        """Compare the predictions of SCENARIO with drills that happened.

        DRILLS is a CSV file with a row per drill and columns named like metrics or parts of an outage: rto_write_s,
        detection_s, loss_s. Reported are the coverage of the 50 % and 90 % bands, where each drill lies among the
        trials, and what so few drills can tell.
        """
        from mrsim.calibrate.drills import read_drills
        from mrsim.calibrate.reports import json_of, score_document, score_text
        from mrsim.calibrate.scoring import measuring, score_results
        from mrsim.report.outputs import Outputs, write_named
        from mrsim.report.terminal import page_of

        Outputs(json_path)
        scenario = load(scenario_path)
        drills = read_drills(drills_path, scenario)
        results, interrupted = study(measuring(scenario, drills), trials, seed, workers)
        if results is None or interrupted:
            click.echo("mrsim: interrupted: nothing was scored", err=True)
            return _INTERRUPTED
        found = score_results(results, drills)
        try:
            if json_path is not None:
                write_named(json_path, json_of(score_document(found)))
        finally:
            width, colour = page_of(sys.stdout)
            click.echo(score_text(found, width=width, colour=colour), nl=False)
        return _EXIT[found.verdict]


def _pairs(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in given]
    for text, (name, sign, _) in zip(given, pairs, strict=True):
        if not sign or not name:
            message = f"{text!r} is not COLUMN=VALUE"
            raise click.BadParameter(message)
    return tuple((name, value) for name, _, value in pairs)


def _rate(_context: click.Context, _option: click.Parameter, given: str | None) -> float | None:
    from mrsim.units import WrittenError, parse

    if given is None:
        return None
    try:
        rate = parse(given, "bandwidth")
    except WrittenError as error:
        message = f"{error} ({error.hint})"
        raise click.BadParameter(message) from error
    if rate <= 0:
        message = f"{given} is no rate above zero"
        raise click.BadParameter(message)
    return rate


def _key(_context: click.Context, _option: click.Parameter, given: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", given, re.ASCII) is None:
        message = f"{given!r} is no key of a scenario file, such as takes"
        raise click.BadParameter(message)
    return given


@click.command("calibrate")
@click.argument("file", type=_PATH)
@click.option("--column", metavar="NAME", help="Column of a CSV file; may be left out if there is one only.")
@click.option("--minus", metavar="NAME", help="Column to take off: --column sent_lsn --minus replay_lsn.")
@click.option("--unit", type=click.Choice(_UNITS), help="Of bare numbers; else the column's name says it (lag_ms).")
@click.option("--where", callback=_pairs, multiple=True, metavar="COLUMN=VALUE", help="Only rows or series with it.")
@click.option("--one-way", is_flag=True, help="Halve round trips: write_lag, flush_lag, replay_lag, pings.")
@click.option("--wal-rate", callback=_rate, metavar="RATE", help="Turns bytes of WAL into seconds, such as 2MB/s.")
@click.option("--as", "form", type=click.Choice(_FORMS), default="auto", show_default=True, help="Form to write.")
@click.option("--key", callback=_key, default="takes", show_default=True, help="Key of the scenario file to write.")
@click.option("--plot", "plot_path", type=_PATH, metavar="PATH", help="Also draw samples and fit (PNG).")
@click.option("--json", "json_path", type=_PATH, metavar="PATH", help="Also write the report as JSON.")
def calibrate_command(
    file: Path,
    column: str | None,
    minus: str | None,
    unit: str | None,
    where: tuple[tuple[str, str], ...],
    one_way: bool,
    wal_rate: float | None,
    form: str,
    key: str,
    plot_path: Path | None,
    json_path: Path | None,
) -> int:
    """Turn the measurements in FILE into a distribution for a scenario file.

    FILE is CSV with a header (lags, round trips, times of past drills, an export of pg_stat_replication) or the JSON
    answer of a Prometheus range query. Printed is YAML: how well the distribution fits as comments, then the line to
    put into a scenario.
    """
    from mrsim.calibrate.fitting import fit
    from mrsim.calibrate.reports import fit_document, fit_text, json_of
    from mrsim.calibrate.samples import read_samples
    from mrsim.report.outputs import Outputs, write_named
    from mrsim.report.terminal import page_of

    Outputs(json_path, plot_path)
    if file.is_dir():
        message = f"{file}: is a folder; name a file of measurements"
        raise MeasurementsError(message)
    samples = read_samples(file, column, minus=minus, unit=unit, where=where, one_way=one_way, wal_bytes_per_s=wal_rate)
    found = fit(samples, form=form)
    if plot_path is not None:
        from mrsim.report.fit_plot import fit_picture

        write_named(plot_path, fit_picture(samples.values, found.distribution, f"{samples.source}: {found.form}"))
    if json_path is not None:
        write_named(json_path, json_of(fit_document(found, samples, key)))
    width, _ = page_of(sys.stdout)
    click.echo(fit_text(found, samples, key, width=width), nl=False)
    return 0
