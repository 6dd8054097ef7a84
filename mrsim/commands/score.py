"""The command ``score``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.delivery import deliver
from mrsim.commands.options import INTERRUPTED, PATH, SET, study_options, with_options

if TYPE_CHECKING:
    from mrsim.commands.options import Load, Study
    from mrsim.scenario.settings import Setting

_EXIT = {"consistent": 0, "contradicted": 1, "inconclusive": 3}
_CODES = (
    "Exit codes: 0 consistent, 1 contradicted, 2 usage, invalid scenario or drills, 3 inconclusive: too few drills to "
    "tell; 4 internal error, 130 interrupted."
)

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("scenario_path", type=PATH, metavar="SCENARIO"),
    click.argument("drills_path", type=PATH, metavar="DRILLS"),
    SET,
    study_options,
    click.option("--json", "json_path", type=PATH, metavar="PATH", help="Also write the report as JSON."),
)


def register_score(commands: click.Group, load: Load, study: Study) -> None:
    """Add the command to a command line; see :func:`mrsim.commands.compare.register_compare`."""

    def command(**given: Any) -> int:
        """Compare the predictions of SCENARIO with drills that happened.

        DRILLS is a CSV file with a row per drill and columns named like metrics or parts of an outage: rto_write_s,
        detection_s, loss_s. Reported are the coverage of the 50 % and 90 % bands, where each drill lies among the
        trials, and what so few drills can tell.
        """
        return _score(load, study, **given)

    commands.command("score", epilog=_CODES)(with_options(command, _OPTIONS))


def _score(
    load: Load,
    study: Study,
    scenario_path: Path,
    drills_path: Path,
    settings: tuple[Setting, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    json_path: Path | None,
) -> int:
    from mrsim.calibrate.drills import read_drills
    from mrsim.calibrate.reports import json_of, score_document, score_text
    from mrsim.calibrate.scoring import measuring, score_results
    from mrsim.report.outputs import Outputs

    Outputs(json_path)
    scenario = load(scenario_path, settings)
    drills = read_drills(drills_path, scenario)
    results, interrupted = study(measuring(scenario, drills), trials, seed, workers)
    if results is None or interrupted:
        click.echo("mrsim: interrupted: nothing was scored", err=True)
        return INTERRUPTED
    found = score_results(results, drills)
    deliver(partial(score_text, found), [(json_path, lambda: json_of(score_document(found)))])
    return _EXIT[found.verdict]
