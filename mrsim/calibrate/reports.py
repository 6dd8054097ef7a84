"""Fits and scores as text for a person and as JSON for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mrsim.calibrate.fitting import Compared, Fit
from mrsim.calibrate.samples import Samples
from mrsim.calibrate.scoring import ColumnScore, Coverage, Score
from mrsim.report.layout import DEFAULT_WIDTH, Column, Page
from mrsim.report.numbers import duration, number, share
from mrsim.version import __version__

if TYPE_CHECKING:
    from mrsim.metrics import Kind

FORMAT = 1
"""Goes up when a reader of the older form would misread the newer one."""

_PREFIX = "# "


def fit_text(fit: Fit, samples: Samples, key: str, *, width: int = DEFAULT_WIDTH) -> str:
    """Return the lines for a scenario file, after comments that say where they come from and how well they fit.

    The whole is YAML, so that it can be redirected into a file.
    """
    page = Page(width - len(_PREFIX))
    worth = f", worth about {fit.n_effective:.0f} independent ones" if fit.n_effective < 0.8 * fit.n else ""
    page.line(f"{samples.source}: {fit.n} sample{'' if fit.n == 1 else 's'}{worth}")
    for note in samples.notes:
        page.line(f"note: {note}")
    page.line(f"form: {fit.form} ({fit.reason})")
    if not math.isnan(fit.ks_critical):
        said = "no more than chance makes it" if fit.fits else "more than chance makes it"
        page.line(
            f"goodness of fit: Kolmogorov-Smirnov {fit.ks:.3f}, {said} "
            f"(95 % of such samples stay below {fit.ks_critical:.3f}; p = {fit.p_value:.2g})"
        )
    page.line()
    page.table(
        (Column("quantile"), Column("samples"), Column("fit"), Column("fit / samples", "right")),
        [_compared_row(one) for one in fit.quantiles],
    )
    page.line("brackets: 90 % intervals; ?: too few independent samples for that end")
    if len(fit.candidates) > 1:
        page.line()
        page.table(
            (Column("form tried"), Column("criterion", "right"), Column("KS", "right"), Column("written", wraps=True)),
            [
                (one.form, _number(one.criterion, "+.1f"), f"{one.ks:.3f}", str(one.distribution))
                for one in fit.candidates
            ],
        )
    for warning in fit.warnings:
        page.line(f"warning: {warning}")
    comments = "".join(f"{_PREFIX}{line}".rstrip() + "\n" for line in page.text().splitlines())
    return f"{comments}{fit.snippet(key)}\n"


def _compared_row(one: Compared) -> tuple[str, str, str, str]:
    ratio = f"{one.fitted / one.observed:.2f}" if one.observed > 0 else "-"
    observed = f"{duration(one.observed)} {_between(one.observed_low, one.observed_high)}"
    return (
        f"p{100 * one.level:g}",
        observed,
        f"{duration(one.fitted)} {_between(one.fitted_low, one.fitted_high)}",
        ratio,
    )


def _between(low: float, high: float) -> str:
    """Return an interval; an end that the samples do not bound is a question mark."""
    if math.isnan(low):
        return ""
    return f"[{duration(low) if low > 0 else '0 s'}, {duration(high) if math.isfinite(high) else '?'}]"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def fit_document(fit: Fit, samples: Samples, key: str) -> dict[str, Any]:
    """Return a fit as JSON data; times in seconds."""
    document = asdict(fit) | {
        "format": FORMAT,
        "mrsim": __version__,
        "source": samples.source,
        "notes": samples.notes,
        "distribution": str(fit.distribution),
        "snippet": fit.snippet(key),
        "fits": fit.fits,
        "candidates": [asdict(one) | {"distribution": str(one.distribution)} for one in fit.candidates],
    }
    return _document(document)


def score_text(score: Score, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Return the report of a score: the sentence first, then a table per column."""
    page = Page(width, colour=colour)
    page.line(score.sentence)
    scenario = "; ".join([score.scenario, *score.settings])
    page.line(
        f"{scenario}: {score.trials} trials, seed {score.seed}; verdict: {score.verdict}. A band holds the "
        "middle of the trials; PIT is the share of trials below a drill (uniform from 0 to 1 if the scenario is right)."
    )
    for column in score.columns:
        _column(page, column)
    return page.text()


def _column(page: Page, one: ColumnScore) -> None:
    same = "" if one.written == one.column else f"compared with {one.column}"
    page.heading(one.written, same)
    if one.unfinished:
        page.line(f"{share(one.unfinished)} of the trials had not finished; they count as longer", indent=2)
    rows = [
        (drill.drill, _value(one.kind, drill.value), *map(_inside, drill.inside), f"{drill.pit:.2f}", _tied(drill.tied))
        for drill in one.drills
    ]
    heads = [
        f"{100 * c.share:.0f} % band {_band(one.kind, *ends)}" for c, ends in zip(one.coverage, one.bands, strict=True)
    ]
    columns = (Column("drill"), Column("observed", "right"), *map(Column, heads), Column("PIT", "right"), Column(""))
    page.table(columns, rows)
    page.line("; ".join(map(_coverage, one.coverage)), indent=2)
    noticed = "cannot be told" if one.noticeable is None else f"a factor of {one.noticeable:g}"
    page.line(
        f"PIT uniform: p = {one.uniform_p_value:.2g}; column: p = {one.p_value:.2g}; "
        f"smallest error that so many drills would notice: {noticed}",
        indent=2,
    )


def _inside(inside: bool) -> str:
    return "inside" if inside else "OUTSIDE"


def _tied(tied: float) -> str:
    """Return a remark on ties: the transform is then drawn within them."""
    return f"same in {share(tied)} of trials" if tied > 0.02 else ""


def _band(kind: Kind, low: float, high: float) -> str:
    top = _value(kind, high) if math.isfinite(high) else "not finished"
    return f"{_value(kind, low)} to {top}"


def _value(kind: Kind, value: float) -> str:
    """Return a number of a drill as it is shown; a flag is yes or no, as it is written."""
    return ("yes" if value else "no") if kind == "flag" else number(kind, value)


def _coverage(one: Coverage) -> str:
    spread = f"90 % interval {100 * one.low:.0f} % to {100 * one.high:.0f} %"
    return f"in the {100 * one.share:.0f} % band: {one.inside} of {one.n} ({spread})"


def score_document(score: Score) -> dict[str, Any]:
    """Return a score as JSON data; durations in seconds."""
    return _document(asdict(score) | {"format": FORMAT, "mrsim": __version__})


def json_of(document: dict[str, Any]) -> str:
    """Return JSON data as strict JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _document(entries: dict[str, Any]) -> dict[str, Any]:
    """Return JSON data with null in place of infinities and NaN."""
    return {name: _finite(entry) for name, entry in entries.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return _document(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
