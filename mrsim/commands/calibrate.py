"""The command ``calibrate``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from mrsim.commands.options import PATH
from mrsim.errors import MeasurementsError

_FORMS = ("auto", "constant", "exponential", "uniform", "log-normal", "pareto", "mixture", "values")
_UNITS = ("us", "ms", "s", "min", "h", "d", "B", "KB", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")


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
@click.argument("file", type=PATH)
@click.option("--column", metavar="NAME", help="Column of a CSV file; may be left out if there is one only.")
@click.option("--minus", metavar="NAME", help="Column to take off: --column sent_lsn --minus replay_lsn.")
@click.option("--unit", type=click.Choice(_UNITS), help="Of bare numbers; else the column's name says it (lag_ms).")
@click.option("--where", callback=_pairs, multiple=True, metavar="COLUMN=VALUE", help="Only rows or series with it.")
@click.option("--one-way", is_flag=True, help="Halve round trips: write_lag, flush_lag, replay_lag, pings.")
@click.option("--wal-rate", callback=_rate, metavar="RATE", help="Turns bytes of WAL into seconds, such as 2MB/s.")
@click.option("--as", "form", type=click.Choice(_FORMS), default="auto", show_default=True, help="Form to write.")
@click.option("--key", callback=_key, default="takes", show_default=True, help="Key of the scenario file to write.")
@click.option("--plot", "plot_path", type=PATH, metavar="PATH", help="Also draw samples and fit (PNG).")
@click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the report as JSON.")
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
        write_named(json_path, json_of(fit_document(found, samples, key)).encode())
    width, _ = page_of(sys.stdout)
    click.echo(fit_text(found, samples, key, width=width), nl=False)
    return 0
