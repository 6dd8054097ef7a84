"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting
    from mrsim.study.results import Results

    Load = Callable[[Path, Sequence[Setting]], Scenario]
    Study = Callable[[Scenario, int, int | None, int | None], tuple[Results | None, bool]]
    Longer = Callable[[Scenario, int | None, int | None], Callable[..., Results]]

Given = TypeVar("Given")
Read = TypeVar("Read")


def with_options(command: Any, options: Sequence[Callable[[Any], Any]]) -> Any:
    """Give a command options, listed in its help in their order."""
    return functools.reduce(lambda given, option: option(given), reversed(options), command)


PATH = click.Path(path_type=Path)
INTERRUPTED = 130
MOST_TRIALS = 10_000_000
DEFAULT_TRIALS = 1000


def between(
    least: int, most: float, otherwise: str
) -> Callable[[click.Context, click.Parameter, int | None], int | None]:
    """Return a check of an option's number; what is outside is refused with the number and a reason."""

    def check(_context: click.Context, _option: click.Parameter, value: int | None) -> int | None:
        if value is not None and not least <= value <= most:
            message = f"{value} {otherwise}"
            raise click.BadParameter(message)
        return value

    return check


TRIALS = between(1, MOST_TRIALS, f"is not possible: a study has between 1 and {MOST_TRIALS:,} trials")
WORKERS = between(1, 1024, "is not possible: between 1 and 1024 workers")
TRIAL = between(0, MOST_TRIALS - 1, f"is not possible: trials are numbered from 0 to {MOST_TRIALS - 1:,}")
SEED = click.option(
    "--seed",
    type=int,
    callback=between(0, float("inf"), "is negative"),
    metavar="S",
    help="Seed; drawn and shown if not given.",
)


def option_reader(read: Callable[[Given], Read]) -> Callable[[click.Context, click.Parameter, Given], Read]:
    """Make a function that reads what was given for an option its callback; what it refuses is a usage error."""

    @functools.wraps(read)
    def callback(_context: click.Context, _option: click.Parameter, given: Given) -> Read:
        from mrsim.scenario.settings import SettingError

        try:
            return read(given)
        except SettingError as error:
            message = f"{error} ({error.hint})"
            raise click.BadParameter(message) from error

    return callback


@option_reader
def _settings(given: tuple[str, ...]) -> tuple[Setting, ...]:
    """Read ``--set PATH=VALUE``."""
    from mrsim.scenario.settings import read_setting

    return tuple(map(read_setting, given))


SET = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="PATH=VALUE",
    help="Change a value of the scenario, such as dns.shop.ttl=30s; null takes an optional part away; repeatable.",
)


def _remember(context: click.Context, _option: click.Parameter, given: str | None) -> None:
    context.meta[_DASK] = given


_DASK = "mrsim.dask"
_WHERE = (
    click.option(
        "--workers",
        type=int,
        callback=WORKERS,
        metavar="W",
        help="Processes; all cores if not given. Changes no number.",
    ),
    click.option(
        "--dask",
        callback=_remember,
        expose_value=False,
        metavar="ADDRESS",
        help="Run on a Dask cluster instead, such as tcp://scheduler:8786. Changes no number.",
    ),
)


def workers_option(command: Any) -> Any:
    """Give a command the options that say where trials are run: ``--workers``, and ``--dask`` for :func:`cluster`."""
    return with_options(command, _WHERE)


def cluster(workers: int | None) -> Executor | None:
    """Return the cluster that ``--dask`` names, connected until the command ends; None without the option.

    Parameters
    ----------
    workers
        What ``--workers`` says: not both.
    """
    context = click.get_current_context()
    address = context.meta.get(_DASK)
    if not isinstance(address, str):
        return address  # none, or connected already
    if workers is not None:
        message = "--workers is for processes on this machine, --dask for a cluster: not both"
        raise click.UsageError(message, context)
    import logging

    from mrsim.study.cluster import on_dask

    # What goes wrong is said once, by us; the client would add tracebacks of its own.
    logging.getLogger("distributed.client").addFilter(lambda _: False)
    connected = context.with_resource(on_dask(address))
    context.meta[_DASK] = connected
    return connected


_STUDY_OPTIONS = (
    click.option(
        "--trials", type=int, default=DEFAULT_TRIALS, show_default=True, callback=TRIALS, metavar="N", help="Trials."
    ),
    SEED,
    workers_option,
)


def study_options(command: Any) -> Any:
    """Give a command the options of a study: ``--trials``, ``--seed``, ``--workers`` and ``--dask``."""
    return with_options(command, _STUDY_OPTIONS)


class Stopped(Exception):
    """A search or an analysis was interrupted in one of its studies."""


def whole(study: Study, trials: int, workers: int | None) -> Callable[[Scenario, int], Results]:
    """Return a function that runs a study of a scenario with a seed.

    It raises :class:`Stopped` if the study was interrupted, whatever was finished of it.
    """

    def run(scenario: Scenario, seed: int) -> Results:
        results, interrupted = study(scenario, trials, seed, workers)
        if results is None or interrupted:
            raise Stopped
        return results

    return run
