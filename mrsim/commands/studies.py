"""How commands run studies: with progress on standard error, here or on a cluster, in memory or in a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.options import DEFAULT_TRIALS, PATH, cluster, with_options
from mrsim.errors import SimulationError

if TYPE_CHECKING:
    from mrsim.commands.options import Longer
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

INVALID, BROKEN = 2, 4


class CommandError(click.ClickException):
    """Something the person at the keyboard can mend: one line, exit code 2."""

    exit_code = INVALID


class BrokenInvariant(CommandError):
    """A bug in mrsim, with the line that replays the trial it showed in."""

    exit_code = BROKEN

    def __init__(self, path: str, error: SimulationError, replay: str = "") -> None:
        again = replay or f"mrsim trace {path} --seed {error.seed} --trial {error.trial}"
        super().__init__(f"internal error, please report it with the scenario: {error}\n{again}")


_STORE = (
    click.option(
        "--store",
        "store_path",
        type=PATH,
        metavar="DIR",
        help="Write trials to this folder as they finish (Parquet), instead of keeping them in memory.",
    ),
    click.option(
        "--resume", is_flag=True, help="Go on with what is in --store; with the same results as if never stopped."
    ),
)


def store_options(command: Any) -> Any:
    """Give a command the options ``--store`` and ``--resume``."""
    return with_options(command, _STORE)


def check_store(store: Path | None, resume: bool, save: Path | None) -> None:
    """Refuse options that exclude each other.

    Raises
    ------
    click.UsageError
        If a study is to be resumed that is nowhere, or kept twice.
    """
    if resume and store is None:
        message = "--resume goes on with a study in a folder: name it with --store"
        raise click.UsageError(message, click.get_current_context())
    if store is not None and save is not None:
        message = (
            "--store keeps the results already, and mrsim.Results.load reads them: --save is for studies in memory"
        )
        raise click.UsageError(message, click.get_current_context())


def study(
    scenario: Scenario, trials: int | None, seed: int | None, workers: int | None, longer: Longer | None = None
) -> tuple[Results | None, bool]:
    """Run a study; return what was finished, and whether it was interrupted.

    Parameters
    ----------
    scenario, seed, workers
        See :func:`mrsim.study.run.run`.
    trials
        How many; None for as many as what is resumed was to have.
    longer
        How it is run; :func:`growing` if not given.
    """
    from mrsim.study.run import Interrupted

    try:
        return (longer or growing)(scenario, seed, workers)(trials, keep=False), False
    except Interrupted as stopped:
        return stopped.partial, True


def growing(
    scenario: Scenario, seed: int | None, workers: int | None, store: Path | None = None, resume: bool = False
) -> Callable[..., Results]:
    """Return a study that can be made longer, called with how many trials there are to be, and whether to ``keep``.

    Raises
    ------
    BrokenInvariant
        When it is called, if a trial broke.
    """
    from mrsim.report.terminal import progress
    from mrsim.study.run import Growing

    grown = Growing(scenario, seed, workers, cluster(workers), store=store, resume=resume)
    if grown.found:
        click.echo(f"mrsim: {store}: {grown.found} of {grown.asked} trials are there, going on after them", err=True)

    def to(trials: int | None, *, keep: bool = True) -> Results:
        wanted = grown.asked or DEFAULT_TRIALS if trials is None else trials
        with progress(scenario.name, wanted) as report:
            try:
                return grown.to(wanted, report, keep=keep)
            except SimulationError as error:
                raise BrokenInvariant(scenario.command_line, error) from error

    return to
