"""The options ``--until-precision`` and ``--max-trials`` of ``run``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mrsim.commands.options import TRIALS, with_options

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.study.results import Results

    Growing = Callable[[Scenario, int | None, int | None], Callable[[int], Results]]


_OPTIONS = (
    click.option(
        "--until-precision",
        "precision",
        multiple=True,
        metavar="P",
        help="Add trials until what budgets name is known to this: 5% of itself, or 10s for durations; repeatable.",
    ),
    click.option(
        "--max-trials",
        "most",
        type=int,
        callback=TRIALS,
        metavar="N",
        help="Most trials for --until-precision.  [default: 64000]",
    ),
)


def precision_options(command: Any) -> Any:
    """Give a command the options ``--until-precision`` and ``--max-trials``."""
    return with_options(command, _OPTIONS)


def run_until(
    scenario: Scenario,
    precision: tuple[str, ...],
    trials: int,
    most: int | None,
    seed: int | None,
    workers: int | None,
    growing: Growing,
) -> tuple[Results | None, bool, str]:
    """Run a study until its numbers are known well enough.

    Returns
    -------
    tuple
        The results (None if there are none), whether it was interrupted, and what to say of the precision.
    """
    from mrsim.report.precision import precision_report
    from mrsim.report.terminal import page_of
    from mrsim.study.precision import MOST_TRIALS, lengthened, planned
    from mrsim.study.run import Interrupted

    wanted, looks = planned(scenario, precision, trials, max(trials, MOST_TRIALS) if most is None else most)
    try:
        found = lengthened(growing(scenario, seed, workers), wanted, looks)
    except Interrupted as stopped:
        return stopped.partial, True, ""
    width, colour = page_of(sys.stdout)
    return found.results, False, precision_report(found, width=width, colour=colour)
