"""The rate of a rare outcome as text and as JSON."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mrsim.report.json_export import finite
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page, kept
from mrsim.report.naming import pretty_column
from mrsim.report.numbers import half_width, interval, share

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario
    from mrsim.study.rare_rate import RareRate, Tilted

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""


def rare_report(rate: RareRate, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return the rate of an outcome as text: the answer first, then what it rests on.

    Parameters
    ----------
    rate
        What was found.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    page.line(f"{rate.scenario.name}: how likely is {titled(rate)}, given the faults of the scenario?")
    page.line()
    page.line(Text(answer(rate), style="bold"))
    page.line(effort(rate))
    for remark in rate.remarks:
        page.line(remark)
    _tilted(page, rate)
    page.line()
    page.line(
        f"mean weight {rate.mean_weight:.4f} (1 but for chance: standard error {rate.mean_weight_se:.4f}); "
        f"{_many(rate.hits, 'trial')} with the outcome, worth {_spaced(round(rate.effective))} of equal weight; the "
        f"heaviest has {kept(f'{100 * rate.heaviest:.2g} %')} of the rate"
    )
    page.line()
    page.line("to see it again:")
    page.command(_replay(rate))
    return page.text()


def titled(rate: RareRate) -> str:
    """Return the outcome for people, with its limit."""
    _, compared, limit = rate.outcome.text.rpartition(f" {rate.outcome.op} ")
    return pretty_column(rate.outcome.column) + compared + limit * bool(compared)


def answer(rate: RareRate) -> str:
    """Return the answer in one sentence."""
    level = f"{100 * rate.confidence:g} %"
    if rate.verdict == "not found":
        most = _rounded_up(rate.high)
        return f"not found: at most {most} of trials, one in {_about(1 / rate.high, down=True)} ({level} bound)"
    value, bounds = _numbers(rate)
    return f"{value} of trials, about one in {_about(1 / rate.rate)} {bounds} ({level} interval)"


def effort(rate: RareRate) -> str:
    """Return what it cost, and what it would have cost without tilting."""
    said = f"{_many(rate.trials, 'trial')}, {_spaced(rate.pilot)} of them to find out what to tilt, seed {rate.seed}"
    if rate.verdict != "found" or math.isnan(rate.gain):
        return said
    if rate.gain < 1.5:
        return f"{said}; crude Monte Carlo would have done as well"
    times = _spaced(round(rate.gain)) if rate.gain >= 10 else f"{rate.gain:.1f}"
    return f"{said}; crude Monte Carlo would need {_about(rate.crude_trials)} to be as sure: {times} times as many"


def replay(scenario: Scenario, metric: str, trials: int, seed: int) -> str:
    """Return the command that gives the same numbers again."""
    return f"mrsim rare {scenario.command_line} --metric {shlex.quote(metric)} --trials {trials} --seed {seed}"


def _replay(rate: RareRate) -> str:
    return replay(rate.scenario, rate.outcome.text, rate.trials, rate.seed)


def _tilted(page: Page, rate: RareRate) -> None:
    if not rate.tilted:
        page.line(
            f"nothing was tilted: {'the pilot never met it, or too rarely' if rate.rate < 0.01 else 'there is no need'}"
        )
        return
    page.heading("Tilted", "drawn more often where the outcome lies, and weighted for it; 90 % of trials lie between")
    rows = [(one.name, _range(one, one.usual), _range(one, one.found)) for one in rate.tilted]
    page.table((Column("draw"), Column("usually"), Column("with the outcome")), rows)


def _range(one: Tilted, ends: tuple[float, float]) -> str:
    if any(math.isnan(end) for end in ends):
        return "-"
    if one.kind == "duration":
        return interval("duration", *ends).strip("[]").replace(", ", " to ")
    return f"{_level(ends[0])} to {_level(ends[1])} of its range"


def _level(value: float) -> str:
    """Return a level between 0 and 1 as a share, close to either end with as many digits as that needs."""
    rest = min(value, 1.0 - value)
    digits = 0 if rest >= 0.05 else max(0, -math.floor(math.log10(max(rest, 1e-12))) - 2)
    return f"{100 * value:.{digits}f} %"


def _numbers(rate: RareRate) -> tuple[str, str]:
    """Return the rate and its interval, to the digits that this supports."""
    if rate.rate >= 0.01:
        half = half_width(rate.low, rate.high)
        return kept(share(rate.rate, half)), kept(interval("share", rate.low, rate.high))
    digits = 2 if rate.high - rate.low < 0.06 * rate.rate else 1
    low, high = _scientific(rate.low, digits), _scientific(rate.high, digits)
    return _scientific(rate.rate, digits), kept(f"[{low}, {high}]")


def _scientific(value: float, digits: int) -> str:
    if value <= 0.0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _rounded_up(value: float) -> str:
    """Return a bound to two digits, never below it."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _scientific(math.ceil(value / step - 1e-9) * step, 1)


def _about(value: float, *, down: bool = False) -> str:
    """Return a large number to two digits, in words from a million on."""
    step = 10.0 ** max(0, math.floor(math.log10(value)) - 1)
    number = (math.floor(value / step) if down else round(value / step)) * step
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return _spaced(round(number))


def _spaced(number: int) -> str:
    return kept(f"{number:,}".replace(",", " "))


def _many(number: int, noun: str) -> str:
    return f"{_spaced(number)} {noun}{'' if number == 1 else 's'}"


def rare_json(rate: RareRate) -> str:
    """Return the rate of an outcome as a JSON text: strict JSON, nothing rounded; what is not there is ``null``."""
    left_out = ("scenario", "outcome", "tilted", "remarks")
    numbers: dict[str, Any] = {name: getattr(rate, name) for name in type(rate).__slots__ if name not in left_out}
    document = {
        "format": FORMAT,
        "scenario": rate.scenario.name,
        "path": rate.scenario.path,
        "metric": rate.outcome.text,
        "column": rate.outcome.column,
        **finite(numbers),
        "tilted": [finite(asdict(one)) for one in rate.tilted],
        "remarks": list(rate.remarks),
        "replay": _replay(rate),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
