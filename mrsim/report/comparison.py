"""A comparison as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf, isinf, isnan
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from mrsim.metrics import BY_NAME
from mrsim.report.json_export import finite
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.naming import pretty_column
from mrsim.report.numbers import BEYOND_HORIZON, NEVER, NOTHING, Quantity, half_width, number
from mrsim.study.columns import split_column

if TYPE_CHECKING:
    from mrsim.study.compare import Comparison, Contrast
    from mrsim.study.paired import Difference, Wins
    from mrsim.study.results import Results

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""

EXPLANATION = (
    "Differences are taken trial by trial; brackets hold 90 % intervals, each end a 95 % bound. Rows with * are for "
    "information: their intervals (a bootstrap over trials) are conservative, and not for gates."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One estimand of a contrast, as cells: its name, both sides, the difference and its interval."""

    name: str
    a: str
    b: str
    difference: str
    interval: str


def comparison_report(comparison: Comparison, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return a comparison as text.

    Parameters
    ----------
    comparison
        The studies.
    width
        Characters per line.
    colour
        Whether to use terminal colours.
    """
    page = Page(width, colour=colour)
    page.line(
        f"{comparison.n} trials of each posture, seed {comparison.seed}: the same outages, operators and client phases "
        f"in all. {EXPLANATION}"
    )
    page.line()
    letters = letters_of(comparison)
    rows = [
        (letter, label, budgets_said(results))
        for letter, label, results in zip(letters, comparison.labels, comparison.studies, strict=True)
    ]
    page.table((Column(""), Column("posture", wraps=True), Column("budgets")), rows)
    for column in comparison.columns:
        _metric(page, comparison, column, letters)
    for column in comparison.only_in_some:
        page.line()
        page.line(f"{pretty_column(column)}: not compared, because not every posture has it")
    _replay(page, comparison)
    return page.text()


def letters_of(comparison: Comparison) -> list[str]:
    """Return a short name for each posture: A, B … and beyond Z their number."""
    return [ascii_uppercase[i] if i < len(ascii_uppercase) else f"#{i + 1}" for i in range(len(comparison.labels))]


def budgets_said(results: Results) -> str:
    """Return how a posture's own budgets were judged, such as ``4 passed, 1 failed``."""
    counts = dict.fromkeys(("passed", "failed", "inconclusive"), 0)
    for check in results.checks:
        counts[check.verdict] += 1
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "none"


def _metric(page: Page, comparison: Comparison, column: str, letters: list[str]) -> None:
    page.heading(pretty_column(column))
    for letter, label in zip(letters[1:], comparison.labels[1:], strict=True):
        contrast = comparison.contrast(column, label)
        if not contrast.differs:
            page.line(f"{letter}: {no_effect(contrast)}", indent=2)
            continue
        columns = (Column(""), Column(letters[0], "right"), Column(letter, "right"), Column(f"{letter} - {letters[0]}"))
        rows = [
            (row.name, row.a, row.b, Text.assemble(row.difference, (f" {row.interval}", "dim")))
            for row in rows_of(contrast)
        ]
        page.table(columns, rows)
        for remark in remarks(contrast):
            page.line(remark, indent=2)
        page.line(f"{letter} is {wins_said(contrast.wins)}", indent=2)


def no_effect(contrast: Contrast) -> str:
    """Return that nothing differs in any trial, with what both are."""
    said = f"no effect in any of {contrast.pairs.n} trials"
    if contrast.mean is not None and not isnan(contrast.mean.a[0]):
        return f"{said} (mean {number(kind_of(contrast.column), contrast.mean.a[0])})"
    rates = [one.a[0] for one in contrast.exceeds[:1] if contrast.mean is None]
    return f"{said} ({number('share', rates[0])} of trials)" if rates else said


def rows_of(contrast: Contrast) -> list[Row]:
    """Return the cells of a contrast, one row per estimand."""
    kind = kind_of(contrast.column)
    return [_row(one, kind) for one in contrast.differences]


def kind_of(column: str) -> Quantity:
    """Return the kind of a column's metric."""
    return BY_NAME[split_column(column)[0]].kind


def _row(one: Difference, kind: Quantity) -> Row:
    unit: Quantity = "share" if one.estimand == "exceeds" else kind
    half = half_width(one.low, one.high)
    name = {"mean": "mean", "exceeds": "trials with any" if kind == "flag" else f"over {number(kind, one.limit)}"}.get(
        one.estimand, f"{one.estimand} *"
    )
    a, b = (_side(unit, side, half) for side in (one.a, one.b))
    return Row(name, a, b, *difference_cells(kind, one))


def difference_cells(kind: Quantity, one: Difference) -> tuple[str, str]:
    """Return a difference and its interval, signed and to the digits that the interval supports."""
    unit: Quantity = "share" if one.estimand == "exceeds" else kind
    half = half_width(one.low, one.high)
    value, interval = _difference(unit, one, half), _interval(unit, one, half)
    # Only a duration in whole seconds is shown more coarsely than its interval.
    return value, "[± < 1 s]" if half and interval == f"[{value}, {value}]" else interval


def _side(kind: Quantity, side: tuple[float, float], half: float) -> str:
    low, high = side
    if isnan(low):
        return NOTHING
    if isinf(low):
        return NEVER
    if isinf(high):
        return BEYOND_HORIZON
    text = number(kind, low, half)
    return text if low == high else f"{text} to {number(kind, high, half)}"


def _difference(kind: Quantity, one: Difference, half: float) -> str:
    low, high = one.value_low, one.value_high
    if isnan(low) or isinf(low) or isinf(high):
        return NOTHING
    text = signed(kind, low, half)
    return text if low == high else f"{text} to {signed(kind, high, half)}"


def signed(kind: Quantity, value: float, half: float = 0.0) -> str:
    """Return a difference with its sign."""
    return ("+" if value > 0 else "") + number(kind, value, half)


def _interval(kind: Quantity, one: Difference, half: float) -> str:
    if isinf(one.low) and isinf(one.high):
        return "" if isnan(one.value_low) else "[?]"
    low, high = (("?" if isinf(end) else signed(kind, end, half)) for end in (one.low, one.high))
    return f"[{low}, {high}]"


def remarks(contrast: Contrast) -> list[str]:
    """Return what there is to say of single rows, and of the trials that count as zero or were left out."""
    said: dict[str, None] = {}
    for one in contrast.differences:
        if one.reason and one.estimand != "exceeds":
            more = f"; try --trials {one.needed_trials}" if one.needed_trials else ""
            said[f"{one.estimand}: {one.reason}{more}"] = None
    pairs = contrast.pairs
    for name, idle in ((contrast.baseline, pairs.no_effect_a), (contrast.label, pairs.no_effect_b)):
        if idle:
            said[f"{name}: nobody was affected in {idle} of {pairs.n} trials, which count as zero here"] = None
    if pairs.left_out:
        said[f"{pairs.left_out} trials left out: one of the two has nothing to measure there"] = None
    return list(said)


def wins_said(wins: Wins) -> str:
    """Return in how many trials which was lower: true of shared outages only."""
    counts = {"lower": wins.lower, "the same": wins.same, "higher": wins.higher, "undecided": wins.undecided}
    parts = [f"{word} in {number('share', count / wins.n)}" for word, count in counts.items() if count]
    return f"{', '.join(parts)} of trials, under shared outages"


def largest_difference(comparison: Comparison) -> tuple[Contrast, int] | None:
    """Return the first contrast that differs at all, and the trial in which it does most; None if nothing differs."""
    for contrast in comparison.contrasts:
        if contrast.differs:
            pairs = contrast.pairs
            with np.errstate(invalid="ignore"):
                distance = np.nan_to_num(np.abs(pairs.b[0] - pairs.a[0]), nan=0.0, posinf=inf)
            if pairs.left_out == 0 and distance.any():
                return contrast, int(comparison.studies[0].numbers[int(np.argmax(distance))])
    return None


def replay_lines(comparison: Comparison) -> Iterator[str]:
    """Yield what replays the trial that differs most in both postures."""
    found = largest_difference(comparison)
    if found is None:
        return
    contrast, trial = found
    for label, results in zip(comparison.labels, comparison.studies, strict=True):
        if label in (contrast.baseline, contrast.label):
            yield f"mrsim trace {results.scenario.command_line} --seed {comparison.seed} --trial {trial}"


def _replay(page: Page, comparison: Comparison) -> None:
    page.line()
    found = largest_difference(comparison)
    if found is None:
        page.line(f"seed {comparison.seed}; nothing differs in any trial")
        return
    page.line(f"seed {comparison.seed}; the trial that differs most in {pretty_column(found[0].column)}:")
    for line in replay_lines(comparison):
        page.command(line)


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison as a JSON text: strict JSON, base units, nothing rounded; no bound is ``null``."""
    return json.dumps(comparison_document(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON data.

    Returns
    -------
    dict
        ``format``, ``seed``, ``trials``, ``confidence``, ``postures`` (the first is the baseline) and ``contrasts``.
    """
    postures = [
        {
            "label": label,
            "path": results.scenario.path,
            "settings": [str(setting) for setting in results.scenario.settings],
            "provenance": results.provenance,
        }
        for label, results in zip(comparison.labels, comparison.studies, strict=True)
    ]
    return {
        "format": FORMAT,
        "seed": comparison.seed,
        "trials": comparison.n,
        "confidence": comparison.confidence,
        "postures": postures,
        "contrasts": [_contrast(contrast) for contrast in comparison.contrasts],
        "not_compared": list(comparison.only_in_some),
        "replay": list(replay_lines(comparison)),
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    differences = []
    for one in contrast.differences:
        entry: dict[str, Any] = finite(asdict(one))
        differences.append(entry)
    pairs = contrast.pairs
    return {
        "column": contrast.column,
        "posture": contrast.label,
        "baseline": contrast.baseline,
        "pairs": pairs.n,
        "differing": pairs.differing,
        "unfinished": pairs.unfinished,
        "no_effect": [pairs.no_effect_a, pairs.no_effect_b],
        "left_out": pairs.left_out,
        "differences": differences,
        "trials_under_shared_outages": asdict(contrast.wins),
    }
