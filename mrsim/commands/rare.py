"""The command ``rare``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.delivery import deliver
from mrsim.commands.options import MOST_TRIALS, PATH, SEED, SET, between, cluster, with_options, workers_option
from mrsim.errors import SimulationError

if TYPE_CHECKING:
    from mrsim.commands.options import Load
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting
    from mrsim.study.rare_rate import RareRate

_EXIT = {"found": 0, "uncertain": 3, "not found": 3}
_LEAST_TRIALS = 3000
_CODES = (
    "Exit codes: 0 found, with its interval; 2 usage or an invalid scenario; 3 not found, or too few trials carry it; "
    "4 internal error; 130 interrupted."
)
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("file", type=PATH),
    click.option(
        "--metric",
        required=True,
        metavar="OUTCOME",
        help="What is rare: split_brain, promoted or another flag; or a number beyond a limit, such as "
        "'rpo{store=orders-db} > 5min'.",
    ),
    SET,
    click.option(
        "--trials",
        type=int,
        default=20_000,
        show_default=True,
        callback=between(
            _LEAST_TRIALS, MOST_TRIALS, f"is not possible: between {_LEAST_TRIALS:,} and {MOST_TRIALS:,} trials"
        ),
        metavar="N",
        help="In all, with those that find out what to tilt.",
    ),
    SEED,
    workers_option,
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the rate as JSON."),
)


def register_rare(commands: click.Group, load: Load, broken: Callable[[str, SimulationError, str], Exception]) -> None:
    """Add the command to a command line.

    Parameters
    ----------
    commands, load
        See :func:`mrsim.commands.compare.register_compare`.
    broken
        Makes the error of an invariant that broke, with the line that shows it again.
    """

    def command(**given: Any) -> int:
        """Estimate how likely a rare outcome is in the scenario in FILE, such as split-brain in one trial of 100,000.

        A pilot finds out which inputs bring it about; the rest of the trials draw up to four of them where it lies, and
        count with weights that make up for it. The answer is a rate with its 95 % interval; if the outcome is not
        found, an upper bound.
        """
        return _rare(load, broken, **given)

    commands.command("rare", epilog=_CODES)(with_options(command, _OPTIONS))


def _rare(
    load: Load,
    broken: Callable[[str, SimulationError, str], Exception],
    file: Path,
    metric: str,
    settings: tuple[Setting, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    json_path: Path | None,
) -> int:
    from mrsim.report.outputs import Outputs
    from mrsim.report.rare import rare_json, rare_report, replay
    from mrsim.rng import fresh_seed

    Outputs(json_path)
    scenario = load(file, settings)
    seed = fresh_seed() if seed is None else seed
    try:
        found = _estimated(scenario, metric, trials, seed, workers)
    except SimulationError as error:
        # A tilted trial is no trial of the scenario, so there is no «mrsim trace» of it.
        raise broken(scenario.command_line, error, replay(scenario, metric, trials, seed)) from error
    deliver(partial(rare_report, found), [(json_path, partial(rare_json, found))])
    return _EXIT[found.verdict]


def _estimated(scenario: Scenario, metric: str, trials: int, seed: int, workers: int | None) -> RareRate:
    """Estimate the probability of an outcome with progress on standard error."""
    from mrsim.report.terminal import progress
    from mrsim.study.rare import rare

    with progress(scenario.name, trials) as report:
        executor = cluster(workers)
        return rare(scenario, metric, trials=trials, seed=seed, workers=workers, executor=executor, progress=report)
