"""The command line: what is asked, what is printed, and what the exit code says.

Exit codes: 0 passed (warnings allowed), 1 a budget failed, 2 usage or an invalid scenario, 3 inconclusive, 4 an
internal invariant broke (with the line that replays it), 130 interrupted, 141 the reader of the output left. Everything
heavy is imported inside the commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from click.core import ParameterSource

from mrsim.commands import streams
from mrsim.commands.calibrate import calibrate_command
from mrsim.commands.check import register_check
from mrsim.commands.compare import register_compare
from mrsim.commands.interruptions import Interruptions
from mrsim.commands.metrics import metrics_command
from mrsim.commands.options import INTERRUPTED, PATH, SEED, SET, TRIAL, study_options
from mrsim.commands.precision import precision_options, run_until
from mrsim.commands.rare import register_rare
from mrsim.commands.score import register_score
from mrsim.commands.sensitivity import register_sensitivity
from mrsim.commands.solve import register_solve
from mrsim.commands.studies import (
    BROKEN,
    INVALID,
    BrokenInvariant,
    CommandError,
    check_store,
    growing,
    store_options,
    study,
)
from mrsim.commands.sweep import register_sweep
from mrsim.errors import BaselineError, InvalidScenarios, MrsimError, ScenarioError, SimulationError
from mrsim.version import __version__

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.scenario.settings import Setting

PASSED, FAILED, INCONCLUSIVE = 0, 1, 3
PIPE_CLOSED = 141
"""What a shell reports of a process that SIGPIPE ended: the reader of the output left."""

_EXIT_CODES = (
    "Exit codes: 0 passed, 1 a budget failed, 2 usage or invalid scenario, 3 inconclusive, 4 internal error, "
    "130 interrupted."
)

SCENARIO_SUFFIXES = (".yaml", ".yml")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code.

    Parameters
    ----------
    arguments
        Without the program's name; those of the process if not given.
    """
    streams.prepare()
    interruptions = Interruptions(INTERRUPTED)
    interruptions.install()
    try:
        code = _guarded(arguments)
    finally:
        interruptions.leave()
    sys.exit(code)


