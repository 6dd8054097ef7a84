"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mrsim.scenario.settings import Setting

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
NATURAL = between(0, float("inf"), "is negative")
SEED = click.option("--seed", type=int, callback=NATURAL, metavar="S", help="Seed; drawn and shown if not given.")


def _settings(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[Setting, ...]:
    """Read ``--set PATH=VALUE``."""
    from mrsim.scenario.settings import SettingError, read_setting

    try:
        return tuple(read_setting(text) for text in given)
    except SettingError as error:
        message = f"{error} ({error.hint})"
        raise click.BadParameter(message) from error


SET = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="PATH=VALUE",
    help="Change a value of the scenario, such as dns.shop.ttl=30s; repeatable.",
)
WORKERS_OPTION = click.option(
    "--workers",
    type=int,
    callback=WORKERS,
    metavar="W",
    help="Processes; all cores if not given. Changes no number.",
)
_STUDY_OPTIONS = (
    click.option(
        "--trials", type=int, default=DEFAULT_TRIALS, show_default=True, callback=TRIALS, metavar="N", help="Trials."
    ),
    SEED,
    WORKERS_OPTION,
)


def study_options(command: Any) -> Any:
    """Give a command the options of a study: ``--trials``, ``--seed`` and ``--workers``."""
    for option in reversed(_STUDY_OPTIONS):
        command = option(command)
    return command