def _guarded(arguments: Sequence[str] | None) -> int:
    """Run the command line; turn every way of ending into an exit code and at most a few lines on standard error."""
    try:
        code = commands.main(args=arguments, prog_name="mrsim", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return INVALID
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        code = error.exit_code if isinstance(error, CommandError) else INVALID
        return _say(error.format_message().rstrip(".") + hint, code)
    except (ScenarioError, InvalidScenarios, BaselineError) as error:
        return _say(str(error), INVALID, prefix="")
    except MrsimError as error:
        return _say(str(error), INVALID)
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe has seen enough, as in «mrsim trace ... | head». click itself would leave with
        # SystemExit(1) then, which would read as a failed budget.
        streams.mute(sys.stdout)
        return PIPE_CLOSED
    except OSError as error:
        streams.mute(sys.stdout)
        return _say(streams.why(error), INVALID)
    except Exception:
        import traceback

        return _say(f"internal error, please report it:\n{traceback.format_exc()}", BROKEN)
    return code if isinstance(code, int) else PASSED


def _say(message: str, code: int, *, prefix: str = "mrsim: ") -> int:
    """Write a message to standard error and return the exit code; a closed standard error changes nothing."""
    try:
        click.echo(f"{prefix}{message}", err=True)
    except OSError:
        streams.mute(sys.stderr)
    return code


def _version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"mrsim {__version__}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def commands() -> None:
    """Simulate multi-region failover: recovery time, data loss and split-brain."""


@commands.command("run")
@click.argument("file", type=PATH)
@SET
@study_options
@precision_options
@click.option(
    "--json",
    "json_path",
    type=PATH,
    metavar="PATH",
    help="Also write the report as JSON; - for standard output, with the report on standard error.",
)
@click.option("--save", "save_path", type=PATH, metavar="PATH", help="Also save the results in a file, at the end.")
@store_options
@click.option("--plot", "plot_path", type=PATH, metavar="DIR", help="Also write pictures (PNG).")
@click.option(
    "--assumptions",
    type=click.Choice(["few", "all"]),
    default="few",
    show_default=True,
    help="Which values from presets and defaults to list.",
)
def run_command(
    file: Path,
    settings: tuple[Setting, ...],
    trials: int,
    seed: int | None,
    workers: int | None,
    precision: tuple[str, ...],
    most: int | None,
    json_path: Path | None,
    save_path: Path | None,
    store_path: Path | None,
    resume: bool,
    plot_path: Path | None,
    assumptions: str,
) -> int:
    """Run many trials of the scenario in FILE and report recovery, loss, split-brain and budgets."""
    from mrsim.report.json_export import json_text
    from mrsim.report.outputs import STDOUT, Outputs
    from mrsim.report.remarks import remarks_counted
    from mrsim.report.terminal import page_of
    from mrsim.report.text import run_report
    from mrsim.study.verdict import exit_code

    check_store(store_path, resume, save_path)
    outputs = Outputs(json_path, save_path, plot_path, streams=True)
    scenario = _load(file, settings)
    longer = partial(growing, store=store_path, resume=resume)
    by_default = click.get_current_context().get_parameter_source("trials") is ParameterSource.DEFAULT
    known = ""
    if precision:
        results, interrupted, known = run_until(scenario, precision, trials, most, seed, workers, longer)
    elif most is not None:
        message = "--max-trials is for --until-precision: without it, --trials says how many"
        raise click.UsageError(message)
    else:
        results, interrupted = study(scenario, None if resume and by_default else trials, seed, workers, longer)
    if results is None:
        return _say("interrupted before the first trials were finished", INTERRUPTED)
    try:
        outputs.write(results)
    finally:
        # A disk that fills up must not cost the report too.
        as_json = json_path == STDOUT
        width, colour = page_of(sys.stderr if as_json else sys.stdout)
        if as_json:
            click.echo(json_text(results), nl=False)
        click.echo(run_report(results, width=width, colour=colour, assumptions=assumptions), nl=False, err=as_json)
        click.echo(known, nl=False, err=as_json)
        click.echo(remarks_counted([scenario], width=width, colour=colour), nl=False, err=as_json)
    if interrupted:
        more = "; --resume goes on after them" if store_path else ""
        return _say(f"interrupted: the report covers the {results.n} trials that were finished{more}", INTERRUPTED)
    return exit_code(results.checks)


@commands.command("validate")
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH...")
@SET
def validate_command(paths: tuple[Path, ...], settings: tuple[Setting, ...]) -> int:
    """Read scenario files, or all those in folders, and say what is wrong with them; nothing is run.

    Of a valid one it also says what it may not be meant to mean. Reports of run, check and compare tell how many such
    remarks there are.
    """
    from mrsim.report.remarks import remarks_on
    from mrsim.scenario.loader import load

    code = PASSED
    for file in _scenario_files(paths):
        try:
            scenario = load(file, settings)
        except ScenarioError as error:
            code = _say(str(error), INVALID, prefix="")
        else:
            said = ", ".join((_many(len(scenario.faults), "fault"), _many(len(scenario.budgets), "budget")))
            click.echo(f"{file}: valid ({scenario.name}: {said})")
            for remark in remarks_on(scenario):
                click.echo(f"  {remark}")
    return code


@commands.command("trace")
@click.argument("file", type=PATH)
@SET
@SEED
@click.option(
    "--trial", type=int, default=0, show_default=True, callback=TRIAL, metavar="K", help="Number of the trial."
)
def trace_command(file: Path, settings: tuple[Setting, ...], seed: int | None, trial: int) -> int:
    """Tell the story of one trial: what happened and why, who could write, where the time went."""
    from mrsim.report.terminal import page_of
    from mrsim.report.trace_export import story
    from mrsim.rng import fresh_seed
    from mrsim.study.run import run_one

    scenario = _load(file, settings)
    seed = fresh_seed() if seed is None else seed
    try:
        trace, measures = run_one(scenario, seed, trial)
    except SimulationError as error:
        raise BrokenInvariant(scenario.command_line, error) from error
    values = {column: float(of_trial[0]) for column, of_trial in measures.values.items()}
    width, colour = page_of(sys.stdout)
    click.echo(story(trace, values, scenario=scenario, width=width, colour=colour), nl=False)
    click.echo(f"\nmrsim trace {scenario.command_line} --seed {seed} --trial {trial}")
    return PASSED


@commands.command("schema")
def schema_command() -> int:
    """Print the JSON Schema of scenario files, for editors."""
    from mrsim.scenario.schema import schema_text

    click.echo(schema_text(), nl=False)
    return PASSED


@commands.group("presets", invoke_without_command=True)
@click.pass_context
def presets_command(context: click.Context) -> None:
    """List the presets that scenarios can name, or show one with the source of every value."""
    if context.invoked_subcommand is None:
        context.invoke(presets_list)


@presets_command.command("list")
def presets_list() -> int:
    """List all presets by kind."""
    from mrsim.report.presets import presets_table
    from mrsim.report.terminal import page_of
    from mrsim.scenario.presets import names

    width, colour = page_of(sys.stdout)
    click.echo(presets_table(names(), width=width, colour=colour), nl=False)
    return PASSED


@presets_command.command("show")
@click.argument("name")
def presets_show(name: str) -> int:
    """Show the values of the preset NAME, what kind of knowledge each is, and where it comes from."""
    from mrsim.report.presets import preset_page
    from mrsim.report.terminal import page_of
    from mrsim.scenario.presets import show

    width, colour = page_of(sys.stdout)
    click.echo(preset_page(show(name), width=width, colour=colour), nl=False)
    return PASSED


def _scenario_files(paths: Sequence[Path]) -> list[Path]:
    """Return the scenario files that paths stand for: files as given, folders with all scenario files below them."""
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix in SCENARIO_SUFFIXES and file.is_file())
            if not found:
                message = f"{path}: no scenario file (*.yaml, *.yml) in this folder"
                raise CommandError(message)
            files |= dict.fromkeys(found)
        else:
            _readable(path)
            files[path] = None
    return list(files)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _load_all(files: Sequence[Path], settings: Sequence[Setting] = ()) -> list[Scenario]:
    """Read all files; what is wrong with any is said of all at once."""
    from mrsim.scenario.loader import load

    scenarios, errors = [], []
    for file in files:
        try:
            scenarios.append(load(file, settings))
        except ScenarioError as error:
            errors.append(str(error))
    if errors:
        raise InvalidScenarios("\n".join(errors))
    return scenarios


def _load(path: Path, settings: Sequence[Setting] = ()) -> Scenario:
    """Read a scenario; a path that cannot be read is a usage error."""
    from mrsim.scenario.loader import load

    _readable(path)
    return load(path, settings)


def _readable(path: Path) -> None:
    if path.is_dir():
        message = f"{path}: is a folder; name a scenario file"
        raise CommandError(message)
    if not path.exists():
        message = f"{path}: no such file"
        raise CommandError(message)


commands.add_command(calibrate_command)
commands.add_command(metrics_command)
register_score(commands, _load, study)
register_check(commands, _scenario_files, _load_all, growing)
register_compare(commands, _load, study)
register_sweep(commands, _load, study)
register_solve(commands, _load, study)
register_sensitivity(commands, _load, study)
register_rare(commands, _load, BrokenInvariant)
